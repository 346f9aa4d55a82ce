"""One who claims ready work from a server until none is left: a process of its own.

Says "ready", waits for a line, and then prints one line of JSON for each claim it was given.

    python -m tests.process.claimant HOST PORT NAME
"""

import http.client
import json
import sys


def main(host: str, port: str, name: str) -> None:
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.connect()
    print("ready", flush=True)
    sys.stdin.readline()
    body = json.dumps({"actor": name})
    while True:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/api/v1/issues/ready/claim", body, headers)
        answer = connection.getresponse()
        given = json.loads(answer.read())
        if answer.status == http.client.OK:
            print(json.dumps([given["issue"]["id"], given["holder"], given["token"]]), flush=True)
        elif given["code"] == "nothing_ready":
            return
        else:
            raise SystemExit(f"{name}: {answer.status} {given}")


if __name__ == "__main__":
    main(*sys.argv[1:])

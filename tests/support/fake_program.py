"""A program that plays a scene: run by the command agent as if it were a coding program.

The file that FAKE_CLI names holds the scenes, one for each time it is started, and gets the record
of what it was called with. It needs the standard library only, so that it starts quickly.
"""
# ruff: noqa: PTH109, PTH123 - to import pathlib takes as long as all the rest

import json
import os
import signal
import subprocess
import sys
import time


def main() -> None:
    where = os.environ["FAKE_CLI"]
    prompt = sys.stdin.read()
    with open(where + ".calls", "a+") as calls:
        calls.write(json.dumps({"argv": sys.argv[1:], "prompt": prompt, "cwd": os.getcwd()}) + "\n")
        calls.seek(0)
        number = len(calls.readlines())
    with open(where) as file:
        scenes = json.load(file)
    for step in scenes[min(number, len(scenes)) - 1]:
        ((verb, value),) = step.items()
        VERBS[verb](value)


def say(frame: dict) -> None:
    session = sys.argv[-1] if len(sys.argv) > 2 else ""
    print(json.dumps(frame).replace("{session}", session), flush=True)


def hang(mark: str) -> None:
    with open(mark, "w") as file:
        file.write(str(os.getpid()))
    while True:
        time.sleep(600)


def fork(mark: str) -> None:
    """Leave a child behind that holds our output, in a session of its own."""
    sleeper = [sys.executable, "-ISc", "import time; time.sleep(600)"]
    child = subprocess.Popen(sleeper, start_new_session=True)
    with open(mark, "w") as file:
        file.write(str(child.pid))


def flood(count: int) -> None:
    for _ in range(count):
        sys.stdout.write("x" * 1_000_000 + "\n")


def write(files: dict) -> None:
    for path, text in files.items():
        with open(path, "w") as file:
            file.write(text)


def git(words: list) -> None:
    who = ["-c", "user.name=fake", "-c", "user.email=fake@localhost"]
    subprocess.run(["git", *who, *words], check=True, stdout=subprocess.DEVNULL)


VERBS = {
    "say": say,
    "raw": lambda text: print(text, end="", flush=True),
    "complain": lambda text: print(text, end="", file=sys.stderr, flush=True),
    "hang": hang,
    "fork": fork,
    "flood": flood,
    "write": write,
    "git": git,
    "ignore": lambda _: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "die": lambda number: os.kill(os.getpid(), number),
    "exit": sys.exit,
}

if __name__ == "__main__":
    main()

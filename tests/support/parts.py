"""Work that is shared out among forked processes: what was imported and made before serves all."""

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from typing import Any


def in_parts(parts: int, work: Callable[[int], Iterable[Any]]) -> list[Any]:
    """Gives what the parts yield, which has to be JSON; the calling process has one thread.

    Raises:
        AssertionError: a part came to no orderly end; it has said why.
    """
    files = [tempfile.TemporaryFile("w+") for _ in range(parts)]  # noqa: SIM115 - closed below
    children = []
    sys.stdout.flush()
    for part, file in enumerate(files):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for found in work(part):
                    print(json.dumps(found), file=file)
                file.flush()
                status = 0
            except BaseException:  # noqa: BLE001 - it is said, and ends this process
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(status)
        children.append(child)
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    found = []
    for file in files:
        with file:
            file.seek(0)
            found += [json.loads(line) for line in file]
    assert ended == [0] * parts, f"the parts ended with {ended}"
    return found

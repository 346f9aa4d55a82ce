"""Times one run of a function, a script or a program, in a process of its own.

Its text is handed to the Python of the environment that is measured, so that it needs nothing but
the standard library of any Python, and puts nothing of this package on that one's path. What is
measured may print what it likes: the answer goes into a file.
"""

import importlib
import json
import runpy
import subprocess
import sys
import time

LONG_ENOUGH_S = 0.02
REPEATS = 3


def seconds_of(kind: str, what: "list[str]") -> float:
    """Give the seconds of one call, or of one run."""
    if kind == "function":
        return _best_call(what[0])
    before = time.perf_counter()
    if kind == "script":
        _run_script(what[0])
    else:
        subprocess.run(what, check=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - before


def _run_script(path: str) -> None:
    sys.argv = [path]
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise


def _best_call(name: str) -> float:
    """The quickest of a few series of calls, each long enough for the clock."""
    module, _, path = name.partition(":")
    function = importlib.import_module(module)
    for part in path.split("."):
        function = getattr(function, part)
    number = 1
    while _series(function, number) < LONG_ENOUGH_S and number < 1 << 20:
        number *= 2
    return min(_series(function, number) for _ in range(REPEATS)) / number


def _series(function, number: int) -> float:  # type: ignore[no-untyped-def] # noqa: ANN001
    before = time.perf_counter()
    for _ in range(number):
        function()
    return time.perf_counter() - before


if __name__ == "__main__":
    place, kind, *what = sys.argv[1:]
    taken = seconds_of(kind, what)
    with open(place, "w") as file:  # noqa: PTH123 - as old Pythons have it
        json.dump({"seconds": taken}, file)

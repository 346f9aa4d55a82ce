"""The entry point of `beadflow`: prepares the process and hands over to the command tree.

`--version` is answered before anything else is imported, because scripts and agents ask for it
often.
"""

import gc
import sys
from collections.abc import Sequence
from importlib import import_module, metadata

from cli import rooms
from cli.exits import ExitCode

GC_THRESHOLDS = 50_000, 20, 20
"""Imports make what stays; looking through it again and again was a fifth of a start."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line (by default the process's own) and returns its exit code."""
    tokens = list(sys.argv[1:] if argv is None else argv)
    if tokens in (["--version"], ["-V"]):
        print(metadata.version("beadflow"))
        return ExitCode.OK
    if strangers := rooms.strangers():
        print(_not_ours(strangers), file=sys.stderr)
        return ExitCode.FAILED
    _write_anything()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        if tokens[:1] == ["merge-driver"] and tokens[1:2] != ["--help"]:
            return int(import_module("cli.merge_driver").run(tokens[1:]))
        return int(import_module("cli.commands").run(tokens))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def _not_ours(strangers: list[str]) -> str:
    return (
        f"error: these packages are not beadflow's: {', '.join(strangers)}\n"
        "hint: install beadflow into an environment of its own, for example with pipx"
    )


def _write_anything() -> None:
    """A stream whose encoding lacks a character shows its escape instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")

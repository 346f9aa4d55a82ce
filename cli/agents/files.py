"""The file that says which agent is to be registered: TOML, JSON or YAML, by its name's ending."""

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from cli import problem
from storage.errors import plain

NAMES: Final = ("agent_type", "agent_id", "max_workload", "config")


def read(path: Path) -> dict[str, Any]:
    """What the file asks for.

    Raises:
        Problem: (usage) it cannot be read, is not what its name says, or has an unknown field.
    """
    parse = _PARSERS.get(path.suffix.lower())
    if parse is None:
        known = ", ".join(sorted(_PARSERS))
        raise problem.usage("The file's name does not say what it is", str(path), hint=known)
    try:
        found = parse(path.read_text("utf-8"))
        json.dumps(found, allow_nan=False)  # dates and NaN are not for JSON
    except (OSError, UnicodeDecodeError) as error:
        raise problem.usage("The file cannot be read", f"{path}: {plain(error)}") from error
    except (ValueError, TypeError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise problem.usage("The file cannot be understood", f"{path}: {why}") from error
    if not isinstance(found, Mapping):
        raise problem.usage("The file holds something else than fields", str(path))
    if unknown := [str(name) for name in found if name not in NAMES]:
        raise problem.usage(
            "The file has an unknown field", unknown[0], hint=f"known: {', '.join(NAMES)}"
        )
    return dict(found)


def _yaml(text: str) -> Any:
    import yaml  # type: ignore[import-untyped]  # noqa: PLC0415 - few commands need it

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    ".json": json.loads,
    ".toml": tomllib.loads,
    ".yaml": _yaml,
    ".yml": _yaml,
}

"""Makes a coding program that does what a test wants, and knows how it was called."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.agents.command.presets import PRESETS, Preset
from tests.support import fake_program

Step = dict[str, Any]


@dataclass
class FakeCli:
    """A program that speaks as Claude Code does. Its variable FAKE_CLI must reach it."""

    place: Path
    name: str = "coder"

    def __post_init__(self) -> None:
        source = Path(fake_program.__file__).read_text()
        self.path.write_text(f"#!{sys.executable} -IS\n{source}")
        self.path.chmod(0o755)
        self.plays([*begun(), *ended()])

    @property
    def path(self) -> Path:
        return self.place / self.name

    @property
    def variable(self) -> str:
        """What FAKE_CLI is to be."""
        return str(self.place / "scenes.json")

    @property
    def preset(self) -> Preset:
        return PRESETS["claude"].model_copy(update={"program": str(self.path)})

    def plays(self, *scenes: list[Step]) -> None:
        """What it does each time it is started; the last one again and again."""
        Path(self.variable).write_text(json.dumps(scenes))

    @property
    def calls(self) -> list[dict[str, Any]]:
        """What it was called with, each time."""
        file = Path(self.variable + ".calls")
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def begun(session: str = "{session}") -> list[Step]:
    """Its first words: `{session}` is the id that it was given."""
    return [{"say": {"type": "system", "subtype": "init", "session_id": session}}]


def said(text: str, session: str = "{session}") -> Step:
    usage = {"input_tokens": 10, "output_tokens": 5}
    message = {"id": text, "content": [{"type": "text", "text": text}], "usage": usage}
    return {"say": {"type": "assistant", "session_id": session, "message": message}}


def committed(message: str = "Do it", **files: str) -> list[Step]:
    """It does some work, and commits it."""
    files = files or {"work.txt": "done\n"}
    return [{"write": files}, {"git": ["add", "-A"]}, {"git": ["commit", "-qm", message]}]


def limited(resets_at: float) -> list[Step]:
    """It may do no more until then."""
    info = {"status": "rejected", "resetsAt": resets_at, "rateLimitType": "five_hour"}
    event = {"type": "rate_limit_event", "rate_limit_info": info}
    return [{"say": event}, *ended("You've hit your limit", is_error=True)]


def ended(text: str = "All done.", subtype: str = "success", **more: Any) -> list[Step]:
    """Its last words, with what it cost."""
    frame = {
        "type": "result",
        "subtype": subtype,
        "is_error": subtype != "success",
        "result": text,
        "total_cost_usd": 0.25,
        "usage": {
            "input_tokens": 100,
            "output_tokens": 20,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 2,
        },
        **more,
    }
    return [{"say": frame}]

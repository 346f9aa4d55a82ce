"""What a turn comes to, from how it ended and what was heard. It looks at nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from actors.agents.command.conversation import Finish, Stop
from actors.agents.command.hearing import Heard
from actors.agents.command.messages import Status
from actors.agents.command.presets import Preset
from storage.payload import plain_text

_WORDS: Final = 400


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a turn ended, why in a word, and why in a sentence."""

    status: Status
    code: str = ""
    why: str = ""

    @property
    def is_good(self) -> bool:
        """Whether there is nothing that a new session could do better."""
        return self.status in (Status.DONE, Status.RATE_LIMITED)


def judge(finish: Finish, heard: Heard, preset: Preset) -> Verdict:
    """How a turn ended."""
    name = preset.program
    match finish.stop:
        case Stop.NOT_STARTED:
            why = f"{name} could not be started: {finish.complaint}"
            return Verdict(Status.FAILED, "not_started", why[:_WORDS])
        case Stop.FLOOD:
            return Verdict(Status.FAILED, "too_much_output", f"{name} wrote more than it may")
    if heard.ended is not None:
        return _by_its_words(heard, preset)
    if _is_limited(heard, preset, finish):
        return _limited(preset)
    match finish.stop:
        case Stop.DEADLINE:
            return Verdict(Status.FAILED, "deadline", f"{name} was not done in its time")
        case Stop.IDLE:
            return Verdict(Status.FAILED, "idle", f"{name} gave no sign of life any more")
        case _:
            return _by_its_status(finish, preset)


def _by_its_words(heard: Heard, preset: Preset) -> Verdict:
    ended = heard.ended
    if ended is None or not ended.code:
        return Verdict(Status.DONE)
    if _is_limited(heard, preset):
        return _limited(preset)
    why = _short(f"{preset.program} says {ended.code}: {ended.text}".removesuffix(": "))
    return Verdict(
        Status.NEEDS_ATTENTION if ended.is_incomplete else Status.FAILED, _short(ended.code), why
    )


def _by_its_status(finish: Finish, preset: Preset) -> Verdict:
    status, name = finish.status or 0, preset.program
    said = f": {finish.complaint}" if finish.complaint else ""
    if status < 0:
        return Verdict(Status.FAILED, "killed", _short(f"{name} was ended by signal {-status}"))
    if preset.verdict == "status":
        if status == 0:
            return Verdict(Status.DONE)
        why = f"{name} exited with {status}{said}"
        return Verdict(Status.FAILED, "exit_status", _short(why))
    if status == 0:
        why = f"{name} ended without saying how its turn went{said}"
        return Verdict(Status.FAILED, "no_result", _short(why))
    return Verdict(Status.FAILED, "died", _short(f"{name} exited with {status}{said}"))


def _is_limited(heard: Heard, preset: Preset, finish: Finish | None = None) -> bool:
    if heard.is_limited:
        return True
    if finish is not None and finish.status == 0:
        return False  # it may well speak of limits
    ended = heard.ended.text if heard.ended is not None else ""
    return _any_in(preset.limit_texts, ended, finish.complaint if finish is not None else "")


def _any_in(parts: Sequence[str], *texts: str) -> bool:
    return any(part.lower() in text.lower() for part in parts if part for text in texts)


def _limited(preset: Preset) -> Verdict:
    why = f"{preset.program} may do no more for a while"
    return Verdict(Status.RATE_LIMITED, "rate_limited", why)


def _short(text: str) -> str:
    return plain_text(" ".join(text.split()))[:_WORDS]

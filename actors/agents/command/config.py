"""What an agent that runs programs is set up with."""

from typing import Annotated, Literal

from pydantic import Field

from actors.agents.command.presets import PRESETS, Name, Preset
from actors.agents.guarded import Rlimits
from actors.agents.kit.outcome import Model
from actors.agents.kit.spending import AgentBudget
from actors.agents.kit.usage import Price
from actors.errors import ValidationError

Seconds = Annotated[float, Field(gt=0.0, le=86_400.0, allow_inf_nan=False)]


class Limits(Model):
    """What each process of a program may take; 0 is no limit.

    Attributes:
        cpu_s: seconds of processor time.
        memory_bytes: address space. Programs that run on V8 want more than they use.
        file_bytes: the largest file.
        processes: of the server's user in all; root is not limited.
    """

    cpu_s: int = Field(default=0, ge=0, le=1 << 31)
    memory_bytes: int = Field(default=0, ge=0, le=1 << 50)
    file_bytes: int = Field(default=0, ge=0, le=1 << 50)
    processes: int = Field(default=0, ge=0, le=1 << 22)

    def rlimits(self) -> Rlimits:
        return Rlimits(**self.model_dump())


class CommandConfig(Model):
    """How programs are run.

    Attributes:
        preset: the one for requests that name none.
        presets: more presets, or others of the same names.
        turn_s: a turn that takes longer is ended.
        idle_s: a program that says nothing for so long is ended.
        tool_s: the same while a tool of its own works, of which it says nothing until it has ended.
        after_result_s: a program that has said that it is done has so long to end.
        term_s: one that is to end is asked to, and killed after so long.
        output_bytes: one that writes more in a turn is ended.
        transcript_bytes: of what it writes, so much is kept as an artifact; 0 is none.
        limits: what each of its processes may take.
        network: "none" cuts it off, where the system permits that; it is not run where not.
        prices: by preset, for programs that do not say what they cost.
        budget: once it is spent, no turn is begun; one that goes on is not ended.
    """

    preset: Name = "claude"
    presets: dict[Name, Preset] = Field(default_factory=dict, max_length=50)
    turn_s: Seconds = 3600.0
    idle_s: Seconds = 600.0
    tool_s: Seconds = 1800.0
    after_result_s: Seconds = 30.0
    term_s: float = Field(default=2.0, ge=0.0, le=60.0)
    output_bytes: int = Field(default=64 << 20, ge=1_000, le=1 << 34)
    transcript_bytes: int = Field(default=4 << 20, ge=0, le=64 << 20)
    limits: Limits = Limits()
    network: Literal["open", "none"] = "open"
    prices: dict[Name, Price] = Field(default_factory=dict, max_length=50)
    budget: AgentBudget = AgentBudget()

    def find(self, name: str) -> Preset:
        """A preset by its name.

        Raises:
            ValidationError: there is none; those that there are are named.
        """
        found = self.presets.get(name) or PRESETS.get(name)
        if found is None:
            known = ", ".join(sorted({*PRESETS, *self.presets}))
            raise ValidationError(
                f"there is no preset {name!r}; known: {known}", field="preset", value=name
            )
        return found

"""The command agent: has a program work in a work tree, turn by turn, and believes it nothing."""

import trio

from actors.agents.command.config import CommandConfig
from actors.agents.command.messages import CloseRequest, Closing, Turn, TurnRequest
from actors.agents.command.presets import PRESETS
from actors.agents.command.turn import Turns, check_variables, find_program
from actors.agents.kit.worktrees import Kept, close_sandbox
from actors.agents.protocol import Agent, Task
from actors.agents.report import AgentHealth
from actors.agents.site import Site
from actors.workflows.definition import RetryPolicy, activity

TURN_S = 25 * 3600.0
"""More than the longest turn and its tests, which have ends of their own."""

RETRY = RetryPolicy(attempts=3, initial_s=5.0, non_retryable=("ValidationError",))
"""Of what goes wrong around a program; how a program did is an answer and no failure."""


class CommandAgent(Agent):
    """Has a headless coding program, or any command that the operator allows, do the work."""

    agent_type = "command"
    max_workload = 2
    Config = CommandConfig

    @activity(timeout_s=TURN_S, heartbeat_timeout_s=60.0, retry=RETRY)
    async def turn(self, task: Task, request: TurnRequest) -> Turn:
        """Tell a program what to do in a work tree, and look at what it has done."""
        return await Turns(self.config, self.agent_id).take(task, request)

    @activity(timeout_s=300.0, retry=RETRY)
    async def close(self, task: Task, request: CloseRequest) -> Closing:
        """Remove a work tree in which nothing would be lost; its branch stays if it has commits."""
        unused = request.only_unused
        match await close_sandbox(
            task.site, request.sandbox, only_unused=unused, drop_branch=unused
        ):
            case Kept(why=why):
                return Closing(summary=f"the work tree is kept: {why}", kept=why)
            case _ if unused:
                return Closing(summary="the work tree is removed: nothing came of it")
            case _:
                return Closing(summary="the work tree is removed, its branch stays")

    @classmethod
    def check_config(cls, config: CommandConfig, site: Site) -> None:  # type: ignore[override]
        """Its preset is there, and its own presets run what the operator has allowed."""
        config.find(config.preset)
        for name, preset in config.presets.items():
            site.check([preset.program], f"presets.{name}.program")
            check_variables(site, preset, f"presets.{name}.env")

    async def configure(self, config: CommandConfig) -> None:  # type: ignore[override] # its Config
        """Go on with another configuration, from the next turn on."""

    async def health_check(self) -> AgentHealth:
        """Whether its preset's program is allowed and installed."""
        programs = {
            name: preset.program for name, preset in {**PRESETS, **self.config.presets}.items()
        }
        allowed = {
            name: program for name, program in programs.items() if program in self.site.commands
        }
        found = {
            name: await trio.to_thread.run_sync(find_program, program, self.site.repo)
            for name, program in allowed.items()
        }
        details = {name: "installed" if path else "not installed" for name, path in found.items()}
        if not self.site.commands:
            message = "no program is allowed: name some under [agents] commands in the settings"
            return AgentHealth(message=message, details=details)
        missing = self.config.preset in found and not found[self.config.preset]
        message = f"{programs[self.config.preset]} is not installed" if missing else ""
        return AgentHealth(healthy=not missing, message=message, details=details)

"""Takes one turn of a conversation with a program, in a work tree, and says what came of it.

The order matters: what is refused is refused before anything is made; the session is written down
before the program starts; what it has cost before its answer counts; and the answer before it is
given, so that the same turn asked again after a crash gets the same answer.
"""

import contextlib
import os
import shutil
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import trio

from actors.agents.command.checklist import head, look
from actors.agents.command.config import CommandConfig
from actors.agents.command.conversation import Conversation, Finish, Patience, Stop
from actors.agents.command.dialects import DIALECTS
from actors.agents.command.events import Doing, Ended, Event, Said, Spent
from actors.agents.command.events import Session as Named
from actors.agents.command.hearing import Heard
from actors.agents.command.isolation import without_network
from actors.agents.command.messages import Check, Status, Turn, TurnRequest
from actors.agents.command.plan import WARN_SHARE
from actors.agents.command.presets import PRESETS, Preset, plain_command
from actors.agents.command.secrets import secrets_in
from actors.agents.command.sessions import Record, Session, open_session
from actors.agents.command.verdict import Verdict, judge
from actors.agents.guarded import guarded
from actors.agents.kit.beating import beating
from actors.agents.kit.linked import inside
from actors.agents.kit.outcome import Finding, Level, Skipped, StoredFile
from actors.agents.kit.spending import Entry, Spending
from actors.agents.kit.usage import Usage
from actors.agents.kit.worktrees import Sandbox, close_sandbox, commit, open_sandbox
from actors.agents.protocol import Task
from actors.agents.site import Site
from actors.agents.tools import ALLOWED_VARIABLES
from actors.clock import Clock, system_clock
from actors.errors import ValidationError
from actors.workflows.definition import ActivityFailure
from storage.payload import plain_text
from supervision import Refused

_CUT_OFF: Final = (
    "You were cut off in the middle of this. See how far it is, and go on with it:\n\n"
)
_NOTE_S: Final = 1.0
_SAVE_S: Final = 5.0
_TIDY_S: Final = 30.0
_MESSAGES: Final = 200
_MESSAGE_CHARACTERS: Final = 2_000


@dataclass(slots=True)
class Turns:
    """Takes turns for one agent.

    Args:
        config: the agent's.
        agent_id: whose budget it is.
        clock: dates what is spent.
    """

    config: CommandConfig
    agent_id: str
    clock: Clock = system_clock

    async def take(self, task: Task, request: TurnRequest) -> Turn:
        """Take a turn.

        Raises:
            ActivityFailure: it cannot be taken as it was asked for.
        """
        try:
            name, preset = self._preset(request)
            _check(task, preset, request)
        except ValidationError as error:
            why = f"{error}; {error.hint}"
            raise ActivityFailure("not_allowed", why, retryable=False) from error
        told: dict[str, str] = {}
        taking = partial(self._take, task, request, name, preset, told)
        return await beating(task, taking, lambda: told)

    def _preset(self, request: TurnRequest) -> tuple[str, Preset]:
        if request.command:
            return "command", plain_command(request.command)
        name = request.preset or self.config.preset
        return name, self.config.find(name)

    async def _take(
        self, task: Task, request: TurnRequest, name: str, preset: Preset, told: dict[str, str]
    ) -> Turn:
        session_name = request.session or task.workflow_id

        def waiting() -> None:
            task.progress("waiting for another turn of the session to end")

        async with open_session(task.site.workspace, session_name, waiting) as session:
            if session.record.key == task.idempotency_key and session.record.answer is not None:
                return session.record.answer
            refusal = await self._over_budget(task, name)
            if refusal is not None:
                return refusal
            sandbox = await open_sandbox(
                task.site,
                key=request.sandbox or session_name,
                ref=request.ref,
                branch=request.branch,
            )
            at = await head(sandbox)
            known = session.record if session.record.preset == name else _anew(session.record, name)
            if known.was_cut_off(task.idempotency_key):
                request = request.model_copy(update={"prompt": _CUT_OFF + request.prompt})
            known = known.begun(task.idempotency_key, base=known.base or at)
            run = _Run(task, self.config, request, name, preset, session, sandbox, told)
            before = session.record
            try:
                turn = await run.take(known)
            except BaseException:
                if not request.sandbox:
                    await _tidy(task, session_name)
                raise
            finally:
                if session.record is not before:
                    with trio.CancelScope(shield=True):  # one that is called off has its cost, too
                        await run.save_spent()
                        await self._account(task, run.spent)
            await session.save(session.record.ended(request.prompt, turn))
            return turn

    async def _over_budget(self, task: Task, name: str) -> Turn | None:
        budget = self.config.budget
        account = Spending(task.site.workspace / "command", self.agent_id)
        spent = await trio.to_thread.run_sync(account.total, self.clock(), budget.window_s)
        why = budget.used_up(spent)
        if why:
            why = f"the budget of agent {self.agent_id} is used up: {why}"
            return Turn(
                summary=why, status=Status.OVER_BUDGET, code="agent_budget", why=why, preset=name
            )
        if budget.share(spent) >= WARN_SHARE:
            left = f"{budget.share(spent):.0%} of the budget of agent {self.agent_id}"
            task.log(f"{left} is used up", level="warning")
        return None

    async def _account(self, task: Task, usage: Usage) -> None:
        account = Spending(task.site.workspace / "command", self.agent_id)
        entry = Entry(at=self.clock(), key=task.idempotency_key, usage=usage)
        await trio.to_thread.run_sync(account.add, entry, self.config.budget.window_s)


@dataclass(slots=True)
class _Run:
    """One turn, with all that it needs.

    Args:
        told: what signs of life say.
    """

    task: Task
    config: CommandConfig
    request: TurnRequest
    name: str
    preset: Preset
    session: Session
    sandbox: Sandbox
    told: dict[str, str]
    _noted_at: float = -_NOTE_S
    _logged: int = 0
    _saved_at: float = -_SAVE_S
    _heard: Heard = field(default_factory=lambda: Heard(DIALECTS["lines"]))

    async def take(self, known: Record) -> Turn:
        prompt = self.request.prompt
        resumes = bool(known.session and self.preset.again)
        if not resumes:
            prompt = known.preamble() + prompt
        finish, heard = await self._run(known, prompt, resumes=resumes)
        verdict = judge(finish, heard, self.preset)
        if resumes and finish.stop is Stop.EXITED and not (verdict.is_good or heard.has_begun):
            self.task.log("the session could not be continued; a new one is begun", "warning")
            resumes = False
            prompt = known.preamble() + self.request.prompt
            finish, heard = await self._run(self.session.record, prompt, resumes=False)
            verdict = judge(finish, heard, self.preset)
        return await self._turn(finish, heard, verdict, resumed=resumes)

    async def _run(self, known: Record, prompt: str, *, resumes: bool) -> tuple[Finish, Heard]:
        """Run the program once."""
        if resumes:
            session_id = known.session
        else:
            session_id = known.next_id()
            known = known.model_copy(update={"starts": known.starts + 1, "session": ""})
        await self.session.save(known)
        argv, stdin = self.preset.words(
            prompt=prompt, session=session_id, resumes=resumes, options=self.request.options
        )
        heard = self._heard = Heard(DIALECTS[self.preset.dialect], plain=self.preset.plain)
        self.task.progress(f"{self.preset.program} {'goes on' if resumes else 'begins'}")
        async with guarded(
            await self._argv(argv),
            cwd=self.sandbox.path,
            env=self._env,
            limits=self.config.limits.rlimits(),
            term_s=self.config.term_s,
            hold=[self.session.lock],
        ) as program:
            patience = self._patience()
            talk = Conversation(program, heard, patience, self._hear, secrets_in(self._env))
            return await talk.take_turn(stdin), heard

    async def _argv(self, argv: list[str]) -> list[str]:
        path = find_program(argv[0], self.sandbox.path)
        if path is None:
            raise ActivityFailure(
                "not_installed",
                f"{argv[0]} is not installed here, or not on the server's PATH",
                retryable=False,
            )
        return await self._cut_off([path, *argv[1:]])

    async def _cut_off(self, argv: list[str]) -> list[str]:
        """The same without a network where the configuration wants that."""
        if self.config.network == "none":
            return await without_network(argv, self.sandbox.path)
        return argv

    async def _tests(self) -> list[str]:
        """The command for the tests: the program may have written them, and is bound in them."""
        if not self.request.tests:
            return []
        program, *words = self.request.tests
        return await self._cut_off([find_program(program, self.sandbox.path) or program, *words])

    @property
    def _env(self) -> dict[str, str]:
        names = (*ALLOWED_VARIABLES, *self.task.site.environment)
        return {n: os.environ[n] for n in names if n in os.environ} | self.preset.env

    def _patience(self) -> Patience:
        return Patience(
            turn_s=self.config.turn_s,
            idle_s=self.config.idle_s,
            tool_s=max(self.config.tool_s, self.config.idle_s),
            after_result_s=self.config.after_result_s,
            output_bytes=self.config.output_bytes,
            transcript_bytes=self.config.transcript_bytes,
        )

    async def _hear(self, event: Event) -> None:
        match event:
            case Named(id=found) if found != self.session.record.session:
                await self.session.save(self.session.record.model_copy(update={"session": found}))
                self.told["session"] = found
                self.task.heartbeat(self.told)
            case Doing(what=what, fraction=fraction) if what:
                now = trio.current_time()
                if now - self._noted_at >= _NOTE_S:
                    self._noted_at = now
                    self.task.progress(plain_text(what), fraction)
            case Said(text=text, is_part=False) if text.strip():
                self._log(text)
            case Spent() if trio.current_time() - self._saved_at >= _SAVE_S:
                await self.save_spent()
            case Ended(code=code):
                how = f"ends with {code}" if code else "says that it is done"
                self.task.progress(plain_text(f"{self.preset.program} {how}"))

    async def save_spent(self) -> None:
        """So that neither a crash nor another attempt makes it free."""
        self._saved_at = trio.current_time()
        spent = self._priced(self._heard.usage)
        await self.session.save(self.session.record.model_copy(update={"spent": spent}))

    def _log(self, text: str) -> None:
        """What it says, in the workflow's log; all of it is in the transcript."""
        self._logged += 1
        if self._logged <= _MESSAGES:
            self.task.log(plain_text(text.strip()[:_MESSAGE_CHARACTERS]))

    async def _turn(self, finish: Finish, heard: Heard, verdict: Verdict, *, resumed: bool) -> Turn:
        usage = self.spent
        artifacts, skipped = await self._keep(finish)
        await inside(self.sandbox.path)  # and no repository that the program has put in its place
        if self.request.commit_message and verdict.status is Status.DONE:
            await commit(self.sandbox, self.request.commit_message)
        checks: tuple[Check, ...] = ()
        base = self.session.record.base
        if verdict.status is Status.DONE:
            self.task.progress("looking whether it is done")
            checks = await look(
                self.request,
                self.sandbox,
                base,
                tests=await self._tests(),
                env=self._env,
                limits=self.config.limits.rlimits(),
                secrets=secrets_in(self._env),
            )
            verdict = _believed(checks)
        turn = Turn(
            findings=self._findings(finish),
            summary=f"{self.preset.program}: {verdict.why or 'done'} ({usage})",
            artifacts=artifacts,
            skipped=skipped,
            metrics={**usage.metrics(), "frames": heard.frames, "tools": heard.tools.total()},
            status=verdict.status,
            code=verdict.code,
            why=verdict.why,
            text=plain_text(heard.text).strip(),
            preset=self.name,
            session=self.session.record.session,
            resumed=resumed,
            resets_at=heard.resets_at if verdict.status is Status.RATE_LIMITED else None,
            usage=usage,
            checklist=checks,
            exit_status=finish.status,
            branch=self.sandbox.branch,
            base=base,
            head=await head(self.sandbox),
        )
        self.task.log(turn.summary)
        self.task.used(usage)
        return turn

    @property
    def spent(self) -> Usage:
        """What the turn has cost so far, with its attempts that were cut off."""
        return self._priced(self._heard.usage) + self.session.record.lost

    def _priced(self, usage: Usage) -> Usage:
        price = self.config.prices.get(self.name)
        return usage if price is None else price.of(usage)

    def _findings(self, finish: Finish) -> tuple[Finding, ...]:
        if finish.stop is not Stop.AFTER_RESULT:
            return ()
        message = f"it went on for {self.config.after_result_s:g} s after its result, and was ended"
        finding = Finding(
            tool=self.preset.program, rule="hung_after_result", level=Level.NOTE, message=message
        )
        return (finding,)

    async def _keep(self, finish: Finish) -> tuple[tuple[StoredFile, ...], tuple[Skipped, ...]]:
        """Store the transcript. The work is done, and does not fail for want of room for it."""
        if not finish.transcript:
            return (), ()
        name = f"turn-{self.request.number}/transcript.jsonl"
        try:
            stored = await self.task.artifact(name, finish.transcript, "application/x-ndjson")
        except Refused as error:
            return (), (Skipped(what=name, why=f"it could not be stored: {error}"),)
        return (StoredFile(**stored),), ()


def find_program(program: str, cwd: Path) -> str | None:
    """Where a program is: on the server's PATH, or at the path that the operator has named."""
    if "/" in program:
        program = str(cwd / program)  # an absolute one stays as it is
    return shutil.which(program)


async def _tidy(task: Task, key: str) -> None:
    """Remove the work tree of a turn that was broken off before anything came of it."""
    with trio.move_on_after(_TIDY_S, shield=True), contextlib.suppress(ActivityFailure):
        await close_sandbox(task.site, key, only_unused=True, drop_branch=True)


def _check(task: Task, preset: Preset, request: TurnRequest) -> None:
    """Refuse what the operator has not allowed, before anything is made.

    Raises:
        ValidationError: a program or a variable is none of those of the settings, or there is no
            such option.
    """
    task.site.check([preset.program], "preset")
    if request.tests:
        task.site.check(request.tests, "tests")
    preset.words(prompt="", session="0", resumes=False, options=request.options)
    if preset not in PRESETS.values():
        check_variables(task.site, preset)


def check_variables(site: Site, preset: Preset, field: str = "env") -> None:
    """See that a preset sets only variables that the operator lets programs have.

    Raises:
        ValidationError: it sets others.
    """
    foreign = sorted(set(preset.env) - set(site.environment))
    if foreign:
        raise ValidationError(
            f"a preset must not set {foreign[0]}",
            field=field,
            value=foreign[0],
            hint="the operator lets programs have it: environment under [agents] in the settings",
        )


def _anew(record: Record, preset: str) -> Record:
    """The same conversation with another program, which knows nothing of it yet."""
    return record.model_copy(update={"preset": preset, "session": ""})


def _believed(checks: tuple[Check, ...]) -> Verdict:
    """Done when every point is so that was looked at."""
    against = [check for check in checks if check.passed is False]
    if not against:
        return Verdict(Status.DONE)
    why = "; ".join(f"{check.name}: {check.why}" for check in against)
    return Verdict(Status.NEEDS_ATTENTION, f"not_{against[0].name}", why)

"""What the lint finds in the code of workflows, and what it leaves alone."""

import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType

import pytest

from actors.plugins import load
from actors.workflows.context import Context
from actors.workflows.definition import Definitions, activity_of, workflow_of
from actors.workflows.lint.forbidden import RULES
from actors.workflows.lint.reader import DEPTH, Finding, Report, lint
from tests.docs.pages import ROOT, blocks

TOP = """
import asyncio, concurrent.futures, contextlib, datetime as dt, functools, hashlib, http, io, json
import logging, math, multiprocessing, os, os.path, pathlib, random, secrets, shutil, socket
import sqlite3, subprocess, sys, tempfile, threading, time, urllib.parse, urllib.request, uuid
import httpx2, trio
import collections as c
from datetime import UTC, date, datetime, timedelta
from os import environ, urandom
from pathlib import Path
from random import choice
from time import monotonic as ticks, sleep as z
from uuid import uuid4 as fresh
from beadflow import ActivityError, Context, activity, workflow

COUNT = 0
STATE = {}
SEEN = []
KINDS = {"a", "b"}
LOCK = threading.Lock()
DICE = random.Random(4)
GATE = trio.Event()
HERE = Path("here")
ENV = os.environ
now = datetime.now
"""
LAST = "\n@workflow\nasync def flow(ctx: Context, given: dict[str, object]) -> object:\n"


@pytest.fixture
def found(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator["Found"]:
    yield (known := Found(tmp_path / "flows.py"))
    sys.modules.pop(known.name, None)


class Found:
    """Writes a module with one workflow and reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"linted_{path.parent.name}"

    def module(self, text: str) -> ModuleType:
        self.path.write_text(text)
        spec = importlib.util.spec_from_file_location(self.name, self.path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[self.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def findings(self, body: str, before: str = "") -> tuple[Finding, ...]:
        text = f"{TOP}{before}{LAST}"
        text += "".join(f"    {line}\n" for line in body.splitlines())
        return report(self.module(text).flow).findings

    def rules(self, body: str, before: str = "") -> list[str]:
        return [finding.rule for finding in self.findings(body, before)]

    def said(self, body: str, before: str = "") -> list[str]:
        return [finding.what for finding in self.findings(body, before)]


def report(function: object) -> Report:
    known = workflow_of(function)
    assert known is not None
    return known.report


FORBIDDEN = {
    "clock": [
        "time.time()",
        "time.time_ns()",
        "time.perf_counter()",
        "ticks()",
        "time.strftime('%H')",
        "time.localtime()",
        "datetime.now(UTC)",
        "dt.datetime.utcnow()",
        "dt.datetime.today()",
        "date.today()",
        "now()",
        "trio.current_time()",
        "from time import time_ns as t; t()",
        "import time as t; t.time()",
        "sorted([], key=time.monotonic)",
        "later = lambda: time.time()",
        "def read(*names, clock=time.time): return clock()",
    ],
    "wait": [
        "z(1)",
        "time.sleep(1)",
        "await trio.sleep(1)",
        "await trio.sleep_forever()",
        "await trio.lowlevel.checkpoint()",
        "await GATE.wait()",
        "trio.move_on_after(1)",
        "event = trio.Event()",
        "async with trio.open_nursery(): pass",
        "trio.open_memory_channel(0)",
        "await asyncio.sleep(1)",
    ],
    "random": [
        "random.random()",
        "choice('ab')",
        "DICE.random()",
        "random.Random()",
        "random.SystemRandom()",
        "secrets.token_hex()",
        "uuid.uuid1()",
        "fresh()",
        "urandom(4)",
        "os.urandom(4)",
        "list(map(choice, ['ab']))",
    ],
    "environment": [
        "os.environ['HOME']",
        "environ.get('HOME')",
        "ENV['HOME']",
        "os.getenv('HOME')",
        "os.getcwd()",
        "os.getpid()",
        "'HOME' in os.environ",
        "import platform; platform.node()",
    ],
    "file": [
        "open('x')",
        "io.open('x')",
        "with open('x') as file: pass",
        "Path('x').read_text()",
        "HERE.exists()",
        "(HERE / 'x').write_bytes(b'')",
        "path = Path('x')\npath.unlink()",
        "if (path := Path('x')): path.unlink()",
        "import linecache_of_nobody as n, os.path as p; p.exists('x')",
        "pathlib.Path.cwd()",
        "Path.home()",
        "os.listdir('.')",
        "os.path.exists('x')",
        "shutil.rmtree('x')",
        "tempfile.mkdtemp()",
        "sqlite3.connect('x')",
        "await trio.open_file('x')",
    ],
    "network": [
        "socket.create_connection(('h', 1))",
        "socket.socket()",
        "urllib.request.urlopen('http://h')",
        "httpx2.get('http://h')",
        "httpx2.Client()",
        "import http.client as h; h.HTTPConnection('h')",
        "await trio.open_tcp_stream('h', 1)",
    ],
    "process": [
        "subprocess.run(['x'])",
        "subprocess.Popen(['x'])",
        "os.system('x')",
        "os.fork()",
        "await trio.run_process(['x'])",
    ],
    "thread": [
        "threading.Thread()",
        "threading.Lock()",
        "with LOCK: pass",
        "multiprocessing.Process()",
        "concurrent.futures.ThreadPoolExecutor()",
        "asyncio.run(None)",
        "asyncio.create_task(None)",
        "await trio.to_thread.run_sync(len)",
    ],
    "state": [
        "global COUNT\nCOUNT = 1",
        "global COUNT\nCOUNT += 1",
        "STATE['x'] = 1",
        "del STATE['x']",
        "STATE.update(x=1)",
        "SEEN.append(1)",
        "KINDS.add('c')",
        "logging.root.level = 3",
    ],
    "swallow": [
        "try: pass\nexcept BaseException: pass",
        "try: pass\nexcept (ValueError, BaseException): pass",
        "try: pass\nexcept: pass",
        "try: pass\nexcept trio.Cancelled: pass",
        "try: pass\nexcept BaseException:\n    if given: raise",
        "with contextlib.suppress(BaseException): pass",
    ],
    "set-order": [
        "for kind in {'a', 'b'}: pass",
        "for kind in KINDS: pass",
        "for kind in set('ab'): pass",
        "for kind in frozenset('ab'): pass",
        "for kind in KINDS | {'c'}: pass",
        "for kind in KINDS.union('c'): pass",
        "kinds = set('ab')\nfor kind in kinds: pass",
        "[kind for kind in KINDS]",
        "{kind: 1 for kind in KINDS}",
        "list(KINDS)",
        "next(iter(KINDS))",
        "[*KINDS]",
        "'{}'.format(*KINDS)",
        "','.join(KINDS)",
        "set('ab').pop()",
        "await ctx.gather(*(ctx.sleep(n) for n in {1, 2}))",
    ],
    "identity": ["hash('x')", "id(given)", "sorted([], key=id)"],
    "console": ["print('x')", "input()", "sys.stdout.write('x')", "breakpoint()"],
}


@pytest.mark.parametrize(
    ("rule", "body"), [(rule, body) for rule, bodies in FORBIDDEN.items() for body in bodies]
)
def test_what_is_forbidden_is_found_by_its_rule(found: Found, rule: str, body: str) -> None:
    assert found.rules(body) == [rule]


def test_every_rule_is_tried() -> None:
    assert sorted(FORBIDDEN) == sorted(rule.name for rule in RULES)


@pytest.mark.parametrize(
    "body",
    [
        "await ctx.side_effect(lambda: time.time())",
        "await ctx.side_effect(time.time)",
        "await ctx.side_effect(functools.partial(os.getenv, 'HOME'))",
        "def read(): return open('x').read()\nawait ctx.side_effect(read)",
        "await ctx.activity(fetch, 'x')",
        "await ctx.activity(fetch, 'x', reconcile=lambda: open('x'))",
        "await ctx.tx(store, 'x')",
        "await ctx.side_effect(store)",
        "async with ctx.saga() as saga: await saga.step(fetch, 'x', undo=store)",
        "await ctx.child(child, {})",
        "await ctx.gather(*map(fetching, [ctx]))",
    ],
)
def test_what_runs_apart_from_the_replay_may_do_anything(found: Found, body: str) -> None:
    before = """
@activity
def fetch(name: str) -> str: return open(name).read()
def store(connection, name): time.sleep(1)
async def fetching(ctx): return await ctx.activity(fetch, 'x')
@workflow
async def child(ctx: Context) -> None: print('found in its own report')
"""
    assert found.said(body, before) == []


def test_only_what_the_workflow_got_is_its_context(found: Found) -> None:
    assert found.rules("SEEN.activity(lambda: time.time())") == ["clock"]


def test_what_such_an_operation_is_given_as_input_is_read(found: Found) -> None:
    body = (
        "await ctx.activity(abs, time.time())\nawait ctx.side_effect(functools.partial(abs, id(1)))"
    )
    assert found.rules(body) == ["clock", "identity"]


@pytest.mark.parametrize(
    "body",
    [
        "ctx.now(); ctx.random().random(); ctx.uuid4(); await ctx.sleep(1)",
        "time = given['time']\ntime.time()",
        "print = ctx.log\nprint('x')",
        "[open for open in given]",
        "def id(thing): return 1\nid(given)",
        "when: datetime = datetime(2020, 1, 1)\nwhen + timedelta(1); datetime.fromisoformat('x')",
        "uuid.UUID('x'); time.strptime('1', '%H'); time.strftime('%H', time.gmtime(0))",
        "dice = random.Random(4)\ndice.random()",
        "def roll(dice: random.Random): return dice.random()\nroll(ctx.random())",
        "Path('a') / 'b'; HERE.name; HERE.with_suffix('.x').parts; os.path.join('a', 'b')",
        "urllib.parse.quote('x'); http.HTTPStatus(200); json.dumps({}); math.sqrt(2)",
        "isinstance(given, (Path, socket.socket, trio.Event, threading.Thread))",
        "try: pass\nexcept (socket.timeout, subprocess.CalledProcessError): pass",
        "raise subprocess.CalledProcessError(1, 'x')",
        "try: pass\nexcept Exception: pass",
        "try: pass\nexcept BaseException:\n    ctx.log('x')\n    raise",
        "try: pass\nexcept:\n    raise ValueError from None",
        "with contextlib.suppress(ValueError): pass",
        "for kind in sorted(KINDS): pass",
        "sorted(kind for kind in KINDS); sum(1 for kind in KINDS); {kind for kind in KINDS}",
        "'a' in KINDS; len(KINDS); max(KINDS); max(*KINDS); any(kind for kind in KINDS)",
        "sorted(map(len, KINDS)); set(list(KINDS)); sorted([*KINDS])",
        "kinds = set('ab')\nkinds = sorted(kinds)\nfor kind in kinds: pass",
        "state = {}\nstate['x'] = 1\nstate.update(y=2)\nseen = []\nseen.append(1)\nseen += [2]",
        "count = 0\ndef more():\n    nonlocal count\n    count += 1\nmore()",
        "class Local:\n    x = 1\n    def go(self): self.x = 2",
        "SEEN[0]; STATE.get('x'); KINDS.union('c'); COUNT",
        "hashlib.sha256(b'x'); logging.getLogger('x')",
        "for n, thing in enumerate(given): pass",
        "match given:\n    case {'time': time}: time.time()",
        "def unused(): time.time()",
        "x: trio.Event | None = None",
        "from .random import choice\nchoice('ab')",
        "def gone(*time, **random): return time.time(), random.random()\ngone()",
        "math.nowhere(); import math as m; m.nowhere()",
        "nowhere.at_all(); given.open(); ctx.time.time()",
    ],
)
def test_what_a_replay_does_again_the_same_is_left_alone(found: Found, body: str) -> None:
    assert found.said(body) == []


def test_a_finding_says_where_what_why_and_what_instead(found: Found) -> None:
    (finding,) = found.findings("x = 1\nz(x)")
    line = f"{TOP}{LAST}".count("\n") + 2
    assert (finding.file, finding.line) == (str(found.path), line)
    assert finding.what == "time.sleep, written as z"
    assert str(finding) == (
        f"{found.path}:{line}: time.sleep, written as z (wait): the history knows nothing of it: "
        "it blocks, is lost at a restart and begins again; instead: `ctx.sleep(...)`, "
        "`ctx.signal(...)` or `ctx.gather(...)`"
    )


def test_a_plain_function_of_the_module_is_read_where_it_is_called(found: Found) -> None:
    before = (
        "def first(): return second()\ndef second(): return time.time()\ndef not_called(): id(1)"
    )
    (finding,) = found.findings("first()\nfirst()", before)
    assert (finding.rule, finding.line) == ("clock", TOP.count("\n") + 2)


def test_a_decorated_function_is_read_behind_its_decorator(found: Found) -> None:
    assert found.rules("read()", "@functools.lru_cache\ndef read(): return open('x')") == ["file"]


def test_an_activity_that_is_called_like_a_function_is_read(found: Found) -> None:
    assert found.rules("act()", "@activity\ndef act() -> None: time.sleep(1)") == ["wait"]


def test_functions_that_call_each_other_are_read_once(found: Found) -> None:
    before = "def ping(): pong()\ndef pong():\n    ping()\n    time.time()"
    assert found.rules("ping()", before) == ["clock"]


@pytest.mark.parametrize(("calls", "rules"), [(DEPTH, ["clock"]), (DEPTH + 1, [])])
def test_calls_are_followed_to_a_depth(found: Found, calls: int, rules: list[str]) -> None:
    chain = [f"def f{n}(): f{n + 1}()" for n in range(1, calls)]
    before = "\n".join([*chain, f"def f{calls}(): time.time()"])
    assert found.rules("f1()", before) == rules


def test_functions_of_other_modules_are_not_read(found: Found) -> None:
    assert found.rules("logging.getLogger('x').warning('x'); json.dumps({})") == []


def test_a_function_within_the_workflow_is_read_where_it_is_used(found: Found) -> None:
    body = "def inner():\n    return time.time()\nawait ctx.side_effect(inner)\ninner()"
    assert found.rules(body) == ["clock"]


def test_what_a_function_around_it_holds_is_known(found: Found) -> None:
    module = found.module(
        f"{TOP}\ndef made(seen, count):\n    import time as t\n    @workflow\n"
        "    async def flow(ctx: Context) -> None:\n        nonlocal count\n        count = 1\n"
        "        seen.append(t.time())\n        later()\n    return flow\n    later = 1"
    )
    rules = [(one.rule, one.what) for one in report(module.made([], 0)).findings]
    assert rules == [
        ("state", "the write to count, which is not its own"),
        ("state", "seen.append()"),
        ("clock", "time.time, written as t.time"),
    ]


@pytest.mark.parametrize(
    ("comment", "rules"),
    [
        ("# beadflow: allow clock", ["identity"]),
        ("# beadflow: allow clock, identity", []),
        ("# beadflow: allow identity,clock  # measured only", []),
        ("# ours  # beadflow:allow clock", ["identity"]),
        ("# beadflow: allow clocks", ["clock", "identity"]),
        ("# beadflow: allow", ["clock", "identity"]),
    ],
)
def test_a_comment_permits_the_rules_it_names_on_its_line(
    found: Found, comment: str, rules: list[str]
) -> None:
    assert sorted(found.rules(f"time.time(), id(1)  {comment}")) == rules


def test_a_comment_permits_nothing_on_another_line(found: Found) -> None:
    assert found.rules("time.time()  # beadflow: allow clock\ntime.time()") == ["clock"]


def test_a_comment_may_stand_behind_a_block_s_head(found: Found) -> None:
    assert (
        found.rules("try: pass\nexcept BaseException:  # beadflow: allow swallow\n    pass") == []
    )


def test_without_a_source_nothing_is_found_and_that_is_said() -> None:
    space: dict[str, object] = {}
    exec(f"{TOP}{LAST}    time.time()", space)  # noqa: S102
    assert report(space["flow"]) == Report(findings=(), has_source=False)


def test_a_source_that_is_not_the_code_s_any_more_is_no_source(found: Found) -> None:
    flow = found.module(f"{TOP}{LAST}    time.time()").flow
    assert lint(flow, _is_apart).has_source
    found.path.write_text("an edited file (")
    assert report(flow) == Report(findings=(), has_source=False)


def test_an_object_that_answers_to_no_question_is_not_asked(found: Found) -> None:
    before = """
class Proxy:
    def __getattribute__(self, name): raise RuntimeError(name)
    def __eq__(self, other): raise RuntimeError
    def __call__(self): return self
PROXY = Proxy()
"""
    body = "PROXY(); PROXY.x(); await ctx.side_effect(PROXY)\nwith PROXY: PROXY[0] = 1"
    assert found.said(body, before) == ["the write to PROXY[0]"]


def test_an_expression_that_is_too_deep_is_not_read(found: Found) -> None:
    flow = found.module(f"{TOP}{LAST}    return {' + '.join(['given'] * 800)}").flow
    assert report(flow) == Report(findings=(), has_source=False)


def test_what_is_no_function_is_not_read() -> None:
    assert not lint(print, lambda target: False).has_source


def test_every_version_of_every_workflow_has_its_report(found: Found) -> None:
    again = LAST.replace("@workflow", "@workflow(name='flow', version=2)").replace(
        "flow(ctx", "two(ctx"
    )
    module = found.module(f"{TOP}{LAST}    print('x'){again}    time.time()")
    every = Definitions.of([module.two, module.flow]).every()
    assert [(one.version, one.report.findings[0].rule) for one in every] == [
        (1, "console"),
        (2, "clock"),
    ]


@pytest.mark.skipif(not hasattr(Context, "sleep"), reason="the context cannot wait yet")
def test_what_is_to_be_written_instead_is_there() -> None:
    for rule in RULES:
        for name in (part.partition("(")[0] for part in rule.instead.split("ctx.")[1:]):
            assert hasattr(Context, name), name


# --- the workflows of this repository

ON_PURPOSE = {
    ("tests/actors/coordination/test_reading.py", "wait", "trio.sleep"),
    ("tests/actors/workflows/test_dispatcher.py", "wait", "trio.open_nursery"),
    ("tests/actors/workflows/test_dispatcher.py", "wait", "trio.lowlevel.checkpoint"),
}
"""Workflows that are there to do what they must not."""

WRITTEN = [
    path
    for room in ("actors", "beadflow", "benchmarks", "tests")
    for path in sorted((ROOT / room).rglob("*.py"))
    if path.name != Path(__file__).name and "@workflow" in path.read_text("utf-8")
]


@pytest.mark.parametrize("path", WRITTEN, ids=[str(path.relative_to(ROOT)) for path in WRITTEN])
def test_no_workflow_of_the_repository_has_a_finding(path: Path) -> None:
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    reports = [lint(function, _is_apart) for function in _workflows(module)]
    assert all(one.has_source for one in reports)
    found = {
        (str(path.relative_to(ROOT)), finding.rule, finding.what)
        for one in reports
        for finding in one.findings
    }
    assert found == {one for one in ON_PURPOSE if one[0] == str(path.relative_to(ROOT))}


def test_the_repository_s_workflows_are_looked_at() -> None:
    functions = [
        function
        for path in WRITTEN
        for function in _workflows(
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        )
    ]
    assert len(functions) > 50


def test_the_readme_s_workflow_has_no_finding(tmp_path: Path) -> None:
    path = tmp_path / "flows.py"
    path.write_text("\n\n".join(blocks("README.md", "python")))
    every = load([path]).definitions.every()
    assert {one.name: one.report for one in every} == {
        one.name: Report(findings=(), has_source=True) for one in every
    }
    assert "census" in {one.name for one in every}


def _workflows(module: ModuleType) -> Iterator[FunctionType]:
    """Every workflow of a file, also those that a test defines inside of itself."""
    text = inspect.getsource(module)
    lines = {
        (node.name, node.decorator_list[0].lineno)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.AsyncFunctionDef) and any(map(_is_workflow, node.decorator_list))
    }
    assert module.__file__ is not None
    for code in _codes(compile(text, module.__file__, "exec", dont_inherit=True)):
        if (code.co_name, code.co_firstlineno) in lines:
            empty = tuple(CellType() for _ in code.co_freevars)
            yield FunctionType(code, vars(module), code.co_name, None, empty)


def _is_apart(target: object) -> bool:
    return activity_of(target) is not None or workflow_of(target) is not None


def _is_workflow(decorator: ast.expr) -> bool:
    return ast.unparse(decorator).partition("(")[0].endswith("workflow")


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)

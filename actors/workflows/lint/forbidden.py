"""What the function of a workflow must not do: the rules, and the names that fall under each.

Pure data. After a restart the function runs again from its first line and has to ask for the same
operations in the same order; whatever is named here answers differently then, or happens twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of thing that a replay would not do again the same.

    Args:
        name: what a comment `# beadflow: allow <name>` says.
        why: what goes wrong.
        instead: what to write.
        calls: dotted names; a name stands for all that is below it, and the longest one decides.
    """

    name: str
    why: str
    instead: str
    calls: tuple[str, ...] = ()


CLOCK = Rule(
    name="clock",
    why="another time comes after a restart, and the code may then ask for other operations",
    instead="`ctx.now()`",
    calls=(
        "time",
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
        "datetime.datetime.today",
        "datetime.date.today",
        "trio.current_time",
        "anyio.current_time",
    ),
)
RANDOM = Rule(
    name="random",
    why="another value comes after a restart, and the code may then ask for other operations",
    instead="`ctx.random()` or `ctx.uuid4()`",
    calls=(
        "random",
        "secrets",
        "uuid.uuid1",
        "uuid.uuid4",
        "uuid.uuid6",
        "uuid.uuid7",
        "uuid.getnode",
        "os.urandom",
        "os.getrandom",
        "numpy.random",
    ),
)
ENVIRONMENT = Rule(
    name="environment",
    why="the next process may have another environment",
    instead="a variable of the workflow, or `ctx.side_effect(...)`",
    calls=(
        "os.environ",
        "os.environb",
        "os._Environ",
        "os.getenv",
        "os.getenvb",
        "os.putenv",
        "os.unsetenv",
        "os.getpid",
        "os.getppid",
        "os.getcwd",
        "os.getlogin",
        "os.cpu_count",
        "os.uname",
        "platform",
        "getpass",
    ),
)


def _below(owner: str, names: str) -> tuple[str, ...]:
    return tuple(f"{owner}.{name}" for name in names.split())


FILE = Rule(
    name="file",
    why="a file may be different or gone after a restart, and a write happens twice",
    instead="an activity",
    calls=(
        "io.open",
        "shutil",
        "tempfile",
        "sqlite3.connect",
        "trio.Path",
        "trio.open_file",
        *_below(
            "pathlib.Path",
            "absolute chmod cwd exists expanduser glob group hardlink_to home is_block_device "
            "is_char_device is_dir is_fifo is_file is_mount is_socket is_symlink iterdir lchmod "
            "link_to lstat mkdir open owner read_bytes read_text readlink rename replace resolve "
            "rglob rmdir samefile stat symlink_to touch unlink walk write_bytes write_text",
        ),
        *_below(
            "os",
            "access chdir chmod chown close fdopen fstat fsync link listdir lstat makedirs mkdir "
            "open read readlink remove removedirs rename renames replace rmdir scandir stat "
            "symlink truncate unlink utime walk write",
        ),
        *_below(
            "os.path",
            "abspath exists expanduser expandvars getatime getctime getmtime getsize isdir isfile "
            "islink ismount lexists realpath samefile",
        ),
    ),
)
NETWORK = Rule(
    name="network",
    why="the answer may be another after a restart, and the request is sent twice",
    instead="an activity",
    calls=(
        "socket",
        "ssl",
        "requests",
        "httpx",
        "httpx2",
        "urllib.request",
        "urllib3",
        "http.client",
        "aiohttp",
        "smtplib",
        "ftplib",
        "imaplib",
        "poplib",
        "websockets",
        "trio.socket",
        "trio.open_tcp_stream",
        "trio.open_ssl_over_tcp_stream",
        "trio.open_unix_socket",
        "trio.open_tcp_listeners",
        "trio.serve_tcp",
    ),
)
PROCESS = Rule(
    name="process",
    why="the process runs again after a restart",
    instead="an activity",
    calls=(
        "subprocess",
        "os.system",
        "os.popen",
        "os.fork",
        "os.kill",
        "os.posix_spawn",
        "os.execv",
        "os.execve",
        "os.spawnv",
        "os.abort",
        "os._exit",
        "trio.run_process",
        "trio.lowlevel.open_process",
    ),
)
THREAD = Rule(
    name="thread",
    why="its order differs in every run, and the context does not work there",
    instead="`ctx.gather(...)`, or a plain `def` activity, which runs in a thread",
    calls=(
        "threading",
        "multiprocessing",
        "concurrent.futures",
        "asyncio",
        "queue",
        "trio.to_thread",
        "trio.from_thread",
        "trio.run",
        "anyio.to_thread",
        "anyio.from_thread",
    ),
)
WAIT = Rule(
    name="wait",
    why="the history knows nothing of it: it blocks, is lost at a restart and begins again",
    instead="`ctx.sleep(...)`, `ctx.signal(...)` or `ctx.gather(...)`",
    calls=("time.sleep", "asyncio.sleep", "trio", "anyio"),
)
STATE = Rule(
    name="state",
    why="it outlives the run: a replay changes it again, and other workflows see it",
    instead="a local variable and the result, or an activity",
)
SWALLOW = Rule(
    name="swallow",
    why="it also catches the cancellation and the engine's own stop",
    instead="`except Exception`, `finally`, or a `raise` at the end of the block",
)
SET_ORDER = Rule(
    name="set-order",
    why="a set has another order in every process",
    instead="`sorted(...)`, or a list or dict",
)
IDENTITY = Rule(
    name="identity",
    why="it has another value in every process",
    instead="a key of your own, or `hashlib`",
    calls=("builtins.id", "builtins.hash"),
)
CONSOLE = Rule(
    name="console",
    why="a replay prints it again, and nobody answers on a server",
    instead="`ctx.log(...)`, `ctx.signal(...)`",
    calls=(
        "builtins.print",
        "builtins.input",
        "builtins.breakpoint",
        "sys.stdin",
        "sys.stdout",
        "sys.stderr",
    ),
)

RULES = (
    CLOCK,
    WAIT,
    RANDOM,
    ENVIRONMENT,
    FILE,
    NETWORK,
    PROCESS,
    THREAD,
    STATE,
    SWALLOW,
    SET_ORDER,
    IDENTITY,
    CONSOLE,
)

_HARMLESS = (
    "time.strptime",
    "time.struct_time",
    "time.mktime",
    "secrets.compare_digest",
    "asyncio.iscoroutinefunction",
    "shutil.Error",
)

_ENOUGH = {
    "time.gmtime": 1,
    "time.localtime": 1,
    "time.ctime": 1,
    "time.asctime": 1,
    "time.strftime": 2,
    "random.Random": 1,
}
"""With so many arguments the answer depends on nothing but them."""

_BY_NAME: dict[str, Rule | None] = {
    **{call: rule for rule in RULES for call in rule.calls},
    **dict.fromkeys(_HARMLESS),
}


def rule_of(names: Iterable[str], arguments: int = 0) -> tuple[str, Rule] | None:
    """The first of a thing's names that is forbidden, with the rule; None where none is.

    Args:
        names: what it is called, dotted, e.g. "datetime.datetime.now".
        arguments: how many it is called with.
    """
    for name in names:
        if name in _ENOUGH and arguments >= _ENOUGH[name]:
            return None
        rule = _longest(name)
        if rule is not None:
            return name, rule
    return None


def _longest(name: str) -> Rule | None:
    while name:
        if name in _BY_NAME:
            return _BY_NAME[name]
        name = name.rpartition(".")[0]
    return None

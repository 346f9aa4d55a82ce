"""`beadflow issue …`: the issues of a repository, by hand or by an agent.

The commands stand in the modules that are named here, and each is imported when it is asked for.
"""

from typing import Final

from cyclopts import App

app = App(
    name="issue",
    help="Create, find, change, connect and claim issues.",
    help_epilogue='Example:\n\n  beadflow issue create "Fix the login" -t bug -p 1',
)
dep = App(
    name="dep",
    help="Connect issues, and see what depends on what.",
    help_epilogue="Example:\n\n  beadflow issue dep add shop-a1b shop-c2d",
)
label = App(
    name="label",
    help="Put labels on issues, and take them off.",
    help_epilogue="Example:\n\n  beadflow issue label add shop-a1b urgent",
)

_COMMANDS: Final = (
    ("create", "making:create", "Create an issue.", 'create "Fix the login" -t bug -p 1 -l web'),
    ("list", "finding:list_", "List issues.", "list --status open,blocked --assignee Ada"),
    ("search", "finding:search", "Find issues by words in them.", "search login cookie"),
    ("show", "finding:show", "Show issues with what surrounds them.", "show shop-a1b"),
    ("export", "finding:export", "Write all issues as JSON lines.", "export --to issues.jsonl"),
    (
        "import",
        "importing:import_",
        "Merge issues from a file into those here.",
        "import issues.jsonl --dry-run",
    ),
    ("batch", "batching:batch", "Make many changes at once.", "batch changes.jsonl"),
    ("stats", "finding:stats", "Count the issues.", "stats"),
    (
        "update",
        "editing:update",
        "Change fields of issues.",
        "update shop-a1b -p 0 --add-label web",
    ),
    ("close", "editing:close", "Close issues.", 'close shop-a1b shop-c2d -r "Completed"'),
    ("done", "editing:close", "Close issues that are done.", 'done shop-a1b -r "Completed"'),
    ("reopen", "editing:reopen", "Open issues again.", "reopen shop-a1b"),
    ("defer", "editing:defer", "Hide issues from ready work.", "defer shop-a1b --until 3d"),
    ("undefer", "editing:undefer", "Offer deferred issues again.", "undefer shop-a1b"),
    ("delete", "editing:delete", "Delete issues; they leave a mark.", "delete shop-a1b --yes"),
    ("restore", "editing:restore", "Bring deleted issues back.", "restore shop-a1b"),
    ("comment", "editing:comment", "Add a comment.", 'comment shop-a1b "It is the cookie."'),
    (
        "merge",
        "merging:merge_",
        "Merge two versions of the issues.",
        "merge base.jsonl a.jsonl b.jsonl",
    ),
    ("ready", "readiness:ready", "Show what can be worked on now.", "ready -n 3"),
    ("blocked", "readiness:blocked", "Show what is open but waits.", "blocked"),
    ("why", "readiness:why", "Explain why an issue is ready, or not.", "why shop-a1b"),
    ("claim", "claims:claim", "Take issues to work on.", "claim shop-a1b"),
    ("release", "claims:release", "Give a claimed issue back.", "release shop-a1b"),
    ("sync", "syncing:sync", "Meet other clones: fetch, merge, push.", "sync --dry-run"),
    ("history", "past:history", "Show what Git remembers of an issue.", "history shop-a1b"),
    ("heartbeat", "claims:heartbeat", "Renew a claim.", "heartbeat shop-a1b --token 7"),
)
_DEP: Final = (
    ("add", "edges:add", "Make one issue depend on others.", "add shop-a1b shop-c2d"),
    ("remove", "edges:remove", "Take a dependency away.", "remove shop-a1b shop-c2d"),
    ("tree", "edges:tree", "Show what an issue depends on.", "tree shop-a1b"),
    ("cycles", "edges:cycles", "List circles of dependencies.", "cycles"),
)
_LABEL: Final = (
    ("add", "editing:label_add", "Put labels on an issue.", "add shop-a1b web urgent"),
    ("remove", "editing:label_remove", "Take labels off an issue.", "remove shop-a1b urgent"),
)


def _register(to: App, commands: tuple[tuple[str, str, str, str], ...], words: str) -> None:
    for name, place, says, example in commands:
        to.command(
            f"cli.{place}",
            name=name,
            help=says,
            help_epilogue=f"Example:\n\n  beadflow {words} {example}",
        )


_register(app, _COMMANDS, "issue")
_register(dep, _DEP, "issue dep")
_register(label, _LABEL, "issue label")
app.command(dep)
app.command(label)

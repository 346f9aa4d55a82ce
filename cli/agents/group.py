"""`beadflow agent …`: the commands of this room, each imported when it is asked for.

All of them need a server: agents are actors, and nobody else knows what they do.
"""

from typing import Final

from cyclopts import App

app = App(
    name="agent",
    help="Register and look after the agents that do the work.",
    help_epilogue="Example:\n\n  beadflow agent list",
)

_COMMANDS: Final = (
    (
        "register",
        "registering:register",
        "Have one more agent.",
        ("register agents/night.toml", "register --type research --id night --max-workload 2"),
    ),
    ("list", "looking:list_", "List the agents.", ("list --status draining",)),
    ("status", "looking:status", "Show what an agent does, and how it is.", ("status research-1",)),
    (
        "config",
        "setting_up:config",
        "Show what an agent is set up with, or change it.",
        ("config research-1", "config night --set depth:=3 --max-workload 1"),
    ),
    ("describe", "looking:describe", "Explain a type of agents.", ("describe research",)),
    (
        "drain",
        "resting:drain",
        "Have an agent finish what it has and take nothing new.",
        ('drain research-1 --reason "new disk" --wait',),
    ),
    ("activate", "resting:activate", "Have an agent take work again.", ("activate research-1",)),
    (
        "assign",
        "assigning:assign",
        "Give a workflow to an agent.",
        ('assign wf-7k2m research-2 --reason "knows the code"',),
    ),
    (
        "assignments",
        "assigning:assignments",
        "List who has and had which workflow.",
        ("assignments --status assigned",),
    ),
    (
        "unregister",
        "registering:unregister",
        "Have an agent no longer.",
        ("unregister night", "unregister night --force"),
    ),
)

for _name, _where, _help, _examples in _COMMANDS:
    _lines = "\n\n".join(f"  beadflow agent {example}" for example in _examples)
    _title = "Example" if len(_examples) == 1 else "Examples"
    app.command(
        f"cli.agents.{_where}", name=_name, help=_help, help_epilogue=f"{_title}:\n\n{_lines}"
    )

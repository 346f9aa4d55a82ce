"""`beadflow auth …`: the commands of this room, each imported when it is asked for."""

from typing import Final

from cyclopts import App

app = App(
    name="auth",
    help="Make keys for whoever may use the server, and see who may do what.",
    help_epilogue="Example:\n\n  beadflow auth key create --user ann --role admin",
)
_KEY: Final = App(
    name="key",
    help="Make, list and revoke API keys.",
    help_epilogue="Example:\n\n  beadflow auth key list",
)
app.command(_KEY)

_KEY_COMMANDS: Final = (
    (
        "create",
        "keys:create",
        "Make an API key.",
        (
            "create --user ann --role admin",
            "create --user builder --role agent --expires 30d --to builder.key",
        ),
    ),
    ("list", "keys:list_", "List the API keys.", ("list --user ann",)),
    ("revoke", "keys:revoke", "End API keys, and the tokens they gave.", ("revoke 7k2m9x",)),
)
_COMMANDS: Final = (
    (
        "token",
        "asking:token",
        "Exchange the API key for an access token, and print that.",
        ("token --url https://beadflow.example.org --key-file ann.key",),
    ),
    ("whoami", "asking:whoami", "Show who you are to the server.", ("whoami",)),
    (
        "why",
        "asking:why",
        "Explain why somebody may do something, or may not.",
        ("why ann workflow:delete", "why ann 'POST /api/v1/workflows'"),
    ),
    ("rotate", "asking:rotate", "Sign tokens with a new key from now on.", ("rotate",)),
)


def _register(
    group: App, path: str, commands: tuple[tuple[str, str, str, tuple[str, ...]], ...]
) -> None:
    for name, where, what, examples in commands:
        lines = "\n\n".join(f"  beadflow {path} {example}" for example in examples)
        title = "Example" if len(examples) == 1 else "Examples"
        group.command(
            f"cli.auth.{where}", name=name, help=what, help_epilogue=f"{title}:\n\n{lines}"
        )


_register(_KEY, "auth key", _KEY_COMMANDS)
_register(app, "auth", _COMMANDS)

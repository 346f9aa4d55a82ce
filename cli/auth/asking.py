"""Asking a server who one is, why somebody may do something, and for a token."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from cyclopts import Parameter

from cli import credentials, discovery, problem, records, when
from cli.credentials import TOKEN_PATH
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.numbers import WHOLE
from cli.output import Output

AUTH: Final = "/api/v1/auth"

Given = Annotated[Output, Parameter(parse=False)]

_SCOPE_HELP: Final = "Only this of what the key may do, such as issue:read; several times."
_LASTS_HELP: Final = "Seconds that it is good for; at most what the server allows."
_WHO_HELP: Final = "A user, the id of a key, or that of a token."
_WHAT_HELP: Final = "A permission, such as issue:write, or METHOD and address in one word."


def token(
    *,
    scope: Annotated[
        tuple[str, ...], Parameter(negative="", show_default=False, help=_SCOPE_HELP)
    ] = (),
    expires_in: Annotated[int | None, WHOLE, Parameter(help=_LASTS_HELP)] = None,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Exchange the API key for an access token, and print the token and nothing else.

    With -o json, what renews it is there, too.
    """
    key = credentials.of(where.key_file)
    if key is None:
        raise problem.usage(
            "There is no key to exchange", hint=f"put it into {credentials.KEY} or a --key-file"
        )
    body: dict[str, Any] = {"key": key}
    if scope:
        body["scopes"] = list(dict.fromkeys(scope))
    if expires_in is not None:
        body["expires_in"] = expires_in
    with discovery.unsigned(where, "exchange the key") as client:
        pair = client.send("POST", TOKEN_PATH, body)
    access = records.required(pair, "access_token", "a token")
    if out.json:
        out.envelope("auth.token", pair)
    else:
        out.text(access)
    return ExitCode.OK


def whoami(*, where: Where = ANYWHERE, out: Given) -> int:
    """Show who you are to the server, and what you may do there."""
    with discovery.required(where, "say who you are") as client:
        found = records.mapping(client.get(f"{AUTH}/me"), "a principal")
    if out.json:
        out.envelope("auth.whoami", found)
    else:
        out.fields(_who(found))
    return ExitCode.OK


def _who(found: Mapping[str, Any]) -> dict[str, str]:
    ends = records.number(found, "expires_at")
    return {
        "user": records.text(found, "user_id"),
        "roles": _words(found.get("roles")),
        "may": _words(found.get("permissions")),
        "known by": records.text(found, "via"),
        "key": records.text(found, "key_id"),
        "ends": "" if ends is None else when.moment(datetime.fromtimestamp(ends, UTC).isoformat()),
    }


def why(
    principal: Annotated[str, Parameter(help=_WHO_HELP)],
    action: Annotated[str, Parameter(help=_WHAT_HELP)],
    /,
    *,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Explain which role of which key permits something, which scope narrows it, and what ended it.

    The exit code is 0 either way: it is an answer.
    """
    params = {"principal": principal, "action": action}
    with discovery.required(where, "explain it") as client:
        found = records.mapping(client.get(f"{AUTH}/why", params), "an explanation")
    if out.json:
        out.envelope("auth.why", found)
        return ExitCode.OK
    reasons = found.get("why")
    allowed = "yes" if found.get("allowed") is True else "no"
    needs = records.text(found, "permission")
    out.fields({"allowed": allowed, "needs": needs if needs != action else ""})
    out.text("\n".join(str(each) for each in reasons) if isinstance(reasons, list) else "")
    return ExitCode.OK


def rotate(*, where: Where = ANYWHERE, out: Given) -> int:
    """Sign tokens with a new key from now on. Those that are signed already end when they would."""
    with discovery.required(where, "sign with a new key") as client:
        made = records.mapping(client.send("POST", f"{AUTH}/signing-keys", {}), "a signing key")
    if out.json:
        out.envelope("auth.rotate", made)
    else:
        names = ("kid", "algorithm")
        out.fields({name: records.text(made, name) for name in names})
    return ExitCode.OK


def _words(found: object) -> str:
    return " ".join(str(each) for each in found) if isinstance(found, list) else ""

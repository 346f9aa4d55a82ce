"""`beadflow claim`, `release` and `heartbeat`: who works on what.

A claim is a lease: whoever works longer renews it, and one that has run out may be taken over. Who
loses is told who won, and exits with 7.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from cyclopts import Parameter

from cli import asked, desk, editing, tracked, when
from cli.asked import Given, Id, Silent
from cli.author import ANYBODY, By
from cli.discovery import ANYWHERE, Where
from cli.exits import ExitCode
from cli.numbers import WHOLE
from cli.output import Output

TTL: Final = 1800
Ttl = Annotated[int, WHOLE, Parameter(name="--ttl", help="Seconds after which it runs out.")]
Token = Annotated[int, WHOLE, Parameter(help="The claim's, which `claim` has printed.")]


def claim(
    issue_id: Id,
    /,
    *,
    ttl: Ttl = TTL,
    force: Annotated[
        bool, Parameter(negative="", show_default=False, help="Take over another clone's claim.")
    ] = False,
    silent: Silent = False,
    by: By = ANYBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Take an issue to work on: it is yours, in progress, until the claim runs out.

    Claiming what is yours already renews the claim.
    """
    body = {"actor": by.name(where), "ttl_s": ttl, "force": force}
    return one(f"{asked.address(issue_id)}/claim", body, where, out, silent=silent)


def heartbeat(
    issue_id: Id,
    /,
    *,
    token: Token,
    ttl: Ttl = TTL,
    silent: Silent = False,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Renew a claim. One that was taken over meanwhile is refused."""
    body = {"token": token, "ttl_s": ttl}
    return one(f"{asked.address(issue_id)}/heartbeat", body, where, out, silent=silent)


def release(
    *ids: asked.Ids,
    token: editing.Token = None,
    silent: Silent = False,
    by: By = ANYBODY,
    where: Where = ANYWHERE,
    out: Given,
) -> int:
    """Give claimed issues back: open again, and nobody's."""
    body: dict[str, Any] = {"actor": by.name(where)}
    if token is not None:
        body["token"] = token

    def do(at: desk.Desk, issue_id: str) -> list[Any]:
        return [at.send("POST", f"{asked.address(issue_id)}/release", body)]

    return editing.each(ids, "release", do, where, out, silent=silent)


def one(path: str, body: Mapping[str, Any], where: Where, out: Output, *, silent: bool) -> int:
    """Ask for a claim, and show it."""
    with desk.writing(where) as at:
        raw = at.send("POST", path, body)
    found = tracked.Claim.parse(raw)
    if silent:
        out.text(found.issue.id)
    elif out.json:
        out.envelope("issue.claim", raw)
    else:
        claimed = {
            "holder": found.holder,
            "token": "" if found.token is None else str(found.token),
            "expires": when.moment(found.expires_at),
        }
        out.fields({**tracked.facts(found.issue), **claimed})
    return ExitCode.OK

"""The fence before a write that relies on a claim. Called by commands, inside their transaction."""

import sqlite3

from actors.issues.verbs import StaleClaim
from storage.issues import leases


def require_token(conn: sqlite3.Connection, issue_id: str, token: int) -> leases.Lease:
    """Return the lease that the token belongs to.

    A lease that ran out still counts as long as nobody has taken the issue over.

    Raises:
        StaleClaim: the claim ended, or somebody else holds the issue now.
    """
    lease = leases.get(conn, issue_id)
    if lease is not None and lease.token == token:
        return lease
    elsewhere = leases.by_token(conn, token)
    if elsewhere is not None:
        raise StaleClaim(
            f"the claim {token} is not on issue {issue_id} but on {elsewhere.issue_id}",
            hint=f"an issue whose id another clone's issue keeps gets a new one:"
            f" go on with {elsewhere.issue_id}",
        )
    since = (
        f"{lease.holder} has held it since {lease.claimed_at}"
        if lease is not None
        else "it was released, closed, reassigned or taken over"
    )
    raise StaleClaim(f"the claim {token} on issue {issue_id} is no longer held: {since}")

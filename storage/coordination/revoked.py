"""What was taken away since a backup stays taken away when that is restored.

A backup knows keys and tokens as they were, and would let in again whoever was locked out since. So
what the database that it takes the place of knows of that is written into it. That one may be
damaged, missing, or of before there were keys: then there is nothing to take over.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from storage.database import open_reader
from storage.errors import StorageError

# what is read of the one, and where it goes in the other; neither undoes what the backup knows
_CARRIED: Final = (
    (
        "SELECT revoked_at, revoked_by, id FROM api_keys WHERE revoked_at IS NOT NULL",
        "UPDATE api_keys SET revoked_at = ?, revoked_by = ? WHERE id = ? AND revoked_at IS NULL",
    ),
    (
        """SELECT revoked_at, revoked_by, reason, id FROM token_families
        WHERE revoked_at IS NOT NULL""",
        """UPDATE token_families SET revoked_at = ?, revoked_by = ?, reason = ?
        WHERE id = ? AND revoked_at IS NULL""",
    ),
    (
        """SELECT replaced_by, replaced_at, sha256 FROM refresh_tokens
        WHERE replaced_by IS NOT NULL""",
        """UPDATE refresh_tokens SET replaced_by = ?, replaced_at = ?
        WHERE sha256 = ? AND replaced_by IS NULL""",
    ),
)


def carry_over(present: Path, staged: sqlite3.Connection) -> None:
    """Revoke in a backup what is revoked in the database that it takes the place of.

    Args:
        present: coordination.db as it is; it is only read.
        staged: that of the backup, at the present schema.
    """
    try:
        with closing(open_reader(present)) as connection:
            found = [connection.execute(read).fetchall() for read, _ in _CARRIED]
    except (StorageError, sqlite3.Error):
        return
    staged.execute("BEGIN IMMEDIATE")
    for rows, (_, write) in zip(found, _CARRIED, strict=True):
        staged.executemany(write, [tuple(row) for row in rows])
    staged.execute("COMMIT")

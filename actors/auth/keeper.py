"""The actor that knows who is who: keys, tokens, tickets, and the audit log.

It keeps nothing by itself that has to last: what it is asked is read from the database, so what was
acknowledged counts in the next answer, after a restart, too. The signing keys lie in a file of
their own. Before it acknowledges that something was taken away it counts the epoch on, and the
doors forget whom they have let in.

In memory are tickets, which live for half a minute; when keys were used, written once a minute; and
refusals that are counted.
"""

import sqlite3
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
import trio

from actors.auth import credentials, reading, signing
from actors.auth.audit import Line
from actors.auth.commands import (
    RecordFamily,
    RecordKey,
    RecordKeyRevoked,
    RecordLines,
    RecordRefresh,
    RecordRevoked,
    RecordUses,
)
from actors.auth.credentials import Entropy, new_id
from actors.auth.epoch import AuthEpoch
from actors.auth.explaining import explain
from actors.auth.messages import (
    Authenticate,
    CreateKey,
    ExchangeKey,
    Explain,
    GetStanding,
    KeyRecord,
    ListKeys,
    ListSigningKeys,
    MakeTicket,
    NewKey,
    Note,
    Outcome,
    Principal,
    ReadAudit,
    Recheck,
    RefreshToken,
    RevokeKey,
    RevokeTokens,
    RotateSigningKey,
    SigningKeyRecord,
    TokenPair,
    UseTicket,
    VerifyAudit,
)
from actors.auth.records import key_record, narrowed, scopes_of, scopes_text
from actors.auth.refusals import WINDOW_S, Refusals
from actors.auth.requests import (
    checked_key,
    checked_life,
    checked_name,
    checked_one,
    checked_scopes,
)
from actors.auth.roles import Permission
from actors.auth.settings import AuthSettings
from actors.auth.signing import Keys
from actors.auth.tickets import Tickets
from actors.auth.tokens import LEEWAY_S, Tokens, nobody
from actors.clock import Clock, rfc3339
from actors.errors import (
    Conflict,
    DatabaseUnavailable,
    NotFound,
    Overloaded,
    StoreLost,
    WorkflowError,
)
from actors.writer import Command, write
from storage.lookups import Reads
from storage.pool import ReadPool
from supervision import Actor, Named, Refused

T = TypeVar("T")

WRITE_S: Final = 10.0
LAST_FLUSH_S: Final = 2.0

log = structlog.get_logger("beadflow.auth")


@dataclass(frozen=True, slots=True)
class _Flush:
    """Write what was counted."""


class AuthKeeper(Actor):
    """See the module.

    Args:
        directory: the data directory, where the file of the signing keys is.
        epoch: shared with the doors.
        writer: the writer of coordination.db.
        lookups: single rows of it.
        pool: the rest of it.
        entropy: gives bytes that nobody can guess.
    """

    def __init__(
        self,
        *,
        directory: Path,
        settings: AuthSettings,
        epoch: AuthEpoch,
        writer: Named,
        lookups: Reads,
        pool: ReadPool,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        super().__init__()
        self._file = directory / signing.NAME
        self._settings = settings
        self._epoch = epoch
        self._writer = writer
        self._lookups = lookups
        self._pool = pool
        self._clock = clock
        self._entropy = entropy
        self._keys: Keys = ()
        self._tokens = Tokens(settings, lambda: self._keys)
        self._tickets = Tickets(entropy)
        self._refusals = Refusals()
        self._used: dict[str, str] = {}
        self._flushes = False

    async def on_start(self) -> None:
        """Reads the signing keys, and makes one where there is none.

        What the incarnation before has revoked it may not have told the doors.

        Raises:
            BadSigningKeys: the file is not to be used.
        """
        self._epoch.bump()
        signing.sweep(self._file)
        found = signing.load(self._file)
        algorithm = self._settings.algorithm
        self._keys = tuple(key for key in found if key.algorithm == algorithm)
        if not self._keys:
            self._keys = (signing.new_key(algorithm, self._clock(), self._entropy),)
        if self._keys != found:
            self._save()

    def _save(self) -> None:
        """A disk that is full lets nobody out: tokens then end with this process."""
        try:
            signing.save(self._file, self._keys)
        except OSError as error:
            log.warning("signing keys are not kept", why=error.strerror)

    async def on_stop(self) -> None:
        with trio.move_on_after(LAST_FLUSH_S):
            await self._flush()

    async def on_receive(self, message: object) -> object:
        match message:
            case Authenticate():
                return await self._authenticate(message.credential)
            case Recheck():
                return await self._recheck(message.principal)
            case GetStanding():
                return await reading.standing(self._lookups)
            case ExchangeKey():
                return self.defer(self._exchange(message))
            case RefreshToken():
                return self.defer(self._refresh(message))
            case MakeTicket():
                return self._tickets.make(message.principal, trio.current_time())
            case UseTicket():
                principal = self._tickets.use(message.ticket, trio.current_time())
                return await self._recheck(principal)
            case CreateKey():
                return self.defer(self._create_key(message))
            case ListKeys():
                checked_name(message.user_id, "user_id")
                return self.defer(reading.list_keys(self._pool, message))
            case RevokeKey():
                return self.defer(self._revoke_key(message))
            case RevokeTokens():
                return self.defer(self._revoke_tokens(message))
            case ListSigningKeys():
                return tuple(key.record for key in signing.living(self._keys, self._clock()))
            case RotateSigningKey():
                return self.defer(self._rotate(message))
            case Note():
                return self._note(message)
            case ReadAudit():
                return self.defer(reading.read_audit(self._pool, message))
            case VerifyAudit():
                return self.defer(reading.verify_audit(self._pool))
            case Explain():
                checked_name(message.principal, "principal")
                return self.defer(explain(self._pool, message, self._now()))
            case _Flush():
                return self.defer(self._flush())
            case _:
                return await super().on_receive(message)

    # who asks

    async def _authenticate(self, credential: str) -> Principal:
        if credentials.looks_like_key(credential):
            return _of_key(await self._key(credential))
        claims = self._tokens.read(credential, self._clock())
        row = await reading.token_of_jti(self._lookups, claims.jti)
        if row is None or row["user_id"] != claims.user_id or not self._is_alive(row):
            raise nobody()
        return Principal(
            user_id=claims.user_id,
            roles=claims.roles,
            permissions=claims.permissions,
            via="token",
            credential=claims.jti,
            key_id=row["key_id"],
            expires_at=float(claims.expires_at),
        )

    async def _key(self, key: str) -> KeyRecord:
        """The key that opens something with this text."""
        parts = credentials.parse_key(key)
        if parts is None:
            raise nobody()
        row = await reading.key_row(self._lookups, parts.key_id)
        kept = credentials.NOBODYS if row is None else row["secret_sha256"]
        if not credentials.same(parts.sha256, kept) or row is None:
            raise nobody()
        record = self._living_key(row)
        self._used[record.id] = self._now()
        self._flush_soon()
        return record

    def _living_key(self, row: sqlite3.Row | None) -> KeyRecord:
        if row is None or row["revoked_at"] is not None or self._has_ended(row["expires_at"]):
            raise nobody()
        return key_record(row)

    async def _recheck(self, principal: Principal) -> Principal:
        if principal.via == "local":
            return principal
        if principal.via == "token":
            row = await reading.token_of_jti(self._lookups, principal.credential)
            if row is None or not self._is_alive(row):
                raise nobody()
        else:
            self._living_key(await reading.key_row(self._lookups, principal.key_id))
        ends = principal.expires_at
        if ends is not None and ends <= self._clock().timestamp():
            raise nobody()
        return principal

    def _is_alive(self, row: sqlite3.Row) -> bool:
        """Whether a token's family and key are, whatever the token itself says."""
        revoked = row["revoked_at"] is not None or row["key_revoked_at"] is not None
        return not revoked and not self._has_ended(row["key_expires_at"])

    # tokens

    async def _exchange(self, message: ExchangeKey) -> TokenPair:
        record = await self._key(message.key)
        scopes = checked_scopes(message.scopes, narrowed(record.roles, record.scopes))
        life_s = checked_life(message.expires_in, self._settings.token_s)
        pair = self._pair(record, scopes, life_s)
        await self._write(
            RecordFamily(
                family_id=new_id(self._entropy),
                key_id=record.id,
                user_id=record.user_id,
                scopes=scopes_text(scopes),
                token_s=life_s,
                sha256=credentials.sha256(pair.refresh_token),
                jti=pair.principal.credential,
                at=self._now(),
                expires_at=self._in(pair.refresh_expires_in),
                line=self._line(
                    record.user_id,
                    "token.create",
                    pair.principal.credential,
                    address=message.address,
                    key_id=record.id,
                ),
            )
        )
        return pair

    async def _refresh(self, message: RefreshToken) -> TokenPair:
        if not credentials.is_refresh(message.refresh_token):
            raise nobody()
        sha256 = credentials.sha256(message.refresh_token)
        row = await reading.token_of_hash(self._lookups, sha256)
        if row is None:
            raise nobody()
        record = key_record(await self._row_of_key(row["key_id"]))
        if self._has_ended(record.expires_at):
            raise nobody()
        pair = self._pair(record, scopes_of(row["scopes"]), row["token_s"])
        came_to = await self._write(
            RecordRefresh(
                sha256=sha256,
                successor=credentials.sha256(pair.refresh_token),
                jti=pair.principal.credential,
                at=self._now(),
                expires_at=self._in(pair.refresh_expires_in),
                line=self._line(
                    row["user_id"],
                    "token.reuse",
                    row["jti"],
                    outcome="refused",
                    address=message.address,
                    key_id=row["key_id"],
                ),
            ),
            takes_away=row["replaced_by"] is not None,
        )
        if came_to == "reused":
            self._epoch.bump()
            log.warning("a refresh token was used twice", jti=row["jti"], key_id=row["key_id"])
        if came_to != "done":
            raise nobody()
        return pair

    def _pair(
        self, record: KeyRecord, scopes: tuple[Permission, ...] | None, life_s: int
    ) -> TokenPair:
        """The next pair of a living key; nothing of it counts before it is written."""
        at = self._clock()
        refresh_s, life_s = (
            _within(seconds, record.expires_at, at)
            for seconds in (max(self._settings.refresh_s, life_s), life_s)
        )
        principal = Principal(
            user_id=record.user_id,
            roles=frozenset(record.roles),
            permissions=narrowed(record.roles, record.scopes, scopes),
            via="token",
            credential=new_id(self._entropy),
            key_id=record.id,
            expires_at=float(int(at.timestamp()) + life_s),
        )
        token = self._tokens.make(
            user_id=principal.user_id,
            roles=principal.roles,
            permissions=principal.permissions,
            jti=principal.credential,
            at=at,
            expires_in=life_s,
        )
        return TokenPair(
            access_token=token,
            expires_in=life_s,
            refresh_token=credentials.new_refresh(self._entropy),
            refresh_expires_in=refresh_s,
            principal=principal,
        )

    async def _revoke_tokens(self, message: RevokeTokens) -> int:
        jti, user_id = checked_one(message)
        ended = await self._write(
            RecordRevoked(
                by=message.by,
                at=self._now(),
                jti=jti,
                user_id=user_id,
                line=self._line(
                    message.by, "token.revoke", jti or user_id or "", address=message.address
                ),
            ),
            takes_away=True,
        )
        return int(ended)

    # keys

    async def _create_key(self, message: CreateKey) -> NewKey:
        at = self._clock()
        expires_at = checked_key(message, at)
        secret = credentials.new_key(new_id(self._entropy), self._entropy)
        key_id, sha256 = credentials.parts_of(secret)
        record = KeyRecord(
            id=key_id,
            name=message.name,
            user_id=message.user_id,
            roles=tuple(dict.fromkeys(message.roles)),
            scopes=None if message.scopes is None else tuple(sorted(set(message.scopes))),
            created_at=rfc3339(at),
            created_by=message.by,
            expires_at=expires_at,
            last_used_at=None,
            revoked_at=None,
            revoked_by=None,
        )
        line = self._line(
            message.by,
            "key.create",
            key_id,
            address=message.address,
            user_id=record.user_id,
            roles=list(record.roles),
            scopes=None if record.scopes is None else list(record.scopes),
            expires_at=expires_at,
        )
        # from the first key on nobody is let in without one: that is taken away, too
        await self._write(RecordKey(record=record, sha256=sha256, line=line), takes_away=True)
        return NewKey(record=record, secret=secret)

    async def _revoke_key(self, message: RevokeKey) -> KeyRecord:
        checked_name(message.key_id, "key_id")
        line = self._line(message.by, "key.revoke", message.key_id, address=message.address)
        was_there = await self._write(
            RecordKeyRevoked(key_id=message.key_id, by=message.by, at=self._now(), line=line),
            takes_away=True,
        )
        if not was_there:
            raise NotFound(f"there is no API key {message.key_id!r}")
        return key_record(await self._row_of_key(message.key_id))

    async def _row_of_key(self, key_id: str) -> sqlite3.Row:
        row = await reading.key_row(self._lookups, key_id)
        if row is None:
            raise NotFound(f"there is no API key {key_id!r}")
        return row

    # signing

    async def _rotate(self, message: RotateSigningKey) -> SigningKeyRecord:
        """The log comes first: no key ever signs of which it does not tell."""
        new = signing.new_key(self._settings.algorithm, self._clock(), self._entropy)
        signing.rotated(self._keys, new, at=self._clock(), verify_s=0.0)  # may refuse
        line = self._line(message.by, "signing_key.rotate", new.kid, address=message.address)
        await self._write(RecordLines(lines=(line,)))
        verify_s = self._settings.token_s + LEEWAY_S
        keys = signing.rotated(self._keys, new, at=self._clock(), verify_s=verify_s)
        try:
            signing.save(self._file, keys)
        except OSError as error:
            why = error.strerror or "it could not be written"
            line = self._line(message.by, "signing_key.rotate", new.kid, outcome="refused", why=why)
            await self._write(RecordLines(lines=(line,)))
            raise Conflict(f"the file of the signing keys is as it was: {why}") from error
        self._keys = keys
        return new.record

    # the audit log

    def _note(self, note: Note) -> object:
        note = replace(note, target=credentials.masked(note.target))
        if note.outcome == "refused":
            self._flush_soon()
            if not self._refusals.is_first(note):
                return 0
        return self.defer(self._write_note(note))

    async def _write_note(self, note: Note) -> int:
        line = Line(
            id=new_id(self._entropy),
            at=self._now(),
            actor=note.actor,
            action=note.action,
            target=note.target,
            outcome=note.outcome,
            address=note.address,
            detail=note.detail,
        )
        (seq,) = await self._write(RecordLines(lines=(line,)))
        return int(seq)

    def _line(
        self,
        actor: str,
        action: str,
        target: str,
        *,
        outcome: Outcome = "done",
        address: str = "",
        **detail: Any,
    ) -> Line:
        return Line(
            id=new_id(self._entropy),
            at=self._now(),
            actor=actor,
            action=action,
            target=credentials.masked(target),
            outcome=outcome,
            address=address,
            detail=detail,
        )

    # what is written once a minute

    def _flush_soon(self) -> None:
        if not self._flushes:
            self._flushes = True
            self.send_after(WINDOW_S, _Flush())

    async def _flush(self) -> None:
        """What cannot be written now is lost: it is counts, and moments that come again."""
        self._flushes = False
        uses, self._used = tuple(self._used.items()), {}
        lines = tuple(
            self._line(actor, action, "", outcome="refused", address=address, **counted)
            for (actor, action, address), counted in self._refusals.take()
        )
        try:
            if uses:
                await write(self._writer, RecordUses(uses=uses))
            if lines:
                await write(self._writer, RecordLines(lines=lines))
        except (Refused, WorkflowError) as error:
            log.warning("not counted", keys=len(uses), refusals=len(lines), why=str(error))

    # the rest

    async def _write(self, command: Command[T], *, takes_away: bool = False) -> T:
        """Write, and let the doors forget, also when nobody knows what became of it.

        Raises:
            Refused: what it was refused with; `Overloaded` when nobody knows.
        """
        try:
            return await write(self._writer, command, deadline_s=WRITE_S)
        except StoreLost:
            raise
        except DatabaseUnavailable as error:
            raise Overloaded(
                "the store did not answer in time, and it may have been written: look before you"
                " ask again"
            ) from error
        finally:
            if takes_away:
                self._epoch.bump()

    def _now(self) -> str:
        return rfc3339(self._clock())

    def _in(self, seconds: int) -> str:
        return rfc3339(self._clock() + timedelta(seconds=seconds))

    def _has_ended(self, expires_at: str | None) -> bool:
        return expires_at is not None and expires_at <= self._now()


def _of_key(record: KeyRecord) -> Principal:
    ends = record.expires_at
    return Principal(
        user_id=record.user_id,
        roles=frozenset(record.roles),
        permissions=narrowed(record.roles, record.scopes),
        via="key",
        credential=record.id,
        key_id=record.id,
        expires_at=None if ends is None else datetime.fromisoformat(ends).timestamp(),
    )


def _within(seconds: int, end: str | None, at: datetime) -> int:
    """Seconds from now, but not beyond an end that is later than now."""
    if end is None:
        return seconds
    return max(1, min(seconds, int((datetime.fromisoformat(end) - at).total_seconds())))

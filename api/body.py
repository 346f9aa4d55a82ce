"""The one reader of request bodies: bounded, UTF-8, strict JSON, an object.

Quart's own reader answers 500 to a body that is not UTF-8 or nests too deep, and accepts NaN,
Infinity, duplicate keys and lone surrogates; this one answers 4xx to all of them.
"""

import json
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, NoReturn, TypeVar
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel
from pydantic import ValidationError as ModelError
from quart import Request, Websocket
from quart.wrappers import Body
from werkzeug.exceptions import RequestEntityTooLarge

from actors import misfits
from actors.errors import ValidationError
from api.attribution import signed
from api.overload import aside
from supervision import Refused

BODY_LIMIT_BYTES = 1024 * 1024
DEPTH_LIMIT = 64
DIGITS_LIMIT = 400
TICKET = "ticket"
NAME_LIMIT = 200
"""Characters of a name that are repeated to whoever sent it."""

M = TypeVar("M", bound=BaseModel)


class BadBody(Refused):
    """The body is not what JSON in UTF-8 may be."""

    code = "bad_body"
    status = 400
    retryable = False
    hint = "send one JSON object in UTF-8, at most 1 MiB and 64 levels deep"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UnsupportedMediaType(BadBody):
    code = "unsupported_media_type"
    status = 415
    hint = "send Content-Type: application/json, without Content-Encoding"


async def read_model(request: Request, model: type[M]) -> M:
    """The request's body as a model; unknown fields are refused by the model.

    Raises:
        UnsupportedMediaType: it does not say that it is JSON, or is compressed.
        BadBody: it is no JSON object within the limits.
        NotYourself: it is signed with somebody else's name.
        ValidationError: a field is missing, unknown or wrong.
    """
    if request.mimetype != "application/json" or "Content-Encoding" in request.headers:
        raise UnsupportedMediaType(f"cannot read a body of {said_of_itself(request)}")
    return validated(signed(parse_object(await read_bytes(request)), model), model)


def bounded(body: Body, receive: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    """Receive a body that is kept whole, as far as it may be kept.

    Newer versions of Quart look at the length of one that comes in chunks only once all of it is
    there.
    """
    held = 0

    async def receive_within_limit() -> Any:
        nonlocal held
        refused = held > BODY_LIMIT_BYTES
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return message
            if refused:
                continue  # it has its answer; whoever sends must be let go on until it is closed
            held += len(message.get("body", b""))
            if held <= BODY_LIMIT_BYTES:
                return message
            body._must_raise = RequestEntityTooLarge()  # noqa: SLF001 - Quart's own way to say it
            return {"type": "http.request", "body": b"", "more_body": False}

    return receive_within_limit


def said_of_itself(request: Request) -> str:
    """What a body is, by its headers, for the refusal of it: its encoding, or else its type."""
    encoding = request.headers.get("Content-Encoding")
    if encoding is not None:
        return f"encoding {encoding[:NAME_LIMIT]!r}"
    return f"type {request.mimetype or 'unknown'!r}"


async def read_bytes(request: Request) -> bytes:
    """The whole body; while it comes, the request takes nobody's place."""
    async with aside():
        raw: Any = await request.get_data(as_text=False, parse_form_data=False)
    whole: bytes = raw
    return whole


def read_query(request: Request | Websocket, model: type[M]) -> M:
    """The query string as a model.

    Raises:
        ValidationError: a parameter is unknown, given twice, no UTF-8, or wrong.
    """
    _refuse_other_than_utf8(request.query_string)
    for name in request.args:
        if len(request.args.getlist(name)) > 1:
            raise ValidationError(f"{name} is given more than once", field=name, value=None)
    given = dict(request.args)
    if isinstance(request, Websocket):
        given.pop(TICKET, None)  # it was for the guard
    return validated(signed(given, model) if request.method == "DELETE" else given, model)


def _refuse_other_than_utf8(query: bytes) -> None:
    """Quart passes on what is no UTF-8 as it was written, as if that had been meant."""
    for part in query.split(b"&"):
        try:
            unquote_to_bytes(part).decode()
        except UnicodeDecodeError as error:
            name = unquote_to_bytes(part.partition(b"=")[0]).decode(errors="replace")[:NAME_LIMIT]
            raise ValidationError(f"{name} is not UTF-8", field=name, value=None) from error


def validated(data: dict[str, Any], model: type[M]) -> M:
    try:
        return model.model_validate(data)
    except ModelError as error:
        first = misfits.first(error)
        where = ".".join(_place(first.place, data))[:NAME_LIMIT]
        more = misfits.fields_there(model, first)
        raise ValidationError(f"{where}: {first.words}{more}", field=where, value=None) from error


def _place(steps: Sequence[int | str], there: Any) -> Iterator[str]:
    """Where it is in what was sent: without what only tells the types of a union apart."""
    *above, last = steps or ("",)
    for step in above:
        match there, step:
            case dict(), _ if step in there:
                there = there[step]
                yield str(step)
            case list(), int() if step < len(there):
                there = there[step]
                yield str(step)
    yield str(last)


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse one JSON object.

    Raises:
        BadBody: see the module; the message says what was wrong.
    """
    if len(raw) > BODY_LIMIT_BYTES:
        raise BadBody(f"the body is larger than {BODY_LIMIT_BYTES} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadBody(f"the body is not UTF-8: byte {error.start}") from error
    _refuse_depth(text)
    try:
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_int=_parse_int,
            parse_float=_parse_float,
            object_pairs_hook=_refuse_duplicates,
        )
        if "\\u" in text:  # a half of a surrogate pair can only be spelt as an escape
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise BadBody("the body holds half of a surrogate pair") from error
    except ValueError as error:
        raise BadBody(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadBody("the body is not a JSON object")
    return value


def _refuse_depth(text: str) -> None:
    """Count brackets outside strings, so that no parser ever recurses further than the limit."""
    if text.count("[") + text.count("{") <= DEPTH_LIMIT:
        return
    depth, in_string, escaped = 0, False, False
    for char in text:
        if in_string:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                in_string = False
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            if depth > DEPTH_LIMIT:
                raise BadBody(f"the body nests deeper than {DEPTH_LIMIT} levels")
        elif char in "]}":
            depth -= 1


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _parse_int(digits: str) -> int:
    if len(digits) > DIGITS_LIMIT:
        raise ValueError(f"a number has {len(digits)} digits, the limit is {DIGITS_LIMIT}")
    return int(digits)


def _parse_float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits[:40]} is too large")
    return value


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has the same key twice")
    return found

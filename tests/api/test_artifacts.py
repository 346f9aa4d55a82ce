"""The routes of artifacts, on a whole running system."""

import hashlib
from urllib.parse import quote

import pytest

from tests.api.asgi import Answer, Header
from tests.api.problems import refused
from tests.api.site import WORKFLOWS, SharedSite

LARGE = bytes(range(256)) * 16_000  # more than the body of any other request may have


@pytest.fixture
def place(shared: SharedSite) -> str:
    return f"{WORKFLOWS}/{shared.done('counting')}/artifacts"


def put(shared: SharedSite, target: str, *body: bytes, headers: tuple[Header, ...] = ()) -> Answer:
    return shared.call("PUT", target, headers=headers, body=body)


def test_a_file_of_any_size_is_stored_and_read(shared: SharedSite, place: str) -> None:
    pieces = [LARGE[start : start + 65_536] for start in range(0, len(LARGE), 65_536)]
    answer = put(shared, f"{place}/out/data.bin", *pieces, headers=(("Content-Type", "a/b"),))
    digest = hashlib.sha256(LARGE).hexdigest()
    assert answer.status == 201
    made = answer.json()
    assert (made["name"], made["size"], made["sha256"]) == ("out/data.bin", len(LARGE), digest)
    assert answer.headers["location"] == f"{place}/out/data.bin?version=1"
    read = shared.call("GET", f"{place}/out/data.bin")
    assert (read.status, read.body) == (200, LARGE)
    wanted = {
        "content-type": "a/b",
        "content-length": str(len(LARGE)),
        "etag": f'"{digest}"',
        "accept-ranges": "bytes",
        "artifact-version": "1",
        "content-disposition": "attachment; filename*=UTF-8''data.bin",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox; default-src 'none'",
    }
    assert {name: read.headers[name] for name in wanted} == wanted
    assert shared.get(place)["data"] == [made]


def test_names_are_what_people_call_files(shared: SharedSite, place: str) -> None:
    name = "Bericht März 50%.txt"
    target = f"{place}/{quote(name)}"
    assert put(shared, target, b"x").json()["name"] == name
    read = shared.call("GET", target)
    assert read.headers["content-disposition"].endswith(quote(name))
    assert read.headers["content-type"].startswith("text/plain")


def test_versions_are_listed_and_read(shared: SharedSite, place: str) -> None:
    for body in (b"1", b"2", b"2"):
        put(shared, f"{place}/a", body)
    put(shared, f"{place}/b", b"3")
    assert [(a["name"], a["version"]) for a in shared.get(place)["data"]] == [
        ("a", 1),
        ("a", 2),
        ("b", 1),
    ]
    assert [a["version"] for a in shared.get(f"{place}?latest=true")["data"]] == [2, 1]
    assert shared.call("GET", f"{place}/a?version=1").body == b"1"
    page = shared.get(f"{place}?limit=2")
    assert [a["name"] for a in shared.get(f"{place}?cursor={page['next_cursor']}")["data"]] == ["b"]
    refused(shared.call("GET", f"{place}/a?version=3"), 404, "not_found")


def test_who_has_it_already_gets_no_body(shared: SharedSite, place: str) -> None:
    tag = put(shared, f"{place}/a", b"1").headers["etag"]
    for given in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = shared.call("GET", f"{place}/a", headers=[("If-None-Match", given)])
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
    assert shared.call("GET", f"{place}/a", headers=[("If-None-Match", '"x"')]).status == 200


@pytest.mark.parametrize(
    ("asked", "status", "body", "content_range"),
    [
        ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=0-9", 200, b"0123456789", None),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
        ("nonsense", 200, b"0123456789", None),
    ],
)
def test_a_part_of_a_file_can_be_read(
    shared: SharedSite, asked: str, status: int, body: bytes, content_range: str | None
) -> None:
    target = f"{WORKFLOWS}/{shared.done('listed')}/artifacts/a"
    put(shared, target, b"0123456789")
    answer = shared.call("GET", target, headers=[("Range", asked)])
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers.get("content-range") == content_range
    assert answer.headers["content-length"] == str(len(body))


def test_bytes_that_are_not_there_are_refused(shared: SharedSite, place: str) -> None:
    put(shared, f"{place}/a", b"0123456789")
    answer = shared.call("GET", f"{place}/a", headers=[("Range", "bytes=10-")])
    refused(answer, 416, "range_not_satisfiable")
    put(shared, f"{place}/a", b"another")
    old = [("Range", "bytes=2-4"), ("If-Range", '"of before"')]
    assert shared.call("GET", f"{place}/a", headers=old).body == b"another"


def test_an_empty_file_is_a_file(shared: SharedSite, place: str) -> None:
    assert put(shared, f"{place}/a").json()["size"] == 0
    answer = shared.call("GET", f"{place}/a")
    assert (answer.status, answer.body) == (200, b"")


def test_what_a_file_is_can_be_asked_without_it(shared: SharedSite, place: str) -> None:
    put(shared, f"{place}/a", b"12345")
    answer = shared.call("HEAD", f"{place}/a")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "5")


@pytest.mark.parametrize(
    "name", ["%2e%2e/x", "a//b", "a%5Cb", ".hidden", "con", "a%00b", "%ff", "x" * 501, "~x"]
)
def test_a_hostile_name_is_refused(shared: SharedSite, place: str, name: str) -> None:
    for method in ("PUT", "GET"):
        answer = shared.call(method, f"{place}/{name}", body=[b"x"] if method == "PUT" else [])
        assert answer.status in {404, 422}, answer.body
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", ["a%0ab", "%0a", "../../etc/x", "/x", "%2Fx"])
def test_a_name_that_is_none_is_told_as_such(shared: SharedSite, place: str, name: str) -> None:
    refused(put(shared, f"{place}/{name}", b"x"), 422, "validation_error")
    refused(shared.call("GET", f"{place}/{name}"), 422, "validation_error")


def test_what_is_wrong_is_refused_and_nothing_stored(shared: SharedSite, place: str) -> None:
    length = (("Content-Length", "3"),)
    refused(put(shared, f"{place}/a", b"1", headers=length), 408, "artifact_cut_off")
    huge = (("Content-Length", str(65 << 20)),)
    refused(put(shared, f"{place}/a", b"1", headers=huge), 413, "artifact_too_large")
    zipped = (("Content-Encoding", "gzip"),)
    told = refused(put(shared, f"{place}/a", b"1", headers=zipped), 415, "unsupported_media_type")
    assert told["hint"] == "send the file as it is, without Content-Encoding"
    typed = (("Content-Type", "nonsense"),)
    refused(put(shared, f"{place}/a", b"1", headers=typed), 422, "validation_error")
    refused(put(shared, f"{place}/a?x=1", b"1"), 422, "validation_error")
    refused(put(shared, f"{WORKFLOWS}/w-9/artifacts/a", b"1"), 404, "not_found")
    assert shared.get(place)["data"] == []

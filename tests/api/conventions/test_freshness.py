"""What a client has already is not sent again, and what is private is not kept elsewhere."""

from api.app import create_app
from api.etags import COMPARING
from api.operations.table import OPERATIONS
from supervision import System
from tests.api.asgi import Answer, call
from tests.api.problems import refused
from tests.api.site import WORKFLOWS, SharedSite, nowhere
from tests.api.test_matrix import routes


def again(shared: SharedSite, target: str, tag: str) -> Answer:
    return shared.call("GET", target, headers=[("If-None-Match", tag)])


def test_what_a_client_has_already_is_not_sent_again(shared: SharedSite) -> None:
    done = shared.done("arithmetic", variables={"first": 1})
    for target in (f"{WORKFLOWS}/{done}", f"{WORKFLOWS}?type=arithmetic", "/api/v1/issues/stats"):
        first = shared.call("GET", target)
        tag = first.headers["etag"]
        assert (first.status, first.headers["cache-control"]) == (200, "private, no-cache")
        for given in (tag, f'"x", {tag}', f"W/{tag}", "*"):
            second = again(shared, target, given)
            assert (second.status, second.body, second.headers["etag"]) == (304, b"", tag)
            assert second.headers["vary"] == "Authorization, Cookie"
            assert second.headers["x-request-id"]
            assert "content-type" not in second.headers


def test_a_tag_changes_with_whatever_is_in_the_answer(shared: SharedSite) -> None:
    workflow_id = shared.start("waiting").json()["id"]
    address = f"{WORKFLOWS}/{workflow_id}"
    tag = shared.call("GET", address).headers["etag"]
    shared.call(
        "POST",
        f"{address}/terminate",
        headers=[("Content-Type", "application/json")],
        body=[b"{}"],
    )
    shared.until(lambda fact: (fact.type, fact.workflow_id) == ("workflow_terminated", workflow_id))
    after = again(shared, address, tag)
    assert (after.status, after.json()["status"]) == (200, "terminated")
    assert after.headers["etag"].partition("~")[0] == tag.partition("~")[0]


def test_a_tag_of_something_else_gets_the_answer(shared: SharedSite) -> None:
    assert again(shared, f"{WORKFLOWS}/types", '"x"').status == 200
    assert again(shared, f"{WORKFLOWS}/types", "nonsense").status == 200


def test_refusals_and_what_came_of_a_change_are_kept_by_nobody(shared: SharedSite) -> None:
    gone = shared.call("GET", f"{WORKFLOWS}/none", headers=[("If-None-Match", "*")])
    refused(gone, 404, "not_found")
    started = shared.start("waiting")
    assert {gone.headers["cache-control"], started.headers["cache-control"]} == {"no-store"}


def test_a_version_of_a_file_may_be_kept_for_good(shared: SharedSite) -> None:
    place = f"{WORKFLOWS}/{shared.start('waiting').json()['id']}/artifacts/a"
    stored = shared.call("PUT", place, body=[b"1"])
    version = shared.call("GET", stored.headers["location"])
    newest = shared.call("GET", place)
    assert version.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert newest.headers["cache-control"] == "private, no-cache"


async def test_a_tag_that_nobody_would_compare_is_refused() -> None:
    async with System.open() as system:
        app = create_app(nowhere(system))
        for endpoint, method, address in routes():
            if method not in {"GET", "HEAD", "WS"} and endpoint not in COMPARING:
                answer = await call(app, method, address, headers=[("If-Match", '"x"')])
                body = refused(answer, 422, "validation_error")
                assert body["errors"][0]["pointer"] == "/If-Match"


def test_what_only_reads_ignores_the_tag_of_a_state(shared: SharedSite) -> None:
    for method in ("GET", "HEAD"):
        answer = shared.call(method, WORKFLOWS, headers=[("If-Match", '"x"')])
        assert answer.status == 200


def test_what_compares_a_tag_is_described_so() -> None:
    described = {name for name, each in OPERATIONS.items() if "If-Match" in each.headers}
    assert described == COMPARING

"""Lists name the address of their next page."""

import re

from tests.api.site import WORKFLOWS, SharedSite


def next_of(header: str) -> str:
    found = re.fullmatch(r'<([^>]+)>; rel="next"', header)
    assert found, header
    return found[1]


def test_following_the_links_of_a_list_gives_everything_once(shared: SharedSite) -> None:
    started = [shared.done("listed") for _ in range(5)]
    target, found = f"{WORKFLOWS}?type=listed&status=completed,failed&limit=2", []
    while True:
        answer = shared.call("GET", target)
        found += [each["id"] for each in answer.json()["data"]]
        if "link" not in answer.headers:
            break
        target = next_of(answer.headers["link"])
        assert "status=completed%2Cfailed&limit=2&cursor=" in target
    assert found == started[::-1]


def test_the_links_of_the_events_go_on_while_there_are_more(shared: SharedSite) -> None:
    workflow_id = shared.done("counting")
    target = f"/api/v1/events?workflow_id={workflow_id}&limit=3"
    found, pages = [], 0
    while target:
        answer = shared.call("GET", target)
        found += answer.json()["data"]
        pages += 1
        assert answer.json()["more"] == ("link" in answer.headers)
        target = next_of(answer.headers["link"]) if "link" in answer.headers else ""
    whole = shared.get(f"/api/v1/events?workflow_id={workflow_id}")["data"]
    assert found == whole[: len(found)]
    assert pages > 1


def test_the_links_of_a_history_go_on_after_the_last_number(shared: SharedSite) -> None:
    address = f"{WORKFLOWS}/{shared.done('counting')}"
    for kind in ("history", "logs"):
        target, found = f"{address}/{kind}?limit=3", []
        while target:
            answer = shared.call("GET", target)
            found += answer.json()["data"]
            target = next_of(answer.headers["link"]) if "link" in answer.headers else ""
        whole = shared.get(f"{address}/{kind}")["data"]  # a note may have come meanwhile
        assert len(found) > 3
        assert found == whole[: len(found)]


def test_a_link_holds_whatever_was_asked_for_and_nothing_else(shared: SharedSite) -> None:
    for _ in range(2):
        shared.start("waiting", issue_title='<a>"; rel="x')
    answer = shared.call("GET", f"{WORKFLOWS}?q=%3Ca%3E%22%3B%20rel%3D%22x&limit=1")
    target = next_of(answer.headers["link"])
    assert "q=%3Ca%3E%22%3B+rel%3D%22x" in target
    assert len(shared.get(target)["data"]) == 1

"""Why an issue is ready or waits: every cause, with the path to it."""

import pytest

from tests.actors.issues.board import LATER, Board, row


def only(board: Board, issue_id: str) -> tuple[str, tuple[str, ...], str]:
    (cause,) = board.causes(issue_id)
    return cause.kind, cause.path, cause.text


def test_a_blocker_is_named_with_its_status_and_title() -> None:
    board = Board(row("x-a", "in_progress"), row("x-b", needs=["blocks:x-a"]))
    text = "x-a is in progress: Title of x-a"
    assert only(board, "x-b") == ("blocks", ("x-b", "x-a"), text)


def test_all_that_holds_an_issue_is_named() -> None:
    board = Board(
        row("x-a"),
        row("x-s"),
        row("x-c", needs=["parent-child:x-s"]),
        row(
            "x-b",
            needs=["blocks:x-a", "conditional-blocks:x-a", "waits-for:x-s", "blocks:external:y:z"],
            defer_until=LATER,
        ),
    )
    assert board.why("x-b") == [
        ("blocks", ("x-b", "x-a")),
        ("conditional-blocks", ("x-b", "x-a")),
        ("waits-for", ("x-b", "x-s", "x-c")),
        ("external", ("x-b", "external:y:z")),
        ("deferred", ("x-b",)),
    ]


def test_what_holds_an_ancestor_is_named_with_the_way_up_and_on() -> None:
    board = Board(
        row("x-a"),
        row("x-g", needs=["blocks:x-a"]),
        row("x-p", needs=["parent-child:x-g"]),
        row("x-c", needs=["parent-child:x-p"]),
    )
    text = "x-g, above it, waits: x-a is open: Title of x-a"
    assert only(board, "x-c") == ("parent", ("x-c", "x-p", "x-g", "x-a"), text)


def test_a_deferred_ancestor_is_named_with_its_time() -> None:
    board = Board(row("x-p", defer_until=LATER), row("x-c", needs=["parent-child:x-p"]))
    text = "x-p, above it, is deferred until 2026-04-01T00:00:00Z"
    assert only(board, "x-c") == ("parent", ("x-c", "x-p"), text)


def test_parents_in_a_circle_are_each_named_once() -> None:
    board = Board(
        row("x-a"),
        row("x-p", needs=["parent-child:x-q", "blocks:x-a"]),
        row("x-q", needs=["parent-child:x-p", "blocks:x-a"]),
    )
    causes = board.why("x-p")
    assert causes[:2] == [("blocks", ("x-p", "x-a")), ("parent", ("x-p", "x-q", "x-a"))]
    assert [kind for kind, _ in causes[2:]] == ["open-children"]


def test_the_children_waited_for_are_named_up_to_three() -> None:
    children = [row(f"x-c{n}", needs=["parent-child:x-s"]) for n in range(5)]
    board = Board(row("x-s"), row("x-w", needs=["waits-for:x-s"]), *children)
    text = "children of x-s are to be closed: x-c0, x-c1, x-c2 and 2 more"
    assert only(board, "x-w") == ("waits-for", ("x-w", "x-s", "x-c0"), text)


def test_whose_first_child_is_waited_for_is_named() -> None:
    needs = ['waits-for:x-s|{"gate":"any-children","spawner_id":"x-t"}']
    board = Board(row("x-s"), row("x-t"), row("x-w", needs=needs))
    text = "no child of x-t is closed yet"
    assert only(board, "x-w") == ("waits-for", ("x-w", "x-s", "x-t"), text)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("external:x:login", "no closed issue has the label provides:login"),
        ("external:y:login", "whether y provides login cannot be seen from here"),
        (
            "external:y",
            "external:y does not say `external:<project>:<capability>`, so nothing settles it",
        ),
    ],
)
def test_what_is_external_says_why_it_holds(target: str, text: str) -> None:
    board = Board(row("x-b", needs=[f"blocks:{target}"]))
    assert only(board, "x-b") == ("external", ("x-b", target), text)


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"status": "closed"}, "status"),
        ({"status": "in_progress"}, "status"),
        ({"status": "tombstone"}, "status"),
        ({"status": "deferred"}, "deferred"),
        ({"pinned": True}, "pinned"),
        ({"ephemeral": True}, "ephemeral"),
        ({"is_template": True}, "template"),
        ({"issue_type": "gate"}, "type"),
        ({"issue_id": "x-mol-1"}, "type"),
        ({"issue_id": "x-wisp-1"}, "ephemeral"),
    ],
)
def test_what_is_no_open_work_says_so(more: dict[str, object], kind: str) -> None:
    issue_id = str(more.get("issue_id", "x-a"))
    board = Board(row(issue_id, **{k: v for k, v in more.items() if k != "issue_id"}))  # type: ignore[arg-type]
    assert board.why(issue_id) == [(kind, (issue_id,))]


def test_a_closed_issue_waits_for_nothing() -> None:
    board = Board(row("x-a"), row("x-b", "closed", needs=["blocks:x-a"]))
    assert only(board, "x-b") == ("status", ("x-b",), "it is closed")


def test_a_parent_names_the_children_that_are_the_work() -> None:
    board = Board(row("x-p", issue_type="epic"), row("x-c", needs=["parent-child:x-p"]))
    text = "its children are the work: x-c"
    assert only(board, "x-p") == ("open-children", ("x-p", "x-c"), text)


def test_a_ready_issue_names_what_no_longer_holds_it() -> None:
    board = Board(
        row("x-a", "closed"),
        row("x-f", "closed", close_reason="Failed: disk"),
        row("x-s"),
        row("x-cap", "closed", labels=["provides:cap"]),
        row(
            "x-b",
            needs=[
                "blocks:x-a",
                "conditional-blocks:x-f",
                "waits-for:x-s",
                "blocks:external:x:cap",
                "blocks:x-gone",
                "related:x-s",
            ],
        ),
    )
    assert [cause.text for cause in board.causes("x-b")] == [
        "x-a is closed",
        "x-f failed: Failed: disk",
        "no child of x-s is to be waited for any more",
        "external:x:cap is provided",
        "x-gone is not here, so it holds nothing",
    ]

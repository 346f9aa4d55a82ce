"""Ids: bd's vectors and tables, and what happens when one is taken."""

import pytest

from actors.issues import ids

VECTOR = {
    "title": "Fix login",
    "description": "Details",
    "creator": "jira-import",
    "created_at": "2024-01-02T03:04:05.006Z",
}


def mint(count: int = 0, taken: frozenset[str] = frozenset()) -> str:
    return ids.mint(prefix="bd", count=count, taken=taken.__contains__, **VECTOR)


@pytest.mark.parametrize(
    ("count", "minted"),
    [
        (0, "bd-vju"),
        (500, "bd-8d8e"),
        (3_000, "bd-bi3tk"),
        (20_000, "bd-8bi3tk"),
        (100_000, "bd-r5sr6bm"),
        (1_000_000, "bd-8r5sr6bm"),
    ],
)
def test_the_published_vectors_are_met_at_every_length(count: int, minted: str) -> None:
    assert mint(count) == minted


@pytest.mark.parametrize(("last", "length"), [(163, 3), (983, 4), (5898, 5), (35389, 6)])
def test_the_length_grows_where_a_collision_becomes_likely(last: int, length: int) -> None:
    assert ids.adaptive_length(last) == length
    assert ids.adaptive_length(last + 1) == length + 1


def test_the_same_instant_in_another_zone_mints_the_same_id() -> None:
    zoned = {**VECTOR, "created_at": "2024-01-02T05:04:05.006000+02:00"}
    assert ids.mint(prefix="bd", count=0, taken=lambda _: False, **zoned) == "bd-vju"


def test_a_taken_id_is_answered_with_another_nonce() -> None:
    second = mint(taken=frozenset({"bd-vju"}))
    assert second != "bd-vju"
    assert len(second) == len("bd-vju")


def test_when_all_nonces_are_taken_the_hash_grows() -> None:
    tried: set[str] = set()

    def taken(candidate: str) -> bool:
        tried.add(candidate)
        return len(candidate) == len("bd-vju")

    assert ids.mint(prefix="bd", count=0, taken=taken, **VECTOR) == "bd-8d8e"
    assert len(tried) == ids.NONCES + 1


def test_when_everything_is_taken_it_says_so() -> None:
    with pytest.raises(ids.IdsExhaustedError):
        ids.mint(prefix="bd", count=0, taken=lambda _: True, **VECTOR)


@pytest.mark.parametrize(
    ("issue_id", "prefix"),
    [
        ("bd-a3f8e9", "bd"),
        ("ticket-123", "ticket"),
        ("bd-a3f8e9.1.2", "bd"),
        ("invalid", ""),
        ("", ""),
        ("bd-", "bd"),
        ("alpha-beta-1", "alpha-beta"),
        ("vc-baseline-test", "vc"),
        ("beads-vscode-1", "beads-vscode"),
        ("web-app-123", "web-app"),
        ("my-cool-app-a3f8e9", "my-cool-app"),
        ("super-long-project-name-1a2b", "super-long-project-name"),
        ("my-app-1a2b3", "my-app"),
        ("my-app-A3F8E9", "my-app"),
        ("document-intelligence-0sa", "document-intelligence"),
        ("test-proj-abc", "test-proj"),
        ("hacker-news-42", "hacker-news"),
        ("my-cool-web-app-bat", "my-cool-web-app"),
    ],
)
def test_the_prefix_of_an_id_is_found(issue_id: str, prefix: str) -> None:
    assert ids.prefix_of(issue_id) == prefix


def test_the_commonest_prefix_is_taken_and_children_do_not_count() -> None:
    assert (
        ids.commonest(ids.prefixes(["a-001", "b-001", "b-002", "a-001.1", "a-001.2", "x"])) == "b"
    )
    assert ids.commonest(ids.prefixes(["b-001", "a-001"])) == "a"
    assert ids.commonest({}) is None


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("My Project_2", "my-project-2"), ("--", "bd"), ("Ärger", "rger"), ("x" * 50, "x" * 32)],
)
def test_a_directory_gives_a_prefix(name: str, prefix: str) -> None:
    assert ids.prefix_from_name(name) == prefix


# --- children and chosen ids


@pytest.mark.parametrize(
    ("issue_id", "root", "parent", "depth"),
    [
        ("bd-af78e9a2.1.2", "bd-af78e9a2", "bd-af78e9a2.1", 2),
        ("bd-af78e9a2.1", "bd-af78e9a2", "bd-af78e9a2", 1),
        ("bd-af78e9a2", "bd-af78e9a2", None, 0),
        ("my.project-abc123", "my.project-abc123", None, 0),
        ("my.project-abc123.4", "my.project-abc123", "my.project-abc123", 1),
        ("bd-x.step", "bd-x.step", None, 0),
        ("bd-x.step.1", "bd-x.step", "bd-x.step", 1),
    ],
)
def test_a_childs_id_tells_its_parents(
    issue_id: str, root: str, parent: str | None, depth: int
) -> None:
    found = (ids.root_of(issue_id), ids.parent_of(issue_id), ids.depth(issue_id))
    assert found == (root, parent, depth)


@pytest.mark.parametrize(
    ("below", "child"),
    [
        ([], "x-1.1"),
        (["x-1.1", "x-1.3"], "x-1.4"),
        (["x-1.7.1.1"], "x-1.8"),
        (["x-1.2", "x-1.4711"], "x-1.3"),
        (["x-1.999", "x-1.1000", "x-1.1001"], "x-1.1002"),
        (["x-1.step", "x-1.²", "x-1.", "x-1." + "9" * 5000], "x-1.1"),
    ],
)
def test_a_new_child_takes_the_next_number_that_no_child_ever_had(
    below: list[str], child: str
) -> None:
    assert ids.next_child("x-1", below) == child


def test_the_ids_of_a_key_are_the_same_each_time_and_grow() -> None:
    made = list(ids.keyed("x", "k"))
    assert made == list(ids.keyed("x", "k"))
    assert made != list(ids.keyed("x", "other"))
    assert [len(one) - len("x-") for one in made[:: ids.NONCES]] == [3, 4, 5, 6, 7, 8]

"""`beadflow init`: in a new repository, in a fresh clone, again, and out again."""

from pathlib import Path

import pytest

from storage.issues import jsonl
from tests.actors.issues.world import make as issue
from tests.cli.run import Run
from tests.storage.repositories import commit, git, make

REF = "refs/beadflow/issues"
FILE = ".beads/issues.jsonl"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a remote, and the current directory."""
    bare = make(tmp_path / "shop.git", bare=True)
    place = make(tmp_path / "work")
    commit(place, "code.py")
    git(place, "remote", "add", "origin", str(bare))
    git(place, "push", "--quiet", "origin", "main")
    monkeypatch.chdir(place)
    return place


def done(ran: object) -> dict[str, str]:
    assert ran.code == 0, ran.err  # type: ignore[attr-defined]
    return dict(ran.json["data"])  # type: ignore[attr-defined]


def init(beadflow: Run, *args: str) -> dict[str, str]:
    return done(beadflow("init", *args, "-o", "json"))


def write_issues(place: Path, *names: str) -> bytes:
    data = b"".join(jsonl.encode(issue(name)) + b"\n" for name in names)
    (place / ".beads").mkdir(exist_ok=True)
    (place / FILE).write_bytes(data)
    return data


def footprint(place: Path) -> tuple[object, ...]:
    return (
        git(place, "rev-parse", "HEAD"),
        (place / ".git" / "index").read_bytes(),
        git(place, "status", "--porcelain"),
        git(place, "for-each-ref"),
    )


def configuration(place: Path) -> list[bytes]:
    names = ("config", "info/exclude", "info/attributes", "beadflow/repository.toml")
    return [(place / ".git" / name).read_bytes() for name in names]


def test_a_new_repository_gets_the_ref_mode_and_its_remotes_name(
    place: Path, beadflow: Run
) -> None:
    before = footprint(place)
    told = init(beadflow)
    assert (told["git mode"], told["prefix"]) == ("ref, now", "shop")
    assert told["remote"] == "origin has no issues yet"
    assert told["merge driver"] == "installed"
    assert footprint(place) == before


def test_called_again_it_changes_nothing_and_says_so(place: Path, beadflow: Run) -> None:
    init(beadflow, "--prefix", "web")
    before = configuration(place)
    told = init(beadflow)
    assert (told["git mode"], told["prefix"]) == ("ref", "web")
    assert told["merge driver"] == "as it was"
    assert "excluded" not in told
    assert configuration(place) == before


def test_a_fresh_clone_gets_the_ref_and_the_file_of_its_issues(
    place: Path, tmp_path: Path, beadflow: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_issues(place, "x-1", "x-2")
    init(beadflow)
    assert beadflow("issue", "sync").code == 0
    git(tmp_path, "clone", "--quiet", str(tmp_path / "shop.git"), "fresh")
    fresh = tmp_path / "fresh"
    monkeypatch.chdir(fresh)
    told = init(beadflow)
    assert told["remote"] == "issues fetched from origin"
    assert (fresh / FILE).read_bytes() == data
    assert git(fresh, "rev-parse", REF) == git(place, "rev-parse", REF)
    assert git(fresh, "status", "--porcelain") == ""
    assert "remote" not in init(beadflow)
    listed = beadflow("issue", "list", "-o", "json").json["data"]
    assert {one["id"] for one in listed} == {"x-1", "x-2"}


def test_a_remote_that_cannot_be_reached_does_not_stop_it(
    place: Path, tmp_path: Path, beadflow: Run
) -> None:
    (tmp_path / "shop.git").rename(tmp_path / "gone.git")
    assert "origin was not reached" in init(beadflow)["remote"]
    refused = beadflow("init", "--remote", "other", "-o", "json")
    assert refused.code == 6
    assert git(place, "for-each-ref", "refs/beadflow") == ""


def test_where_head_holds_the_file_the_branch_is_chosen(place: Path, beadflow: Run) -> None:
    write_issues(place, "x-1")
    git(place, "add", ".")
    git(place, "commit", "--quiet", "-m", "Track the issues")
    told = init(beadflow)
    assert told["git mode"] == "branch, now"
    write_issues(place, "x-1", "x-2")
    assert git(place, "status", "--porcelain") == f"M {FILE}"


def test_the_mode_can_be_changed_and_the_file_is_seen_again(place: Path, beadflow: Run) -> None:
    write_issues(place, "x-1")
    init(beadflow)
    assert git(place, "status", "--porcelain") == ""
    assert init(beadflow, "--git-mode", "branch")["git mode"] == "branch, now"
    assert git(place, "status", "--porcelain") == "?? .beads/"
    assert init(beadflow)["git mode"] == "branch"


def test_off_leaves_git_alone(place: Path, beadflow: Run) -> None:
    before = (place / ".git" / "config").read_bytes()
    told = init(beadflow, "--git-mode", "off")
    assert "merge driver" not in told
    assert (place / ".git" / "config").read_bytes() == before
    refused = beadflow("issue", "sync", "-o", "json")
    assert refused.json["error"]["code"] == "sync_refused"


def test_the_driver_is_installed_and_taken_out_again(place: Path, beadflow: Run) -> None:
    before = git(place, "config", "--local", "--list")
    init(beadflow)
    assert "merge-driver %O %A %B %P" in git(place, "config", "merge.beadflow.driver")
    attribute = git(place, "check-attr", "merge", FILE)
    assert attribute.endswith("merge: beadflow")
    assert init(beadflow, "--remove-driver") == {"merge driver": "removed"}
    assert git(place, "config", "--local", "--list") == before
    assert git(place, "check-attr", "merge", FILE).endswith("unspecified")
    assert init(beadflow, "--remove-driver") == {"merge driver": "was not there"}


def test_without_the_driver_only_that_is_left_out(place: Path, beadflow: Run) -> None:
    before = (place / ".git" / "config").read_bytes()
    assert "merge driver" not in init(beadflow, "--no-driver")
    assert (place / ".git" / "config").read_bytes() == before


def test_a_configuration_that_is_a_link_is_not_written_through(
    place: Path, tmp_path: Path, beadflow: Run
) -> None:
    config = place / ".git" / "config"
    shared = config.rename(tmp_path / "shared")
    config.symlink_to(shared)
    before = shared.read_bytes()
    assert beadflow("init").code != 0
    assert shared.read_bytes() == before


def test_a_linked_work_tree_shares_what_was_arranged(
    place: Path, tmp_path: Path, beadflow: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    init(beadflow, "--prefix", "web")
    linked = tmp_path / "linked"
    git(place, "worktree", "add", "--quiet", str(linked))
    monkeypatch.chdir(linked)
    told = init(beadflow)
    assert (told["prefix"], told["git mode"]) == ("web", "ref")
    assert told["data"] == str(place / ".git" / "beadflow")
    assert beadflow("issue", "create", "A thing").code == 0
    assert (linked / FILE).exists()
    assert git(linked, "status", "--porcelain") == git(place, "status", "--porcelain") == ""


def test_without_git_it_works_and_git_is_off(
    tmp_path: Path, beadflow: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain").mkdir()
    monkeypatch.chdir(tmp_path / "plain")
    assert init(beadflow)["git mode"] == "off, now"
    assert beadflow("init", "--git-mode", "ref").code == 2


@pytest.mark.parametrize("prefix", ["", "-x", "a b", "a\n", "é", "x" * 51])
def test_a_prefix_that_is_none_is_refused(place: Path, beadflow: Run, prefix: str) -> None:
    assert beadflow("init", "--prefix", prefix).code == 2
    assert not (place / ".git" / "beadflow").exists()


def test_new_issues_get_the_prefix(place: Path, beadflow: Run) -> None:
    init(beadflow, "--prefix", "web")
    made = beadflow("issue", "create", "A thing", "-o", "json").json["data"]
    assert made["id"].startswith("web-")


def test_sync_shows_what_came_and_went_and_history_who_changed_what(
    place: Path, beadflow: Run
) -> None:
    init(beadflow)
    made = beadflow("issue", "create", "A thing", "-o", "json").json["data"]["id"]
    told = beadflow("issue", "sync", "--dry-run")
    assert made in told.out
    assert "dry run" in told.err
    assert git(place, "for-each-ref", "refs/beadflow") == ""
    assert beadflow("issue", "sync", "-o", "json").json["data"]["pushed"] is True
    beadflow("issue", "close", made)
    beadflow("issue", "sync")
    versions = beadflow("issue", "history", made, "-o", "json").json["data"]
    assert [(one["kind"], one["status"]) for one in versions] == [
        ("changed", "closed"),
        ("created", "open"),
    ]
    assert "status" in versions[0]["fields"]
    assert "closed" in beadflow("issue", "history", made).out


def test_own_types_and_statuses_may_be_used_once_they_are_arranged(
    place: Path, beadflow: Run
) -> None:
    create = ("issue", "create", "Look at it", "-t", "review")
    assert beadflow(*create).code != 0
    assert init(beadflow, "--issue-type", "review")["issue types"] == "review"
    found = init(beadflow, "--issue-type", "audit", "--issue-status", "in_review")
    assert (found["issue types"], found["statuses"]) == ("audit, review", "in_review")
    assert beadflow(*create).code == 0
    assert beadflow("init", "--issue-type", "No Such").code == 2


def test_branches_merge_by_the_driver_that_it_installed(place: Path, beadflow: Run) -> None:
    init(beadflow, "--git-mode", "branch")
    write_issues(place, "x-1")
    beadflow("issue", "sync")
    git(place, "checkout", "--quiet", "-b", "side")
    write_issues(place, "x-1", "x-2")
    git(place, "commit", "--quiet", "-am", "Side")
    git(place, "checkout", "--quiet", "main")
    write_issues(place, "x-1", "x-3")
    git(place, "commit", "--quiet", "-am", "Main")
    git(place, "merge", "--quiet", "side")
    rows = [jsonl.parse(line) for line in (place / FILE).read_bytes().splitlines()]
    assert [row["id"] for row in rows] == ["x-1", "x-2", "x-3"]
    assert git(place, "status", "--porcelain") == ""

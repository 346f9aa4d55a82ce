import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from actors.agents.research.discover import Limits, discover
from actors.agents.research.facts import Candidate, Discovery
from actors.agents.research.messages import DiscoverRequest
from actors.retrying import Retries
from tests.actors.agents.research.index import LocalIndex, metadata, wheel, write_file_index

NOW = datetime(2026, 11, 1, tzinfo=UTC)
QUESTION = "Which SQLite library for trio?"

AT_ONCE = Retries(attempts=3, initial_s=0.0)


async def found(environ: dict[str, str], *names: str, root: Path | None = None) -> Discovery:
    return await discover(
        DiscoverRequest(question=QUESTION, candidates=names),
        root=root,
        progress=lambda message, fraction: None,
        now=lambda: NOW,
        environ=environ,
        limits=Limits(candidate_s=60.0, total_s=120.0, retries=AT_ONCE),
    )


async def only(index: LocalIndex) -> tuple[Candidate, Discovery]:
    discovery = await found(index.environ(), "alpha")
    return discovery.candidates[0], discovery


async def test_the_page_tells_the_latest_stable_release_and_the_dates(index: LocalIndex) -> None:
    index.add("alpha", "1.0", uploaded="2020-01-01T00:00:00Z")
    index.add("alpha", "1.1", uploaded="2026-05-01T00:00:00Z")
    index.add("alpha", "1.2", uploaded="2026-06-01T00:00:00Z", yanked=True)
    index.add("alpha", "2.0rc1", uploaded="2026-07-01T00:00:00Z")
    candidate, _ = await only(index)
    releases = candidate.releases
    assert releases is not None
    assert (releases.version, releases.stable, releases.newer_prerelease) == ("1.1", True, "2.0rc1")
    assert (releases.count, releases.yanked, releases.in_24_months) == (4, 1, 3)
    assert releases.first_at == datetime(2020, 1, 1, tzinfo=UTC)


async def test_metadata_that_the_index_serves_is_read_from_there(index: LocalIndex) -> None:
    text = metadata("alpha", "1.0", "Trio meets SQLite", "Requires-Dist: idna>=3")
    index.add("alpha", "1.0", text=text, serve_metadata=True)
    candidate, discovery = await only(index)
    assert candidate.metadata is not None
    assert candidate.metadata.dependencies == ("idna>=3",)
    assert candidate.metadata.question_words == {"sqlite": "summary", "trio": "summary"}
    licence = next(e for e in discovery.evidence if e.topic == "licence")
    assert licence.source.endswith(".whl.metadata")


async def test_served_metadata_with_another_digest_is_not_believed(index: LocalIndex) -> None:
    index.add("alpha", "1.0", serve_metadata=True)
    index.files["/files/alpha-1.0-py3-none-any.whl.metadata"] = metadata("alpha", "1.0", "Evil")
    candidate, discovery = await only(index)
    assert candidate.metadata is not None
    assert candidate.metadata.summary == "A library."
    assert any("SHA-256" in gap.why for gap in discovery.gaps)


async def test_without_served_metadata_a_wheel_is_looked_into_by_ranges(index: LocalIndex) -> None:
    files = ("alpha/__init__.py", "alpha/py.typed", "_alpha.cpython-311-x86_64-linux-gnu.so")
    padding = tuple(f"alpha/part{number}.py" for number in range(60_000 // 10))
    data = wheel("alpha", "1.0", metadata("alpha", "1.0"), files=files + padding)
    index.add("alpha", "1.0", data=data)
    candidate, _ = await only(index)
    assert candidate.contents is not None
    assert candidate.contents.import_names == ("_alpha", "alpha")
    assert candidate.contents.typed
    assert candidate.metadata is not None
    ranges = [headers["Range"] for path, headers in index.requests if path.endswith(".whl")]
    assert ranges


async def test_a_server_without_ranges_sends_a_small_wheel_whole(index: LocalIndex) -> None:
    index.ranges = False
    index.add("alpha", "1.0")
    candidate, _ = await only(index)
    assert candidate.metadata is not None


async def test_a_large_wheel_is_not_downloaded(index: LocalIndex) -> None:
    index.ranges = False
    index.add("alpha", "1.0", data=b"x" * (3 << 20))
    candidate, discovery = await only(index)
    assert candidate.metadata is None
    assert any("larger than" in gap.why for gap in discovery.gaps)


async def test_a_wheel_that_is_no_archive_is_a_gap(index: LocalIndex) -> None:
    index.add("alpha", "1.0", data=b"PK\x05\x06 nonsense")
    candidate, discovery = await only(index)
    assert candidate.contents is None
    assert any("cannot be read" in gap.why for gap in discovery.gaps)


async def test_a_name_the_index_does_not_have_is_a_fact(index: LocalIndex) -> None:
    index.add("alpha", "1.0")
    discovery = await found(index.environ(), "no-such-distribution-anywhere")
    assert discovery.candidates[0].found == "absent"
    assert discovery.gaps == ()
    assert discovery.evidence[0].topic == "absent"


async def test_an_index_that_refuses_connections_is_a_gap_and_not_an_error() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    environ = {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple"}
    discovery = await found(environ, "pytest")
    candidate = discovery.candidates[0]
    assert candidate.found == "unknown"
    assert "index unreachable" in discovery.gaps[0].why
    assert candidate.installed is not None
    assert candidate.metadata is not None, "installed metadata stands in"


async def test_no_index_is_said_and_installed_metadata_stands_in() -> None:
    environ = {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1"}
    discovery = await found(environ, "pytest")
    assert discovery.candidates[0].found == "unknown"
    assert "no-index" in discovery.gaps[0].why
    assert discovery.candidates[0].metadata is not None


async def test_an_index_that_hangs_costs_a_candidate_its_own_deadline(index: LocalIndex) -> None:
    released = threading.Event()
    index.stall = lambda: released.wait(30)
    index.add("alpha", "1.0")
    try:
        discovery = await discover(
            DiscoverRequest(question=QUESTION, candidates=("alpha",)),
            root=None,
            progress=lambda message, fraction: None,
            environ=index.environ(),
            limits=Limits(candidate_s=0.2),
        )
    finally:
        released.set()
    assert discovery.candidates[0].found == "unknown"
    assert "deadline" in discovery.gaps[0].why


async def test_a_local_index_of_pages_is_read(tmp_path: Path) -> None:
    url = write_file_index(tmp_path, "alpha", "1.0", metadata("alpha", "1.0"))
    discovery = await found({"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": url}, "alpha")
    candidate = discovery.candidates[0]
    assert candidate.releases is not None
    assert candidate.releases.version == "1.0"
    assert candidate.releases.released_at is None
    assert candidate.metadata is not None
    assert candidate.metadata.licence == "MIT"


async def test_a_directory_of_distributions_counts_where_the_index_is_off(tmp_path: Path) -> None:
    (tmp_path / "alpha-1.0-py3-none-any.whl").write_bytes(
        wheel("alpha", "1.0", metadata("alpha", "1.0"))
    )
    environ = {
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path),
    }
    discovery = await found(environ, "alpha")
    assert discovery.candidates[0].artefacts is not None


async def test_the_extra_index_is_asked_too(index: LocalIndex, tmp_path: Path) -> None:
    url = write_file_index(tmp_path, "beta", "2.0", metadata("beta", "2.0"))
    index.add("alpha", "1.0")
    discovery = await found(index.environ(PIP_EXTRA_INDEX_URL=url), "alpha", "beta")
    assert [candidate.found for candidate in discovery.candidates] == ["found", "found"]


async def test_credentials_of_an_index_are_used_and_never_shown(index: LocalIndex) -> None:
    index.add("alpha", "1.0")
    secret = index.simple.replace("http://", "http://user:s3cret@")
    discovery = await found(index.environ(PIP_INDEX_URL=secret), "alpha", "beta")
    assert index.requests[0][1]["Authorization"].startswith("Basic ")
    assert "s3cret" not in discovery.model_dump_json()


async def test_an_index_that_leads_elsewhere_is_not_followed(index: LocalIndex) -> None:
    """A redirect or a file's URL to another host without TLS, or to this machine, is refused."""
    urls = {
        "alpha": "http://169.254.169.254/latest",
        "beta": "https://127.0.0.1:1/x.whl",
        "gamma": "https://[::1]/x.whl",
        "delta": "https://[::ffff:169.254.169.254]/x.whl",
        "epsilon": "file:///etc/passwd",
    }
    for name, url in urls.items():
        index.add(name, "1.0")
        index.pages[name]["files"][0]["url"] = url
    discovery = await found(index.environ(), *urls)
    assert {candidate.name for candidate in discovery.candidates} == set(urls)
    for candidate in discovery.candidates:
        assert candidate.contents is None
        why = " ".join(gap.why for gap in discovery.gaps if gap.subject == candidate.name)
        assert "not asked" in why or "points to a local file" in why, urls[candidate.name]


async def test_a_redirect_within_the_index_is_followed(index: LocalIndex) -> None:
    index.add("alpha", "1.0")
    index.redirects["/simple/alpha/"] = "/simple/alpha"
    candidate, _ = await only(index)
    assert candidate.found == "found"


async def test_a_page_that_is_not_a_project_page_is_a_gap(index: LocalIndex) -> None:
    index.pages["alpha"] = {"files": "many"}
    candidate, discovery = await only(index)
    assert candidate.found == "unknown"
    assert "not a project page" in discovery.gaps[0].why


async def test_no_more_than_four_candidates_are_looked_up_at_once(index: LocalIndex) -> None:
    running, most, lock = [0], [0], threading.Lock()

    def count() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        threading.Event().wait(0.01)
        with lock:
            running[0] -= 1

    index.stall = count
    names = [f"name{number}" for number in range(12)]
    await found(index.environ(), *names)
    assert most[0] <= 4


async def test_evidence_is_numbered_and_dated(index: LocalIndex) -> None:
    index.add("alpha", "1.0")
    _, discovery = await only(index)
    assert [e.id for e in discovery.evidence] == [
        f"E{n + 1}" for n in range(len(discovery.evidence))
    ]
    assert {e.retrieved_at for e in discovery.evidence} == {NOW}


async def test_cancellation_ends_a_lookup_at_once(index: LocalIndex) -> None:
    released, asked = threading.Event(), threading.Event()
    index.stall = lambda: (asked.set(), released.wait(30))
    index.add("alpha", "1.0")
    try:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(only, index)
                await trio.to_thread.run_sync(asked.wait)
                nursery.cancel_scope.cancel()
    finally:
        released.set()


async def test_the_projects_own_environment_is_evidence(index: LocalIndex, tmp_path: Path) -> None:
    info = tmp_path / ".venv/lib/python3.11/site-packages/alpha-0.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_bytes(metadata("alpha", "0.9"))
    discovery = await found(index.environ(), "alpha", root=tmp_path)
    installed = discovery.candidates[0].installed
    assert installed is not None
    assert (installed.version, installed.place) == ("0.9", "the project's .venv")


async def test_an_environment_that_is_a_link_out_of_the_project_is_not_read(
    index: LocalIndex, tmp_path: Path
) -> None:
    outside = tmp_path / "outside/lib/python3.11/site-packages/alpha-0.9.dist-info"
    outside.mkdir(parents=True)
    (outside / "METADATA").write_bytes(metadata("alpha", "0.9"))
    project = tmp_path / "project"
    project.mkdir()
    (project / ".venv").symlink_to(tmp_path / "outside")
    discovery = await found(index.environ(), "alpha", root=project)
    assert discovery.candidates[0].installed is None


@pytest.mark.parametrize("name", ["", " ", "a b", "-x", "x" * 101, "../etc", "a/b", "a==1"])
def test_what_is_not_a_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"name"):
        DiscoverRequest(question=QUESTION, candidates=(name,))

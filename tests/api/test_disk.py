"""What a client sees of a disk that is full, broken or damaged."""

import logging
import sqlite3
from pathlib import Path

import pytest

import actors.writer
from tests.api.site import WORKFLOWS, site
from tests.support.disk import Disk


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


async def test_a_full_disk_is_507_with_the_time_to_come_back_and_reads_go_on(
    repo: Path, disk: Disk
) -> None:
    async with site(repo) as there:
        assert (await there.start("counting")).status == 201
        disk.break_("COMMIT", sqlite3.SQLITE_FULL, times=10_000)
        answer = await there.start("counting")
        assert answer.status == 507
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["code"] == "storage_full"
        assert answer.json()["retryable"] is True
        assert (await there.call("GET", WORKFLOWS)).status == 200
        disk.times = 0
        assert (await there.start("counting")).status == 201, "nobody had to do anything"


async def test_lost_files_are_503_and_the_system_is_not_ready_until_they_are_back(
    repo: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(actors.writer, "FILES_LOOK_S", 0.0)
    async with site(repo) as there:
        assert await there.done("counting")
        data = there.running.world.data.path
        away = data.rename(data.with_name("away"))
        answer = await there.start("counting")
        assert (answer.status, answer.json()["code"]) == (503, "store_lost")
        assert answer.json()["retryable"] is False
        assert (await there.call("GET", WORKFLOWS)).status == 200
        ready = await there.call("GET", "/health/ready")
        assert (ready.status, ready.json()["parts"]["data"]) == (503, False)
        errors = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR]
        assert len(errors) == 1, errors
        away.rename(data)
        assert (await there.call("GET", "/health/ready")).status == 200
        assert await there.done("counting")


async def test_a_damaged_database_is_an_error_that_names_it(repo: Path, disk: Disk) -> None:
    async with site(repo) as there:
        disk.break_("INSERT INTO workflow_mappings", sqlite3.SQLITE_CORRUPT)
        answer = await there.start("counting")
        assert answer.status == 500
        assert answer.json()["code"] == "store_damaged"
        assert "coordination.db" in answer.json()["detail"]
        assert (await there.call("GET", WORKFLOWS)).status == 200

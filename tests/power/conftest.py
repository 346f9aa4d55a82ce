"""Power cuts are rebuilt in the long runs only: each takes the disk's and the processors' time."""

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "BEADFLOW_IMAGES" not in os.environ:
        reason = "a long run: BEADFLOW_IMAGES says how many power cuts"
        for item in items:
            if "tests/power/" in item.path.as_posix():
                item.add_marker(pytest.mark.skip(reason=reason))

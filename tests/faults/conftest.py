"""Every call is failed, and every file damaged, in the long runs only."""

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "BEADFLOW_FAULT_STEP" not in os.environ:
        reason = "a long run: BEADFLOW_FAULT_STEP says which calls fail"
        for item in items:
            if "tests/faults/" in item.path.as_posix():
                item.add_marker(pytest.mark.skip(reason=reason))

"""Random trees on the real kernel, driven by random steps, against a model of OTP's rules."""

import os

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from .trees import Branch, trees
from .world import Step, drive

pytestmark = pytest.mark.no_cover  # others cover what this does a thousand times

SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
EXAMPLES = 20_000 if SOAK else 1_000

ENDS = ("crash", "crash", "crash", "stop", "burst", "break")
REQUESTS = ("add", "terminate", "restart", "delete", "replace")
STEPS = st.lists(
    st.builds(
        Step,
        do=st.sampled_from([*ENDS, *REQUESTS]),
        at=st.sampled_from([0, 0, 0, 1, 1, 2, 3, 4, 7]),  # one thing often happens to the same one
        n=st.sampled_from([0, 0, 1, 2, 3]),
        after_s=st.sampled_from([0.0, 0.0, 0.0, 0.25, 1.0, 3.0]),
    ),
    min_size=3,
    max_size=12,
)


@settings(max_examples=EXAMPLES, deadline=None, derandomize=not SOAK)
@given(trees(), STEPS)
def test_any_tree_does_what_the_model_does(tree: Branch, steps: list[Step]) -> None:
    trio.run(drive, tree, steps, clock=MockClock(autojump_threshold=0))

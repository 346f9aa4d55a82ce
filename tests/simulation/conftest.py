import pytest

pytest.register_assert_rewrite("tests.simulation.invariants")  # a seed that fails should say how

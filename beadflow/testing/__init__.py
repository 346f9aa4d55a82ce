"""What an agent class can be held to by its own tests.

    from beadflow.testing import conformance
    from mine import Mine

    test_mine = conformance(Mine, config={"depth": 2}, examples={"dig": {"metres": 3}})

pytest then runs one test for each thing that beadflow expects of every agent.
"""

from beadflow.testing.conformance import checks, conformance
from beadflow.testing.subject import Nonconformance, Subject

__all__ = ["Nonconformance", "Subject", "checks", "conformance"]

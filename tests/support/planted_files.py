"""What is in the planted repository: files of its base, and those that its head changed.

Whatever a tool finds in them beside what `planted.py` names is a mistake here.
"""

from typing import Final

# The server's own plug-ins of pytest: agents run these tests many times, and to import what none of
# them uses takes longer than to run them.
_UNUSED: Final = " ".join(
    f"-p no:{plugin}"
    for plugin in ("anyio", "hypothesispytest", "pytest_cov", "randomly", "trio", "xdist")
)

PYPROJECT: Final = f"""\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "orchard"
version = "0.1.0"
description = "Counts apples and what they cost."
readme = "README.md"
requires-python = ">=3.11"
license = "MIT"
dependencies = ["applelib>=1.0", "berrylib>=1.0", "plumlib>=2.0"]

[tool.setuptools]
packages = ["orchard"]

[tool.pytest.ini_options]
addopts = "{_UNUSED}"
pythonpath = ["."]
testpaths = ["tests"]

[tool.mypy]
ignore_missing_imports = true
"""

README: Final = """\
# Orchard

Counts apples and what they cost. [How it is used](docs/guide.md), and [all of it](docs/index.md).
"""

INDEX: Final = """\
# All of it

- [How it is used](guide.md)
- [How to begin](guide.md#begin)
- [What it costs](guide.md#prices)
"""

GUIDE: Final = """\
# How it is used

## Begin

```python
from orchard.prices import price

print(price(3))
```

Back to [all of it](index.md), or on to [the rest](rest.md).
"""

INIT: Final = '"""Counts apples and what they cost."""\n'

PRICES_BASE: Final = '''\
"""What apples cost."""

import os


def price(apples: int, each: int = 2) -> int:
    """Say what so many apples cost."""
    return apples * each


def discount(apples: int) -> int:
    """Say what is taken off: one for every ten apples."""
    return apples // 10 - 1


def basket(apples: int) -> int:
    return max(0, apples)
'''

PRICES_HEAD: Final = (
    PRICES_BASE
    + '''

def wholesale(apples: int) -> int:
    """Say what apples cost a trader."""
    if apples < 100:
        return price(apples)
    cheaper = price(apples, each=1)
    return cheaper
'''
)

COUNTS_BASE: Final = '''\
"""Counts apples."""


def ripe(apples: int) -> int:
    """Count those that are ripe: every third one."""
    found = 0
    for number in range(apples):
        found += number % 3 == 0
    return found
'''

COUNTS_HEAD: Final = '''\
"""Counts apples."""

import json


def ripe(apples: int) -> int:
    """Count those that are ripe: every third one."""
    found = 0
    for number in range(apples * 10):
        found += number % 3 == 0 and number < apples
    return found
'''

SHIPPING: Final = '''\
"""Sends apples away."""


def send(apples: int) -> object:
    """Hand apples over to the carrier."""
    import applelib
    import berrylib
    import quincelib

    return quincelib.send(applelib.crate(berrylib.pad(apples)))
'''

TEST_PRICES: Final = """\
from orchard.prices import basket, discount, price


def test_three_apples_cost_six():
    assert price(3) == 6


def test_a_basket_is_never_below_empty():
    assert basket(-1) == 0


def test_ten_apples_take_one_off():
    assert discount(10) == 1
"""

TEST_WHOLESALE: Final = """\
from orchard.prices import wholesale


def test_a_few_apples_cost_a_trader_the_same():
    assert wholesale(3) == 6
"""

TEST_COUNTS: Final = """\
from orchard.counts import ripe


def test_every_third_apple_is_ripe():
    assert ripe(9) == 3
"""

BENCH: Final = '''\
"""Counts many apples: what takes its time in this program."""

from orchard.counts import ripe

print(ripe(500_000))
'''

BASE: Final = {
    ".gitignore": "__pycache__/\n.coverage\n",
    "pyproject.toml": PYPROJECT,
    "README.md": README,
    "bench.py": BENCH,
    "docs/index.md": INDEX,
    "docs/guide.md": GUIDE,
    "orchard/__init__.py": INIT,
    "orchard/counts.py": COUNTS_BASE,
    "orchard/prices.py": PRICES_BASE,
    "orchard/shipping.py": SHIPPING,
    "tests/test_counts.py": TEST_COUNTS,
    "tests/test_prices.py": TEST_PRICES,
}

HEAD: Final = {
    "orchard/counts.py": COUNTS_HEAD,
    "orchard/prices.py": PRICES_HEAD,
    "tests/test_wholesale.py": TEST_WHOLESALE,
}

LICENCES: Final = {
    "applelib": ("1.4.0", "GPL-3.0-only"),
    "berrylib": ("1.1.0", "BSD-3-Clause"),
    "plumlib": ("2.0.1", "Apache-2.0"),
}
"""What is installed in the site directory: version and licence."""

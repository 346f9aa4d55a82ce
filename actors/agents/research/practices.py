"""How a project is looked after, as far as file names tell: tests, documentation, CI. Pure."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from actors.agents.kit.untrusted import plain
from actors.agents.research.facts import Practices

_TEST: Final = re.compile(
    r"(?i)(?:.*/)?(?:test_[^/]*|[^/]*_test|[^/]*\.(?:test|spec)|conftest|[^/]*tests?)\.[a-z]+"
)
_TEST_DIRECTORIES: Final = frozenset({"test", "tests", "__tests__", "spec", "testing"})
_PROGRAMS: Final = (
    ".py",
    ".go",
    ".rs",
    ".js",
    ".ts",
    ".tsx",
    ".jsx",
    ".java",
    ".rb",
    ".php",
    ".ex",
)
_DOCUMENTATION: Final = (".md", ".rst", ".adoc")
_CI: Final = re.compile(
    r"\.github/workflows/[^/]+\.ya?ml|\.gitlab-ci\.yml|\.circleci/config\.yml|Jenkinsfile"
    r"|azure-pipelines\.yml|\.travis\.yml|\.drone\.yml|\.woodpecker(?:/[^/]+)?\.ya?ml"
    r"|bitbucket-pipelines\.yml|\.buildkite/[^/]+|\.forgejo/workflows/[^/]+\.ya?ml"
)
_MAX_CI: Final = 20


def is_test(path: str) -> bool:
    """Whether a program's file is a test or stands among tests."""
    if not path.endswith(_PROGRAMS):
        return False
    return bool(_TEST.fullmatch(path)) or not _TEST_DIRECTORIES.isdisjoint(
        PurePosixPath(path).parts[:-1]
    )


def practices(paths: Sequence[str]) -> Practices:
    return Practices(
        test_files=sum(map(is_test, paths)),
        documentation_files=sum(path.endswith(_DOCUMENTATION) for path in paths),
        ci=tuple(plain(path) for path in paths if _CI.fullmatch(path))[:_MAX_CI],
    )

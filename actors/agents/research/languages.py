"""Which languages a repository is written in: files and lines by file name. Pure."""

from collections import Counter
from pathlib import PurePosixPath
from typing import Final

from actors.agents.research.facts import Language

_BY_SUFFIX: Final = {
    ".py": "Python", ".pyi": "Python", ".pyx": "Cython", ".ipynb": "Jupyter notebook",
    ".js": "JavaScript", ".mjs": "JavaScript", ".cjs": "JavaScript", ".jsx": "JavaScript",
    ".ts": "TypeScript", ".tsx": "TypeScript", ".mts": "TypeScript", ".vue": "Vue",
    ".svelte": "Svelte", ".go": "Go", ".rs": "Rust", ".java": "Java", ".kt": "Kotlin",
    ".scala": "Scala", ".c": "C", ".h": "C", ".cc": "C++", ".cpp": "C++", ".cxx": "C++",
    ".hpp": "C++", ".cs": "C#", ".fs": "F#", ".rb": "Ruby", ".php": "PHP", ".swift": "Swift",
    ".m": "Objective-C", ".ex": "Elixir", ".exs": "Elixir", ".erl": "Erlang", ".hs": "Haskell",
    ".ml": "OCaml", ".clj": "Clojure", ".lua": "Lua", ".pl": "Perl", ".r": "R", ".jl": "Julia",
    ".zig": "Zig", ".nim": "Nim", ".dart": "Dart", ".sh": "Shell", ".bash": "Shell",
    ".ps1": "PowerShell", ".sql": "SQL", ".html": "HTML", ".css": "CSS", ".scss": "CSS",
    ".proto": "Protocol Buffers", ".tf": "Terraform", ".md": "Markdown", ".rst": "reStructuredText",
    ".toml": "TOML", ".yaml": "YAML", ".yml": "YAML", ".json": "JSON", ".jsonl": "JSON",
    ".xml": "XML",
}  # fmt: skip
_BY_NAME: Final = {"Makefile": "Make", "Dockerfile": "Docker", "CMakeLists.txt": "CMake"}
_NOT_PROGRAMS: Final = frozenset(
    {"Markdown", "reStructuredText", "TOML", "YAML", "JSON", "XML", "HTML", "CSS", "Docker"}
    | {"Make", "CMake", "SQL", "Jupyter notebook"}
)
_BINARY_SNIFF_BYTES: Final = 8_192


def language_of(path: str) -> str | None:
    name = PurePosixPath(path)
    return _BY_NAME.get(name.name) or _BY_SUFFIX.get(name.suffix.lower())


def is_program(language: str) -> bool:
    """Whether the language is one whose imports would matter."""
    return bool(language) and language not in _NOT_PROGRAMS


def is_binary(data: bytes) -> bool:
    return b"\0" in data[:_BINARY_SNIFF_BYTES]


def count_lines(data: bytes) -> int:
    return data.count(b"\n") + (not data.endswith(b"\n") and bool(data))


def languages(files: Counter[str], lines: Counter[str]) -> tuple[Language, ...]:
    """The languages, most lines first."""
    ranked = sorted(files, key=lambda name: (-lines[name], name))
    return tuple(Language(name=name, files=files[name], lines=lines[name]) for name in ranked)

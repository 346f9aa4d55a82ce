from actors.agents.documentation.changelog import find, merged, worded

ADDED = worded({"Added": ["`a.b()`: Do it.", "`a.c`."], "Changed": [], "Removed": ["`a.d`."]})


def test_sections_without_entries_are_left_out() -> None:
    assert ADDED == "### Added\n\n- `a.b()`: Do it.\n- `a.c`.\n\n### Removed\n\n- `a.d`."
    assert worded({"Added": []}) == ""


def test_a_changelog_is_made_where_there_is_none() -> None:
    assert merged("", ADDED) == f"# Changelog\n\n## Unreleased\n\n{ADDED}\n"


def test_entries_join_those_that_are_there() -> None:
    begin = "# Changes\n\n## [Unreleased]\n\n### Added\n\n- An old one.\n"
    end = "\n## 1.0\n\n### Added\n\n- A.\n"
    fresh = "- `a.b()`: Do it.\n- `a.c`.\n\n### Removed\n\n- `a.d`.\n"
    assert merged(f"{begin}{end}", ADDED) == f"{begin}{fresh}{end}"


def test_unreleased_changes_come_before_the_releases() -> None:
    assert merged("# Log\n\nWords.\n\n## 1.0\n\n- A.\n", ADDED) == (
        f"# Log\n\nWords.\n\n## Unreleased\n\n{ADDED}\n\n## 1.0\n\n- A.\n"
    )


def test_what_it_says_already_is_not_said_again() -> None:
    once = merged("# Log\n\n## 1.0\n", ADDED)
    assert merged(once, ADDED) == once


def test_a_changelog_is_known_by_its_name_at_the_root() -> None:
    assert find(["docs/CHANGELOG.md", "README.md"]) is None
    assert find(["README.md", "Changes.md"]) == "Changes.md"


def test_line_ends_stay_as_they_are() -> None:
    text = "# Log\r\n\r\n## 1.0\r\n\r\n- A.\r\n"
    once = merged(text, ADDED)
    assert once.startswith(
        "# Log\r\n\r\n## Unreleased\r\n\r\n### Added\r\n\r\n- `a.b()`: Do it.\r\n"
    )
    assert once.count("\r\n") == once.count("\n")
    assert merged(once, ADDED) == once

import pytest

from actors.agents.documentation.markdown import parse, slug


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("How to begin", "how-to-begin"),
        ("What's new in 1.0?", "whats-new-in-10"),
        ("Größe & Maß", "größe--maß"),
        ("`beadflow up`: start", "beadflow-up-start"),
        ("a_b - c", "a_b---c"),
    ],
)
def test_headings_have_the_anchors_that_github_makes(heading: str, anchor: str) -> None:
    assert anchor in parse(f"## {heading}\n").anchors


def test_a_heading_that_comes_twice_is_numbered() -> None:
    assert parse("# A\n\n# A\n\n# A\n").anchors == {"a", "a-1", "a-2"}


def test_anchors_can_be_written_by_hand() -> None:
    text = '<a name="one"></a>\n\n<h2 id=two>Two</h2>\n\n## Three {#drei}\n'
    assert {"one", "two", "drei"} <= parse(text).anchors


def test_marks_in_a_heading_are_not_part_of_its_anchor() -> None:
    assert parse("## The *very* [last](x.md) one\n").anchors == {"the-very-last-one"}
    assert slug("A  b") == "a--b"


def test_links_know_their_lines() -> None:
    text = (
        "Text\nwith [one](a.md)\nand [two](b.md) or\n![three](c.png)\n\n| [four](d.md) |\n| --- |\n"
    )
    text += "\n[five][ref]\n\n[ref]: e.md\n\n<p>\n<a href='f.md'>six</a></p>\n"
    found = [(link.target, link.line) for link in parse(text).links]
    assert found == [
        ("a.md", 2),
        ("b.md", 3),
        ("c.png", 4),
        ("d.md", 6),
        ("e.md", 9),
        ("f.md", 13),
    ]


def test_links_in_code_are_none() -> None:
    assert parse("`[a](b.md)`\n\n```\n[c](d.md)\n```\n").links == ()


def test_fences_know_their_language_their_lines_and_the_comment_above() -> None:
    text = "---\ntitle: x\n---\n# A\n\n<!-- no-run -->\n```Python notest\nprint(1)\n```\n"
    (fence,) = parse(text).fences
    assert (fence.words, fence.line, fence.code) == (("python", "notest"), 8, "print(1)\n")
    assert "no-run" in fence.note


@pytest.mark.parametrize("text", ["", "---\n", "---\nx: 1\n", "[" * 5000, ">" * 3000 + "a"])
def test_odd_documents_are_read(text: str) -> None:
    parse(text)

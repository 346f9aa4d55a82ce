import pytest
from pydantic import TypeAdapter, ValidationError

from actors.agents.kit.argv import Argv

ARGV: TypeAdapter[tuple[str, ...]] = TypeAdapter(Argv)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["make", "a b"], ("make", "a b")),
        ("make 'a b'", ("make", "a b")),
        ("make; rm -rf / | x", ("make;", "rm", "-rf", "/", "|", "x")),
        ("", ()),
    ],
)
def test_a_command_is_words_or_a_line_that_no_shell_reads(
    given: object, words: tuple[str, ...]
) -> None:
    assert ARGV.validate_python(given) == words


@pytest.mark.parametrize("given", ["it's", ["a\0b"], [1], 7, ["x"] * 501, ["x" * 4_001]])
def test_what_can_be_no_command_is_refused(given: object) -> None:
    with pytest.raises(ValidationError):
        ARGV.validate_python(given)

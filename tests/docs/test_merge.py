"""docs/merge.md names every field of the format with the rule the code has for it."""

from actors.issues.merging.rules import RULES
from cli.merge_driver import ATTRIBUTE, DRIVER
from storage.issues.fields import ISSUE
from tests.docs.pages import blocks, names, rows, section

PAGE = "docs/merge.md"


def test_every_field_of_the_format_has_a_rule() -> None:
    assert RULES.keys() == ISSUE.keys()


def test_every_field_is_in_the_table_with_its_rule() -> None:
    documented = {
        name: rule for fields, rule in rows(section(PAGE, "Fields")) for name in names(fields)
    }
    assert documented == {name: rule.value for name, rule in RULES.items()}


def test_the_driver_is_set_up_with_the_words_of_the_code() -> None:
    shell = "".join(blocks(PAGE, "sh"))
    assert f'merge.beadflow.driver "{DRIVER}"' in shell
    assert f'"{ATTRIBUTE}"' in shell

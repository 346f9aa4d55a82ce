"""docs/supervision.md names every lifecycle event with its level and fields."""

import dataclasses
import inspect
import logging

from actors.lifecycle import LEVELS
from supervision import Event, events
from tests.docs.pages import names, rows, section

PAGE = "docs/supervision.md"
EVENTS = {
    kind.key: kind
    for _, kind in inspect.getmembers(events, inspect.isclass)
    if issubclass(kind, Event) and kind is not Event
}
ROWS = {names(row[0])[0]: row for row in rows(section(PAGE, "Lifecycle events"))}


def test_every_lifecycle_event_is_documented_and_no_other() -> None:
    assert list(ROWS) == list(LEVELS)
    assert set(ROWS) == set(EVENTS)


def test_the_fields_of_each_event_are_documented() -> None:
    documented = {key: ["path", *names(row[2])] for key, row in ROWS.items()}
    real = {key: [field.name for field in dataclasses.fields(kind)] for key, kind in EVENTS.items()}
    assert documented == real


def test_the_level_of_each_event_is_that_of_the_code() -> None:
    documented = {key: row[1].upper() for key, row in ROWS.items()}
    assert documented == {key: logging.getLevelName(level) for key, level in LEVELS.items()}

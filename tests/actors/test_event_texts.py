"""The texts of events: made once, the same for everybody, and bounded."""

import json

from actors.event_texts import PerBatch, Texts
from actors.facts import LAGGED, LoggedFact


def fact(seq: int, **data: object) -> LoggedFact:
    return LoggedFact(seq, "log", "w", None, "t", data)


def test_a_text_is_the_event_as_json_in_ascii() -> None:
    text = Texts().of(fact(1, name="Zoë\u2028\n"))
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text) == fact(1, name="Zoë\u2028\n")._asdict()


def test_a_batch_is_an_array_without_its_brackets() -> None:
    batch = (fact(1), fact(2))
    texts = Texts()
    expected = [one._asdict() for one in batch]
    assert json.loads(f"[{texts.joined(batch)}]") == expected
    assert json.loads(f"[{texts.of_batch(batch)}]") == expected


def test_a_batch_is_made_into_text_once_while_it_is_kept() -> None:
    made: list[int] = []
    texts = PerBatch(lambda batch: f"{made.append(batch[0].seq)}", kept_bytes=8)
    one, two, three = ((fact(seq),) for seq in (1, 2, 3))
    for batch in (one, one, two, one, two):
        texts.of(batch)
    assert made == [1, 2]
    texts.of(three)  # 12 bytes: the first one goes
    texts.of(two)
    texts.of(one)
    assert made == [1, 2, 3, 1]


def test_equal_batches_of_different_logs_are_not_taken_for_each_other() -> None:
    texts = Texts()
    assert texts.of_batch((fact(1),)) == texts.of_batch((fact(1),))


def test_what_is_kept_of_single_events_is_bounded() -> None:
    texts = Texts(kept_bytes=1000)
    for seq in range(1, 500):
        texts.of(fact(seq, text="x" * 50))
    assert texts._bytes <= 1000
    assert len(texts._kept) < 10


def test_a_marker_is_not_taken_for_the_event_whose_number_it_has() -> None:
    texts = Texts()
    marker = fact(7, dropped=3)._replace(type=LAGGED)
    plain = texts.of(fact(7))
    assert texts.of(marker) != plain
    assert texts.of(fact(7)) == plain
    assert texts.of(marker._replace(data={"dropped": 4})) != texts.of(marker)

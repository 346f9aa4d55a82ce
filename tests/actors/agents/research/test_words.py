from actors.agents.research.words import found, question_words, words_of


def test_small_words_do_not_count_and_plurals_are_one() -> None:
    question = "Which libraries should we use for SQLite databases, database or SQLite?"
    assert question_words(question) == ("sqlite", "database")


def test_the_candidates_own_names_do_not_count() -> None:
    assert question_words("apsw or trio-sqlite for files?", without=("apsw", "trio-sqlite")) == (
        "file",
    )


def test_a_long_word_is_found_inside_another_and_a_short_one_is_not() -> None:
    assert found("sqlite", words_of("aiosqlite"))
    assert not found("go", words_of("django"))
    assert found("go", words_of("Go bindings"))

from actors.agents.research.choice import matching


def test_dependencies_that_share_words_with_the_question_are_chosen_the_best_first() -> None:
    summaries = {"simple": "a client of indexes", "httpx": "HTTP client", "rich": "colours"}
    chosen = matching("Which HTTP client?", tuple(summaries), summaries.__getitem__)
    assert chosen == ("httpx", "simple")

from actors.agents.kit.usage import Budget, Price, Usage


def test_usage_adds_up_and_a_cost_that_nobody_stated_stays_unknown() -> None:
    both = Usage(input_tokens=1, cost_usd=0.5) + Usage(output_tokens=2, cache_read_tokens=3)
    assert both == Usage(input_tokens=1, output_tokens=2, cache_read_tokens=3, cost_usd=0.5)
    assert (Usage() + Usage()).cost_usd is None
    assert str(both) == "6 tokens, 0.5000 USD"


def test_a_price_fills_in_the_cost_and_never_overrides_one() -> None:
    price = Price(input=3.0, output=15.0, cache_read=0.3, cache_write=3.75)
    used = Usage(input_tokens=1_000_000, output_tokens=1_000_000, cache_read_tokens=1_000_000)
    assert price.of(used).cost_usd == 18.3
    assert price.of(Usage(input_tokens=9, cost_usd=0.1)).cost_usd == 0.1


def test_a_budget_that_is_reached_says_by_how_much() -> None:
    spent = Usage(input_tokens=100, cost_usd=0.5)
    assert Budget().used_up(spent) == ""
    assert Budget(tokens=101, usd=0.51).used_up(spent) == ""
    assert Budget(tokens=100).used_up(spent) == "100 of 100 tokens are spent"
    assert Budget(usd=0.5).used_up(spent) == "0.5000 of 0.5000 USD are spent"
    assert Budget(usd=0.5).used_up(Usage()) == ""
    assert Budget(usd=0.0).used_up(Usage()) == "0.0000 of 0.0000 USD are spent"
    assert Budget(tokens=200).share(spent) == 0.5
    assert Budget(tokens=0).share(spent) == 0.0


def test_dollars_that_nobody_counts_are_taken_to_be_spent() -> None:
    spent = Usage(input_tokens=1)
    why = "of 5.0000 USD it is not known what is spent: set the prices"
    assert Budget(usd=5.0).used_up(spent) == why
    assert Budget(tokens=2).used_up(spent) == ""
    assert Budget(usd=5.0).used_up(Price(input=0.1).of(spent)) == ""


def test_the_metrics_of_usage_name_their_units() -> None:
    assert Usage(input_tokens=1, cost_usd=0.25).metrics() == {
        "input_tokens": 1,
        "output_tokens": 0,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "cost_usd": 0.25,
    }

"""What a model's work came to: tokens and money, and what it may come to.

Programs and services count in their own ways; here they are one. Money is US dollars, as prices of
models are given in them.
"""

from typing import Final

from pydantic import Field, NonNegativeInt

from actors.agents.kit.outcome import Model

_MILLION: Final = 1_000_000


class Usage(Model):
    """Tokens by kind, and what they cost.

    Attributes:
        input_tokens: read, without those that came from a cache or went into one.
        cost_usd: None where neither the program nor a price says it.
    """

    input_tokens: NonNegativeInt = 0
    output_tokens: NonNegativeInt = 0
    cache_read_tokens: NonNegativeInt = 0
    cache_write_tokens: NonNegativeInt = 0
    cost_usd: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)

    @property
    def tokens(self) -> int:
        return (
            self.input_tokens
            + self.output_tokens
            + self.cache_read_tokens
            + self.cache_write_tokens
        )

    def __add__(self, other: "Usage") -> "Usage":
        costs = [cost for cost in (self.cost_usd, other.cost_usd) if cost is not None]
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            cost_usd=round(sum(costs), 9) if costs else None,
        )

    def metrics(self) -> dict[str, float]:
        """For `Outcome.metrics`."""
        found: dict[str, float] = {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cache_read_tokens": self.cache_read_tokens,
            "cache_write_tokens": self.cache_write_tokens,
        }
        return found if self.cost_usd is None else {**found, "cost_usd": self.cost_usd}

    def __str__(self) -> str:
        cost = "" if self.cost_usd is None else f", {self.cost_usd:.4f} USD"
        return f"{self.tokens:,} tokens{cost}"


class Price(Model):
    """Prices of a model, in US dollars for a million tokens."""

    input: float = Field(default=0.0, ge=0.0)
    output: float = Field(default=0.0, ge=0.0)
    cache_read: float = Field(default=0.0, ge=0.0)
    cache_write: float = Field(default=0.0, ge=0.0)

    def of(self, usage: Usage) -> Usage:
        """The usage with its cost, where it does not say that itself."""
        if usage.cost_usd is not None:
            return usage
        cost = (
            usage.input_tokens * self.input
            + usage.output_tokens * self.output
            + usage.cache_read_tokens * self.cache_read
            + usage.cache_write_tokens * self.cache_write
        )
        return usage.model_copy(update={"cost_usd": round(cost / _MILLION, 9)})


class Budget(Model):
    """How much may be spent before no more work is begun. None is no limit.

    A limit in dollars is also reached when tokens were spent and nobody says what they cost.
    """

    usd: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)
    tokens: int | None = Field(default=None, ge=0)

    def used_up(self, spent: Usage) -> str:
        """Why no more work may be begun; empty when it may."""
        if self.tokens is not None and spent.tokens >= self.tokens:
            return f"{spent.tokens:,} of {self.tokens:,} tokens are spent"
        if self.usd is None:
            return ""
        if spent.cost_usd is None and spent.tokens:
            return f"of {self.usd:.4f} USD it is not known what is spent: set the prices"
        if (spent.cost_usd or 0.0) >= self.usd:
            return f"{spent.cost_usd or 0.0:.4f} of {self.usd:.4f} USD are spent"
        return ""

    def share(self, spent: Usage) -> float:
        """How much of it is spent, 0.0 to 1.0 and beyond; 0.0 without a limit."""
        by_tokens = spent.tokens / self.tokens if self.tokens else 0.0
        by_cost = (spent.cost_usd or 0.0) / self.usd if self.usd else 0.0
        return max(by_tokens, by_cost)

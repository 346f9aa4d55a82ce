"""Which model an agent asks: what its configuration says, as far as the operator lets it.

A configuration comes with a request. It may only name an address that the operator has named, and
a key only where the operator has named its variable: otherwise whoever can set up an agent could
have any secret of the server's environment sent to any place.
"""

from typing import Final

from actors.agents.endpoint import TIMEOUT_S, ModelEndpoint
from actors.agents.llm.messages import LlmConfig
from actors.agents.site import Site
from actors.errors import ValidationError
from actors.workflows.definition import ActivityFailure

NO_MODEL: Final = "no_model"


def check(config: LlmConfig, site: Site) -> None:
    """See that a configuration names only what the operator has named.

    Raises:
        ValidationError: it names something else.
    """
    try:
        _endpoint(config, site)
    except ValidationError as error:
        if error.code == NO_MODEL and not config.url:
            return  # the operator may name one yet
        raise


def endpoint_of(config: LlmConfig, site: Site) -> ModelEndpoint:
    """The model that an agent of this configuration asks.

    Raises:
        ActivityFailure: "no_model": none is configured; "model_not_allowed".
    """
    try:
        return _endpoint(config, site)
    except ValidationError as error:
        code = NO_MODEL if error.code == NO_MODEL else "model_not_allowed"
        raise ActivityFailure(code, error.message, retryable=False) from error


def _endpoint(config: LlmConfig, site: Site) -> ModelEndpoint:
    own = site.model
    url = config.url or (own.url if own else "")
    is_own = own is not None and url == own.url
    if url and not is_own and url not in site.model_urls:
        raise ValidationError("its url is none of those under [llm]: url, urls", field="url")
    key_variable = config.key_variable or (own.key_variable if own and is_own else "")
    allowed = {*site.environment, own.key_variable if own and is_own else ""}
    if key_variable and key_variable not in allowed:
        raise ValidationError(
            "its key_variable is not listed in environment under [agents]", field="key_variable"
        )
    if not url:
        raise _no_model("no model is configured: url and model under [llm]")
    model = config.model or (own.model if own and is_own else "")
    if not model:
        raise _no_model("its configuration names a url and no model")
    priced = own if own and is_own and model == own.model else None
    return ModelEndpoint(
        url=url,
        model=model,
        key_variable=key_variable,
        input_price=_price(config.input_price, priced.input_price if priced else 0.0),
        output_price=_price(config.output_price, priced.output_price if priced else 0.0),
        timeout_s=config.timeout_s or (own.timeout_s if own else TIMEOUT_S),
    )


def _price(given: float | None, usual: float) -> float:
    return usual if given is None else given


def _no_model(message: str) -> ValidationError:
    return ValidationError(message, field="model", code=NO_MODEL)

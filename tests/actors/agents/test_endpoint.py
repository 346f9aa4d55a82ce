import pytest

from actors.agents.endpoint import ModelEndpoint, check_url
from actors.errors import ValidationError


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://localhost:11434", "http://localhost:11434/v1/chat/completions"),
        ("http://localhost:11434/", "http://localhost:11434/v1/chat/completions"),
        ("https://h.example/v1", "https://h.example/v1/chat/completions"),
        ("https://h.example/api/v3/", "https://h.example/api/v3/chat/completions"),
        ("https://h.example/v1/chat/completions", "https://h.example/v1/chat/completions"),
    ],
)
def test_a_root_leads_to_where_completions_are_asked_for(url: str, asked: str) -> None:
    assert ModelEndpoint(url=url, model="m").completions_url == asked


@pytest.mark.parametrize(
    "url",
    [
        *("", "localhost", "ftp://h", "http://", "http://h:port", "http://[::1", "file:///etc"),
        *("https://user:hunter2@h", "https://h?key=hunter2", "https://h#hunter2", "https://h/\n"),
    ],
)
def test_what_is_no_address_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ModelEndpoint(url=url, model="m")
    assert "hunter2" not in str(refused.value)
    with pytest.raises(ValidationError, match="llm_urls"):
        check_url(url, "llm_urls")


@pytest.mark.parametrize("name", ["sk-hunter2", "a b", "1A", "$KEY", "A" * 101])
def test_a_key_in_the_place_of_its_variable_is_refused_and_not_shown(name: str) -> None:
    with pytest.raises(ValidationError, match="not the key") as refused:
        ModelEndpoint(url="https://h", model="m", key_variable=name)
    assert name not in str(refused.value)


def test_a_key_is_not_sent_over_an_open_network() -> None:
    with pytest.raises(ValidationError, match="https"):
        ModelEndpoint(url="http://h.example/v1", model="m", key_variable="KEY")
    assert ModelEndpoint(url="http://127.0.0.1/v1", model="m", key_variable="KEY").is_local
    assert not ModelEndpoint(url="http://h.example/v1", model="m").is_local


@pytest.mark.parametrize("model", ["", " ", "a\nb"])
def test_a_model_has_a_name(model: str) -> None:
    with pytest.raises(ValidationError, match="name of a model"):
        ModelEndpoint(url="http://localhost", model=model)

"""The llm agent in a real server: settings, a key in a variable, and a kill in mid-answer."""

from pathlib import Path

import pytest

from tests.support.chat_server import calls, chat_server, hang, text
from tests.support.server import Server

pytestmark = pytest.mark.process

KEY = "hunter2-of-the-parrot"


def holds_key(directory: Path) -> list[str]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    return [str(path) for path in files if KEY.encode() in path.read_bytes()]


def test_a_killed_server_goes_on_with_the_conversation_and_shows_its_key_to_nobody(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARROT_KEY", KEY)
    config = tmp_path / "beadflow.toml"
    with chat_server() as chat:
        config.write_text(
            f'[llm]\nurl = "{chat.url}"\nmodel = "parrot"\nkey_variable = "PARROT_KEY"\n'
            "output_price = 5.0\n"
        )
        chat.says(
            calls(("list_files", {})),
            hang("I was about to say"),
            text("They ", "talk."),
        )
        server = Server(repo, config)
        with server:
            started = server.post(
                issue_title="Ask", workflow_type="llm", variables={"prompt": "What do they do?"}
            )
            server.within(20.0, lambda: len(chat.asked) == 2)
            server.kill()
            server.start()
            ended = server.ended(started["id"])
            results = server.get(f"/api/v1/workflows/{started['id']}/results")["data"]
    assert ended["status"] == "completed", ended
    output = next(each["result_data"] for each in results if each["step"] == "output")
    assert (output["text"], output["turns"]) == ("They talk.", 2)
    assert output["usage"]["cost_usd"] == pytest.approx(20 * 5.0 / 1_000_000)
    assert len(chat.asked) == 3
    assert chat.asked[1].body["messages"] == chat.asked[2].body["messages"]
    assert {asked.headers["authorization"] for asked in chat.asked} == {f"Bearer {KEY}"}
    assert holds_key(tmp_path) == []

import json

import pytest

from cli import issue
from cli.exits import ExitCode
from tests.cli.fake import Answer, FakeServer
from tests.cli.run import Run

COMMANDS = [
    ("workflow",),
    ("workflow", "start"),
    ("workflow", "status"),
    ("workflow", "list"),
    ("workflow", "results"),
    ("workflow", "artifacts"),
    ("workflow", "artifact", "get"),
    ("workflow", "artifact", "put"),
    ("workflow", "logs"),
    ("workflow", "types"),
    ("actors",),
    ("help",),
    (),
    ("ready",),
    ("claim",),
    ("done",),
    ("prime",),
    ("issue",),
    *(("issue", name) for name in issue.app if not name.startswith("-")),
    *(("issue", "dep", name) for name in issue.dep if not name.startswith("-")),
    *(("issue", "label", name) for name in issue.label if not name.startswith("-")),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(beadflow: Run, command: tuple[str, ...]) -> None:
    ran = beadflow(*command, "--help")
    assert ran.code == 0
    assert "Example" in ran.out
    assert "  beadflow" in ran.out
    assert ran.err == ""


def test_help_explains_a_command_as_its_own_help_does(beadflow: Run) -> None:
    assert beadflow("help", "workflow", "list") == beadflow("workflow", "list", "--help")


def test_help_fits_a_terminal_of_eighty_columns(beadflow: Run) -> None:
    shown = "".join(beadflow(*command, "--help").out for command in COMMANDS)
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_help_lists_every_exit_code_with_its_meaning(beadflow: Run) -> None:
    shown = beadflow("help", "exit-codes").out
    assert [line.split()[0] for line in shown.splitlines()] == [
        str(code.value) for code in ExitCode
    ]
    assert all(code.meaning in shown for code in ExitCode)


def test_exit_codes_are_data_for_programs_too(beadflow: Run) -> None:
    answer = beadflow("help", "exit-codes", "-o", "json").json
    assert answer["schema"] == "beadflow.help.exit-codes/1"
    assert answer["data"]["9"] == ExitCode.UNREACHABLE.meaning


def test_without_a_command_there_is_help(beadflow: Run) -> None:
    assert beadflow().out == beadflow("--help").out


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_is_told_in_one_line(beadflow: Run, flag: str) -> None:
    ran = beadflow(flag)
    assert ran.code == 0
    assert ran.out.count(".") == 2
    assert ran.out.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["worklow"], "Did you mean workflow?"),
        (["workflow", "strt"], "Did you mean start?"),
        (
            ["workflow", "zzz"],
            "There are: artifact, artifacts, cancel, export, handoff, history, list",
        ),
        (["help", "workflow", "lst"], "Did you mean list?"),
        (["workflow", "start", "a", "b", "--wach"], "Did you mean --watch?"),
        (["workflow", "list", "--status", "running"], "active"),
        (["workflow", "list", "--limit", "many"], "--limit"),
        (["workflow", "start", "research"], "TITLE"),
        (["workflow", "start", "a", "b", "--priority", "P7"], "P0 to P4"),
        (["workflow", "start", "a", "b", "--var", "x"], "--var name=text"),
        (["workflow", "status", "../../health/live"], "no workflow id"),
        (["workflow", "list", "--url", "localhost"], "http://127.0.0.1:8080"),
        (["-o", "xml", "workflow", "list"], '"json"'),
    ],
)
def test_wrong_usage_is_told_with_a_way_out(beadflow: Run, argv: list[str], said: str) -> None:
    ran = beadflow(*argv)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert said in ran.err


def test_wrong_usage_is_json_for_those_who_asked_for_json(beadflow: Run) -> None:
    ran = beadflow("-o", "json", "workflow", "strt")
    assert ran.code == 2
    assert ran.json["error"]["code"] == "usage"


@pytest.mark.parametrize(
    "argv", [["-o", "json", "workflow", "list"], ["workflow", "list", "--output=json"]]
)
def test_the_form_of_output_stands_before_or_after_the_command(
    beadflow: Run, server: FakeServer, argv: list[str]
) -> None:
    server.answers["GET /api/v1/workflows"] = Answer({"data": [], "next_cursor": None})
    assert beadflow(*argv, "--url", server.url).json["data"] == []


def test_the_environment_sets_the_form_of_output(
    beadflow: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEADFLOW_OUTPUT", "json")
    server.answers["GET /api/v1/workflows"] = Answer({"data": [], "next_cursor": None})
    assert beadflow("workflow", "list", "--url", server.url).json["data"] == []


def test_what_follows_two_dashes_is_no_option(beadflow: Run, server: FakeServer) -> None:
    beadflow("workflow", "start", "--url", server.url, "research", "--", "-1 is a title")
    assert server.seen[0].body["issue_title"] == "-1 is a title"


def test_json_is_pure_ascii_and_loses_nothing(beadflow: Run, server: FakeServer) -> None:
    title = "比較\x1b[2J\x9b"
    server.answers["GET /api/v1/workflows"] = Answer({"data": [{"title": title}]})
    ran = beadflow("workflow", "list", "-o", "json", "--url", server.url)
    assert ran.out.isascii()
    assert "\x1b" not in ran.out
    assert json.loads(ran.out)["data"][0]["title"] == title

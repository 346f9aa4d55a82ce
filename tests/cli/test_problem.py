import json

import pytest

from cli import problem
from cli.exits import ExitCode
from cli.output import Output, error_object


def document(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def test_a_problem_document_keeps_its_words_its_code_and_its_hint() -> None:
    read = problem.from_answer(
        409, document(title="Conflict", detail="taken", code="claimed", hint="wait", retryable=True)
    )
    assert (read.message, read.code, read.hint, read.retryable) == (
        "taken",
        "claimed",
        "wait",
        True,
    )


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, ExitCode.USAGE),
        (401, ExitCode.AUTH),
        (403, ExitCode.AUTH),
        (404, ExitCode.NOT_FOUND),
        (409, ExitCode.CONFLICT),
        (412, ExitCode.CONFLICT),
        (422, ExitCode.USAGE),
        (429, ExitCode.FAILED),
        (500, ExitCode.FAILED),
        (503, ExitCode.UNREACHABLE),
        (504, ExitCode.CANCELLED),
    ],
)
def test_the_status_of_a_refusal_decides_the_exit_code(status: int, code: ExitCode) -> None:
    assert problem.from_answer(status, document(title="No")).exit_code is code


def test_errors_on_fields_name_their_place() -> None:
    errors = [{"pointer": "/variables/question", "msg": "is required"}, "odd"]
    read = problem.from_answer(422, document(title="Invalid", errors=errors))
    assert read.errors == ("/variables/question: is required",)


def test_a_detail_that_repeats_the_title_is_said_once() -> None:
    assert problem.from_answer(404, document(title="Not found", detail="Not found.")).message == (
        "Not found"
    )


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"[]", b"\xff"])
def test_a_refusal_without_a_document_still_says_its_status(body: bytes) -> None:
    read = problem.from_answer(502, body)
    assert "502" in read.message
    assert read.retryable


def test_a_redirect_is_no_answer() -> None:
    assert problem.from_answer(302, b"").code == "unreadable_answer"


def test_a_server_error_points_to_the_log_with_its_request_id() -> None:
    read = problem.from_answer(500, document(title="Failure", request_id="r-9"))
    assert "r-9" in read.hint


def test_every_exit_code_has_a_meaning() -> None:
    assert all(code.meaning for code in ExitCode)


def test_a_field_s_error_that_repeats_the_refusal_is_for_programs_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    errors = [{"pointer": "/due_at", "msg": "due_at is no time"}]
    body = document(title="Unprocessable Entity", detail="due_at is no time", errors=errors)
    read = problem.from_answer(422, body)
    Output().refuse(read)
    assert capsys.readouterr().err == "error: due_at is no time\n"
    assert error_object(read)["errors"] == ["/due_at: due_at is no time"]

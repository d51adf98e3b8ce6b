"""What a tool's result says of its call."""

import time

import pytest

from mesh.core.call_results import JSON_CHARACTERS_MAX, RESULTS_MAX, share_worked, worked


@pytest.mark.parametrize(
    "result",
    [
        "Error: no such file",
        "  error[E0308]: mismatched types",
        "fatal: not a git repository",
        "Traceback (most recent call last):\n  File ...",
        "[ERROR] connection refused",
        "collected 3 items\n1 failed\n\nexit code: 1",
        "Exited with status 127",
        '{"error": {"message": "quota"}}',
        '{"is_error": true, "content": []}',
        '{"isError":true}',
        '{"success": false}',
        '{"stdout": "", "exit_code": 2}',
        '{"status": "FAILED"}',
    ],
)
def test_a_failure_in_any_usual_form_is_one(result: str) -> None:
    assert worked(result) is False


@pytest.mark.parametrize(
    "result",
    [
        "10.0.0.7",
        "3 errors were found in the log of yesterday",
        "README.md\nerror.log\nfatal.txt",
        "all passed\nexit code: 0",
        '{"error": null, "rows": [1, 2]}',
        '{"errors": []}',
        '{"success": true, "exit_code": 0, "status": "done"}',
        '{"not": "json',
        "[1, 2, 3]",
        "{" * 5000,
    ],
)
def test_whatever_says_of_no_failure_has_worked(result: str) -> None:
    assert worked(result) is True


def test_an_empty_result_says_nothing() -> None:
    assert worked(" \n") is None
    assert share_worked(["", " "]) is None
    assert share_worked([]) is None


def test_the_share_is_of_those_that_say_something() -> None:
    assert share_worked(["Error: no", "", "fine", "fine"]) == pytest.approx(2 / 3)


def test_what_is_looked_at_is_bounded() -> None:
    assert worked('{"rest": "' + "y" * JSON_CHARACTERS_MAX + '", "error": "x"}') is True
    endless = iter(lambda: "fine", "")
    assert share_worked(endless) == 1.0
    assert share_worked(["fine"] * RESULTS_MAX + ["Error"] * 1000) == 1.0
    assert worked("exit code: " + "9" * 10_000) is False


def test_blanks_after_an_exit_code_are_not_searched_without_end() -> None:
    began_s = time.thread_time()
    assert share_worked(["exit code" + " " * 1990 + "x"] * 64) == 1.0
    assert time.thread_time() - began_s < 2  # some ms; each way to part the blanks took 16 s

"""The one command of a newcomer: an old Python is told kindly, and chosen tests go to the right process."""

import ast
import subprocess
import sys

import pytest

import dev


def test_an_old_python_can_read_it_up_to_the_kind_message() -> None:
    ast.parse((dev.ROOT / "dev.py").read_text(encoding="utf-8"), feature_version=(3, 7))


@pytest.mark.parametrize(
    ("words", "divided"),
    [
        ([], ([], ["tests"], ["tests/e2e"])),
        (["-x", "-k", "mail"], (["-x", "-k", "mail"], ["tests"], ["tests/e2e"])),
        (["tests/test_dev.py"], ([], ["tests/test_dev.py"], None)),
        (["tests/test_dev.py::test_x", "-x"], (["-x"], ["tests/test_dev.py::test_x"], None)),
        (["tests/e2e"], ([], None, ["tests/e2e"])),
        (["tests/e2e/test_the_browser.py::test_x"], ([], None, ["tests/e2e/test_the_browser.py::test_x"])),
        (["tests"], ([], ["tests"], ["tests/e2e"])),
        (["tests/e2e", "tests/test_dev.py"], ([], ["tests/test_dev.py"], ["tests/e2e"])),
    ],
)
def test_pytests_words_are_divided_between_the_processes(words: list[str], divided: object) -> None:
    assert dev.divided(words) == divided


@pytest.mark.parametrize(
    ("steps", "code", "last_line"),
    [
        ([(True, False)], 0, "everything passed"),
        ([(True, False), (False, False)], 1, "FAILED: step 1"),
        ([(True, False), (False, True)], 0, "passed, but not everything ran: step 1"),
    ],
)
def test_every_steps_result_counts(
    steps: list[tuple[bool, bool]], code: int, last_line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = [
        dev.Step(f"step {number}", passed=passed, skipped=skipped, seconds=1)
        for number, (passed, skipped) in enumerate(steps)
    ]
    assert dev.report(done) == code
    assert capsys.readouterr().out.splitlines()[-1] == last_line


def test_it_explains_itself() -> None:
    answer = subprocess.run([sys.executable, "dev.py", "--help"], cwd=dev.ROOT, capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "demo" in answer.stdout

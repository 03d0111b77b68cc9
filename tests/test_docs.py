"""The documents say what is so: settings, commands, files."""

import re
from pathlib import Path

import pytest

from portal.accounts import asking
from portal.cli import _parser
from portal.settings import Settings, UnsafeSettings, read_settings
from portal.surveys import anonymous, moments
from portal.surveys import rules as survey_rules
from portal.surveys.sketch_rules import ADDABLE

ROOT = Path(__file__).resolve().parent.parent


def test_every_setting_is_in_the_table_and_no_other() -> None:
    told = set(re.findall(r"^\| `PORTAL_([A-Z_]+)`", (ROOT / "docs/running.md").read_text(), re.MULTILINE))
    assert told == {name.upper() for name in Settings.model_fields}


def test_every_command_is_in_the_table_and_no_other() -> None:
    told = set(re.findall(r"^\| `portal ([a-z]+)`", (ROOT / "docs/running.md").read_text(), re.MULTILINE))
    commands = next(action for action in _parser()._actions if action.dest == "command" or action.choices)
    assert told == set(commands.choices or ())


@pytest.mark.parametrize("page", ["README.md", "docs/security.md", "docs/answers.md", "docs/surveys.md"])
def test_the_files_that_a_page_names_are_there(page: str) -> None:
    named = re.findall(
        r"`((?:portal|tests|templates|docs|bench|static|migrations)/[\w./*]*)`", (ROOT / page).read_text()
    )
    named += re.findall(r"\]\(((?!http)[\w./]+)\)", (ROOT / page).read_text())
    missing = [name for name in named if not list(ROOT.glob(name.rstrip("/")))]
    assert named
    assert missing == []


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"PORTAL_SECRET_KEY": "short"}, "PORTAL_SECRET_KEY"),
        ({"PORTAL_BASE_URL": "http://portal.example"}, "PORTAL_BASE_URL"),
        ({"PORTAL_DEMO": "1"}, "PORTAL_DEMO"),
        ({"PORTAL_SMTP_URL": ""}, "PORTAL_SMTP_URL"),
        ({"PORTAL_OIDC_ALLOW_INSECURE": "1"}, "PORTAL_OIDC_ALLOW_INSECURE"),
        ({"PORTAL_SMTP_ULR": "smtp://mail:25"}, "PORTAL_SMTP_ULR"),
    ],
)
def test_unsafe_settings_are_refused_in_production(wrong: dict[str, str], word: str) -> None:
    safe = {
        "PORTAL_ENV": "production",
        "PORTAL_SECRET_KEY": "x" * 40,
        "PORTAL_BASE_URL": "https://portal.example",
        "PORTAL_SMTP_URL": "smtp://mail:25",
    }
    assert read_settings(safe).production
    with pytest.raises(UnsafeSettings, match=word):
        read_settings({**safe, **wrong})


def test_the_page_about_answers_names_every_sign_and_provenance_and_the_right_numbers() -> None:
    page = (ROOT / "docs/answers.md").read_text()
    named = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert named == {*survey_rules.Sign, *survey_rules.Provenance}
    for words in (
        f"within {survey_rules.FASTEST_SECONDS} seconds of the page",
        f"{survey_rules.SCORES_IN_A_BURST} or more scores of the mail were opened within {survey_rules.BURST_SECONDS} seconds",
        f"within {survey_rules.SOONEST_SECONDS} seconds of the mail's delivery",
        f"at most {survey_rules.MOST_SET_ASIDE} of them",
        f"for {survey_rules.CHANGE_DAYS} days",
    ):
        assert words in page


def test_the_page_about_writing_surveys_names_every_question_the_right_numbers_and_pages_that_are_there() -> None:
    page = (ROOT / "docs/surveys.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(ADDABLE)
    for words in (
        f"At most {survey_rules.MOST_QUESTIONS} in one survey",
        f"up to {survey_rules.MOST_OPTIONS} options",
        f"after {survey_rules.OPEN_DAYS} days",
        f"`PORTAL_STORM_LIMIT` ({Settings.model_fields['storm_limit'].default})",
        f"within {asking.DAYS_BETWEEN_SURVEYS} days",
        f"at least {anonymous.FEWEST} people",
        f"in {survey_rules.ASK_AGAIN_DAYS} days",
        *(
            f"({low} to {high})"
            for kind, (low, high) in moments.RANGES.items()
            if kind is not moments.TriggerKind.MEETING
        ),
    ):
        assert words in " ".join(page.split()), words
    routes = (ROOT / "tests/routes/table.txt").read_text()
    for path in re.findall(r"`(/[\w/-]+)`", page):
        assert f"\n{path} GET " in routes, path

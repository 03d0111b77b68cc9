"""An administrator builds a survey after meetings in the editor, on a phone and on a desk, with JavaScript and without:
questions, both languages, a condition, thresholds, preview, a test to herself, the rehearsal, and out it goes."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select

from portal.accounts.models import Staff
from portal.accounts.rules import Language
from portal.mail import Kind, LetterRow
from portal.surveys.models import AnswerRow, Survey
from portal.surveys.rules import QuestionKind, ShowHow, Then, Verdict
from portal.surveys.stored import survey_form
from tests.e2e.conftest import Served, Visitor
from tests.e2e.test_lessons import fits, violations


def add(page: Page, kind: str) -> None:
    page.get_by_label("A further question").select_option(kind)
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("Saved. Nobody is asked it before you publish.").first).to_be_visible()


def both(page: Page, name: str, english: str, portuguese: str) -> None:
    page.locator(f"[name={name}_en]").fill(english)
    page.locator(f"[name={name}_pt]").fill(portuguese)


@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("with_script", [True, False], ids=["with script", "without script"])
def test_the_survey_after_a_meeting_is_built_in_the_editor(
    served: Served, visitor: Callable[..., Visitor], width: int, with_script: bool
) -> None:
    options = {"width": width, "java_script_enabled": with_script}
    ana = served.sign_in(visitor(**options), staff_id=served.people.ana)
    with served.house.database.write() as db:
        db.get_one(Staff, served.people.ana).language = Language.EN

    ana.goto(f"{served.address}/admin/surveys")
    ana.get_by_role("link", name="A new survey").click()
    both(ana, "name", "After our training", "Depois do treinamento")
    ana.get_by_label("What for").select_option("post_meeting")
    ana.get_by_role("button", name="Begin").click()
    add(ana, "csat")
    add(ana, "yes_no")
    add(ana, "choices")
    add(ana, "text")
    expect(ana.get_by_text("Portuguese is missing")).to_be_visible()
    both(ana, "q0_text", "How useful was it?", "Foi útil?")
    both(ana, "q1_text", "Did it solve what you came for?", "Resolveu o que você precisava?")
    both(ana, "q2_text", "What did we talk about?", "Do que falamos?")
    both(ana, "q2_option0", "Stock", "Estoque")
    both(ana, "q2_option1", "Prices", "Preços")
    both(ana, "q3_text", "What is still open?", "O que ficou em aberto?")
    ana.get_by_label("Shown").last.select_option(label="Only if question 2 is “No”")
    ana.get_by_label("CSAT: unhappy up to").fill("1")
    ana.get_by_role("group", name="When neutral").get_by_label("Tell the consultant").check()
    if with_script:
        assert violations(ana) == []
    assert fits(ana)
    ana.get_by_role("button", name="Save and preview").click()

    # The form itself, as wide as a phone and as a desk; then a test that stores nothing.
    frames = ana.frame_locator("iframe")
    for frame in (frames.first, frames.last):
        expect(frame.get_by_role("heading", name="How useful was it?")).to_be_visible()
    assert fits(ana)
    if with_script:
        assert violations(ana) == []
    ana.get_by_role("button", name="Send the test").click()
    expect(ana.get_by_text(re.compile("On its way to"))).to_be_visible()
    tried = served.sign_in(visitor(**options), staff_id=served.people.ana)
    tried.goto(f"{served.address}/admin/surveys/after_our_training/try/en?csat=5")
    expect(tried.get_by_text("This is a test.")).to_be_visible()
    open_question = tried.get_by_role("heading", name="What is still open?")
    if with_script:
        expect(open_question).to_be_hidden()
        expect(tried.get_by_role("button", name="Send my answers")).to_be_visible()
        tried.get_by_label("No", exact=True).check(force=True)
        expect(open_question).to_be_visible()
        assert violations(tried) == []
    else:
        expect(tried.get_by_text("Only if your answer to question 2 is: No.")).to_be_visible()
    assert fits(tried)
    tried.get_by_role("button", name="Send my answers").click()
    expect(tried.get_by_text("This was a test: nothing is kept.")).to_be_visible()

    # The rehearsal, and out.
    ana.goto(f"{served.address}/admin/surveys/after_our_training")
    ana.get_by_role("link", name="Publish", exact=True).click()
    expect(ana.get_by_text("It was never published")).to_be_visible()
    if with_script:
        assert violations(ana) == []
    ana.get_by_role("button", name="Publish version 1").click()
    expect(ana.get_by_text("Published: version 1 is asked from now on.")).to_be_visible()
    ana.goto(f"{served.address}/admin/surveys")
    expect(ana.get_by_role("row", name="After our training").get_by_text("Asked")).to_be_visible()
    assert fits(ana)

    with served.house.database.read() as db:
        form = survey_form(db.scalars(select(Survey).where(Survey.key == "after_our_training")).one())
        mails = db.scalars(select(LetterRow.kind).where(LetterRow.kind == Kind.SURVEY_TEST)).all()
        answers = db.scalar(select(func.count()).select_from(AnswerRow))
    kinds = [QuestionKind.CSAT, QuestionKind.YES_NO, QuestionKind.CHOICES, QuestionKind.TEXT]
    assert [question.kind for question in form.questions] == kinds
    assert [option.text.pt for option in form.questions[2].options] == ["Estoque", "Preços"]
    condition = form.questions[3].show_if
    assert condition is not None and (condition.how, condition.value) == (ShowHow.ONE_OF, ("no",))
    assert form.questions[3].key == "comment" and form.thresholds.csat_bad == 1
    assert form.does[Verdict.NEUTRAL] == (Then.TELL_CONSULTANT,)
    assert (len(mails), answers) == (1, 0)

"""Answers that look like a machine's: why, and asking the person. And what customers answer on the phone, written down."""

from typing import Any

from starlette.responses import Response

from portal.deps import AskOfStaff, Id, StaffAsk, staff_pages
from portal.errors import N_, NotFound
from portal.forms import Filled, empty_form
from portal.policy import Permission
from portal.routes.public.survey import asked_questions, read_survey, wrong_in
from portal.routes.staff import labels
from portal.routes.staff.whose import whose
from portal.surveys import actions, queries, verifying
from portal.surveys.actions import Unanswerable, What
from portal.surveys.filling import typed_answers
from portal.surveys.queries import SurveyPage
from portal.surveys.rules import InvitationState, Provenance

pages = staff_pages(Permission.TALK_TO_CUSTOMERS)


@pages.get("/set-aside")
def set_aside(ask: StaffAsk) -> Response:
    """Every answer that waits to be asked about: one's own customers', or everybody's."""
    shown = whose(ask, asked=ask.query.get("owner", ""))
    rows = queries.set_aside(ask.db, owner_id=shown.owner_id)
    return ask.page("staff/set_aside.html", labels=labels, whose=shown, rows=rows)


@pages.post("/set-aside/{answer}/question")
def ask_the_person(ask: StaffAsk, answer: Id) -> Response:
    """Asks the person by mail whether it is theirs."""
    verifying.ask_to_confirm(ask.db, answer_id=answer, by=ask.me.by, now=ask.now)
    return ask.see_other(ask.came_from, said=N_("Asked. It counts as soon as they say that it is theirs."))


@pages.post("/set-aside/{answer}/discard")
def discard(ask: StaffAsk, answer: Id) -> Response:
    """Nobody's: nobody is asked about it any more."""
    verifying.discard(ask.db, answer_id=answer, by=ask.me.by, now=ask.now)
    return ask.see_other(ask.came_from, said=N_("Discarded. It never counted, and their survey is still open."))


# By phone


@pages.get("/survey-invitations/{invitation}/answer")
def ask_answer(ask: StaffAsk, invitation: Id) -> Response:
    """The survey's questions, to be read out; filled in with what was set aside (`?said=17`) where it is about that."""
    page = _page(ask, invitation)
    said = ask.query.get("said", "")
    aside = queries.one_set_aside(ask.db, int(said)) if said.isascii() and said.isdigit() and len(said) < 19 else None
    is_its_own = aside is not None and aside.invitation_id == invitation
    known = aside.answers if aside is not None and is_its_own else page.answers
    return ask.page("staff/phone_answer.html", form=empty_form(typed_answers(page.form, known)), **_values(ask, page))


@pages.post("/survey-invitations/{invitation}/answer")
def write_down_answer(ask: StaffAsk, invitation: Id) -> Response:
    """What they said on the phone: it counts, marked so."""
    page = _page(ask, invitation)
    came = read_survey(page.form, ask.form)
    filled: Filled[Any] = came.filled
    if came.answers is not None:
        try:
            taken = actions.answer_by_phone(
                ask.db,
                ask.house,
                invitation_id=invitation,
                answers=came.answers,
                by=ask.me.by,
                now=ask.now,
                replaces=page.answer_id if ask.form.get("changes") == str(page.answer_id) else None,
            )
        except Unanswerable as wrong:
            filled = wrong_in(page.form, filled, wrong.problems)
        else:
            said = {
                What.CHANGED: N_("Written down. It counts instead of the answer before."),
                What.OTHER: N_("They had answered already; that answer still counts."),
            }.get(taken.what, N_("Written down, as answered by phone."))
            return ask.see_other(f"/staff/customers/{page.account_id}", said=said)
    return ask.invalid("staff/phone_answer.html", form=filled, **_values(ask, page))


def _page(ask: AskOfStaff, invitation: int) -> SurveyPage:
    """Errors: NotFound where nothing can be written down: there is no such survey, or its time is over."""
    page = queries.survey_page(ask.db, invitation, ask.now)
    if page is None:
        raise NotFound
    is_open = page.is_changeable(ask.now) if page.state is InvitationState.ANSWERED else page.is_open(_PHONE, ask.now)
    if not is_open:
        raise NotFound(N_("This survey can’t be answered any more. Log a conversation instead."))
    return page


_PHONE = Provenance.PHONE


def _values(ask: AskOfStaff, page: SurveyPage) -> dict[str, Any]:
    language, vendor = page.language, ask.settings.vendor_name
    return {
        "labels": labels,
        "page": page,
        "title": page.form.name.told(ask.locale, vendor),
        # In the customer's language: it is read out to them.
        "questions": asked_questions(page.form, language, vendor),
        "changes": page.answer_id,
    }

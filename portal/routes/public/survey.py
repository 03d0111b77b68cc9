"""A survey answered from a mail's link: the form, Send, thank you. Opening the link only ever shows the form: scanners
open links, run scripts and press buttons, and nothing counts before a person's Send."""

from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from portal import auth, links
from portal.auth import Customer, Limit
from portal.deps import Ask, PublicAsk, Token, public_pages
from portal.errors import N_
from portal.forms import empty_form, read_form
from portal.routes.public.doubt_meeting import doubt_offer
from portal.surveys import actions, queries
from portal.surveys.actions import Sending, Unanswerable
from portal.surveys.queries import SurveyPage
from portal.surveys.rules import Answers, InvitationState, Provenance
from portal.text import Paragraphs

pages = public_pages()

FRESH_LINKS_BY_A_CLIENT = Limit("fresh_survey_links_by", 10, timedelta(hours=1))


class AnswerForm(BaseModel):
    csat: int | None = None
    nps: int | None = None
    comment: Paragraphs = ""
    wants_help: bool | None = None


@pages.get("/s/{token}")
def survey(ask: PublicAsk, token: Token) -> Response:
    """The form, with the score of `?nps=7` chosen and nothing else done."""
    page = queries.sealed_page(ask.db, ask.house, token, ask.now)
    return show_form(ask, page, at=f"/s/{token}", way=_way(ask, page)) if page else _broken(ask, token)


@pages.post("/s/{token}")
def send_survey(ask: PublicAsk, token: Token) -> Response:
    """Stores the answer, once; sent again it changes nothing and thanks again."""
    page = queries.sealed_page(ask.db, ask.house, token, ask.now)
    if page is None:
        return _broken(ask, token)
    return take_answer(ask, page, at=f"/s/{token}", way=_way(ask, page))


def _way(ask: Ask, page: SurveyPage) -> Provenance:
    """The link proves that somebody has the mail; a session of the same person proves more."""
    is_theirs = isinstance(ask.me, Customer) and ask.me.contact_id == page.contact_id
    return Provenance.SIGNED_IN if is_theirs else Provenance.MAIL_LINK


@pages.get("/s/{token}/thanks")
def thanks(ask: PublicAsk, token: Token) -> Response:
    """What the answer sets going."""
    page = queries.sealed_page(ask.db, ask.house, token, ask.now)
    return show_thanks(ask, page, at=f"/s/{token}") if page else _broken(ask, token)


@pages.post("/s/{token}/fresh")
def send_fresh_link(ask: PublicAsk, token: Token) -> Response:
    """Mails the survey again to the address on file, whoever asks, and says the same whether there is one or not."""
    auth.spend(ask.db, FRESH_LINKS_BY_A_CLIENT, ask.client, now=ask.now)
    actions.send_again(ask.db, ask.house, invitation_id=links.row_of(token) or 0, now=ask.now)
    said = N_("If that survey is still open, a fresh link is on its way to the address we have on file.")
    return ask.see_other(f"/s/{token}", said=said)


def _broken(ask: Ask, token: str) -> Response:
    """A link that was cut, or is none of ours. It names a row, so its owner can be sent a whole one."""
    fresh = f"/s/{token}/fresh" if links.row_of(token) is not None else ""
    return ask.page("public/survey_closed.html", 404, why="broken", page=None, fresh=fresh)


# The same pages for who is signed in: `at` is where they live, `way` what an answer given there proves


def show_form(ask: Ask, page: SurveyPage, *, at: str, way: Provenance) -> Response:
    """The form; the thank-you page if it was answered, a friendly one if it is closed."""
    ask.speak_to(language=page.language, timezone=page.timezone)
    if page.state is InvitationState.ANSWERED:
        return ask.see_other(f"{at}/thanks")
    if not page.is_open(way, ask.now):
        return _closed(ask, page)
    chosen = empty_form({score: ask.query.get(score, "") for score in ("csat", "nps")})
    return ask.page("public/survey.html", form=chosen, **_form_values(ask, page, at=at))


def _form_values(ask: Ask, page: SurveyPage, *, at: str) -> dict[str, Any]:
    language, vendor = ask.locale, ask.settings.vendor_name
    return {
        "page": page,
        "at": at,
        "title": _title(ask, page),
        "shown_at": _shown_at(ask) or ask.now,
        "questions": [
            {
                "kind": question.kind,
                "text": question.asked(language, vendor),
                "after": {said: words.told(language, vendor) for said, words in question.after.items()},
                "hint": question.hint.told(language, vendor),
            }
            for question in page.form.questions
        ],
    }


def _title(ask: Ask, page: SurveyPage) -> str:
    return page.form.name.told(ask.locale, ask.settings.vendor_name)


def _shown_at(ask: Ask) -> datetime | None:
    """When the form was first shown, as the form says. It may say anything."""
    try:
        told = datetime.fromisoformat(ask.form.get("shown_at", "")[:40])
    except ValueError:
        return None
    return told if told.tzinfo is not None else None


def take_answer(ask: Ask, page: SurveyPage, *, at: str, way: Provenance) -> Response:
    """Takes what was sent: on to the thank-you page, or the form again with what is wrong and all that was typed."""
    ask.speak_to(language=page.language, timezone=page.timezone)
    if page.state is InvitationState.ANSWERED:
        return ask.see_other(f"{at}/thanks")
    if not page.is_open(way, ask.now):
        return _closed(ask, page)
    filled = read_form(AnswerForm, ask.form)
    if filled.value is None:
        return ask.invalid("public/survey.html", form=filled, **_form_values(ask, page, at=at))
    sending = Sending(
        way,
        f"contact:{page.contact_id}",
        opened_at=_shown_at(ask),
        evidence={"browser": ask.request.headers.get("user-agent", "")[:200]},
    )
    answers = Answers(**filled.value.model_dump())
    try:
        actions.submit(
            ask.db, ask.house, invitation_id=page.invitation_id, answers=answers, sending=sending, now=ask.now
        )
    except Unanswerable as wrong:
        for field, message in wrong.problems.items():
            filled = filled.with_error(field, message)
        return ask.invalid("public/survey.html", form=filled, **_form_values(ask, page, at=at))
    return ask.see_other(f"{at}/thanks")


def show_thanks(ask: Ask, page: SurveyPage, *, at: str) -> Response:
    """Thank you, by what was answered; back to the form where nothing was yet."""
    ask.speak_to(language=page.language, timezone=page.timezone)
    if page.state is not InvitationState.ANSWERED:
        return ask.see_other(at)
    return ask.page("public/thanks.html", page=page, at=at, doubt=doubt_offer(ask, page), title=_title(ask, page))


def _closed(ask: Ask, page: SurveyPage) -> Response:
    """410: it was theirs and is over. Whom to talk to instead is on the page."""
    return ask.page("public/survey_closed.html", 410, why="closed", page=page, fresh="")

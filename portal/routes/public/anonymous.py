"""An anonymous survey, answered from a mail's link. Nobody looks who comes here, not even whether they are signed in, and a
link works once. Opening it does nothing; sending needs a tick that mail programs don't make."""

from typing import Any

from starlette.responses import Response

from portal import links
from portal.deps import Ask, PublicAsk, Token, nameless_pages
from portal.errors import N_
from portal.forms import Filled, empty_form
from portal.routes.public.survey import asked_questions, read_survey, wrong_in
from portal.surveys import anonymous
from portal.surveys import shown as seals
from portal.surveys.actions import Unanswerable
from portal.surveys.anonymous import Open, Used
from portal.surveys.rules import FASTEST_SECONDS, Answers, Shown

pages = nameless_pages()


@pages.get("/a/{token}")
def survey(ask: PublicAsk, token: Token) -> Response:
    """The form, with the score of `?nps=7` chosen."""
    found = anonymous.open_survey(ask.db, token, ask.now)
    if found is None:
        return _used(ask)
    linked = {score: ask.query[score] for score in ("csat", "nps") if ask.query.get(score)}
    return ask.page("public/survey.html", form=empty_form(linked), **_values(ask, found, token))


@pages.post("/a/{token}")
def send_survey(ask: PublicAsk, token: Token) -> Response:
    """Keeps the answer and forgets the link."""
    found = anonymous.open_survey(ask.db, token, ask.now)
    if found is None:
        return _used(ask)
    came = read_survey(found.form, ask.form)
    filled: Filled[Any] = came.filled
    if came.answers is not None and not _is_a_persons(ask, found):
        wrong = filled.with_error("mine", N_("Please tick this and send it again."))
        return ask.invalid("public/survey.html", form=wrong, **_values(ask, found, token))
    if came.answers is not None:
        try:
            anonymous.answer(ask.db, token=token, answers=came.answers, zone=ask.settings.default_timezone, now=ask.now)
        except Unanswerable as wrong_answers:
            filled = wrong_in(found.form, filled, wrong_answers.problems)
        except Used:
            return _used(ask)
        else:
            return ask.see_other(f"/a/{token}/thanks")
    return ask.invalid("public/survey.html", form=filled, **_values(ask, found, token))


def _is_a_persons(ask: Ask, found: Open) -> bool:
    """Whether somebody ticked it, on a form of ours that they had before them for a moment."""
    shown = seals.read(ask.house.secret, found.round_id, ask.form.get("form", ""))
    in_time = shown is not None and (ask.now - shown.at).total_seconds() >= FASTEST_SECONDS
    return in_time and ask.form.get("mine") == "yes" and not ask.form.get("subject")


@pages.get("/a/{token}/thanks")
def thanks(ask: PublicAsk, token: Token) -> Response:
    """The same for everybody: nothing is known of what was answered."""
    return ask.page("public/anonymous_thanks.html")


def _used(ask: Ask) -> Response:
    return ask.page("public/anonymous_used.html", 410)


def _values(ask: Ask, found: Open, token: str) -> dict[str, Any]:
    shown = seals.read(ask.house.secret, found.round_id, ask.form.get("form", ""))
    shown = shown or Shown(ask.now, links.new_nonce()[:16], seals.reader_of("GET", {}), seals.digest(Answers()))
    language, vendor = ask.locale, ask.settings.vendor_name
    # Whoever wants help has to say who they are: that question is left out.
    asked = [one for one in asked_questions(found.form, language, vendor) if one["field"] != "wants_help"]
    return {
        "page": found,
        "anonymous": True,
        "at": f"/a/{token}",
        "title": found.form.name.told(language, vendor),
        "sealed": seals.seal(ask.house.secret, found.round_id, shown),
        "asks_if_mine": True,
        "again": (),
        "changes": None,
        "held": False,
        "intro": found.form.intro.told(language, vendor),
        "questions": asked,
    }

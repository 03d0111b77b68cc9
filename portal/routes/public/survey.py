"""A survey answered from a mail's link: the form, Send, thank you. Opening the link only ever shows the form: scanners
open links, run scripts and press buttons, and nothing counts before a person's Send. What looks like a machine's Send is
set aside, and the form is shown again: the person finds it open, and one tap more tells them from a machine."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal, NamedTuple, assert_never

from pydantic import BaseModel
from starlette.responses import Response

from portal import auth, links
from portal.auth import Customer, Limit
from portal.deps import Ask, PublicAsk, Token, public_pages
from portal.errors import N_
from portal.forms import Filled, FormFields, empty_form, read_form
from portal.routes.public.doubt_meeting import doubt_offer
from portal.surveys import actions, filling, queries, verifying
from portal.surveys import shown as seals
from portal.surveys.actions import FromForm, Sending, Taken, Unanswerable, What
from portal.surveys.held import Held, hold_page
from portal.surveys.queries import SetAside, SurveyPage
from portal.surveys.rules import (
    Answers,
    InvitationState,
    Other,
    Provenance,
    Question,
    QuestionKind,
    Shown,
    Sign,
    SurveyForm,
)
from portal.text import Paragraphs

pages = public_pages()

FRESH_LINKS_BY_A_CLIENT = Limit("fresh_survey_links_by", 10, timedelta(hours=1))


class AnswerForm(BaseModel):
    csat: int | None = None
    nps: int | None = None
    comment: Paragraphs = ""
    wants_help: bool | None = None


class Came(NamedTuple):
    """A survey's form as it was sent: its own fields checked, and the answers to further questions."""

    filled: Filled[AnswerForm]
    others: Mapping[str, Other]

    @property
    def answers(self) -> Answers | None:
        """None where a field of its own can't be read."""
        given = self.filled.value
        return Answers(given.csat, given.nps, given.comment, given.wants_help, self.others) if given else None


def read_survey(form: SurveyForm, sent: FormFields) -> Came:
    """What was sent to a survey's page, kept as it was typed."""
    others = filling.others_in(form, sent)
    filled = read_form(AnswerForm, sent)
    if not others:
        return Came(filled, others)
    named = {field: _fields({field: value}) for field, value in filling.others_typed(form, others).items()}
    typed = {field: values.getlist(field)[-1] for field, values in named.items()}
    lists = {field: tuple(values.getlist(field)) for field, values in named.items()}
    return Came(replace(filled, typed={**filled.typed, **typed}, lists={**filled.lists, **lists}), others)


def _fields(typed: Mapping[str, Any]) -> FormFields:
    """What is filled in, as if it had been sent."""
    pairs: list[tuple[str, str]] = []
    for name, value in typed.items():
        pairs += [(name, each) for each in value] if isinstance(value, (list, tuple)) else [(name, str(value))]
    return FormFields(pairs)


def wrong_in(form: SurveyForm, filled: Filled[Any], problems: Mapping[str, str]) -> Filled[Any]:
    """The form with each problem beside its field."""
    names = {question.key: filling.field_of(question) for question in form.questions}
    for key, message in problems.items():
        filled = filled.with_error(names.get(key, key), message)
    return filled


class ConfirmForm(BaseModel):
    """Whether what came in their name is theirs."""

    mine: Literal["yes", "no"]


@pages.get("/s/{token}")
def survey(ask: PublicAsk, token: Token) -> Response:
    """The form, with the score of `?nps=7` chosen and nothing else done."""
    page = queries.sealed_page(ask.db, ask.house, token, ask.now)
    return show_form(ask, page, at=f"/s/{token}", way=_way(ask, page)) if page else _broken(ask, token)


@pages.post("/s/{token}")
def send_survey(ask: PublicAsk, token: Token) -> Response:
    """Stores the answer, once; sent again it changes nothing and thanks again."""
    # What came with one of our own forms is about to be taken: the invitation is held and read once.
    shown = shown_form(ask, links.row_of(token) or 0)
    if shown is not None:
        known = hold_page(ask.db, ask.house, token, nonce=shown.nonce, now=ask.now)
        page, held = known if known is not None else (None, None)
    else:
        page, held = queries.sealed_page(ask.db, ask.house, token, ask.now), None
    if page is None:
        return _broken(ask, token)
    return take_answer(ask, page, at=f"/s/{token}", way=_way(ask, page), shown=shown, held=held)


def _way(ask: Ask, page: SurveyPage) -> Provenance:
    """The link proves that somebody has the mail; a session of the same person proves more."""
    is_theirs = isinstance(ask.me, Customer) and ask.me.contact_id == page.contact_id
    return Provenance.SIGNED_IN if is_theirs else Provenance.MAIL_LINK


@pages.get("/s/{token}/thanks")
def thanks(ask: PublicAsk, token: Token) -> Response:
    """What the answer sets going."""
    page = queries.sealed_page(ask.db, ask.house, token, ask.now)
    return show_thanks(ask, page, at=f"/s/{token}") if page else _broken(ask, token)


@pages.get("/s/{token}/change")
def change(ask: PublicAsk, token: Token) -> Response:
    """The form with the answer that counts, to replace it within a week."""
    page = queries.sealed_page(ask.db, ask.house, token, ask.now)
    return show_change(ask, page, at=f"/s/{token}") if page else _broken(ask, token)


@pages.post("/s/{token}/draft")
def draft(ask: PublicAsk, token: Token) -> Response:
    """Keeps what is half typed."""
    page = queries.sealed_page(ask.db, ask.house, token, ask.now)
    return take_draft(ask, page, way=_way(ask, page)) if page else _broken(ask, token)


@pages.get("/s/{token}/confirm")
def confirm(ask: PublicAsk, token: Token) -> Response:
    """What came in their name and was set aside: is it theirs? Opened with the link of a mail that a colleague sent."""
    page = queries.sealed_page(ask.db, ask.house, token, ask.now)
    if page is None:
        return _broken(ask, token)
    return _show_confirm(ask, page, at=f"/s/{token}")


@pages.post("/s/{token}/confirm")
def send_confirm(ask: PublicAsk, token: Token) -> Response:
    """Yes: it counts from now on, if a person said so. No: it is discarded, and the form is open."""
    page = queries.sealed_page(ask.db, ask.house, token, ask.now)
    if page is None:
        return _broken(ask, token)
    return _take_confirm(ask, page, at=f"/s/{token}", way=_way(ask, page))


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
    return ask.page("public/survey_closed.html", 404, why="broken", page=None, fresh=fresh, words="")


# The same pages for who is signed in: `at` is where they live, `way` what an answer given there proves


def show_form(ask: Ask, page: SurveyPage, *, at: str, way: Provenance) -> Response:
    """The form; the thank-you page if it was answered, a friendly one if it is closed."""
    ask.speak_to(language=page.language, timezone=page.timezone)
    if page.state is InvitationState.ANSWERED:
        return ask.see_other(f"{at}/thanks")
    if not page.is_open(way, ask.now):
        return _closed(ask, page)
    linked = {score: ask.query[score] for score in ("csat", "nps") if ask.query.get(score)}
    for score, value in linked.items():
        if ask.request.method == "GET":
            ask.wiring.openings.note(page.invitation_id, f"{score}={value}", ask.now)
    filled_in = {**page.draft, **linked}
    shown = _newly_shown(ask, read_survey(page.form, _fields(filled_in)).answers)
    return ask.page(
        "public/survey.html", form=empty_form(filled_in), **_form_values(ask, page, at=at, way=way, shown=shown)
    )


def _newly_shown(ask: Ask, filled_in: Answers | None) -> Shown:
    digest = seals.digest(filled_in or Answers())
    return Shown(ask.now, links.new_nonce()[:16], seals.reader_of(ask.request.method, ask.request.headers), digest)


def _form_values(
    ask: Ask,
    page: SurveyPage,
    *,
    at: str,
    way: Provenance,
    shown: Shown,
    again: Sequence[Sign] = (),
    changes: int | None = None,
    held: bool = False,
) -> dict[str, Any]:
    """What the form's page shows. `again`: why it is shown once more; `changes`: the answer that it replaces; `held`:
    somebody sent something else where an answer counts already."""
    language, vendor = ask.locale, ask.settings.vendor_name
    return {
        "page": page,
        "at": at,
        "title": _title(ask, page),
        "sealed": seals.seal(ask.house.secret, page.invitation_id, shown),
        "asks_if_mine": way is Provenance.MAIL_LINK and changes is None and not seals.is_blank(shown),
        "again": again,
        "changes": changes,
        "held": held,
        "intro": page.form.intro.told(language, vendor),
        "questions": asked_questions(page.form, language, vendor),
    }


def asked_questions(form: SurveyForm, language: str, vendor: str) -> list[dict[str, Any]]:
    """The questions as the form's page shows them."""
    by_key = {question.key: question for question in form.questions}
    numbers = {question.key: number for number, question in enumerate(form.questions, 1)}
    return [
        {
            "kind": question.kind,
            "field": filling.field_of(question),
            "text": question.asked(language, vendor),
            "after": {said: words.told(language, vendor) for said, words in question.after.items()},
            "hint": question.hint.told(language, vendor),
            "high": question.high,
            "low_label": question.low_label.told(language, vendor),
            "high_label": question.high_label.told(language, vendor),
            "options": filling.option_words(question.options, language, vendor),
            "only_if": _only_if(question, by_key, numbers, language, vendor),
        }
        for question in form.questions
    ]


def _only_if(
    question: Question, by_key: Mapping[str, Question], numbers: Mapping[str, int], language: str, vendor: str
) -> dict[str, Any] | None:
    """The condition as the page tells it (a sentence without script), and as the script follows it."""
    condition = question.show_if
    on = by_key.get(condition.question) if condition is not None else None
    if condition is None or on is None:
        return None
    values = [condition.value] if isinstance(condition.value, int) else list(condition.value)
    options = dict(filling.option_words(on.options, language, vendor))
    return {
        "number": numbers[on.key],
        "field": filling.field_of(on),
        "how": condition.how,
        "values": values,
        "words": [options.get(str(value), str(value)) for value in values],
        "yes_no": on.kind is QuestionKind.YES_NO,
    }


def _title(ask: Ask, page: SurveyPage) -> str:
    return page.form.name.told(ask.locale, ask.settings.vendor_name)


def show_change(ask: Ask, page: SurveyPage, *, at: str) -> Response:
    """The form with the answer that counts; the thank-you page where it can't be changed any more."""
    ask.speak_to(language=page.language, timezone=page.timezone)
    if page.state is not InvitationState.ANSWERED:
        return ask.see_other(at)
    if not page.is_changeable(ask.now):
        return ask.see_other(f"{at}/thanks", said=TOO_LATE_TO_CHANGE)
    return _change_form(ask, page, empty_form(filling.typed_answers(page.form, page.answers)), at=at)


TOO_LATE_TO_CHANGE = N_(
    "Your answer is in, and its week for changes is over. Write or call if something is different now."
)


def _change_form(ask: Ask, page: SurveyPage, form: Filled[Any], *, at: str, held: bool = False) -> Response:
    shown = _newly_shown(ask, page.answers)
    values = _form_values(ask, page, at=at, way=Provenance.SIGNED_IN, shown=shown, changes=page.answer_id, held=held)
    return ask.page("public/survey.html", 409 if held else 200, form=form, **values)


def shown_form(ask: Ask, invitation_id: int) -> Shown | None:
    """What is known of the form that came back, by its seal; None where it is none of ours, or another invitation's."""
    return seals.read(ask.house.secret, invitation_id, ask.form.get("form", ""))


def take_draft(ask: Ask, page: SurveyPage, *, way: Provenance) -> Response:
    """Keeps what is half typed, as long as it could still be sent. It counts for nothing."""
    is_ours = shown_form(ask, page.invitation_id) is not None
    if is_ours and page.state is not InvitationState.ANSWERED and page.is_open(way, ask.now):
        others = filling.others_typed(page.form, filling.others_in(page.form, ask.form))
        verifying.keep_draft(ask.db, invitation_id=page.invitation_id, typed=ask.form, others=others, now=ask.now)
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


def take_answer(
    ask: Ask, page: SurveyPage, *, at: str, way: Provenance, shown: Shown | None, held: Held | None = None
) -> Response:
    """Takes what was sent: on to the thank-you page, or the form again with what is wrong and all that was typed. `shown`: as
    `shown_form` read it."""
    ask.speak_to(language=page.language, timezone=page.timezone)
    is_answered = page.state is InvitationState.ANSWERED
    if not is_answered and not page.is_open(way, ask.now):
        return _closed(ask, page)
    came = read_survey(page.form, ask.form)
    filled: Filled[Any] = came.filled
    replaces = page.answer_id if is_answered and ask.form.get("changes") == str(page.answer_id) else None
    taken = None
    if came.answers is not None:
        try:
            taken = _take(ask, page, came.answers, shown=shown, way=way, replaces=replaces, held=held)
        except Unanswerable as wrong:
            filled = wrong_in(page.form, filled, wrong.problems)
    if taken is None:
        return _mistaken(ask, page, filled, at=at, way=way, shown=shown, replaces=replaces)
    match taken.what:
        case What.OTHER:
            return _something_else(ask, page, filled, at=at)
        case What.SET_ASIDE:
            return _once_more(ask, page, filled, taken.signs, at=at, way=way, shown=shown, replaces=replaces)
        case What.CHANGED:
            return ask.see_other(f"{at}/thanks", said=N_("Your new answer counts instead of the one before."))
        case What.NEW | What.KNOWN:
            return ask.see_other(f"{at}/thanks")
    assert_never(taken.what)


def _take(
    ask: Ask,
    page: SurveyPage,
    answers: Answers,
    *,
    shown: Shown | None,
    way: Provenance,
    replaces: int | None,
    is_theirs: bool = False,
    held: Held | None = None,
) -> Taken:
    """`is_theirs`: they said so by a control of its own."""
    said_so = is_theirs or ask.form.get("mine") == "yes"
    form = FromForm(
        shown,
        untouched=not said_so and seals.is_untouched(shown, answers),
        trap=bool(ask.form.get("subject")),
        scores_opened=ask.wiring.openings.scores_around(page.invitation_id, shown.at) if shown else 0,
        replaces=replaces,
    )
    browser = ask.request.headers.get("user-agent", "")[:200]
    sending = Sending(way, f"contact:{page.contact_id}", form=form, evidence={"browser": browser})
    return actions.take(
        ask.db, ask.house, invitation_id=page.invitation_id, answers=answers, sending=sending, now=ask.now, held=held
    )


def _mistaken(
    ask: Ask,
    page: SurveyPage,
    filled: Filled[Any],
    *,
    at: str,
    way: Provenance,
    shown: Shown | None,
    replaces: int | None,
) -> Response:
    """422: the same form with what is wrong beside it. Nonsense after an answer is only thanked for."""
    if page.state is InvitationState.ANSWERED and replaces is None:
        return ask.see_other(f"{at}/thanks")
    still = shown or _newly_shown(ask, read_survey(page.form, ask.form).answers)
    values = _form_values(ask, page, at=at, way=way, shown=still, changes=replaces)
    return ask.invalid("public/survey.html", form=filled, **values)


def _something_else(ask: Ask, page: SurveyPage, filled: Filled[Any], *, at: str) -> Response:
    """409: another tab, Back, or somebody else with the link was first. What they typed now is kept, to replace it."""
    fresh = queries.survey_page(ask.db, page.invitation_id, ask.now) or page
    if not fresh.is_changeable(ask.now):
        return ask.see_other(f"{at}/thanks", said=TOO_LATE_TO_CHANGE)
    return _change_form(ask, fresh, filled, at=at, held=True)


def _once_more(
    ask: Ask,
    page: SurveyPage,
    filled: Filled[Any],
    signs: Sequence[Sign],
    *,
    at: str,
    way: Provenance,
    shown: Shown | None,
    replaces: int | None,
) -> Response:
    """422: it looked like a machine's and was set aside; for a person the form is open with all they typed, and one tick
    tells us that it is theirs. Its time goes on from when it was first shown."""
    anew = _newly_shown(ask, read_survey(page.form, ask.form).answers)
    if shown is not None:
        anew = replace(anew, at=shown.at)
    values = _form_values(ask, page, at=at, way=way, shown=anew, again=signs or (Sign.UNTOUCHED,), changes=replaces)
    return ask.page("public/survey.html", 422, form=filled, **{**values, "asks_if_mine": True})


def show_thanks(ask: Ask, page: SurveyPage, *, at: str) -> Response:
    """Thank you, by what was answered; back to the form where nothing was yet."""
    ask.speak_to(language=page.language, timezone=page.timezone)
    if page.state is not InvitationState.ANSWERED:
        return ask.see_other(at)
    return ask.page(
        "public/thanks.html",
        page=page,
        at=at,
        doubt=doubt_offer(ask, page),
        title=_title(ask, page),
        thanks=page.form.thanks.told(ask.locale, ask.settings.vendor_name),
        change_until=page.changeable_until if page.is_changeable(ask.now) else None,
    )


def _closed(ask: Ask, page: SurveyPage) -> Response:
    """410: it was theirs and is over. Whom to talk to instead is on the page, and so is what they had written."""
    words = read_form(AnswerForm, ask.form).typed.get("comment", "")[:10_000]
    return ask.page("public/survey_closed.html", 410, why="closed", page=page, fresh="", words=words)


# Was it you?


def _show_confirm(ask: Ask, page: SurveyPage, *, at: str) -> Response:
    ask.speak_to(language=page.language, timezone=page.timezone)
    waiting = queries.asked_about(ask.db, page.invitation_id)
    if waiting is None or page.state is InvitationState.ANSWERED:
        return ask.see_other(f"{at}/thanks" if page.state is InvitationState.ANSWERED else at)
    return _confirm_page(ask, page, waiting, at=at, form=empty_form(), shown=_newly_shown(ask, None))


def _confirm_page(
    ask: Ask,
    page: SurveyPage,
    waiting: SetAside,
    *,
    at: str,
    form: Filled[Any],
    shown: Shown,
    again: bool = False,
) -> Response:
    values = {
        "page": page,
        "at": at,
        "title": _title(ask, page),
        "waiting": waiting,
        "again": again,
        "sealed": seals.seal(ask.house.secret, page.invitation_id, shown),
    }
    status = 422 if form.errors or again else 200
    return ask.page("public/survey_confirm.html", status, form=form, **values)


def _take_confirm(ask: Ask, page: SurveyPage, *, at: str, way: Provenance) -> Response:
    ask.speak_to(language=page.language, timezone=page.timezone)
    waiting = queries.asked_about(ask.db, page.invitation_id)
    if waiting is None or page.state is InvitationState.ANSWERED:
        return ask.see_other(f"{at}/thanks" if page.state is InvitationState.ANSWERED else at)
    if not page.is_open(way, ask.now):
        return _closed(ask, page)
    shown = seals.read(ask.house.secret, page.invitation_id, ask.form.get("form", ""))
    filled = read_form(ConfirmForm, ask.form)
    if filled.value is None:
        filled = filled.with_error("mine", N_("Please say whether it was you."))
        return _confirm_page(ask, page, waiting, at=at, form=filled, shown=shown or _newly_shown(ask, None))
    if filled.value.mine == "no":
        verifying.discard(ask.db, answer_id=waiting.id, by=f"contact:{page.contact_id}", now=ask.now)
        return ask.see_other(at, said=N_("Thank you. It doesn’t count. This is the form, if you would like to answer."))
    taken = _take(ask, page, waiting.answers, shown=shown, way=way, replaces=None, is_theirs=True)
    if taken.what is What.SET_ASIDE:
        anew = _newly_shown(ask, None)
        if shown is not None:
            anew = replace(anew, at=shown.at)
        return _confirm_page(ask, page, waiting, at=at, form=empty_form(), shown=anew, again=True)
    return ask.see_other(f"{at}/thanks")

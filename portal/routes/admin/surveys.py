"""Writing surveys: the list, the editor in both languages, what a new version changes before it is published, preview as it
is on a phone and on a desk, versions, and a test to oneself. Whoever was asked keeps the version they were asked."""

from typing import Any, Literal, NamedTuple

from pydantic import BaseModel
from starlette.responses import Response

from portal import links
from portal.accounts.models import Staff
from portal.deps import AskOfStaff, Id, StaffAsk, admin_pages
from portal.errors import N_, NotFound
from portal.forms import Filled, empty_form, read_form
from portal.front_door import CONTENT_SECURITY_POLICY
from portal.journeys.rules import Outcome
from portal.policy import Permission
from portal.routes.admin import survey_fields as fields
from portal.routes.public.survey import asked_questions, read_survey, wrong_in
from portal.surveys import rules, sketch_rules, sketching
from portal.surveys.queries import Consultant
from portal.surveys.rules import (
    Answers,
    Question,
    QuestionKind,
    ShowHow,
    ShowIf,
    SurveyForm,
    SurveyPurpose,
    Then,
    Verdict,
    Wording,
)
from portal.surveys.sketching import SavedMeanwhile, Sketch
from portal.text import Line

pages = admin_pages(Permission.EDIT_SURVEYS)

PURPOSES: dict[str, str] = {
    SurveyPurpose.FOLLOW_UP: N_("Check-in of the plan"),
    SurveyPurpose.POST_MEETING: N_("After a meeting"),
    SurveyPurpose.PULSE: N_("Pulse"),
    SurveyPurpose.OTHER: N_("Something else"),
}
VERDICTS: dict[str, str] = {
    Verdict.DISSATISFIED: N_("When unhappy"),
    Verdict.NEUTRAL: N_("When neutral"),
    Verdict.SATISFIED: N_("When satisfied"),
    Verdict.PROMOTER: N_("When a promoter"),
}
THEN: dict[str, str] = {
    Then.FLAG: N_("Flag the customer: a person acts within a business day"),
    Then.ASK_WHAT_IS_MISSING: N_("Ask what would make it better"),
    Then.REFERRAL_PROMPT: N_("Think of asking for a referral"),
    Then.TELL_CONSULTANT: N_("Tell the consultant"),
}
KINDS: dict[str, str] = {
    QuestionKind.CSAT: N_("Satisfaction, 1 to 5 (CSAT)"),
    QuestionKind.NPS: N_("Recommendation, 0 to 10 (NPS)"),
    QuestionKind.RATING: N_("A rating"),
    QuestionKind.CHOICE: N_("A choice: one of several"),
    QuestionKind.CHOICES: N_("Several choices"),
    QuestionKind.TEXT: N_("Their own words"),
    QuestionKind.YES_NO: N_("Yes or no"),
}
AFTER: dict[str, str] = {
    Outcome.DISSATISFIED: N_("Words for the unhappy"),
    Outcome.NEUTRAL: N_("Words for the neutral"),
    Outcome.SATISFIED: N_("Words for the satisfied"),
}
LANGUAGES = {"en": "English", "pt-BR": "Português"}
SAVED = N_("Saved. Nobody is asked it before you publish.")


class NewSurvey(BaseModel):
    name_en: Line = ""
    name_pt: Line = ""
    purpose: Literal["post_meeting", "pulse", "other"] = "post_meeting"


def _labels() -> dict[str, Any]:
    return {
        "purposes": PURPOSES,
        "verdicts": VERDICTS,
        "then_words": THEN,
        "kinds": KINDS,
        "after_words": AFTER,
        "addable": sketch_rules.ADDABLE,
        "may_do": sketch_rules.MAY_DO,
        "languages": LANGUAGES,
        "ends": fields.ENDS,
    }


# The list


@pages.get("/surveys")
def surveys(ask: StaffAsk) -> Response:
    """Every survey, sketches included."""
    return ask.page("admin/surveys.html", items=sketching.listed(ask.db, ask.now), **_labels())


@pages.get("/surveys/new")
def new(ask: StaffAsk) -> Response:
    return ask.page("admin/survey_new.html", form=empty_form({"purpose": SurveyPurpose.POST_MEETING}), **_labels())


@pages.post("/surveys")
def create(ask: StaffAsk) -> Response:
    """An empty sketch under that name."""
    filled = read_form(NewSurvey, ask.form)
    given = filled.value
    if given is not None and not (given.name_en or given.name_pt):
        filled, given = filled.with_error("name_en", N_("Please give it a name, in one language at least.")), None
    if given is None:
        return ask.invalid("admin/survey_new.html", form=filled, **_labels())
    name = Wording(given.name_en, given.name_pt)
    key = sketching.begin(ask.db, name=name, purpose=SurveyPurpose(given.purpose), by=ask.me.by, now=ask.now)
    return ask.see_other(_at(key), said=N_("Begun. Now add the questions."))


def _at(key: str) -> str:
    return f"/admin/surveys/{key}"


# The editor


class Opened(NamedTuple):
    """What the editor is opened on: the sketch, or what is asked now where nobody is writing."""

    form: SurveyForm
    sketch: Sketch | None

    @property
    def saves(self) -> int:
        return self.sketch.saves if self.sketch is not None else 0


def _opened(ask: AskOfStaff, key: str) -> Opened:
    """Errors: NotFound."""
    return Opened(sketching.form_to_try(ask.db, key), sketching.sketch(ask.db, key))


@pages.get("/surveys/{key}")
def editor(ask: StaffAsk, key: str) -> Response:
    opened = _opened(ask, key)
    return _editor(ask, opened, empty_form({**fields.typed_of(opened.form), "saves": opened.saves}))


@pages.post("/surveys/{key}")
def save(ask: StaffAsk, key: str) -> Response:
    """Keeps what is typed as the sketch; then what the pressed button says: a question more, less, moved, or going on."""
    opened = _opened(ask, key)
    if (
        "whole" not in ask.form
    ):  # the last field: what is left out counts as taken out, and a form may be cut on its way
        return ask.see_other(_at(key), said=N_("The form didn’t come whole, so nothing was saved. Here it is again."))
    form, filled = fields.read_survey(opened.form, ask.form)
    if filled.errors:
        return _editor(ask, opened._replace(form=form), filled)
    then, _, place = ask.form.get("then", "save").partition(":")
    form = _arranged(form, then, int(place) if place.isdigit() and len(place) < 3 else -1, ask.form.get("add_kind", ""))
    try:
        sketching.save(ask.db, form, saves=_number(ask.form.get("saves", "")), by=ask.me.by, now=ask.now)
    except SavedMeanwhile:
        return _saved_meanwhile(ask, key, form)
    if then in ("check", "preview"):
        return ask.see_other(f"{_at(key)}/{then}")
    if then == "add":
        return ask.see_other(f"{_at(key)}#questions", said=SAVED)
    return ask.see_other(_at(key), said=SAVED)


def _number(typed: str) -> int:
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else 0


def _arranged(form: SurveyForm, then: str, place: int, kind: str) -> SurveyForm:
    match then:
        case "add":
            added = sketch_rules.new_question(kind, form, nonce=links.new_nonce())
            return sketch_rules.with_question(form, added) if added is not None else form
        case "remove":
            return sketch_rules.without(form, place)
        case "up" | "down":
            return sketch_rules.moved(form, place, -1 if then == "up" else 1)
        case _:
            return form


def _saved_meanwhile(ask: AskOfStaff, key: str, typed: SurveyForm) -> Response:
    """409 with all that was typed, who was faster, and what differs; saving again is then on purpose."""
    theirs = _opened(ask, key)
    saver = ""
    if theirs.sketch is not None and theirs.sketch.saved_by.startswith("staff:"):
        who = ask.db.get(Staff, _number(theirs.sketch.saved_by.removeprefix("staff:")))
        saver = who.name if who is not None else ""
    differs = sketch_rules.changes(theirs.form, typed)
    again = empty_form({**fields.typed_of(typed), "saves": theirs.saves})
    return _editor(ask, theirs._replace(form=typed), again, status=409, saver=saver, differs=differs)


def _editor(ask: AskOfStaff, opened: Opened, filled: Filled[Any], *, status: int = 0, **more: Any) -> Response:
    form, vendor = opened.form, ask.settings.vendor_name
    values: dict[str, Any] = {
        "key": form.key,
        "survey": form,
        "sketch": opened.sketch,
        "title": form.name.told(ask.locale, vendor) or form.name.en or form.name.pt,
        "questions": [_part(form, n, question) for n, question in enumerate(form.questions)],
        "lacks": sketch_rules.missing(form),
        "missing_languages": sketch_rules.languages_missing(form),
        "can_add": _can_add(form),
        "retired_at": sketching.retired_at(ask.db, form.key),
        "versions": sketching.versions(ask.db, form.key, ask.now),
        **_labels(),
        **more,
    }
    if filled.errors and not status:
        return ask.invalid("admin/survey.html", form=filled, **values)
    return ask.page("admin/survey.html", status or 200, form=filled, **values)


def _can_add(form: SurveyForm) -> list[str]:
    if len(form.questions) >= rules.MOST_QUESTIONS:
        return []
    return [kind for kind in sketch_rules.ADDABLE if sketch_rules.new_question(kind, form, nonce="0" * 8) is not None]


class Part(NamedTuple):
    """One question as the editor shows it."""

    n: int
    question: Question
    is_help: bool
    rows: list[str]
    """The keys of a choice's rows, spare ones at the end."""
    conditions: list[tuple[str, Any]]
    """What it can depend on: the field's value, and what tells it."""


def _part(form: SurveyForm, n: int, question: Question) -> Part:
    is_choice = question.kind in fields.CHOOSES
    is_help = question.kind is QuestionKind.YES_NO and question.is_own
    conditions = [] if question.kind in rules.RANGES else _conditions(form.questions[:n], question.show_if)
    return Part(n, question, is_help, fields.option_rows(question) if is_choice else [], conditions)


def _conditions(earlier: tuple[Question, ...], chosen: ShowIf | None) -> list[tuple[str, Any]]:
    """Every condition on an earlier question, and the chosen one if it is none of them."""
    found: list[tuple[ShowIf, dict[str, Any]]] = []
    for number, on in enumerate(earlier, 1):
        if on.range is not None:
            low, high = on.range
            steps = [(ShowHow.AT_MOST, n) for n in range(low, high)]
            steps += [(ShowHow.AT_LEAST, n) for n in range(low + 1, high + 1)]
            found += [(ShowIf(on.key, how, n), {"number": number, "how": how, "value": n}) for how, n in steps]
        options = [(option.key, option.text) for option in on.options]
        if on.kind is QuestionKind.YES_NO:
            options = [("yes", _YES), ("no", _NO)]
        for key, words in options:
            told = {"number": number, "how": ShowHow.ONE_OF, "words": words}
            found.append((ShowIf(on.key, ShowHow.ONE_OF, (key,)), told))
        found.append((ShowIf(on.key, ShowHow.ANSWERED), {"number": number, "how": ShowHow.ANSWERED}))
    if chosen is not None and chosen not in [condition for condition, _ in found]:
        found.append((chosen, {"number": 0, "how": "kept", "value": fields.told(chosen)}))
    return [(fields.told(condition), told) for condition, told in found]


_YES, _NO = Wording("Yes", "Sim"), Wording("No", "Não")


# Before it is published: what is missing, what changes, whom it meets


@pages.get("/surveys/{key}/check")
def check(ask: StaffAsk, key: str) -> Response:
    """A rehearsal: what would change against the version that is asked now."""
    opened = _opened(ask, key)
    if opened.sketch is None:
        return ask.see_other(_at(key))
    return ask.page("admin/survey_check.html", **_rehearsal(ask, opened))


def _rehearsal(ask: AskOfStaff, opened: Opened) -> dict[str, Any]:
    form = opened.form
    versions = sketching.versions(ask.db, form.key, ask.now)
    live = versions[0] if versions else None
    counts = sketching.said_lately(ask.db, [one.id for one in versions], ask.now) if versions else {}
    judged = sketch_rules.judged(counts, live.form.thresholds, form.thresholds) if live is not None else []
    return {
        "key": form.key,
        "survey": form,
        "sketch": opened.sketch,
        "title": form.name.told(ask.locale, ask.settings.vendor_name) or form.name.en or form.name.pt,
        "lacks": sketch_rules.missing(form),
        "live": live,
        "differs": sketch_rules.changes(live.form, form) if live is not None else [],
        "running": [one for one in versions if one.running],
        "judged": judged,
        "answers": sum(counts.values()),
        "retired_at": sketching.retired_at(ask.db, form.key),
        **_labels(),
    }


@pages.post("/surveys/{key}/published")
def publish(ask: StaffAsk, key: str) -> Response:
    """The sketch becomes the version that is asked from now on."""
    opened = _opened(ask, key)
    if opened.sketch is None:
        return ask.see_other(_at(key), said=N_("It is published already."))
    if sketch_rules.missing(opened.form):
        return ask.page("admin/survey_check.html", 422, **_rehearsal(ask, opened))
    try:
        saves = _number(ask.form.get("saves", ""))
        number = sketching.publish(ask.db, key, saves=saves, by=ask.me.by, now=ask.now)
    except SavedMeanwhile:
        return ask.page("admin/survey_check.html", 409, changed=True, **_rehearsal(ask, _opened(ask, key)))
    return ask.see_other(_at(key), said=N_("Published: version %(number)s is asked from now on."), number=number)


@pages.post("/surveys/{key}/dropped")
def drop(ask: StaffAsk, key: str) -> Response:
    """The sketch goes."""
    was_asked = bool(sketching.versions(ask.db, key, ask.now))
    sketching.drop(ask.db, key, by=ask.me.by, now=ask.now)
    said = N_("The sketch is gone. What is asked stayed as it was.")
    return ask.see_other(_at(key) if was_asked else "/admin/surveys", said=said)


@pages.post("/surveys/{key}/retired")
def retire(ask: StaffAsk, key: str) -> Response:
    sketching.retire(ask.db, key, by=ask.me.by, now=ask.now)
    said = N_("Retired. Nobody is asked it any more; who was asked already can still answer.")
    return ask.see_other(_at(key), said=said, undo=f"{_at(key)}/revived")


@pages.post("/surveys/{key}/revived")
def revive(ask: StaffAsk, key: str) -> Response:
    sketching.revive(ask.db, key, by=ask.me.by, now=ask.now)
    return ask.see_other(_at(key), said=N_("It is asked again."))


# Versions


@pages.get("/surveys/{key}/versions")
def versions(ask: StaffAsk, key: str) -> Response:
    return _versions(ask, key, None)


@pages.get("/surveys/{key}/versions/{number}")
def version(ask: StaffAsk, key: str, number: Id) -> Response:
    """What has changed since that one."""
    return _versions(ask, key, number)


def _versions(ask: AskOfStaff, key: str, number: int | None) -> Response:
    found = sketching.versions(ask.db, key, ask.now)
    old = next((one for one in found if one.number == number), None)
    if not found or (number is not None and old is None):
        raise NotFound
    return ask.page(
        "admin/survey_versions.html",
        key=key,
        title=found[0].form.name.told(ask.locale, ask.settings.vendor_name),
        versions=found,
        number=number,
        differs=sketch_rules.changes(old.form, found[0].form) if old is not None else [],
        has_sketch=sketching.sketch(ask.db, key) is not None,
        **_labels(),
    )


@pages.post("/surveys/{key}/versions/{number}/restored")
def restore(ask: StaffAsk, key: str, number: Id) -> Response:
    """An older version as a sketch; it is asked again once that is published."""
    old = next((one for one in sketching.versions(ask.db, key, ask.now) if one.number == number), None)
    if old is None:
        raise NotFound
    try:
        sketching.save(ask.db, old.form, saves=0, version_from=number, by=ask.me.by, now=ask.now)
    except SavedMeanwhile:
        return ask.see_other(_at(key), said=N_("Somebody is writing a next version already. Here it is."))
    return ask.see_other(_at(key), said=N_("Version %(number)s is back as a sketch."), number=number)


# Preview, and trying it


@pages.get("/surveys/{key}/preview")
def preview(ask: StaffAsk, key: str) -> Response:
    """The form itself in two frames: as wide as a phone, and as a desk."""
    form = sketching.form_to_try(ask.db, key)
    language = ask.query.get("language", "")
    response = ask.page(
        "admin/survey_preview.html",
        key=key,
        title=form.name.told(ask.locale, ask.settings.vendor_name) or form.name.en or form.name.pt,
        survey=form,
        language=language if language in LANGUAGES else ask.locale,
        lacks=sketch_rules.missing(form),
        **_labels(),
    )
    response.headers["Content-Security-Policy"] = f"{CONTENT_SECURITY_POLICY}; frame-src 'self'"
    return response


@pages.post("/surveys/{key}/test")
def send_test(ask: StaffAsk, key: str) -> Response:
    """A mail to whoever asks, marked as a test."""
    language = ask.form.get("language", "")
    sketching.send_test(
        ask.db,
        ask.house,
        key,
        language=language if language in LANGUAGES else ask.locale,
        staff_id=ask.me.staff_id,
        by=ask.me.by,
        now=ask.now,
    )
    return ask.see_other(f"{_at(key)}/preview", said=N_("On its way to %(email)s."), email=ask.me.email)


class Trial(NamedTuple):
    """What the customers' pages need of somebody who only tries."""

    form: SurveyForm
    first_name: str
    consultant: Consultant
    answers: Answers

    case: None = None
    answer_id: None = None

    @property
    def nps(self) -> int | None:
        return self.answers.nps

    @property
    def outcome(self) -> Outcome | None:
        return rules.outcome(self.answers, self.form.thresholds)

    @property
    def is_promoter(self) -> bool:
        return rules.is_promoter(self.answers, self.form.thresholds)

    @property
    def sets_going(self) -> tuple[Then, ...]:
        said = rules.verdict(self.answers, self.form.thresholds)
        return self.form.does.get(said, ()) if said is not None else ()


@pages.get("/surveys/{key}/try/{language}")
def try_it(ask: StaffAsk, key: str, language: Literal["en", "pt-BR"]) -> Response:
    """The form as a customer has it, in their language; what is sent goes nowhere."""
    form = sketching.form_to_try(ask.db, key)
    linked = {name: ask.query[name] for name in ("csat", "nps") if ask.query.get(name)}
    return _trial_form(ask, form, language, empty_form(linked))


@pages.post("/surveys/{key}/try/{language}")
def send_trial(ask: StaffAsk, key: str, language: Literal["en", "pt-BR"]) -> Response:
    """Judged as a customer's would be, and forgotten."""
    form = sketching.form_to_try(ask.db, key)
    came = read_survey(form, ask.form)
    filled: Filled[Any] = came.filled
    if came.answers is not None:
        answers = rules.heard(form, came.answers)
        wrong = rules.problems(form, answers)
        if not wrong:
            return _trial_thanks(ask, form, language, answers)
        filled = wrong_in(form, filled, wrong)
    return _trial_form(ask, form, language, filled, status=422)


def _trial_form(
    ask: AskOfStaff, form: SurveyForm, language: str, filled: Filled[Any], *, status: int = 200
) -> Response:
    vendor, at = ask.settings.vendor_name, f"{_at(form.key)}/try/{language}"
    page = _trial(ask, form, language, Answers())
    values: dict[str, Any] = {
        "page": page,
        "at": at,
        "title": form.name.told(language, vendor),
        "intro": form.intro.told(language, vendor),
        "questions": asked_questions(form, language, vendor),
        "sealed": "",
        "asks_if_mine": False,
        "again": (),
        "changes": None,
        "held": False,
        "trial": True,
        "demo": False,  # its bar is no part of what a customer sees
    }
    return _framed(ask.page("public/survey.html", status, form=filled, **values))


def _trial_thanks(ask: AskOfStaff, form: SurveyForm, language: str, answers: Answers) -> Response:
    vendor = ask.settings.vendor_name
    page = _trial(ask, form, language, answers)
    values: dict[str, Any] = {
        "page": page,
        "at": f"{_at(form.key)}/try/{language}",
        "title": form.name.told(language, vendor),
        "thanks": form.thanks.told(language, vendor),
        "doubt": None,
        "change_until": None,
        "trial": True,
        "demo": False,  # its bar is no part of what a customer sees
    }
    return _framed(ask.page("public/thanks.html", **values))


def _trial(ask: AskOfStaff, form: SurveyForm, language: str, answers: Answers) -> Trial:
    me = ask.me
    first_name = me.name.split()[0] if me.name.split() else me.name
    # The page is the customer's: from here on whoever tries it is spoken to in the customer's language.
    ask.me = me._replace(language=language)
    return Trial(form, first_name, Consultant(me.name, me.email, "", "", ""), answers)


def _framed(response: Response) -> Response:
    """The preview shows it in frames of our own."""
    allowed = CONTENT_SECURITY_POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
    response.headers["Content-Security-Policy"] = allowed
    return response

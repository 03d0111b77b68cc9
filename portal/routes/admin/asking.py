"""When customers are asked beyond the plan's check-ins: what sets a survey going by itself, and sending one by hand to some,
with the number shown before and a yes where it is many."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, Field
from starlette.responses import Response

from portal import links, words
from portal.accounts.rules import Language
from portal.deps import AskOfStaff, Id, StaffAsk, admin_pages, looking_first
from portal.errors import N_, NotFound, Refused
from portal.forms import Filled, FormFields, empty_form, read_form
from portal.journeys import desk
from portal.policy import Permission
from portal.routes.staff import labels
from portal.surveys import anonymous, moments, results, rounds, triggers
from portal.surveys.anonymous import Results
from portal.surveys.moments import TriggerKind
from portal.surveys.round_models import SurveyRound
from portal.surveys.rounds import Segment
from portal.surveys.rules import Question, QuestionKind, SurveyForm
from portal.surveys.stored import known_form
from portal.text import Line

pages = admin_pages(Permission.SEND_SURVEYS)

HERE = "/admin/asking"


class TriggerForm(BaseModel):
    survey: Line
    kind: TriggerKind
    days: int | None = None
    stage: Line = ""


class RoundForm(BaseModel):
    survey: Line
    stage: Line = ""
    plan: Line = ""
    owner: int | None = Field(None, ge=1, le=2**62)
    language: Language | None = None

    @property
    def segment(self) -> Segment:
        return Segment(self.stage, self.plan, self.owner, self.language or "")


class SendForm(RoundForm):
    key: Line
    shown: int = Field(ge=0, le=2**31)
    sure: bool = False


@pages.get("/asking")
def asking(ask: StaffAsk) -> Response:
    """What is sent when, and what was sent by hand."""
    return _page(ask, empty_form())


def _page(ask: AskOfStaff, form: Filled[Any]) -> Response:
    listed = triggers.triggers(ask.db)
    values: dict[str, Any] = {
        "listed": [(one, _when(one.trigger.kind), _name(ask, one.form)) for one in listed],
        "rounds": [(one, _name(ask, one.form)) for one in rounds.rounds(ask.db)],
        "surveys": [(form.key, _named(ask, form)) for form in triggers.surveys_to_send(ask.db)],
        "automatic": [
            (form.key, _name(ask, form)) for form in triggers.surveys_to_send(ask.db) if not form.is_anonymous
        ],
        **_choices(ask),
    }
    if form.errors:
        return ask.invalid("admin/asking.html", form=form, **values)
    return ask.page("admin/asking.html", form=form, **values)


def _choices(ask: AskOfStaff) -> dict[str, Any]:
    stages = results.stages(ask.db, ask.locale)
    return {
        "stages": stages,
        "stage_names": dict(stages),
        "plans": results.plans(ask.db),
        "owners": [(str(row.id), row.name) for row in desk.consultants(ask.db)],
        "languages": labels.LANGUAGE,
    }


def _name(ask: AskOfStaff, form: SurveyForm) -> str:
    return form.name.told(ask.locale, ask.settings.vendor_name)


def _named(ask: AskOfStaff, form: SurveyForm) -> str:
    """With a word where it is anonymous: it is sent differently."""
    return (
        f"{_name(ask, form)} ({words.translate(ask.locale, N_('anonymous'))})"
        if form.is_anonymous
        else _name(ask, form)
    )


_WHEN: dict[TriggerKind, str] = {
    TriggerKind.MEETING: N_("The next business day after every meeting, to who was there"),
    TriggerKind.DAY_OF_USE: N_("On day %(days)s of use"),
    TriggerKind.STAGE: N_("%(days)s days after entering the stage %(stage)s"),
    TriggerKind.EVERY_DAYS: N_("Every %(days)s days, to customers in Relationship"),
}


def _when(kind: TriggerKind) -> str:
    return _WHEN[kind]


@pages.post("/asking/triggers")
def add_trigger(ask: StaffAsk) -> Response:
    """On from now: what happened before isn't asked about."""
    filled: Filled[Any] = read_form(TriggerForm, ask.form)
    given = filled.value
    if given is None:
        return _page(ask, filled)
    days, stage = 1 if given.kind is TriggerKind.MEETING else given.days, ""
    low, high = moments.RANGES[given.kind]
    if days is None or not low <= days <= high:
        return _page(ask, filled.with_error("days", N_("Please enter a number of days that fits."), low=low, high=high))
    if given.kind is TriggerKind.STAGE:
        stage = given.stage
        if stage not in dict(results.stages(ask.db, ask.locale)):
            return _page(ask, filled.with_error("stage", N_("Please choose a stage.")))
    try:
        triggers.add_trigger(
            ask.db, survey_key=given.survey, kind=given.kind, days=days, stage=stage, by=ask.me.by, now=ask.now
        )
    except Refused as refused:
        return _page(ask, filled.with_error("survey", refused.message))
    return ask.see_other(HERE, said=N_("Set. It counts from now on."))


@pages.post("/asking/triggers/{trigger}/on")
def switch_on(ask: StaffAsk, trigger: Id) -> Response:
    triggers.switch(ask.db, trigger, on=True, by=ask.me.by, now=ask.now)
    return ask.see_other(HERE, said=N_("On again, from now."))


@pages.post("/asking/triggers/{trigger}/off")
def switch_off(ask: StaffAsk, trigger: Id) -> Response:
    triggers.switch(ask.db, trigger, on=False, by=ask.me.by, now=ask.now)
    return ask.see_other(HERE, said=N_("Off. What was waiting to be sent isn’t."))


# By hand


@pages.get("/asking/sending")
def look_at_sending(ask: StaffAsk) -> Response:
    """How many people would be asked: nothing is sent yet."""
    filled: Filled[Any] = read_form(RoundForm, FormFields(list(ask.query.multi_items())))
    if filled.value is None:
        return ask.see_other(HERE)
    size = rounds.size_of(ask.db, filled.value.segment)
    return _sending(ask, filled.value, empty_form({"key": links.new_nonce()}), size=size)


def _sending(ask: AskOfStaff, chosen: RoundForm, form: Filled[Any], *, size: rounds.Size) -> Response:
    survey = next((one for one in triggers.surveys_to_send(ask.db) if one.key == chosen.survey), None)
    if survey is None:
        raise NotFound
    values: dict[str, Any] = {
        "survey": survey,
        "title": _named(ask, survey),
        "chosen": chosen,
        "size": size,
        "limit": ask.settings.storm_limit,
        "fewest": anonymous.FEWEST,
        "owner_names": {row.id: row.name for row in desk.consultants(ask.db)},
        **_choices(ask),
    }
    if form.errors:
        return ask.invalid("admin/asking_send.html", form=form, **values)
    return ask.page("admin/asking_send.html", form=form, **values)


def _counted(ask: AskOfStaff) -> rounds.Size | None:
    """How many the form is for. Counting thousands takes a while, in which others want to write."""
    given = read_form(SendForm, ask.form).value
    return rounds.size_of(ask.db, given.segment) if given is not None else None


@pages.post("/asking/rounds")
@looking_first(_counted)
def send_round(ask: StaffAsk) -> Response:
    """Sends it to those that the page counted, each within their contact budget."""
    filled: Filled[Any] = read_form(SendForm, ask.form)
    given = filled.value
    if given is None:
        return ask.see_other(HERE, said=N_("Choose once more, please."))
    try:
        number = rounds.send(
            ask.db,
            ask.house,
            key=given.key[:40],
            survey_key=given.survey,
            segment=given.segment,
            size=ask.seen,
            shown=given.shown,
            is_sure=given.sure,
            by=ask.me.by,
            now=ask.now,
        )
    except Refused as refused:
        return _sending(ask, given, filled.with_error("sure", refused.message, **refused.values), size=ask.seen)
    return ask.see_other(f"{HERE}/rounds/{number}", said=N_("It is on its way, to each in their hours."))


class Part(NamedTuple):
    """One question of an anonymous round, and how often each answer was given."""

    text: str
    counts: list[tuple[str, int]]
    words: list[str]


@pages.get("/asking/rounds/{number}")
def show_round(ask: StaffAsk, number: Id) -> Response:
    """What became of a round; of an anonymous one what may be shown of it."""
    found = ask.db.get(SurveyRound, number)
    if found is None:
        raise NotFound
    form = known_form(ask.db, found.survey_id)
    shown = anonymous.shown(ask.db, found, ask.now) if form.is_anonymous else None
    one = next((each for each in rounds.rounds(ask.db, most=200) if each.row.id == number), None)
    return ask.page(
        "admin/asking_round.html",
        found=found,
        survey=form,
        title=_named(ask, form),
        shown=shown,
        parts=_parts(ask, form, shown.results) if shown is not None and shown.results is not None else [],
        round=one,
        fewest=anonymous.FEWEST,
        owner_names={row.id: row.name for row in desk.consultants(ask.db)},
        **_choices(ask),
    )


def _parts(ask: AskOfStaff, form: SurveyForm, told: Results) -> list[Part]:
    asked = [question for question in form.questions if question.key != "wants_help" or not question.is_own]
    return [_part(ask, question, told) for question in asked]


def _part(ask: AskOfStaff, question: Question, told: Results) -> Part:
    text = question.asked(ask.locale, ask.settings.vendor_name)
    said = [text for key, text in told.words if key == question.key]
    if question.kind is QuestionKind.TEXT:
        return Part(text, [], said)
    if question.is_own:
        scores = told.csat if question.kind is QuestionKind.CSAT else told.nps
        low, high = question.range or (0, 10)
        return Part(text, [(str(number), scores[number]) for number in range(low, high + 1)], [])
    counts: Mapping[str, int] = told.others.get(question.key, {})
    return Part(text, [(name, counts.get(key, 0)) for key, name in _answers(ask, question)], [])


def _answers(ask: AskOfStaff, question: Question) -> list[tuple[str, str]]:
    """What could be answered, as it is kept and as it is read."""
    if question.kind is QuestionKind.YES_NO:
        return [("yes", words.translate(ask.locale, N_("Yes"))), ("no", words.translate(ask.locale, N_("No")))]
    if question.kind is QuestionKind.RATING:
        return [(str(number), str(number)) for number in range(1, question.high + 1)]
    return [(one.key, one.text.told(ask.locale, ask.settings.vendor_name)) for one in question.options]

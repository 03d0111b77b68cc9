"""Everything about one customer on one page, and every small thing that staff write down there.

Each form has a page of its own at the address it posts to: without script it opens there, and with a mistake in it it
comes back there.
"""

from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.responses import Response

from portal import words
from portal.accounts import asking_ledger, people_queries
from portal.accounts import queries as accounts
from portal.accounts.asking import Became
from portal.clock import at_local, local_date
from portal.deps import AskOfStaff, Id, StaffAsk, staff_pages
from portal.errors import N_, NotFound, Refused
from portal.forms import Filled, empty_form, read_form
from portal.journeys import actions, cases, desk, queries
from portal.journeys.rules import ACTIVITY_TITLES, FlagOrigin, Status, Whose
from portal.journeys.shipped import AFTER_SALE
from portal.learning.desk import learners
from portal.links import new_nonce
from portal.meetings.queries import meetings_of
from portal.messages.queries import thread
from portal.policy import Permission
from portal.routes.staff import labels
from portal.routes.staff.clocks import flag_clock, span, todo
from portal.routes.staff.forms import (
    ActivityForm,
    AssignForm,
    ChurnForm,
    ConversationForm,
    FlagForm,
    NoteForm,
    UseStartForm,
)
from portal.routes.staff.told import KINDS, TOPICS, Line, Topic, tell
from portal.surveys.coverage import coverage_of
from portal.surveys.paths import own_path
from portal.surveys.queries import answers_of, askable, set_aside
from portal.surveys.rules import whatsapp_words

pages = staff_pages(Permission.SEE_CUSTOMERS)
talks = staff_pages(Permission.TALK_TO_CUSTOMERS)
flagging = staff_pages(Permission.HANDLE_FLAGS)
reassigning = staff_pages(Permission.REASSIGN_CUSTOMERS)
closing = staff_pages(Permission.CLOSE_ACCOUNTS)

ENTRIES = 20
CLOSING_TIME = time(17, 0)


@dataclass(frozen=True)
class Customer:
    """The account that is asked for, with its journeys; `journey` is the one looked at (None: it never had one)."""

    account: accounts.AccountDetail
    people: tuple[accounts.Person, ...]
    journeys: tuple[desk.JourneyDetail, ...]
    journey: desk.JourneyDetail | None

    @property
    def path(self) -> str:
        return f"/staff/customers/{self.account.id}"

    @property
    def home(self) -> str:
        """The address of this page with the journey that is looked at."""
        if self.journey is None or self.journey is _usual(self.journeys):
            return self.path
        return f"{self.path}?journey={self.journey.id}"

    @property
    def the_journey(self) -> desk.JourneyDetail:
        """The journey to write to. Errors: Refused where there is none."""
        if self.journey is None:
            raise Refused(N_("This customer has no journey yet."))
        return self.journey


def customer_of(ask: AskOfStaff, account_id: int) -> Customer:
    """Errors: NotFound for an account that isn't there, or a journey that is another's."""
    account = accounts.account(ask.db, account_id)
    if account is None:
        raise NotFound
    journeys = desk.journeys_of(ask.db, account_id, locale=ask.locale)
    asked = ask.form.get("journey") or ask.query.get("journey", "")
    journey = _usual(journeys)
    if asked:
        journey = next((j for j in journeys if str(j.id) == asked), None)
        if journey is None:
            raise NotFound
    return Customer(account, accounts.contacts_of(ask.db, account_id), journeys, journey)


def _usual(journeys: tuple[desk.JourneyDetail, ...]) -> desk.JourneyDetail | None:
    """The journey that is under way (the newest), else the newest."""
    return next((j for j in journeys if j.status is Status.OPEN), journeys[0] if journeys else None)


class Step(NamedTuple):
    """A stage on the trail."""

    name: str
    state: str
    note: str


def _trail(ask: AskOfStaff, journey: desk.JourneyDetail) -> list[Step]:
    """The stages with the days spent in each, all visits together; those ahead with the day of their contact."""
    spent: dict[int, int] = {}
    for visit in journey.visits:
        until = visit.left_at or journey.ended_at or ask.now
        spent[visit.position] = spent.get(visit.position, 0) + max(0, (until - visit.entered_at).days)
    due = {c.day: local_date(c.due_at, journey.zone) for c in journey.follow_ups if c.due_at is not None}
    steps = []
    for position, stage in enumerate(journey.stages):
        reached = position in spent
        is_now = position == journey.position and journey.status is Status.OPEN
        planned = due.get(stage.contact_day) if stage.contact_day else None
        note = f"{spent[position]} d" if reached else words.short_day(planned, ask.locale) if planned else ""
        done = position < journey.position or (position == journey.position and not is_now)
        steps.append(Step(stage.name, "now" if is_now else "done" if done else "later", note))
    return steps


@pages.get("/customers/{account}")
def customer(ask: StaffAsk, account: Id) -> Response:
    """The whole customer."""
    found = customer_of(ask, account)
    journey = found.journey
    flags = desk.flags_of(ask.db, account)
    open_flags = [flag for flag in flags if flag.closed_at is None]
    plan = None
    values: dict[str, Any] = {}
    if journey is not None:
        plan = queries.plan_of(ask.db, journey.id, locale=ask.locale, zone=journey.zone, now=ask.now)
        values = {
            "trail": _trail(ask, journey),
            "pace": journey.pace(ask.now),
            "late_by": span(ask.now - journey.behind_at) if journey.behind_at and ask.now >= journey.behind_at else "",
            "day_of_use": (local_date(ask.now, journey.zone) - journey.use_started_on).days
            if journey.use_started_on
            else None,
            "follow_ups": journey.follow_ups,
            "goals": desk.goals_of(ask.db, journey.id),
            "today": local_date(ask.now, journey.zone),
        }
    activities = desk.activities_of(ask.db, [j.id for j in found.journeys])
    answers = answers_of(ask.db, account_id=account, limit=10)
    return ask.page(
        "staff/customer.html",
        labels=labels,
        customer=found,
        account=found.account,
        journey=journey,
        flags=flags,
        open_flags=[
            (f, flag_clock(f, now=ask.now, zone=ask.zone, locale=ask.locale, holidays=ask.house.holidays))
            for f in open_flags
        ],
        plan=plan,
        todos=[todo(a, now=ask.now, zone=ask.zone, locale=ask.locale) for a in activities if a.done_at is None],
        done=[a for a in activities if a.done_at is not None],
        titles=ACTIVITY_TITLES,
        answers=answers,
        answered={one.day for one in answers if journey is not None and one.journey_id == journey.id},
        aside=set_aside(ask.db, account_id=account, most=6),
        letters=desk.letters_of(ask.db, account),
        meetings=meetings_of(ask.db, [j.id for j in found.journeys])[::-1],
        latest=thread(ask.db, account, staff_id=ask.me.staff_id, most=3),
        message_key=new_nonce(),
        colleagues=desk.consultants(ask.db),
        team=people_queries.team(ask.db, account),
        wishes=people_queries.wishes_of(ask.db, [person.id for person in found.people]),
        invitations=people_queries.pending(ask.db, account),
        learners=learners(ask.db, ask.locale, account_id=account),
        coverage=coverage_of(ask.db, account),
        **_requests(ask, found),
        forms=_empty(ask, found),
        **values,
        **_timeline(ask, found),
    )


def _requests(ask: AskOfStaff, found: Customer) -> dict[str, Any]:
    """What their people were asked for: by the day of the contact, with what happened where it wasn't sent; and messages
    that are ready to be sent, for who likes WhatsApp best."""
    lines: dict[int, list[asking_ledger.RequestLine]] = {}
    every = asking_ledger.requests_of(ask.db, found.account.id)
    for line in every:
        if found.journey is not None and line.journey_id == found.journey.id and not line.occasion:
            lines.setdefault(line.day, []).append(line)
    open_ones = askable(ask.db, found.account.id, ask.now)
    where = {(one.day, one.contact_id): one.invitation_id for one in open_ones if one.day is not None}
    ready = {}
    for line in (each for those in lines.values() for each in those if each.became is Became.WHATSAPP):
        invitation = where.get((line.day, line.contact_id))
        words_ = whatsapp_words(
            line.language,
            name=line.name,
            consultant=ask.me.name,
            vendor=ask.settings.vendor_name,
            days=line.day,
            url=ask.house.url(own_path(invitation) if invitation is not None else "/"),
        )
        ready[line.contact_id] = f"https://wa.me/{line.phone.lstrip('+')}?text={quote(words_)}"
    cards = {day for day, those in lines.items() if any(each.became is Became.CARD for each in those)}
    return {"requests": lines, "ready": ready, "cards": cards, "askable": open_ones, "further": _latest_further(every)}


def _latest_further(every: tuple[asking_ledger.RequestLine, ...]) -> list[asking_ledger.RequestLine]:
    """The last surveys beyond the plan, newest first."""
    return [line for line in reversed(every) if line.occasion][:6]


def _empty(ask: AskOfStaff, found: Customer) -> dict[str, Any]:
    """The forms of the page, as they are first shown."""
    person = found.people[0] if found.people else None
    talk = empty_form({"contact": person.id if person else "", "channel": person.channel if person else ""})
    due = words_date(local_date(ask.now, ask.zone))
    shown = {
        "conversation": talk,
        "note": empty_form(),
        "activity": empty_form({"due_on": due}),
        "goal": empty_form({"day": next_goal_day(found.journey)}),
        "issue": empty_form({"whose": Whose.US}),
        "milestone": empty_form({"whose": Whose.US}),
        "touchpoint": empty_form({"channel": "meeting"}),
        "flag": empty_form({"contact": person.id if person else ""}),
    }
    return {name: form.shown(ask.locale) for name, form in shown.items()}


def words_date(day: date) -> str:
    """A date as `type=date` wants it."""
    return day.isoformat()


def next_goal_day(journey: desk.JourneyDetail | None) -> int:
    """The contact that comes next: its goals are what one would set now."""
    open_ones = [c.day for c in journey.follow_ups if c.settled_at is None] if journey else []
    return min(open_ones, default=90)


# The timeline


def _timeline(ask: AskOfStaff, found: Customer) -> dict[str, Any]:
    asked = ask.query.get("only", "")
    topic = Topic(asked) if asked in set(Topic) else Topic.ALL
    before = ask.query.get("before", "")
    last = int(before) if before.isascii() and before.isdigit() and len(before) <= 18 else None
    entries = desk.timeline(
        ask.db,
        found.account.id,
        before=last,
        most=ENTRIES + 1,
        only=() if topic is Topic.ALL else KINDS[topic],
    )
    return {
        "lines": _lines(ask, found, entries[:ENTRIES]),
        "topic": topic,
        "topics": TOPICS,
        "older": entries[ENTRIES - 1].id if len(entries) > ENTRIES else 0,
        "is_latest": last is None,
    }


def _lines(ask: AskOfStaff, found: Customer, entries: tuple[desk.TimelineEntry, ...]) -> list[Line]:
    stages = {stage.key: stage.name for journey in found.journeys for stage in journey.stages}
    people = [
        f"staff:{e.detail[side]}" for e in entries for side in ("from", "to") if isinstance(e.detail.get(side), int)
    ]
    names = desk.actor_names(ask.db, people)
    return [tell(entry, stages=stages, names=names, pipelines=labels.PIPELINES, locale=ask.locale) for entry in entries]


@pages.get("/customers/{account}/timeline")
def timeline(ask: StaffAsk, account: Id) -> Response:
    """The timeline alone, from any point back; htmx takes the next piece of it."""
    found = customer_of(ask, account)
    block = "pieces" if "before" in ask.query else "timeline"
    return ask.page_or_block(
        "staff/timeline.html", block, labels=labels, customer=found, account=found.account, **_timeline(ask, found)
    )


# Forms


def form_page(ask: AskOfStaff, found: Customer, what: str, form: Filled[Any], **values: Any) -> Response:
    """One form as a page; 422 where it came back with mistakes."""
    shown = {
        "labels": labels,
        "what": what,
        "customer": found,
        "account": found.account,
        "journey": found.journey,
        "colleagues": desk.consultants(ask.db) if what == "consultant" else (),
        "title": FORMS[what].title,
        "button": FORMS[what].button,
        "hint": FORMS[what].hint,
        **values,
    }
    if form.errors:
        return ask.invalid("staff/customer_form.html", form=form, **shown)
    return ask.page("staff/customer_form.html", form=form, **shown)


class FormWords(NamedTuple):
    """What stands around a form on its own page."""

    title: str
    button: str
    hint: str = ""


FORMS: dict[str, FormWords] = {
    "conversation": FormWords(N_("Log a conversation"), N_("Log it")),
    "note": FormWords(N_("Write a note"), N_("Save the note")),
    "activity": FormWords(N_("Add an activity"), N_("Add it")),
    "goal": FormWords(N_("Set a goal"), N_("Set the goal")),
    "issue": FormWords(N_("Note a pending issue"), N_("Note it")),
    "milestone": FormWords(N_("Add to the plan"), N_("Add it")),
    "touchpoint": FormWords(N_("Add a touchpoint"), N_("Add it")),
    "progress": FormWords(N_("How far is it?"), N_("Save")),
    "shown_plan": FormWords(
        N_("The plan that they were shown"),
        N_("Connect the plan"),
        N_("What lies ahead on their plan becomes what they were shown before the sale. What is done stays."),
    ),
    "flag": FormWords(
        N_("Raise a flag"),
        N_("Raise the flag"),
        N_("For what you hear or sense without a survey. Nothing moves by itself until it is resolved."),
    ),
    "use": FormWords(N_("Start of use"), N_("Save the date")),
    "consultant": FormWords(N_("Change the consultant"), N_("Hand over")),
    "churn": FormWords(N_("The customer has left"), N_("Record that they left")),
}


def _someone(found: Customer, form: Filled[Any]) -> Filled[Any]:
    """The form, with an error where the person is not of this account."""
    if form.value is not None and form.value.contact and not any(p.id == form.value.contact for p in found.people):
        return form.with_error("contact", N_("Please choose one of this customer’s people."))
    return form


@talks.get("/customers/{account}/conversation")
def ask_conversation(ask: StaffAsk, account: Id) -> Response:
    found = customer_of(ask, account)
    person = found.people[0] if found.people else None
    form = empty_form({"contact": person.id if person else "", "channel": person.channel if person else ""})
    return form_page(ask, found, "conversation", form)


@talks.post("/customers/{account}/conversation")
def log_conversation(ask: StaffAsk, account: Id) -> Response:
    """A conversation with its result: it settles contacts, or flags."""
    found = customer_of(ask, account)
    filled = _someone(found, read_form(ConversationForm, ask.form))
    if filled.value is None:
        return form_page(ask, found, "conversation", filled)
    flag_id = actions.log_conversation(
        ask.db,
        ask.house,
        journey_id=found.the_journey.id,
        channel=filled.value.channel,
        result=filled.value.result,
        note=filled.value.note,
        contact_id=filled.value.contact,
        by=ask.me.by,
        now=ask.now,
        by_hand=True,
    )
    if flag_id is not None:
        return ask.see_other(f"/staff/flags/{flag_id}", said=N_("Logged, and a flag is open. This is its case."))
    return ask.see_other(found.home, said=N_("Conversation logged."))


@talks.get("/customers/{account}/note")
def ask_note(ask: StaffAsk, account: Id) -> Response:
    return form_page(ask, customer_of(ask, account), "note", empty_form())


@talks.post("/customers/{account}/note")
def write_note(ask: StaffAsk, account: Id) -> Response:
    """A note on the timeline."""
    found = customer_of(ask, account)
    filled = read_form(NoteForm, ask.form)
    if filled.value is None:
        return form_page(ask, found, "note", filled)
    actions.write_note(
        ask.db, ask.house, journey_id=found.the_journey.id, words=filled.value.note, by=ask.me.by, now=ask.now
    )
    return ask.see_other(found.home, said=N_("Note saved."))


@talks.get("/customers/{account}/activities")
def ask_activity(ask: StaffAsk, account: Id) -> Response:
    due = empty_form({"due_on": words_date(local_date(ask.now, ask.zone))})
    return form_page(ask, customer_of(ask, account), "activity", due)


@talks.post("/customers/{account}/activities")
def add_activity(ask: StaffAsk, account: Id) -> Response:
    """Something to do, of one's own; due at the end of that day, where the reader is."""
    found = customer_of(ask, account)
    filled = read_form(ActivityForm, ask.form)
    if filled.value is None:
        return form_page(ask, found, "activity", filled)
    actions.add_own_activity(
        ask.db,
        ask.house,
        journey_id=found.the_journey.id,
        title=filled.value.title,
        due_at=at_local(filled.value.due_on, CLOSING_TIME, ask.zone),
        by=ask.me.by,
        now=ask.now,
    )
    return ask.see_other(found.home, said=N_("On the list."))


@flagging.get("/customers/{account}/flags")
def ask_flag(ask: StaffAsk, account: Id) -> Response:
    return form_page(ask, customer_of(ask, account), "flag", empty_form())


@flagging.post("/customers/{account}/flags")
def raise_flag(ask: StaffAsk, account: Id) -> Response:
    """A flag by hand: a consultant heard or senses it."""
    found = customer_of(ask, account)
    filled = _someone(found, read_form(FlagForm, ask.form))
    if filled.value is None:
        return form_page(ask, found, "flag", filled)
    if found.the_journey.status is Status.LOST:
        raise Refused(N_("This journey has ended as lost; a flag needs one that is under way."))
    flag_id = cases.open_flag(
        ask.db,
        ask.house,
        journey_id=found.the_journey.id,
        origin=FlagOrigin.CONSULTANT,
        contact_id=filled.value.contact,
        words=filled.value.words,
        by=ask.me.by,
        now=ask.now,
    )
    return ask.see_other(f"/staff/flags/{flag_id}", said=N_("The flag is up. This is its case."))


# The start of use


class Shift(NamedTuple):
    """A date of the plan that moves with the start of use."""

    what: str
    was: date | None
    will_be: date | None


@talks.get("/customers/{account}/start-of-use")
def ask_use_start(ask: StaffAsk, account: Id) -> Response:
    """The date, and which dates of the plan move with it; with `on` in the query, where they move to."""
    found = customer_of(ask, account)
    started = found.journey.use_started_on if found.journey else None
    if not ask.query.get("on"):
        form = empty_form({"on": started.isoformat() if started else ""})
        return form_page(ask, found, "use", form, shifts=_shifts(ask, found, started), chosen=started)
    asked = read_form(UseStartForm, ask.query)
    on = asked.value.on if asked.value is not None else None
    return form_page(ask, found, "use", asked, shifts=_shifts(ask, found, on), chosen=on)


@talks.post("/customers/{account}/start-of-use")
def correct_use_start(ask: StaffAsk, account: Id) -> Response:
    """Sets day 0; every pending date of the plan moves with it."""
    found = customer_of(ask, account)
    filled = read_form(UseStartForm, ask.form)
    if filled.value is not None:
        try:
            actions.correct_use_start(
                ask.db, ask.house, journey_id=found.the_journey.id, on=filled.value.on, by=ask.me.by, now=ask.now
            )
        except Refused as refused:
            # Refused before anything is stored: the date can't be right.
            filled = filled.with_error("on", refused.message, **refused.values)
    if filled.value is None:
        return form_page(ask, found, "use", filled, shifts=_shifts(ask, found, None), chosen=None)
    return ask.see_other(found.home, said=N_("The plan has moved to the new date."))


def _shifts(ask: AskOfStaff, found: Customer, on: date | None) -> list[Shift]:
    """What moves if use started on that day, in the order of the plan; done and asked things stay."""
    journey = found.journey
    if journey is None or journey.pipeline_key != AFTER_SALE:
        return []
    started = journey.use_started_on
    days = (on - started).days if on is not None and started is not None else 0
    plan = queries.plan_of(ask.db, journey.id, locale=ask.locale, zone=journey.zone, now=ask.now)
    pending = [(t.title, t.due_on) for t in plan.touchpoints if t.done_on is None and t.due_on is not None]
    pending += [(m.title, m.due_on) for m in plan.milestones if not m.is_done and m.due_on is not None]
    return [
        Shift(title, due, due + timedelta(days=days) if due is not None else None)
        for title, due in sorted(pending, key=lambda pair: (pair[1] or date.max, pair[0]))
    ]


# Whose customer, and the end


@reassigning.get("/customers/{account}/consultant")
def ask_consultant(ask: StaffAsk, account: Id) -> Response:
    found = customer_of(ask, account)
    return form_page(ask, found, "consultant", empty_form({"staff": found.account.consultant_id}))


@reassigning.post("/customers/{account}/consultant")
def change_consultant(ask: StaffAsk, account: Id) -> Response:
    """Gives the customer, with every journey under way and what is to be done in it, to a colleague."""
    found = customer_of(ask, account)
    filled = read_form(AssignForm, ask.form)
    colleague = next(
        (c for c in desk.consultants(ask.db) if filled.value is not None and c.id == filled.value.staff), None
    )
    if colleague is None:
        filled = filled.with_error("staff", N_("Please choose one from the list."))
        return form_page(ask, found, "consultant", filled)
    under_way = [j for j in found.journeys if j.status is Status.OPEN] or [found.the_journey]
    for journey in sorted(under_way, key=lambda j: j.id):
        actions.assign_consultant(
            ask.db, ask.house, journey_id=journey.id, staff_id=colleague.id, by=ask.me.by, now=ask.now
        )
    return ask.see_other(found.home, said=N_("%(name)s looks after this customer now."), name=colleague.name)


@closing.get("/customers/{account}/churn")
def ask_churn(ask: StaffAsk, account: Id) -> Response:
    """What it means that a customer leaves, before it is recorded."""
    found = customer_of(ask, account)
    _still_here(found)
    return form_page(ask, found, "churn", empty_form({"on": words_date(local_date(ask.now, ask.zone))}))


@closing.post("/customers/{account}/churn")
def churn(ask: StaffAsk, account: Id) -> Response:
    """Records that the customer has left; their journeys end as lost."""
    found = customer_of(ask, account)
    _still_here(found)
    filled = read_form(ChurnForm, ask.form)
    if filled.value is not None and filled.value.on > local_date(ask.now, ask.zone):
        filled = filled.with_error("on", N_("Please enter today or a day that has passed."))
    if filled.value is None:
        if "sure" in filled.errors:
            filled = filled.with_error("sure", N_("Please tick this to confirm."))
        return form_page(ask, found, "churn", filled)
    cases.churn(
        ask.db, ask.house, account_id=account, on=filled.value.on, reason=filled.value.reason, by=ask.me.by, now=ask.now
    )
    return ask.see_other(found.path, said=N_("Recorded. Their journeys have ended."))


def _still_here(found: Customer) -> None:
    if found.account.churned_on is not None:
        raise Refused(N_("It is recorded already that this customer has left."))

"""The inbox of flags: who is unhappy, how much time is left, and everything needed to settle it on one screen."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from starlette.responses import Response

from portal import charts, words
from portal.accounts import queries as accounts
from portal.accounts.rules import Channel, Role
from portal.clock import local_date
from portal.deps import AskOfStaff, Id, StaffAsk, staff_pages
from portal.errors import N_, NotFound, Refused
from portal.forms import Filled, empty_form, read_form
from portal.journeys import actions, cases, desk, ledger, offers, reasons
from portal.journeys.desk import ConversationLine, FlagLine, PromiseLine
from portal.journeys.offers import Offered
from portal.journeys.rules import FlagOrigin, FlagOutcome, Whose
from portal.journeys.suggestions import CaseFacts, Suggestion, suggest
from portal.links import new_nonce
from portal.meetings import queries as meetings
from portal.meetings.queries import MeetingLine
from portal.meetings.rules import MeetingKind, next_few
from portal.messages.actions import Draft, post
from portal.messages.queries import message_of_key, waits_for_answer
from portal.policy import Permission
from portal.routes.picking import Time, city, few_days
from portal.routes.staff import labels
from portal.routes.staff.clocks import Clock, flag_clock
from portal.routes.staff.forms import (
    AssignForm,
    ConversationForm,
    HandoverForm,
    MergeForm,
    PromiseForm,
    ReopeningForm,
    ReplyForm,
    ResolutionForm,
)
from portal.routes.staff.whose import MINE, whose
from portal.routes.thread import MessageForm, form_key
from portal.surveys.queries import Given, answers_of_person, count_set_aside
from portal.surveys.temperatures import temperatures

pages = staff_pages(Permission.HANDLE_FLAGS)
reassigning = staff_pages(Permission.REASSIGN_CUSTOMERS)

_TIMES = 6
"""Times to choose three from."""


def shell(ask: Any) -> dict[str, object]:
    """The inbox's badge: open flags, a consultant's own or everybody's."""
    if getattr(ask.me, "staff_id", None) is None:
        return {}
    owner_id = ask.me.staff_id if ask.me.role is Role.CONSULTANT else None
    return {"inbox_count": desk.count_open_flags(ask.db, owner_id=owner_id)}


@pages.get("/inbox")
def inbox(ask: StaffAsk) -> Response:
    """Open cases by urgency, the most urgent one opened beside them."""
    found = _inbox(ask)
    first = found["flags"][0][0].id if found["flags"] else None
    return ask.page("staff/inbox.html", **found, **_case(ask, first, _lines(found)), **_neighbours(found, first))


@pages.get("/flags/{flag}")
def case(ask: StaffAsk, flag: Id) -> Response:
    """One case, open or settled."""
    found = _inbox(ask)
    return ask.page("staff/inbox.html", **found, **_case(ask, flag, _lines(found)), **_neighbours(found, flag))


def _inbox(ask: AskOfStaff) -> dict[str, Any]:
    shown = whose(ask, asked=ask.query.get("owner", ""))
    flags = desk.open_flags(ask.db, owner_id=shown.owner_id)
    return {
        "labels": labels,
        "whose": shown,
        "flags": [(line, _clock(ask, line)) for line in flags],
        "late": sum(line.acted_at is None and ask.now >= line.act_by for line in flags),
        "unhandled": desk.unhandled_flags(ask.db, now=ask.now) if ask.me.may(Permission.SEE_FIGURES) else (),
        "settled": desk.settled_flags(ask.db, owner_id=shown.owner_id),
        "aside": count_set_aside(ask.db, owner_id=shown.owner_id),
        "asked": f"?owner={shown.value}" if shown.value != MINE or ask.query.get("owner") else "",
    }


def _clock(ask: AskOfStaff, line: FlagLine) -> Clock:
    return flag_clock(line, now=ask.now, zone=ask.zone, locale=ask.locale, holidays=ask.house.holidays)


def _neighbours(found: dict[str, Any], flag_id: int | None) -> dict[str, Any]:
    """The cases before and after this one in the list of open ones; from a settled one, the first is next."""
    ids = [line.id for line, _ in found["flags"]]
    at = ids.index(flag_id) if flag_id in ids else -1
    return {
        "previous_id": ids[at - 1] if at > 0 else None,
        "next_id": ids[at + 1] if at + 1 < len(ids) else None,
    }


def _lines(found: Mapping[str, Any]) -> list[FlagLine]:
    return [*(line for line, _ in found["flags"]), *found["settled"]]


def _case(ask: AskOfStaff, flag_id: int | None, listed: Sequence[FlagLine] = ()) -> dict[str, Any]:
    """Everything about one case: the person, the account, the journey, earlier flags. `listed`: cases that were just read.
    Errors: NotFound."""
    if flag_id is None:
        return {"flag": None}
    flag = next((line for line in listed if line.id == flag_id), None) or desk.flag(ask.db, flag_id)
    if flag is None:
        raise NotFound
    people = accounts.contacts_of(ask.db, flag.account_id)
    person = next((p for p in people if p.id == flag.contact_id), None)
    journey = desk.journey_detail(ask.db, flag.journey_id, locale=ask.locale)
    assert journey is not None  # noqa: S101 - a flag always has its journey
    all_flags = desk.flags_of(ask.db, flag.account_id)
    merged = [line for line in all_flags if line.merged_into_id == flag.id]
    promises = desk.promises_of(ask.db, [flag.id, *(line.id for line in merged)])
    duplicates = desk.duplicates_of(flag, all_flags)
    talks = desk.conversations_of(ask.db, flag.journey_id)
    planned = meetings.planned_for_flag(ask.db, flag.id, now=ask.now)
    offered = offers.last_offer(ask.db, flag.id)
    answers = answers_of_person(ask.db, flag.contact_id) if flag.contact_id else ()
    staff = [s for s in accounts.colleagues(ask.db) if s.disabled_at is None]
    degrees = temperatures(ask.db, [flag.account_id], zone=ask.settings.default_timezone, now=ask.now)
    return {
        "flag": flag,
        "clock": _clock(ask, flag),
        "account": accounts.account(ask.db, flag.account_id),
        "temperature": degrees[flag.account_id],
        "person": person,
        "their_city": city(person.timezone, ask.locale) if person is not None else "",
        "people": people,
        "journey": journey,
        "stage": desk.stage_of(ask.db, flag.stage_id, locale=ask.locale),
        "earlier": [
            (line, _score_since(line, answers)) for line in all_flags if line.id != flag.id and line not in merged
        ],
        "merged": merged,
        "duplicates": duplicates,
        "promises": promises,
        "planned": planned,
        "planned_name": planned.staff_name if planned else "",
        "offered": offered,
        "history": answers,
        "curve": _curve(answers),
        "rating": ledger.rating_of(ask.db, flag.id),
        "suggestion": _suggestion(ask, flag, person, planned, offered, talks, promises),
        "conversations": talks[:3],
        "colleagues": [s for s in staff if s.role in (Role.CONSULTANT, Role.MANAGER)],
        "all_staff": [s for s in staff if s.id != (flag.handed_to_id or flag.owner_id)],
        "reasons": reasons.reasons(ask.db, retired=False),
        "locale": ask.locale,
        "greeting": _greeting(ask, person),
        "times": _times(ask, flag, person),
        "talk": empty_form({"contact": flag.contact_id, "channel": person.channel if person else ""}),
        "resolution": empty_form(),
        "reply": empty_form({"key": new_nonce()}),
        "promise": empty_form(),
        "handover": empty_form(),
        "merge": empty_form({"duplicate": [line.id for line in duplicates]}),
        "reopening": empty_form(),
        "assignment": empty_form({"staff": flag.owner_id}),
        "names": desk.actor_names(ask.db, [flag.resolved_by]) if flag.resolved_by else {},
    }


def _score_since(line: FlagLine, answers: Sequence[Given]) -> Given | None:
    """What the same person answered after an earlier case had ended: what became of it in the end."""
    if line.closed_at is None:
        return None
    return next(
        (one for one in answers if one.contact_id == line.contact_id and one.submitted_at > line.closed_at), None
    )


def _curve(answers: Sequence[Given]) -> Markup:
    """How likely they were to recommend us over time, else how satisfied; nothing for fewer than two answers."""
    nps = [float(one.nps) for one in answers if one.nps is not None]
    csat = [float(one.csat) for one in answers if one.csat is not None]
    return charts.spark(nps if len(nps) >= len(csat) else csat)


def _suggestion(
    ask: AskOfStaff,
    flag: FlagLine,
    person: accounts.Person | None,
    planned: MeetingLine | None,
    offered: Offered | None,
    talks: Sequence[ConversationLine],
    promises: Sequence[PromiseLine],
) -> Suggestion | None:
    if flag.closed_at is not None:
        return None
    nps, csat = flag.scores.get("nps"), flag.scores.get("csat")
    return suggest(
        CaseFacts(
            now=ask.now,
            act_by=flag.act_by,
            acted_at=flag.acted_at,
            wants_help=flag.origin is FlagOrigin.HELP or bool(flag.scores.get("wants_help")),
            has_phone=person is not None and bool(person.phone),
            likes_calls=person is not None and person.channel is Channel.PHONE,
            worst_score=(nps is not None and nps <= 3) or csat == 1,
            meeting_at=planned.starts_at if planned else None,
            met=any(talk.at >= flag.opened_at for talk in talks) or meetings.was_met_about(ask.db, flag.id),
            wrote_back=waits_for_answer(ask.db, flag.account_id, since=flag.acted_at or flag.opened_at),
            offered=offered is not None and offered.starts[-1] > ask.now,
            promises_open=sum(p.solved_at is None and p.whose is not Whose.YOU for p in promises),
            promises_kept=sum(p.solved_at is not None for p in promises),
        )
    )


def _times(ask: AskOfStaff, flag: FlagLine, person: accounts.Person | None) -> tuple[tuple[str, tuple[Time, ...]], ...]:
    """The next few times of whoever leads the journey, as the consultant reads them; none where a meeting is planned."""
    host = meetings.host_of_journey(ask.db, flag.journey_id)
    if flag.closed_at is not None or person is None or host is None:
        return ()
    slots = meetings.slots(
        ask.db, host.staff_id, MeetingKind.DOUBT, now=ask.now, zone=person.timezone, holidays=ask.house.holidays
    )
    return few_days(next_few(slots, person.timezone, most=_TIMES), zone_name=ask.zone, locale=ask.locale)


def _greeting(ask: AskOfStaff, person: accounts.Person | None) -> str:
    """What a WhatsApp message begins with, in the customer's own language, ready for an address."""
    if person is None:
        return ""
    text = words.translate(
        person.language,
        N_("Hi %(name)s, this is %(me)s. Thank you for being straight with us. When can we talk for a few minutes?"),
        name=person.name.split()[0] if person.name.split() else "",
        me=ask.me.name,
    )
    return quote(text)


@pages.post("/flags/{flag}/conversation")
def log(ask: StaffAsk, flag: Id) -> Response:
    """Logs a conversation about the case: the clock for acting stops; the flag stays open until it is resolved."""
    found = _case(ask, flag)
    filled = read_form(ConversationForm, ask.form)
    if (
        filled.value is not None
        and filled.value.contact
        and not any(p.id == filled.value.contact for p in found["people"])
    ):
        filled = filled.with_error("contact", N_("Please choose one of this customer’s people."))
    if filled.value is None:
        return _again(ask, found, talk=filled)
    actions.log_conversation(
        ask.db,
        ask.house,
        journey_id=found["flag"].journey_id,
        channel=filled.value.channel,
        result=filled.value.result,
        note=filled.value.note,
        contact_id=filled.value.contact,
        by=ask.me.by,
        now=ask.now,
        by_hand=True,
    )
    return ask.see_other(f"/staff/flags/{flag}", said=N_("Logged. The clock for acting has stopped."))


@pages.post("/flags/{flag}/resolution")
def resolve(ask: StaffAsk, flag: Id) -> Response:
    """Ends the case with an outcome and what was done."""
    found = _case(ask, flag)
    filled = read_form(ResolutionForm, ask.form)
    offered = {one.id for one in found["reasons"]}
    if offered and (filled.value is None or filled.value.reason not in offered) and "reason" not in filled.errors:
        filled = filled.with_error("reason", N_("Please choose a reason."))
    if filled.value is None:
        return _again(ask, found, resolution=filled)
    try:
        cases.resolve_flag(
            ask.db,
            ask.house,
            flag_id=flag,
            outcome=filled.value.outcome,
            note=filled.value.note,
            reason_id=filled.value.reason,
            by=ask.me.by,
            now=ask.now,
        )
    except Refused as refused:
        # Refused before anything is stored: somebody was quicker.
        return _again(ask, found, resolution=filled.with_error("refused", refused.message, **refused.values))
    said = {
        FlagOutcome.RESOLVED: N_("Resolved. The customer is told, and asked whether that’s true."),
        FlagOutcome.ACCEPTED_RISK: N_("Closed as an accepted risk. The stage is released."),
        FlagOutcome.LOST: N_("Closed as lost. The journey has ended."),
    }
    return ask.see_other(f"/staff/flags/{flag}", said=said[filled.value.outcome])


@pages.post("/flags/{flag}/reply")
def reply(ask: StaffAsk, flag: Id) -> Response:
    """Answers the person in the thread, which goes to them by mail as well; with up to three times to choose from."""
    found = _case(ask, flag)
    line: FlagLine = found["flag"]
    filled = read_form(ReplyForm, ask.form)
    if found["person"] is None or line.closed_at is not None:
        filled = filled.with_error("text", N_("Nobody can be answered here any more."))
    if filled.value is not None and len(filled.value.slot) > 3:
        filled = filled.with_error("slot", N_("Please choose at most %(limit)s."), limit=3)
    if filled.value is not None and any(moment <= ask.now for moment in filled.value.slot):
        filled = filled.with_error("slot", N_("That time has passed. Please choose a later one."))
    if filled.value is None:
        return _again(ask, found, reply=filled)
    key = MessageForm(text=filled.value.text, key=filled.value.key)
    draft = Draft(
        account_id=line.account_id, staff_id=ask.me.staff_id, text=filled.value.text, key=form_key(key, ask.me.by)
    )
    known = message_of_key(ask.db, draft.key)
    if known is not None:
        return ask.see_other(f"/staff/flags/{flag}", said=N_("Sent. They get it by mail as well."))
    slots = filled.value.slot
    if slots:
        draft = replace(draft, text=f"{draft.text}\n\n{_times_in_words(ask, found['person'], slots)}")
    message_id = post(ask.db, ask.house, draft, now=ask.now)
    if slots:
        cases.offer_times(
            ask.db,
            flag_id=flag,
            contact_id=found["person"].id,
            starts=slots,
            message_id=message_id,
            by=ask.me.by,
            now=ask.now,
        )
    cases.act_on_flag(ask.db, flag_id=flag, how="reply", by=ask.me.by, now=ask.now)
    return ask.see_other(f"/staff/flags/{flag}", said=N_("Sent. They get it by mail as well."))


def _times_in_words(ask: AskOfStaff, person: accounts.Person, slots: Sequence[datetime]) -> str:
    """The times as the customer reads them, and where they choose one once they are signed in. (The mail about it has a
    link of its own that needs no signing in; a thread is no place for such a link.)"""
    said = [words.day_hour_in(moment, person.timezone, person.language) for moment in sorted(set(slots))]
    lead = words.translate(person.language, N_("Times that suit me:"))
    link = words.translate(person.language, N_("Pick one here: %(link)s"), link=ask.house.url("/offered-times"))
    return "\n".join([lead, *(f"– {one}" for one in said), link])


@pages.post("/flags/{flag}/promises")
def promise(ask: StaffAsk, flag: Id) -> Response:
    """Turns the case into a promise with a date, which the customer sees."""
    found = _case(ask, flag)
    line: FlagLine = found["flag"]
    filled = read_form(PromiseForm, ask.form)
    if filled.value is not None and filled.value.due_on < local_date(ask.now, ask.zone):
        filled = filled.with_error("due_on", N_("Please choose a day that is still to come."))
    if filled.value is None:
        return _again(ask, found, promise=filled)
    actions.note_issue(
        ask.db,
        ask.house,
        journey_id=line.journey_id,
        problem=_first_words(line.words) or words.translate(ask.locale, labels.FLAG_ORIGIN[line.origin]),
        solution=filled.value.solution,
        whose=Whose.US,
        due_on=filled.value.due_on,
        flag_id=flag,
        by=ask.me.by,
        now=ask.now,
    )
    return ask.see_other(f"/staff/flags/{flag}", said=N_("Promised. The customer sees it in the portal."))


def _first_words(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 300 else line[:299].rsplit(" ", 1)[0] + "…"


@pages.post("/flags/{flag}/promises/{promised}/done")
def keep(ask: StaffAsk, flag: Id, promised: Id) -> Response:
    """A promise about this case is kept."""
    found = _case(ask, flag)
    if not any(line.id == promised for line in found["promises"]):
        raise NotFound
    actions.solve_issue(
        ask.db, ask.house, issue_id=promised, journey_id=found["flag"].journey_id, by=ask.me.by, now=ask.now
    )
    return ask.see_other(f"/staff/flags/{flag}", said=N_("Done. The customer sees it in the portal."))


@pages.post("/flags/{flag}/handover")
def hand_over(ask: StaffAsk, flag: Id) -> Response:
    """A colleague works on the case from here on, and is told by mail; the customer stays with their consultant."""
    found = _case(ask, flag)
    filled = read_form(HandoverForm, ask.form)
    colleague = next((s for s in found["all_staff"] if filled.value is not None and s.id == filled.value.staff), None)
    if filled.value is not None and colleague is None:
        filled = filled.with_error("staff", N_("Please choose one from the list."))
    if filled.value is None or colleague is None:
        return _again(ask, found, handover=filled)
    try:
        cases.hand_over(ask.db, flag_id=flag, staff_id=colleague.id, note=filled.value.note, by=ask.me.by, now=ask.now)
    except Refused as refused:
        # Refused before anything is stored.
        return _again(ask, found, handover=filled.with_error("staff", refused.message, **refused.values))
    return ask.see_other(
        f"/staff/flags/{flag}", said=N_("%(name)s works on this case now, and is told by mail."), name=colleague.name
    )


@pages.post("/flags/{flag}/merge")
def merge(ask: StaffAsk, flag: Id) -> Response:
    """Other open cases of the same person go on in this one."""
    found = _case(ask, flag)
    filled = read_form(MergeForm, ask.form)
    known = {line.id for line in found["duplicates"]}
    if filled.value is not None and not (filled.value.duplicate and set(filled.value.duplicate) <= known):
        filled = filled.with_error("duplicate", N_("Please choose which cases belong together."))
    if filled.value is None:
        return _again(ask, found, merge=filled)
    cases.merge_flags(ask.db, ask.house, flag_id=flag, duplicates=filled.value.duplicate, by=ask.me.by, now=ask.now)
    return ask.see_other(f"/staff/flags/{flag}", said=N_("Merged. What becomes of this case became of them."))


@pages.post("/flags/{flag}/reopening")
def reopen(ask: StaffAsk, flag: Id) -> Response:
    """It wasn't over: the case is open again, with a reason and a new clock."""
    found = _case(ask, flag)
    filled = read_form(ReopeningForm, ask.form)
    line: FlagLine = found["flag"]
    if filled.value is None:
        return _again(ask, found, reopening=filled)
    if line.resolution_id is None:
        return ask.see_other(f"/staff/flags/{flag}", said=N_("It is open already."))
    try:
        cases.reopen_flag(
            ask.db,
            ask.house,
            resolution_id=line.resolution_id,
            words=filled.value.reason,
            by=ask.me.by,
            now=ask.now,
        )
    except Refused as refused:
        # Refused before anything is stored.
        return _again(ask, found, reopening=filled.with_error("reason", refused.message, **refused.values))
    return ask.see_other(f"/staff/flags/{flag}", said=N_("Open again, with a new clock."))


@reassigning.post("/flags/{flag}/assignment")
def assign(ask: StaffAsk, flag: Id) -> Response:
    """Gives the case, and with it the customer, to a colleague."""
    found = _case(ask, flag)
    filled = read_form(AssignForm, ask.form)
    colleague = next((c for c in found["colleagues"] if filled.value is not None and c.id == filled.value.staff), None)
    if colleague is None:
        filled = filled.with_error("staff", N_("Please choose one from the list."))
        return _again(ask, found, assignment=filled)
    actions.assign_consultant(
        ask.db, ask.house, journey_id=found["flag"].journey_id, staff_id=colleague.id, by=ask.me.by, now=ask.now
    )
    return ask.see_other(
        f"/staff/flags/{flag}", said=N_("%(name)s looks after this customer now."), name=colleague.name
    )


def _again(ask: AskOfStaff, found: dict[str, Any], **forms: Filled[Any]) -> Response:
    """The case with the form that came back, as it was typed."""
    listed = _inbox(ask)
    values = {**listed, **_neighbours(listed, found["flag"].id), **found, **forms}
    return ask.invalid("staff/inbox.html", form=next(iter(forms.values())), **values)

"""What each kind of meeting takes: length, pauses, notice, how far ahead, changes, ways, agenda. For managers."""

from typing import Annotated, Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from portal.deps import AskOfStaff, StaffAsk, staff_pages
from portal.errors import N_, NotFound
from portal.forms import Filled, empty_form, read_form
from portal.meetings import actions, queries
from portal.meetings.rules import TERMS, WORDS, KindTerms, MeetingKind, Way
from portal.policy import Permission
from portal.routes.picking import WAY_WORDS
from portal.text import Paragraphs

pages = staff_pages(Permission.EDIT_CONTENT)

OFFERED_WAYS = (Way.VIDEO, Way.PHONE, Way.WHATSAPP)
"""What customers can choose from. A meeting in person needs a place, and so somebody of ours who names it."""
QUARTERS = N_("Please choose a multiple of 15 minutes.")
A_WAY = N_("Please choose at least one way to meet.")


class TermsForm(BaseModel):
    length_minutes: Annotated[int, Field(ge=15, le=480)]
    before_minutes: Annotated[int, Field(ge=0, le=240)] = 0
    after_minutes: Annotated[int, Field(ge=0, le=240)] = 0
    notice_hours: Annotated[int, Field(ge=0, le=336)] = 0
    horizon_days: Annotated[int, Field(ge=1, le=60)]
    changes_until_hours: Annotated[int, Field(ge=0, le=168)] = 0
    ways: list[Way] = []
    agenda_en: Paragraphs = ""
    agenda_pt: Paragraphs = ""


@pages.get("/meeting-kinds")
def kinds(ask: StaffAsk) -> Response:
    """The four kinds as they stand."""
    terms, changed = queries.all_terms(ask.db), queries.changed_kinds(ask.db)
    return ask.page(
        "staff/meeting_kinds.html",
        kinds=[(kind, WORDS[kind], terms[kind], _ways(terms[kind]), kind in changed) for kind in MeetingKind],
    )


def _ways(terms: KindTerms) -> list[str]:
    return [WAY_WORDS[way][0] for way in terms.ways]


def _kind(text: str) -> MeetingKind:
    found = next((kind for kind in MeetingKind if kind.value == text), None)
    if found is None:
        raise NotFound
    return found


@pages.get("/meeting-kinds/{kind}")
def edit(ask: StaffAsk, kind: str) -> Response:
    """One kind, to be changed."""
    known = _kind(kind)
    return _editor(ask, known, empty_form(_typed(queries.terms_of(ask.db, known))))


def _typed(terms: KindTerms) -> dict[str, object]:
    return {
        "length_minutes": terms.length_minutes,
        "before_minutes": terms.before_minutes,
        "after_minutes": terms.buffer_minutes,
        "notice_hours": terms.notice_hours,
        "horizon_days": terms.horizon_days,
        "changes_until_hours": terms.changes_until_hours,
        "ways": [way.value for way in terms.ways],
        "agenda_en": terms.agenda_en,
        "agenda_pt": terms.agenda_pt,
    }


def _editor(ask: AskOfStaff, kind: MeetingKind, form: Filled[Any]) -> Response:
    return ask.page(
        "staff/meeting_kind.html",
        422 if form.errors else 200,
        form=form,
        kind=kind,
        words=WORDS[kind],
        shipped=TERMS[kind],
        ways=[(way.value, *WAY_WORDS[way]) for way in OFFERED_WAYS],
        is_changed=kind in queries.changed_kinds(ask.db),
    )


@pages.post("/meeting-kinds/{kind}")
def change(ask: StaffAsk, kind: str) -> Response:
    """Holds for what is booked from now on."""
    known = _kind(kind)
    filled = read_form(TermsForm, ask.form)
    if filled.value is not None:
        for name in ("length_minutes", "before_minutes", "after_minutes"):
            if getattr(filled.value, name) % 15:
                filled = filled.with_error(name, QUARTERS)
                break
    if filled.value is not None and not set(filled.value.ways) & set(OFFERED_WAYS):
        filled = filled.with_error("ways", A_WAY)
    if filled.value is None:
        return _editor(ask, known, filled)
    wanted = filled.value
    terms = KindTerms(
        length_minutes=wanted.length_minutes,
        buffer_minutes=wanted.after_minutes,
        notice_hours=wanted.notice_hours,
        horizon_days=wanted.horizon_days,
        before_minutes=wanted.before_minutes,
        changes_until_hours=wanted.changes_until_hours,
        ways=tuple(way for way in OFFERED_WAYS if way in wanted.ways),
        agenda_en=wanted.agenda_en,
        agenda_pt=wanted.agenda_pt,
    )
    actions.set_kind(ask.db, known, terms, by=ask.me.by, now=ask.now)
    return ask.see_other(
        "/staff/meeting-kinds", said=N_("Saved. It holds for what is booked from now on; meetings already booked stay.")
    )


@pages.post("/meeting-kinds/{kind}/shipped")
def reset(ask: StaffAsk, kind: str) -> Response:
    """What ships holds again."""
    actions.reset_kind(ask.db, _kind(kind), by=ask.me.by, now=ask.now)
    return ask.see_other("/staff/meeting-kinds", said=N_("What ships holds again."))

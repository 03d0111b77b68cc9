"""A consultant's own hours: the week, the dates on which it doesn't hold, and the private address for their calendar."""

from datetime import date, time, timedelta
from typing import Annotated, Any

import holidays as public_ones
from babel import Locale
from babel.dates import format_date
from pydantic import AfterValidator, BaseModel, StringConstraints, create_model
from starlette.responses import Response

from portal import words
from portal.accounts.rules import folded
from portal.clock import local_date
from portal.deps import AskOfStaff, StaffAsk, staff_pages
from portal.errors import N_, NotFound
from portal.forms import Filled, empty_form, read_form
from portal.house import public_holidays
from portal.meetings import actions, diary, own_calendar, queries
from portal.meetings.actions import ImpossibleHours
from portal.meetings.diary import DAY_MINUTES, Span
from portal.meetings.own_calendar import NoSuchCalendar
from portal.meetings.rules import Hours
from portal.policy import Permission
from portal.routes.picking import city
from portal.text import Line, clean_line

pages = staff_pages(Permission.KEEP_OWN_HOURS)

STRETCHES = 2
"""How many stretches of a day the editor has: before and after a break."""
A_MONDAY = date(2026, 6, 22)
BOTH = N_("Please give both: from and until.")


def _field(weekday: int, stretch: int, end: str) -> str:
    return f"{end}_{weekday}_{stretch}"


WeekForm: type[BaseModel] = create_model(
    "WeekForm",
    **{
        _field(weekday, stretch, end): (time | None, None)
        for weekday in range(7)
        for stretch in range(STRETCHES)
        for end in ("opens", "closes")
    },  # type: ignore[call-overload]
)


class OtherHours(BaseModel):
    """One date: no times means a day off."""

    day: date
    opens: time | None = None
    closes: time | None = None


class ThatDay(BaseModel):
    day: date


class OwnAddress(BaseModel):
    """The field can hold what a browser would take for a password: it is one, and is never shown again."""

    address: Annotated[str, AfterValidator(clean_line), StringConstraints(min_length=1, max_length=2000)]


class HolidaysForm(BaseModel):
    country: Line = ""
    state: Line = ""


HOUSE, NONE = "house", "none"
"""What a select says where no country is chosen."""


@pages.get("/hours")
def hours(ask: StaffAsk) -> Response:
    """The week as it stands, the exceptions ahead, their own calendar, and the address for one."""
    return _page(ask)


def _typed_week(ask: AskOfStaff) -> dict[str, object]:
    """The week as the form would have it: their own, else the usual one."""
    known = diary.availability(ask.db, ask.me.staff_id, since=local_date(ask.now, ask.zone)).weekly
    typed: dict[str, object] = {}
    for weekday, spans in known.items():
        for stretch, span in enumerate(spans[:STRETCHES]):
            typed[_field(weekday, stretch, "opens")] = f"{span.opens:%H:%M}"
            typed[_field(weekday, stretch, "closes")] = f"{span.closes:%H:%M}"
    return typed


def _page(
    ask: AskOfStaff,
    *,
    week_form: Filled[Any] | None = None,
    day_form: Filled[Any] | None = None,
    calendar_form: Filled[Any] | None = None,
    holidays_form: Filled[Any] | None = None,
) -> Response:
    today = local_date(ask.now, ask.zone)
    feed_path = queries.feed_path(ask.db, ask.house, staff_id=ask.me.staff_id)
    forms = (week_form, day_form, calendar_form, holidays_form)
    is_wrong = any(form is not None and form.errors for form in forms)
    place = queries.holiday_place(ask.db, ask.me.staff_id)
    response = ask.page(
        "staff/hours.html",
        422 if is_wrong else 200,
        week_form=week_form or empty_form(_typed_week(ask)),
        day_form=day_form or empty_form(),
        calendar_form=calendar_form or empty_form(),
        holidays_form=holidays_form or empty_form(_typed_place(place)),
        own_calendar=queries.own_calendar(ask.db, ask.me.staff_id),
        countries=_countries(ask),
        next_holidays=_next_holidays(ask, place, today),
        weekdays=[(weekday, _weekday(weekday, ask.locale)) for weekday in range(7)],
        stretches=range(STRETCHES),
        exceptions=[
            (day, [_spoken(ask, span) for span in spans])
            for day, spans in queries.exceptions(ask.db, ask.me.staff_id, since=today).items()
        ],
        city=city(ask.zone, ask.locale),
        today=today,
        feed_url=ask.house.url(feed_path) if feed_path else "",
    )
    return response


def _weekday(weekday: int, locale: str) -> str:
    name = format_date(A_MONDAY + timedelta(days=weekday), "EEEE", locale=locale.replace("-", "_"))
    return name[:1].upper() + name[1:]


def _spoken(ask: AskOfStaff, span: Span) -> str:
    open_hours: Hours = diary.hours_of(span)
    return f"{words.hour(open_hours.opens, ask.locale)}–{words.hour(open_hours.closes, ask.locale)}"


def _typed_place(place: str | None) -> dict[str, object]:
    if place is None:
        return {"country": HOUSE}
    country, _, state = place.partition("-")
    return {"country": country or NONE, "state": state}


def _countries(ask: AskOfStaff) -> list[tuple[str, str]]:
    """Every country whose holidays are known, by its name in the reader's language."""
    names = Locale.parse(ask.locale.replace("-", "_")).territories
    known = [(code, str(names.get(code, code))) for code in public_ones.list_supported_countries()]
    of_the_house = ask.settings.holidays or words.translate(ask.locale, N_("none"))
    return [
        (HOUSE, words.translate(ask.locale, N_("Those of the house (%(place)s)"), place=of_the_house)),
        (NONE, words.translate(ask.locale, N_("No public holidays"))),
        *sorted(known, key=lambda pair: folded(pair[1])),
    ]


def _next_holidays(ask: AskOfStaff, place: str | None, today: date) -> list[date]:
    """The next three, so that a wrong country is seen at once."""
    known = ask.house.holidays if place is None else public_holidays(place)
    return [day for n in range(366) if (day := today + timedelta(days=n)) in known][:3]


@pages.post("/hours")
def set_week(ask: StaffAsk) -> Response:
    """Sets the whole week. A day without hours is off."""
    filled = read_form(WeekForm, ask.form)
    week: dict[int, list[Span]] = {}
    for weekday in range(7):
        for stretch in range(STRETCHES):
            names = [_field(weekday, stretch, end) for end in ("opens", "closes")]
            opens, closes = (getattr(filled.value, name, None) for name in names)
            if (opens is None) != (closes is None):
                filled = filled.with_error(names[0] if opens is None else names[1], BOTH)
            elif opens is not None and closes is not None:
                week.setdefault(weekday, []).append(_span(opens, closes))
    for weekday, spans in week.items():
        if not filled.errors and not actions.are_in_order(spans):
            filled = filled.with_error(_field(weekday, 0, "opens"), ImpossibleHours.sentence)
    if filled.errors:
        return _page(ask, week_form=filled)
    actions.set_week(ask.db, staff_id=ask.me.staff_id, week=week, now=ask.now)
    return ask.see_other("/staff/hours", said=N_("Saved. Meetings that are booked already stay where they are."))


def _span(opens: time, closes: time) -> Span:
    """Minutes of the day; closing at 00:00 means the midnight that ends it."""
    until = closes.hour * 60 + closes.minute
    return Span(opens.hour * 60 + opens.minute, until or DAY_MINUTES)


@pages.post("/hours/days")
def set_day(ask: StaffAsk) -> Response:
    """Other hours on one date, or a day off."""
    filled = read_form(OtherHours, ask.form)
    other = filled.value
    if other is not None and (other.opens is None) != (other.closes is None):
        filled = filled.with_error("opens" if other.opens is None else "closes", BOTH)
    elif other is not None and other.day < local_date(ask.now, ask.zone):
        filled = filled.with_error("day", N_("That day is over."))
    spans = [_span(other.opens, other.closes)] if other and other.opens is not None and other.closes is not None else []
    if not filled.errors and not actions.are_in_order(spans):
        filled = filled.with_error("opens", ImpossibleHours.sentence)
    if filled.errors or other is None:
        return _page(ask, day_form=filled)
    actions.set_exception(ask.db, staff_id=ask.me.staff_id, day=other.day, spans=spans, now=ask.now)
    return ask.see_other("/staff/hours#days", said=N_("Saved. Meetings that are booked already stay where they are."))


@pages.post("/hours/days/end")
def clear_day(ask: StaffAsk) -> Response:
    """The week holds on that date again."""
    filled = read_form(ThatDay, ask.form)
    if filled.value is None:
        raise NotFound
    actions.clear_exception(ask.db, staff_id=ask.me.staff_id, day=filled.value.day, now=ask.now)
    return ask.see_other("/staff/hours#days", said=N_("Your usual week holds on that day again."))


@pages.post("/hours/calendar")
def open_calendar(ask: StaffAsk) -> Response:
    """A private address that a calendar can subscribe to; asked for again, the old one ends."""
    actions.open_feed(ask.db, staff_id=ask.me.staff_id, now=ask.now)
    return ask.see_other("/staff/hours#calendar", said=N_("Here is your calendar’s address. Keep it to yourself."))


@pages.post("/hours/calendar/end")
def close_calendar(ask: StaffAsk) -> Response:
    """The address ends for good."""
    actions.close_feed(ask.db, staff_id=ask.me.staff_id)
    return ask.see_other("/staff/hours#calendar", said=N_("The address no longer works."))


# Public holidays


@pages.post("/hours/holidays")
def set_holidays(ask: StaffAsk) -> Response:
    """The country, and the state where it has its own."""
    filled = read_form(HolidaysForm, ask.form)
    wanted = filled.value
    if wanted is None:
        return _page(ask, holidays_form=filled)
    place: str | None = None
    if wanted.country == NONE:
        place = ""
    elif wanted.country != HOUSE:
        states = public_ones.list_supported_countries().get(wanted.country)
        state = wanted.state.upper()
        if states is None:
            return _page(ask, holidays_form=filled.with_error("country", N_("Please choose one from the list.")))
        if state and state not in states:
            some = ", ".join(states[:60]) or "–"
            wrong = filled.with_error("state", N_("This country knows these: %(states)s"), states=some)
            return _page(ask, holidays_form=wrong)
        place = f"{wanted.country}-{state}" if state else wanted.country
    actions.set_holidays(ask.db, staff_id=ask.me.staff_id, place=place, now=ask.now)
    return ask.see_other(
        "/staff/hours#holidays", said=N_("Saved. Meetings that are booked already stay where they are.")
    )


# Their own calendar, whose busy times block


@pages.post("/hours/own-calendar")
def set_own_calendar(ask: StaffAsk) -> Response:
    """Another calendar's private address: the worker reads it within a minute."""
    filled = read_form(OwnAddress, ask.form)
    if filled.value is None:
        return _page(ask, calendar_form=filled)
    try:
        own_calendar.set_address(ask.db, ask.house, staff_id=ask.me.staff_id, address=filled.value.address, now=ask.now)
    except NoSuchCalendar as why:
        return _page(ask, calendar_form=filled.with_error("address", why.message, **why.values))
    return ask.see_other("/staff/hours#own-calendar", said=N_("Saved. It is read in a moment, then every 15 minutes."))


@pages.post("/hours/own-calendar/now")
def read_own_calendar(ask: StaffAsk) -> Response:
    """Without waiting for the next time."""
    own_calendar.read_soon(ask.db, staff_id=ask.me.staff_id, now=ask.now)
    return ask.see_other("/staff/hours#own-calendar", said=N_("It is read in a moment."))


@pages.post("/hours/own-calendar/end")
def forget_own_calendar(ask: StaffAsk) -> Response:
    """Its busy times block nothing any more."""
    own_calendar.forget_address(ask.db, staff_id=ask.me.staff_id, now=ask.now)
    return ask.see_other("/staff/hours#own-calendar", said=N_("Forgotten, with all that it said."))

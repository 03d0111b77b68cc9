"""My day: what to do now, in which order, and why. Consultants see theirs; who sees figures can look at anybody's."""

from datetime import time, timedelta
from itertools import groupby

from starlette.responses import Response

from portal.clock import at_local, local_date, zone
from portal.deps import Id, StaffAsk, staff_pages
from portal.errors import N_, NotFound
from portal.forms import read_form
from portal.journeys import actions, desk
from portal.journeys.rules import ACTIVITY_TITLES
from portal.meetings.queries import MeetingLine, agenda
from portal.messages.queries import threads
from portal.policy import Permission
from portal.referrals.queries import open_prompts
from portal.routes.staff import labels
from portal.routes.staff.clocks import WHEN, flag_clock, todo, when
from portal.routes.staff.forms import ActivityDone
from portal.routes.staff.whose import whose

home = staff_pages()
"""`/staff` itself: a mount answers only what is below it."""
pages = staff_pages()

_MOST = 60


@home.get("/staff")
def day(ask: StaffAsk) -> Response:
    """Everything that wants something of me today."""
    shown = whose(ask, asked=ask.query.get("owner", ""))
    owner_id = shown.owner_id
    activities = desk.open_activities(ask.db, assignee_id=owner_id, most=_MOST)
    flags = desk.open_flags(ask.db, owner_id=owner_id, most=6)
    groups = [
        (WHEN[key], key, [todo(line, now=ask.now, zone=ask.zone, locale=ask.locale) for line in lines])
        for key, lines in groupby(activities, key=lambda line: when(line, now=ask.now, zone=ask.zone))
    ]
    return ask.page(
        "staff/day.html",
        labels=labels,
        whose=shown,
        greeting=_greeting(ask),
        groups=groups,
        todo_count=len(activities),
        titles=ACTIVITY_TITLES,
        flags=[
            (flag, flag_clock(flag, now=ask.now, zone=ask.zone, locale=ask.locale, holidays=ask.house.holidays))
            for flag in flags
        ],
        unhandled=desk.unhandled_flags(ask.db, now=ask.now) if ask.me.may(Permission.SEE_FIGURES) else (),
        prompts=open_prompts(ask.db, owner_id)[:5],
        late=desk.late_cards(ask.db, owner_id=owner_id, locale=ask.locale, now=ask.now),
        meetings_today=_meetings_today(ask),
        unread=threads(ask.db, ask.me.staff_id, owner_id=owner_id, unread_only=True, most=6),
    )


def _meetings_today(ask: StaffAsk) -> tuple[MeetingLine, ...]:
    """One's own meetings up to midnight: those nobody has closed yet, and those ahead."""
    tomorrow = local_date(ask.now, ask.zone) + timedelta(days=1)
    own = agenda(ask.db, ask.me.staff_id, now=ask.now, until=at_local(tomorrow, time(0), ask.zone))
    return own.to_close + own.ahead


def _greeting(ask: StaffAsk) -> str:
    hour = ask.now.astimezone(zone(ask.zone)).hour
    if hour < 12:
        return N_("Good morning, %(name)s")
    return N_("Good afternoon, %(name)s") if hour < 18 else N_("Good evening, %(name)s")


@pages.post("/activities/{activity}/done")
def complete(ask: StaffAsk, activity: Id) -> Response:
    """Ticks an activity off, with a note if there is one."""
    filled = read_form(ActivityDone, ask.form)
    line = desk.activity(ask.db, activity)
    if line is None:
        raise NotFound
    if filled.value is None:
        return ask.invalid(
            "staff/activity.html", form=filled, line=line, titles=ACTIVITY_TITLES, back=ask.came_from, labels=labels
        )
    actions.complete_activity(
        ask.db, ask.house, activity_id=activity, note=filled.value.note, by=ask.me.by, now=ask.now
    )
    if ask.htmx:
        done = desk.activity(ask.db, activity)
        return ask.block(
            "staff/activity.html",
            "done",
            said=N_("Done. One less to think of."),
            line=done,
            titles=ACTIVITY_TITLES,
            labels=labels,
        )
    return ask.see_other(ask.came_from, said=N_("Done. One less to think of."))

"""A customer's own milestones: ticking them, and saying that one can't get on with one."""

from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, StringConstraints
from starlette.responses import Response

from portal.deps import AskOfCustomer, CustomerAsk, Id, customer_pages
from portal.errors import N_, NotFound
from portal.forms import Filled, empty_form, read_form
from portal.journeys import actions, queries
from portal.journeys.plans import MilestoneLine
from portal.journeys.queries import CustomerJourney, Plan
from portal.text import clean

pages = customer_pages()


class Stuck(BaseModel):
    words: Annotated[str, AfterValidator(clean), StringConstraints(min_length=1, max_length=2000)]


class Found(NamedTuple):
    """One milestone with the plan that it is on."""

    journey: CustomerJourney
    plan: Plan
    line: MilestoneLine


def _found(ask: AskOfCustomer, milestone: int) -> Found:
    """Errors: NotFound for another's, and for what is ours to do."""
    journey = queries.customer_journey(ask.db, ask.me.account_id, locale=ask.locale, now=ask.now)
    if journey is None:
        raise NotFound
    plan = queries.plan_of(ask.db, journey.id, locale=ask.locale, zone=ask.zone, now=ask.now)
    line = next((m for m in plan.milestones if m.id == milestone), None)
    if line is None or not line.is_theirs:
        raise NotFound
    return Found(journey, plan, line)


def _back(ask: AskOfCustomer) -> str:
    back = ask.form.get("return") or ask.query.get("return", "")
    return back if back in ("/", "/plan") else "/"


@pages.post("/milestones/{milestone}/done")
def tick_milestone(ask: CustomerAsk, milestone: Id) -> Response:
    """Ticks, or unticks (`done=0`), one of the customer's own milestones."""
    found = _found(ask, milestone)
    done = ask.form.get("done", "1") != "0"
    actions.tick_milestone(
        ask.db, ask.house, milestone_id=milestone, journey_id=found.journey.id, done=done, by=ask.me.by, now=ask.now
    )
    others_change = any(found.line.key in m.needs for m in found.plan.milestones)
    if ask.htmx and not others_change:
        line = _found(ask, milestone).line
        consultant = found.journey.consultant
        return ask.block("customer/milestone.html", "line", milestone=line, consultant=consultant, back=_back(ask))
    return ask.see_other(_back(ask), said=N_("Done. Nice work.") if done else N_("Open again."))


@pages.get("/milestones/{milestone}/stuck")
def ask_stuck(ask: CustomerAsk, milestone: Id) -> Response:
    """The form alone, or that we know already."""
    return _stuck_page(ask, _found(ask, milestone), empty_form())


@pages.post("/milestones/{milestone}/stuck")
def say_stuck(ask: CustomerAsk, milestone: Id) -> Response:
    """Their words reach the consultant."""
    found = _found(ask, milestone)
    filled = read_form(Stuck, ask.form)
    if filled.value is None:
        return _stuck_page(ask, found, filled)
    is_new = actions.hear_stuck(
        ask.db,
        ask.house,
        journey_id=found.journey.id,
        milestone_id=milestone,
        contact_id=ask.me.contact_id,
        words=filled.value.words,
        now=ask.now,
    )
    said = N_("Thank you for saying so. We’ll be in touch.") if is_new else N_("We know already, and will be in touch.")
    return ask.see_other(_back(ask), said=said)


def _stuck_page(ask: AskOfCustomer, found: Found, form: Filled[Stuck] | Filled[BaseModel]) -> Response:
    values: dict[str, Any] = {"milestone": found.line, "consultant": found.journey.consultant, "back": _back(ask)}
    if form.errors:
        return ask.invalid("customer/stuck.html", form=form, **values)
    return ask.page("customer/stuck.html", form=form, **values)

"""Plans for prospects: links that show what happens after they sign; made, listed, ended."""

from datetime import timedelta
from typing import Any

from starlette.responses import Response

from portal.clock import local_date, next_business_day
from portal.deps import AskOfStaff, Id, StaffAsk, staff_pages
from portal.errors import N_, Refused
from portal.forms import Filled, empty_form, read_form
from portal.journeys import desk, plan_templates, public_plans
from portal.policy import Permission
from portal.routes.staff import labels
from portal.routes.staff.forms import PublicPlanForm

pages = staff_pages(Permission.TALK_TO_CUSTOMERS)

USUAL_START = timedelta(days=14)


@pages.get("/plans")
def plans(ask: StaffAsk) -> Response:
    """The links, newest first, and a form for another one."""
    start = next_business_day(local_date(ask.now, ask.zone) + USUAL_START, ask.house.holidays)
    known = {"starts_on": start, "language": ask.settings.default_language, "staff": ask.me.staff_id}
    return _page(ask, empty_form(known))


def _page(ask: AskOfStaff, form: Filled[Any]) -> Response:
    values: dict[str, Any] = {
        "labels": labels,
        "plans": public_plans.public_plans(ask.db, ask.house),
        "products": [line.product for line in plan_templates.templates(ask.db) if line.product],
        "colleagues": desk.consultants(ask.db),
        "url": ask.house.url,
    }
    if form.errors:
        return ask.invalid("staff/public_plans.html", form=form, **values)
    return ask.page("staff/public_plans.html", form=form, **values)


@pages.post("/plans")
def make(ask: StaffAsk) -> Response:
    """A new link."""
    filled = read_form(PublicPlanForm, ask.form)
    given = filled.value
    if given is not None and not any(c.id == given.staff for c in desk.consultants(ask.db)):
        filled = filled.with_error("staff", N_("Please choose one from the list."))
    elif given is not None and abs((given.starts_on - local_date(ask.now, ask.zone)).days) > 730:
        filled = filled.with_error("starts_on", N_("That date is more than two years away. Check the year."))
    elif given is not None:
        try:
            public_plans.make(
                ask.db,
                prospect=given.prospect,
                product=given.product,
                language=given.language,
                starts_on=given.starts_on,
                staff_id=given.staff,
                by=ask.me.by,
                now=ask.now,
            )
        except Refused as refused:
            # Refused before anything is stored.
            filled = filled.with_error("product", refused.message, **refused.values)
    if filled.value is None:
        return _page(ask, filled)
    return ask.see_other("/staff/plans", said=N_("The link is ready. Copy it and send it to them."))


@pages.post("/plans/{plan}/revocation")
def revoke(ask: StaffAsk, plan: Id) -> Response:
    """Ends a link for good."""
    public_plans.revoke(ask.db, plan_id=plan, by=ask.me.by, now=ask.now)
    return ask.see_other("/staff/plans", said=N_("The link is ended. Who opens it is told to ask you."))

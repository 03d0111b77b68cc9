"""All customers, found as one types; a won deal typed in by hand."""

import secrets
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from portal.accounts import queries as accounts
from portal.deps import AskOfStaff, StaffAsk, staff_pages
from portal.errors import N_
from portal.forms import Filled, empty_form, read_form
from portal.journeys import desk, intake, public_plans
from portal.journeys.queries import stage_words
from portal.journeys.rules import pace
from portal.messages.queries import unread_accounts
from portal.policy import Permission
from portal.routes.staff import labels
from portal.routes.staff.forms import CustomerForm
from portal.routes.staff.whose import ALL, whose
from portal.routes.zones import zone_groups

pages = staff_pages(Permission.SEE_CUSTOMERS)

A_PAGE = 50


@pages.get("/customers")
def customers(ask: StaffAsk) -> Response:
    """Customers by name; `q` holds the words they are searched by, `after` the last one of the page before."""
    shown = whose(ask, asked=ask.query.get("owner", ""), usual=ALL)
    q = ask.query.get("q", "")
    lines = desk.customers(ask.db, words=q, owner_id=shown.owner_id, after=_after(ask), most=A_PAGE + 1)
    page = lines[:A_PAGE]
    chosen = {"q": q, "owner": shown.value}
    told = {name: value for name, value in chosen.items() if value and value != ALL}
    older = ""
    if len(lines) > A_PAGE:
        older = "/staff/customers?" + urlencode({**told, "name": page[-1].name, "after": page[-1].id})
    return ask.page_or_block(
        "staff/customers.html",
        "list",
        labels=labels,
        whose=shown,
        search=q,
        lines=[(line, _stage(ask, line), pace(ask.now, line.behind_at, line.stuck_at)) for line in page],
        unread=unread_accounts(ask.db, ask.me.staff_id, [line.id for line in page]),
        is_first="after" not in ask.query,
        older=older,
        first="/staff/customers" + (f"?{urlencode(told)}" if told else ""),
    )


def _after(ask: AskOfStaff) -> tuple[str, int] | None:
    last = ask.query.get("after", "")
    if not (last.isascii() and last.isdigit() and len(last) <= 18):
        return None
    # The name as the database has it: the query's text is trimmed, and a page must go on exactly where it stopped.
    found = accounts.account(ask.db, int(last))
    return (found.name, found.id) if found is not None else None


def _stage(ask: AskOfStaff, line: desk.CustomerLine) -> str:
    if line.pipeline_id is None or line.position is None:
        return ""
    return stage_words(ask.db, line.pipeline_id, ask.locale)[line.position].name


# A won deal, by hand


@pages.get("/customers/new")
def ask_for_deal(ask: StaffAsk) -> Response:
    """The form for a new customer."""
    form = empty_form({"timezone": ask.settings.default_timezone, "language": ask.settings.default_language})
    return ask.page("staff/new_customer.html", form=form, **_choices(ask))


@pages.post("/customers/new")
def take_deal(ask: StaffAsk) -> Response:
    """Takes the deal in: account, contact, journey, and all that the first stage sets going."""
    filled = read_form(CustomerForm, ask.form)
    filled = _checked(ask, filled)
    if filled.value is None:
        return ask.invalid("staff/new_customer.html", form=filled, **_choices(ask))
    given = filled.value
    person = intake.Person(given.contact_name, given.email, given.phone, given.language, given.timezone, primary=True)
    deal = intake.Deal(
        external_id=f"hand-{secrets.token_hex(6)}",
        name=given.name,
        people=(person,),
        plan=given.plan,
        mrr_amount=given.mrr_amount,
        mrr_currency=given.mrr_currency,
        sold_on=given.sold_on,
        renews_on=given.renews_on,
        notes=given.notes,
        consultant_id=given.consultant,
        public_plan_id=given.public_plan,
    )
    result = intake.take_in(ask.db, ask.house, deal=deal, by=ask.me.by, now=ask.now)
    return ask.see_other(f"/staff/customers/{result.account_id}", said=N_("%(name)s is on the road."), name=given.name)


def _checked(ask: AskOfStaff, filled: Filled[CustomerForm]) -> Filled[CustomerForm]:
    """What only several fields together can be wrong about."""
    given = filled.value
    if given is None:
        return filled
    if not given.email and not given.phone:
        return filled.with_error(
            "email", N_("Give an e-mail address or a phone number, so that somebody can reach them.")
        )
    if given.mrr_amount and not given.mrr_currency:
        return filled.with_error("mrr_currency", N_("Please say in which currency."))
    if given.sold_on and given.renews_on and given.renews_on < given.sold_on:
        return filled.with_error("renews_on", N_("The renewal can’t be before the sale."))
    if given.consultant and not any(c.id == given.consultant for c in desk.consultants(ask.db)):
        return filled.with_error("consultant", N_("Please choose one from the list."))
    if given.public_plan and not any(p.id == given.public_plan for p in public_plans.open_plans(ask.db, ask.house)):
        return filled.with_error("public_plan", N_("Please choose one from the list."))
    return filled


def _choices(ask: AskOfStaff) -> dict[str, Any]:
    return {
        "labels": labels,
        "colleagues": desk.consultants(ask.db),
        "zones": zone_groups(ask.now, ask.locale),
        "public_plans": public_plans.open_plans(ask.db, ask.house),
    }

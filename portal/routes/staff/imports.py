"""Files of won deals: uploaded, looked at line by line, confirmed, watched while the worker takes them in."""

import csv
import io
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel, Field
from starlette.responses import Response

from portal import words
from portal.accounts import deal_columns
from portal.accounts.deal_files import LIMIT_MEGABYTES
from portal.accounts.deal_problems import DealFileRefused
from portal.accounts.deal_values import DateOrder
from portal.deps import AskOfStaff, Id, StaffAsk, staff_pages
from portal.errors import N_, NotFound
from portal.forms import Filled, empty_form, read_form
from portal.journeys import import_queries as queries
from portal.journeys import importing
from portal.journeys.import_models import Became, DealImport
from portal.journeys.import_plans import FRESH_DAYS, USE_AFTER_DAYS, defused
from portal.policy import Permission
from portal.text import FORBIDDEN

pages = staff_pages(Permission.IMPORT_DEALS)

A_PAGE = 50
FIRST_ROWS = 8
WHAT_TO_DO = N_("What to do")

MEANINGS: dict[str, str] = {
    "company": N_("Company"),
    "name": N_("Contact’s name"),
    "first_name": N_("Contact’s first name"),
    "last_name": N_("Contact’s last name"),
    "email": N_("E-mail"),
    "phone": N_("Phone"),
    "role": N_("Contact’s role"),
    "language": N_("Language"),
    "time_zone": N_("Time zone"),
    "deal_id": N_("Deal number"),
    "title": N_("Deal’s name"),
    "tax_id": N_("Tax number"),
    "plan": N_("Plan"),
    "price": N_("Price a month"),
    "currency": N_("Currency"),
    "sold_on": N_("Sold on"),
    "renews_on": N_("Renews on"),
    "interests": N_("Interests"),
    "consultant": N_("Consultant"),
    "source": N_("Source"),
    "observation": N_("Notes from the sale"),
    "public_plan": N_("Link of the public plan"),
}
BECAME: dict[Became, tuple[str, str, str]] = {
    Became.REFUSED: (N_("To mend"), "bad", "alert"),
    Became.CREATED: (N_("New customer"), "ok", "check"),
    Became.UPDATED: (N_("Changed"), "cool", "redo"),
    Became.UNCHANGED: (N_("As before"), "", "check"),
    Became.JOINED: (N_("Further contact"), "ok", "user"),
    Became.DUPLICATE: (N_("Twice in the file"), "", "copy"),
}
"""What a line becomes, with tone and icon."""
CAUTIONS = "cautions"


class YesForm(BaseModel):
    version: int
    use_after_days: int = Field(default=USE_AFTER_DAYS, ge=0, le=365)
    sure: bool = False


# Uploading


@pages.get("/import")
def imports(ask: StaffAsk) -> Response:
    """The form for a file, and the files of before."""
    return ask.page("staff/imports.html", form=empty_form(), **_before(ask))


@pages.post("/import")
def upload(ask: StaffAsk) -> Response:
    """Keeps the file and leads to what it would do."""
    given = ask.files.get("file")
    if given is None:
        return _again(ask, N_("Please choose a file."))
    name = " ".join(FORBIDDEN.sub("", given.name).replace("\\", "/").rpartition("/")[2].split())[:200] or "deals.csv"
    try:
        draft, file = importing.keep_file(
            ask.db, name=name, content=given.content, by=ask.me.by, staff_id=ask.me.staff_id, now=ask.now
        )
    except DealFileRefused as refused:
        return _again(ask, refused.message, **refused.values)
    importing.plan_at_once(ask.db, ask.house, draft, file, now=ask.now)
    return ask.see_other(f"/staff/import/{draft.id}")


def _again(ask: AskOfStaff, message: str, **values: Any) -> Response:
    form = empty_form().with_error("file", message, **values)
    return ask.invalid("staff/imports.html", form=form, **_before(ask))


def _before(ask: AskOfStaff) -> dict[str, Any]:
    return {"before": queries.imports(ask.db), "megabytes": LIMIT_MEGABYTES}


# One file


@pages.get("/import/{file}")
def one_import(ask: StaffAsk, file: Id) -> Response:
    """What the file would do, does, or did. While it is in hand htmx asks for the `state` again and again."""
    found = _found(ask, file)
    if ask.htmx:
        if found.finished_at is None and (found.planned_at is None or found.confirmed_at is not None):
            return ask.block("staff/import.html", "state", **_state(ask, found))
        return ask.see_other(f"/staff/import/{file}")
    return ask.page("staff/import.html", **_shown(ask, found))


@pages.post("/import/{file}/columns")
def choose_columns(ask: StaffAsk, file: Id) -> Response:
    """Reads the file again with other columns."""
    found = _found(ask, file)
    mapping = {}
    for index in range(len(found.reading["columns"])):
        meaning = ask.form.get(f"column-{index}", "")
        if meaning and meaning not in MEANINGS:
            raise importing.NotReady
        if meaning:
            mapping[index] = deal_columns.Field(meaning)
    order = ask.form.get("date_order", "")
    chosen = DateOrder(order) if order in list(DateOrder) else None
    draft = importing.choose_columns(ask.db, file, mapping=mapping, date_order=chosen)
    importing.plan_again_at_once(ask.db, ask.house, draft, now=ask.now)
    return ask.see_other(f"/staff/import/{file}", said=N_("Read again with these columns."))


@pages.post("/import/{file}/confirmation")
def confirm(ask: StaffAsk, file: Id) -> Response:
    """The yes: from here on the worker takes the lines in."""
    filled = read_form(YesForm, ask.form)
    if filled.value is not None:
        given = filled.value
        yes = importing.Confirmation(given.version, given.use_after_days, given.sure)
        try:
            importing.confirm(ask.db, ask.house, file, yes=yes, by=ask.me.by, now=ask.now)
        except importing.TooManyPeople as many:
            filled = filled.with_error("sure", many.message, **many.values)
        else:
            return ask.see_other(f"/staff/import/{file}")
    return ask.invalid("staff/import.html", **_shown(ask, _found(ask, file), form=filled))


@pages.post("/import/{file}/dropped")
def drop(ask: StaffAsk, file: Id) -> Response:
    """Forgets a file that was not confirmed."""
    importing.drop(ask.db, file)
    return ask.see_other("/staff/import", said=N_("The file is forgotten. Nothing was taken in."))


@pages.get("/import/{file}/refused.csv")
def refused_lines(ask: StaffAsk, file: Id) -> Response:
    """The refused lines as they stand in the file, with what to do about each: to be mended and uploaded again."""
    found = _found(ask, file)
    out = io.StringIO()
    table = csv.writer(out, delimiter=found.reading["delimiter"])
    width = len(found.reading["columns"])
    what_to_do = words.translate(ask.locale, WHAT_TO_DO)
    table.writerow([*(defused(column["header"]) for column in found.reading["columns"]), what_to_do])
    for line in queries.refused(ask.db, file):
        # A line with too many cells keeps them in its last one: each column stays under its name.
        cells = [*line.cells[:width], *[""] * (width - len(line.cells))]
        sentences = [
            " ".join(filter(None, (f"{told['column']}:" if told["column"] else "", _said(ask, told))))
            for told in line.findings
        ]
        table.writerow([defused(cell) for cell in (*cells, " ".join(sentences))])
    stem = found.file_name.rpartition(".")[0] or found.file_name
    content = out.getvalue().encode("utf-8-sig")
    return ask.file(content, name=f"{stem} ({file}).csv", media_type="text/csv; charset=utf-8")


def _said(ask: AskOfStaff, told: dict[str, Any]) -> str:
    return words.translate(ask.locale, told["message"], **told["values"])


def _found(ask: AskOfStaff, file: int) -> DealImport:
    found = queries.one_import(ask.db, file)
    if found is None:
        raise NotFound
    return found


def _state(ask: AskOfStaff, found: DealImport) -> dict[str, Any]:
    left = queries.waiting(ask.db, found.id)
    return {"file": found, "left": left, "done": found.reading["rows"] - left if found.confirmed_at else 0}


def _shown(ask: AskOfStaff, found: DealImport, *, form: Filled[Any] | None = None) -> dict[str, Any]:
    counts = queries.counts(ask.db, found.id)
    cautions = queries.cautions(ask.db, found.id)
    show = ask.query.get("show", "")
    if show not in (*BECAME, CAUTIONS):
        show = next((key for key in BECAME if counts[key]), Became.CREATED)
    after = ask.query.get("after", "")
    start = int(after) if after.isascii() and after.isdigit() and len(after) < 10 else 0
    lines = queries.lines(ask.db, found.id, show=show, after=start, most=A_PAGE + 1)
    here = f"/staff/import/{found.id}"
    tabs: list[tuple[str, str, int]] = [
        (words.translate(ask.locale, BECAME[key][0]), key, counts[key]) for key in BECAME if counts[key]
    ]
    if cautions:
        tabs.append((words.translate(ask.locale, N_("Please look")), CAUTIONS, cautions))
    columns = [
        {**column, "meaning": found.mapping.get(str(index), "")}
        for index, column in enumerate(found.reading["columns"])
    ]
    known = {"version": found.version, "use_after_days": USE_AFTER_DAYS}
    older = f"{here}?{urlencode({'show': show, 'after': lines[A_PAGE - 1].line})}" if len(lines) > A_PAGE else ""
    return {
        **_state(ask, found),
        "form": form or empty_form(known),
        "counts": counts,
        "tabs": [(f"{text} {words.number(n, ask.locale)}", f"{here}?show={key}", key == show) for text, key, n in tabs],
        "show": show,
        "lines": lines[:A_PAGE],
        "older": f"{older}#lines" if older else "",
        "newer": f"{here}?show={show}#lines" if start else "",
        "said_of": lambda told: _said(ask, told),
        "first_rows": queries.first_rows(ask.db, found, most=FIRST_ROWS, now=ask.now, settings=ask.settings),
        "columns": columns,
        "meanings": [("", N_("– leave out –")), *MEANINGS.items()],
        "became": BECAME,
        "storm_limit": ask.settings.storm_limit,
        "fresh_days": FRESH_DAYS,
    }

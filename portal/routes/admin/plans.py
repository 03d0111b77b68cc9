"""Plans as templates: what customers of each product start with. A change reaches only customers to come."""

from typing import Any, NamedTuple

from starlette.responses import Response

from portal.deps import AskOfStaff, Id, StaffAsk, admin_pages
from portal.errors import N_, NotFound, Refused
from portal.forms import Filled, empty_form, read_form
from portal.journeys import conduct, plan_templates
from portal.journeys.plan_templates import Circle, Dateless, EntryLine
from portal.journeys.plans import CHANNELS, Entry
from portal.journeys.queries import stage_words
from portal.journeys.rules import EntryKind, Whose
from portal.journeys.shipped import AFTER_SALE
from portal.policy import Permission
from portal.routes.staff import labels
from portal.routes.staff.forms import EntryForm, TemplateForm

pages = admin_pages(Permission.EDIT_CONTENT)

TITLES: dict[EntryKind, tuple[str, str]] = {
    EntryKind.MILESTONE: (N_("A new step"), N_("Change a step")),
    EntryKind.TOUCHPOINT: (N_("A new touchpoint"), N_("Change a touchpoint")),
}


@pages.get("/plans")
def plans(ask: StaffAsk) -> Response:
    """All templates, and a form for a product's own."""
    return _list(ask, empty_form())


def _list(ask: AskOfStaff, form: Filled[Any]) -> Response:
    values: dict[str, Any] = {"templates": plan_templates.templates(ask.db)}
    if form.errors:
        return ask.invalid("admin/plans.html", form=form, **values)
    return ask.page("admin/plans.html", form=form, **values)


@pages.post("/plans")
def make(ask: StaffAsk) -> Response:
    """A plan for one product, as a copy of another."""
    filled = read_form(TemplateForm, ask.form)
    template_id = 0
    if filled.value is not None:
        try:
            template_id = plan_templates.make_template(
                ask.db, product=filled.value.product, copy_of=filled.value.copy_of, by=ask.me.by, now=ask.now
            )
        except NotFound:
            raise
        except Refused as refused:
            # Refused before anything is stored.
            filled = filled.with_error("product", refused.message, **refused.values)
    if filled.value is None:
        return _list(ask, filled)
    return ask.see_other(f"/admin/plans/{template_id}", said=N_("The plan is there. Change what is different for it."))


class Group(NamedTuple):
    """The milestones of one stage."""

    name: str
    lines: list[EntryLine]


@pages.get("/plans/{template}")
def plan(ask: StaffAsk, template: Id) -> Response:
    """One template: its touchpoints, its milestones by stage."""
    product = plan_templates.product_of(ask.db, template)
    lines = plan_templates.entries_of(ask.db, template)
    milestones = [line for line in lines if line.entry.kind is EntryKind.MILESTONE]
    stages = _stages(ask)
    groups = [Group(name, [m for m in milestones if m.entry.stage_key == key]) for key, name in stages]
    known = {key for key, _ in stages}
    groups.append(Group("", [m for m in milestones if m.entry.stage_key not in known]))
    return ask.page(
        "admin/plan.html",
        labels=labels,
        template_id=template,
        product=product,
        groups=[group for group in groups if group.lines],
        touchpoints=[line for line in lines if line.entry.kind is EntryKind.TOUCHPOINT],
        titles={(line.entry.kind, line.entry.key): line.entry.title for line in lines},
        pt=ask.locale == "pt-BR",
    )


def _stages(ask: AskOfStaff) -> list[tuple[str, str]]:
    pipeline_id = conduct.current_pipeline_id(ask.db, AFTER_SALE)
    return [(stage.key, stage.name) for stage in stage_words(ask.db, pipeline_id, ask.locale)]


@pages.post("/plans/{template}/removal")
def remove(ask: StaffAsk, template: Id) -> Response:
    """A product's own plan goes; the one for all stays."""
    plan_templates.remove_template(ask.db, template_id=template, by=ask.me.by, now=ask.now)
    return ask.see_other("/admin/plans", said=N_("Removed. New customers of it start with the plan for all."))


# Entries


@pages.get("/plans/{template}/entries")
def ask_entry(ask: StaffAsk, template: Id) -> Response:
    """The form for a new entry; `kind` says which."""
    kind = EntryKind.TOUCHPOINT if ask.query.get("kind") == EntryKind.TOUCHPOINT else EntryKind.MILESTONE
    known = {"when": "day", "whose": Whose.YOU, "channel": CHANNELS[0], "stage": "deployment"}
    return _entry_page(ask, template, kind, empty_form(known))


@pages.post("/plans/{template}/entries")
def add_entry(ask: StaffAsk, template: Id) -> Response:
    kind = EntryKind.TOUCHPOINT if ask.form.get("kind") == EntryKind.TOUCHPOINT else EntryKind.MILESTONE
    return _save(ask, template, kind, None)


@pages.get("/plans/{template}/entries/{entry}")
def edit_entry(ask: StaffAsk, template: Id, entry: Id) -> Response:
    """One entry with all that can be changed of it."""
    found = _entry(ask, template, entry).entry
    known = {
        "title_en": found.title[0],
        "title_pt": found.title[1],
        "text_en": found.text[0],
        "text_pt": found.text[1],
        "stage": found.stage_key,
        "whose": found.whose,
        "channel": found.channel,
        "when": "after" if found.after_key else "before" if found.day is None else "day",
        "day": found.day,
        "after": found.after_key,
        "after_days": found.after_days if found.after_key else None,
        "needs": found.needs,
    }
    return _entry_page(ask, template, found.kind, empty_form(known), editing=entry)


@pages.post("/plans/{template}/entries/{entry}")
def change_entry(ask: StaffAsk, template: Id, entry: Id) -> Response:
    return _save(ask, template, _entry(ask, template, entry).entry.kind, entry)


def _entry(ask: AskOfStaff, template: int, entry: int) -> EntryLine:
    found = next((line for line in plan_templates.entries_of(ask.db, template) if line.id == entry), None)
    if found is None:
        raise NotFound
    return found


def _save(ask: AskOfStaff, template: int, kind: EntryKind, entry_id: int | None) -> Response:
    filled = _checked(ask, template, kind, read_form(EntryForm, ask.form), editing=entry_id or 0)
    if filled.value is not None:
        try:
            plan_templates.save_entry(
                ask.db,
                template_id=template,
                entry_id=entry_id,
                entry=_written(kind, filled.value),
                by=ask.me.by,
                now=ask.now,
                locale=ask.locale,
            )
        except (Circle, Dateless) as refused:
            # Refused before anything is stored.
            reckoned = isinstance(refused, Dateless) or (filled.value.when == "after" and not filled.value.needs)
            filled = filled.with_error("after" if reckoned else "needs", refused.message, **refused.values)
    if filled.value is None:
        return _entry_page(ask, template, kind, filled, editing=entry_id or 0)
    return ask.see_other(
        f"/admin/plans/{template}", said=N_("Saved. Customers under way keep the plan they started with.")
    )


def _checked(
    ask: AskOfStaff, template: int, kind: EntryKind, filled: Filled[EntryForm], *, editing: int
) -> Filled[EntryForm]:
    """What only several fields, or the rest of the template, can be wrong about."""
    given = filled.value
    plan_templates.product_of(ask.db, template)
    if given is None:
        return filled
    keys = {line.entry.key for line in _others(ask, template, kind, editing)}
    if given.when == "day" and given.day is None:
        return filled.with_error("day", N_("Say which day of use."))
    if given.when == "after" and given.after not in keys:
        return filled.with_error("after", N_("Say after what."))
    if given.when == "after" and given.after_days is None:
        return filled.with_error("after_days", N_("Say how many days after."))
    if kind is EntryKind.MILESTONE and not keys.issuperset(given.needs):
        return filled.with_error("needs", N_("Please choose from the steps of this plan."))
    if kind is EntryKind.TOUCHPOINT and not given.channel:
        return filled.with_error("channel", N_("Please choose one from the list."))
    if given.stage and given.stage not in {key for key, _ in _stages(ask)}:
        return filled.with_error("stage", N_("Please choose one from the list."))
    return filled


def _others(ask: AskOfStaff, template: int, kind: EntryKind, editing: int) -> list[EntryLine]:
    lines = plan_templates.entries_of(ask.db, template)
    return [line for line in lines if line.entry.kind is kind and line.id != editing]


def _written(kind: EntryKind, form: EntryForm) -> Entry:
    is_milestone = kind is EntryKind.MILESTONE
    return Entry(
        kind=kind,
        key="",
        title=(form.title_en, form.title_pt),
        text=(form.text_en, form.text_pt),
        stage_key=form.stage,
        whose=form.whose if is_milestone else Whose.US,
        channel="" if is_milestone else form.channel,
        day=form.day if form.when == "day" else None,
        after_key=form.after if form.when == "after" else "",
        after_days=form.after_days or 0 if form.when == "after" else 0,
        needs=tuple(form.needs) if is_milestone else (),
    )


def _entry_page(ask: AskOfStaff, template: int, kind: EntryKind, form: Filled[Any], *, editing: int = 0) -> Response:
    values: dict[str, Any] = {
        "labels": labels,
        "template_id": template,
        "product": plan_templates.product_of(ask.db, template),
        "kind": kind,
        "editing": editing,
        "title": TITLES[kind][1 if editing else 0],
        "stages": _stages(ask),
        "others": _others(ask, template, kind, editing),
        "pt": ask.locale == "pt-BR",
    }
    if form.errors:
        return ask.invalid("admin/plan_entry.html", form=form, **values)
    return ask.page("admin/plan_entry.html", form=form, **values)


@pages.post("/plans/{template}/entries/{entry}/removal")
def remove_entry(ask: StaffAsk, template: Id, entry: Id) -> Response:
    plan_templates.remove_entry(ask.db, template_id=template, entry_id=entry, by=ask.me.by, now=ask.now)
    return ask.see_other(f"/admin/plans/{template}", said=N_("It’s off the plan."))


@pages.post("/plans/{template}/entries/{entry}/place")
def place_entry(ask: StaffAsk, template: Id, entry: Id) -> Response:
    """One place up, or (`way=down`) down."""
    plan_templates.place_entry(
        ask.db, template_id=template, entry_id=entry, up=ask.form.get("way") != "down", by=ask.me.by, now=ask.now
    )
    return ask.see_other(f"/admin/plans/{template}#entry-{entry}")

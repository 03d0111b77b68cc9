"""Writing what customers read: the list with what is missing, both languages side by side, preview, pictures and files,
versions, and the report of who read it and whom it did not help."""

import csv
import io
from dataclasses import replace
from datetime import date
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

from fastapi import Query
from pydantic import AfterValidator, BaseModel, Field, StringConstraints
from starlette.responses import Response

from portal import audit, media, words
from portal.accounts.rules import Language, folded
from portal.audit import Event, Happened
from portal.deps import AskOfStaff, Id, StaffAsk, admin_pages
from portal.errors import N_, NotFound
from portal.forms import Filled, empty_form, read_form
from portal.journeys.import_plans import defused
from portal.learning import desk, rules, writing
from portal.learning.markdown import Part, media_in, parts, problems, snippet
from portal.learning.rules import Audience, Draft, Kind, Text
from portal.media import MediaRefused, Reach
from portal.policy import Permission
from portal.text import Line, clean

pages = admin_pages(Permission.EDIT_CONTENT)

KINDS: dict[str, str] = {Kind.TUTORIAL: N_("Lesson"), Kind.EXAMPLE: N_("Example"), Kind.NEWS: N_("News item")}
AUDIENCES: dict[str, str] = {
    Audience.EVERYONE: N_("Everyone at the customer"),
    Audience.PRIMARY: N_("The main contact"),
    Audience.COLLEAGUES: N_("Their colleagues"),
}
LANGUAGES: dict[Language, str] = {Language.EN: "en", Language.PT_BR: "pt"}
"""The ends of the fields' names."""
FIELDS: dict[str, str] = {
    "kind": N_("What it is"),
    "stage_key": N_("Stage"),
    "position": N_("Place in the stage"),
    "minutes": N_("Minutes to read"),
    "audience": N_("For whom"),
    "plans": N_("Plans"),
    "happened_on": N_("Day of the news"),
    "title": N_("Title"),
    "summary": N_("In a sentence"),
    "body": N_("Text"),
    "who": N_("Who does it"),
    "achieved": N_("What they achieved"),
}
HALF = N_("Please write this as well, or leave this language empty.")

Summary = Annotated[Line, StringConstraints(max_length=300)]
Body = Annotated[str, AfterValidator(clean), StringConstraints(max_length=50_000)]


class LessonForm(BaseModel):
    kind: Kind = Kind.TUTORIAL
    stage_key: Annotated[Line, StringConstraints(max_length=80)] = ""
    position: int = Field(default=1, ge=1, le=999)
    minutes: int = Field(default=3, ge=1, le=240)
    audience: Audience = Audience.EVERYONE
    plans: Line = ""
    happened_on: date | None = None
    version: int = 0
    title_en: Line = ""
    summary_en: Summary = ""
    body_en: Body = ""
    who_en: Line = ""
    achieved_en: Summary = ""
    title_pt: Line = ""
    summary_pt: Summary = ""
    body_pt: Body = ""
    who_pt: Line = ""
    achieved_pt: Summary = ""


class Preview(NamedTuple):
    """One language as its readers would have it."""

    language: str
    text: Text
    parts: tuple[Part, ...]


# The list


A_PAGE = 50

Page = Annotated[int, Query(ge=1, le=100_000)]


@pages.get("/lessons")
def lessons(ask: StaffAsk, page: Page = 1) -> Response:
    """Everything there is, drafts included, a page at a time."""
    kind, stage, state, language = (ask.query.get(name, "") for name in ("kind", "stage", "state", "missing"))
    stages = desk.stage_names(ask.db, ask.locale)
    wanted = desk.Wanted(kind or None, stage or None, state == "published" if state else None, language or None)
    keys = [key for key, _name in stages]
    shown, count, everything = desk.listed(ask.db, ask.locale, wanted, keys, page=page, a_page=A_PAGE)
    chosen = {"kind": kind, "stage": stage, "state": state, "missing": language}
    return ask.page(
        "admin/lessons.html",
        items=shown,
        all=everything,
        stages=stages,
        stage_names=dict(stages),
        chosen=chosen,
        **_turning("/admin/lessons", chosen, page, count),
        **_labels(ask),
    )


def _turning(path: str, chosen: dict[str, str], page: int, count: int) -> dict[str, Any]:
    """The links to the pages around one, and which of how many it shows. Errors: NotFound, behind the last one."""
    if page > 1 and (page - 1) * A_PAGE >= count:
        raise NotFound

    def to(number: int) -> str:
        query = urlencode(
            {name: value for name, value in {**chosen, "page": number if number > 1 else ""}.items() if value}
        )
        return f"{path}?{query}" if query else path

    return {
        "newer": to(page - 1) if page > 1 else "",
        "older": to(page + 1) if page * A_PAGE < count else "",
        "from_": (page - 1) * A_PAGE + 1,
        "count": count,
    }


def _labels(ask: AskOfStaff) -> dict[str, Any]:
    return {"kinds": KINDS, "audiences": AUDIENCES, "fields": FIELDS, "languages": LANGUAGES}


# The report


@pages.get("/lessons/report")
def report(ask: StaffAsk, page: Page = 1) -> Response:
    """Who reads, who finishes, and whom it did not help."""
    lines, count = desk.report(ask.db, ask.locale, page=page, a_page=A_PAGE)
    return ask.page(
        "admin/lesson_report.html",
        lines=lines,
        complaints=desk.complaints(ask.db, ask.locale),
        **_turning("/admin/lessons/report", {}, page, count),
        **_labels(ask),
    )


COLUMNS = (
    N_("Title"),
    N_("What it is"),
    N_("Customer"),
    N_("Person"),
    N_("Began"),
    N_("Finished"),
    N_("Helped"),
    N_("What was missing"),
)


@pages.get("/lessons/report.csv")
def report_file(ask: StaffAsk) -> Response:
    """The same, a line a person, for a spreadsheet; no cell in it is a formula."""
    learners = desk.learners(ask.db, ask.locale)
    kinds = desk.kinds(ask.db)  # read last: somebody may begin a lesson as the first in this very moment
    helped = {True: N_("Yes"), False: N_("No"), None: ""}
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow([words.translate(ask.locale, column) for column in COLUMNS])
    for one in learners:
        verdict = helped[one.helped]
        table.writerow(
            [
                defused(one.title),
                words.translate(ask.locale, KINDS[kinds[one.tutorial_id]]),
                defused(one.account),
                defused(one.name),
                one.started_at.isoformat(timespec="minutes"),
                one.finished_at.isoformat(timespec="minutes") if one.finished_at else "",
                words.translate(ask.locale, verdict) if verdict else "",
                defused(one.words),
            ]
        )
    # The mark at the start tells spreadsheets that it is UTF-8.
    content = ("\ufeff" + out.getvalue()).encode()
    return ask.file(content, name=f"lessons-{ask.now:%Y-%m-%d}.csv", media_type="text/csv; charset=utf-8")


# The editor


@pages.get("/lessons/new")
def new(ask: StaffAsk) -> Response:
    kind = ask.query.get("kind", Kind.TUTORIAL)
    return _editor(ask, None, empty_form({"kind": kind if kind in KINDS else Kind.TUTORIAL}))


@pages.post("/lessons")
def create(ask: StaffAsk) -> Response:
    """A new draft, or published at once where that button was pressed."""
    filled = _checked(ask, read_form(LessonForm, ask.form))
    if filled.value is None:
        return _editor(ask, None, filled)
    lesson = writing.create(ask.db, _draft(filled.value), by=ask.me.by, now=ask.now)
    if ask.form.get("then") == "publish":
        writing.publish(ask.db, lesson, by=ask.me.by, now=ask.now)
        return ask.see_other(f"/admin/lessons/{lesson}", said=N_("Published. Readers find it now."))
    return ask.see_other(f"/admin/lessons/{lesson}", said=N_("Kept as a draft. Nobody else sees it yet."))


@pages.post("/lessons/preview")
def preview(ask: StaffAsk) -> Response:
    """As readers would have it, while it is typed; without script the whole page, with all that was typed."""
    filled = read_form(LessonForm, ask.form)
    shown = _previews(ask)
    if ask.htmx:
        return ask.block("admin/lesson.html", "preview", previews=shown, **_labels(ask))
    return _editor(ask, _number(ask), replace(filled, errors={}), previews=shown)


def _previews(ask: AskOfStaff) -> list[Preview]:
    found = []
    for language, end in LANGUAGES.items():
        typed = {field: ask.form.get(f"{field}_{end}", "")[:50_000] for field in vars(Text(""))}
        if any(text.strip() for text in typed.values()):
            found.append(Preview(language, Text(**typed), parts(typed["body"], language)))
    return found


@pages.post("/lessons/media")
def upload(ask: StaffAsk) -> Response:
    """A picture or file to show; what was typed around it stays as it is."""
    filled = replace(read_form(LessonForm, ask.form), errors={})
    came = ask.files.get("upload")
    uploaded = None
    if came is None:
        filled = filled.with_error("upload", N_("Choose a picture or file first."))
    else:
        try:
            uploaded = media.keep(
                ask.db, ask.house, media.read_file(came), reach=Reach.BY_ADDRESS, by=ask.me.by, now=ask.now
            )
            detail = {"name": uploaded.name, "address": uploaded.address}
            audit.note(ask.db, Event(Happened.CONTENT_UPLOADED, ask.me.by, ask.now, detail=detail))
        except MediaRefused as why:
            filled = filled.with_error("upload", why.message, **why.values)
    status = 200 if uploaded else 422
    if ask.htmx:
        return ask.block("admin/lesson.html", "media", status=status, form=filled, **_media(ask, uploaded))
    return _editor(ask, _number(ask), filled, status=status, uploaded=uploaded)


@pages.get("/lessons/media/{medium}/deletion")
def ask_to_delete_upload(ask: StaffAsk, medium: Id) -> Response:
    """What it is, and whether anything shows it."""
    return _deletion(ask, medium, empty_form())


@pages.post("/lessons/media/{medium}/deletion")
def delete_upload(ask: StaffAsk, medium: Id) -> Response:
    """Takes a picture or file away that nothing shows, in no version either."""
    one = desk.uploaded(ask.db, medium)
    if desk.shown_in(ask.db, one.address):
        return _deletion(ask, medium, empty_form(), status=409)
    if ask.form.get("sure") != "1":
        ticked = empty_form().with_error("sure", N_("Please tick the box, then delete it."))
        return _deletion(ask, medium, ticked, status=422)
    media.forget(ask.db, medium)
    detail = {"name": one.name, "address": one.address}
    audit.note(ask.db, Event(Happened.UPLOAD_DELETED, ask.me.by, ask.now, detail=detail))
    return ask.see_other("/admin/lessons", said=N_("It is deleted."))


def _deletion(ask: AskOfStaff, medium: int, form: Filled[Any], *, status: int = 200) -> Response:
    one = desk.uploaded(ask.db, medium)
    return ask.page("admin/upload.html", status, one=one, shown_in=desk.shown_in(ask.db, one.address), form=form)


def _media(ask: AskOfStaff, uploaded: media.Kept | None) -> dict[str, Any]:
    kept = desk.uploads(ask.db)
    return {"uploads": [(one, _snippet(one)) for one in kept], "uploaded": uploaded.id if uploaded else 0}


def _snippet(one: media.Kept) -> str:
    return snippet(one.name, one.path, size=one.size, width=one.width, height=one.height)


def _number(ask: AskOfStaff) -> int | None:
    """Which one the form is of; None for one that isn't saved yet."""
    typed = ask.form.get("lesson", "")
    return int(typed) if typed.isdigit() and len(typed) < 18 else None


@pages.get("/lessons/{lesson}")
def lesson(ask: StaffAsk, lesson: Id) -> Response:
    draft = writing.draft_of(ask.db, lesson)
    shown = [Preview(language, text, parts(text.body, language)) for language, text in draft.texts.items()]
    return _editor(ask, lesson, empty_form(_typed(ask, lesson)), previews=shown)


def _typed(ask: AskOfStaff, lesson: int) -> dict[str, object]:
    """The form's fields as what is stored fills them."""
    draft = writing.draft_of(ask.db, lesson)
    typed: dict[str, object] = {
        **{field: getattr(draft, field) for field in ("kind", "stage_key", "position", "minutes", "audience")},
        "plans": ", ".join(draft.plans),
        "happened_on": draft.happened_on.isoformat() if draft.happened_on else "",
        "version": desk.item(ask.db, lesson, ask.locale).version,
    }
    for language, end in LANGUAGES.items():
        if language in draft.texts:
            typed |= {f"{field}_{end}": value for field, value in vars(draft.texts[language]).items()}
    return typed


@pages.post("/lessons/{lesson}")
def save(ask: StaffAsk, lesson: Id) -> Response:
    """A new version; published too where that button was pressed."""
    filled = _checked(ask, read_form(LessonForm, ask.form))
    if filled.value is None:
        return _editor(ask, lesson, filled)
    draft = _draft(filled.value)
    try:
        writing.save(ask.db, lesson, draft, version=filled.value.version, by=ask.me.by, now=ask.now)
    except writing.SavedMeanwhile:
        return _saved_meanwhile(ask, lesson, filled, draft)
    if ask.form.get("then") == "publish":
        writing.publish(ask.db, lesson, by=ask.me.by, now=ask.now)
        return ask.see_other(f"/admin/lessons/{lesson}", said=N_("Published. Readers find it now."))
    return ask.see_other(f"/admin/lessons/{lesson}", said=N_("Saved."))


def _saved_meanwhile(ask: AskOfStaff, lesson: int, filled: Filled[LessonForm], typed: Draft) -> Response:
    """409 with all that was typed, who was faster, and what differs; saving again is then on purpose."""
    newest = desk.versions(ask.db, lesson)[0]
    differs = rules.changes(writing.draft_of(ask.db, lesson), typed)
    again = replace(filled, typed={**filled.typed, "version": str(newest.number)})
    return _editor(ask, lesson, again, status=409, newest=newest, differs=differs)


def _draft(form: LessonForm) -> Draft:
    texts = {}
    for language, end in LANGUAGES.items():
        text = Text(**{field: getattr(form, f"{field}_{end}") for field in vars(Text(""))})
        if text.title:
            texts[language] = text if form.kind is Kind.EXAMPLE else replace(text, who="", achieved="")
    on = form.happened_on if form.kind is Kind.NEWS else None
    return Draft(form.kind, form.stage_key, form.position, form.minutes, form.audience, _plans(form.plans), on, texts)


def _plans(typed: str) -> tuple[str, ...]:
    """`Growth, Start` as two plans, each once."""
    named = (" ".join(part.split()) for part in typed.split(","))
    return tuple({folded(plan): plan for plan in named if plan}.values())


def _checked(ask: AskOfStaff, filled: Filled[LessonForm]) -> Filled[LessonForm]:
    """With the errors that only our rules find."""
    form = filled.value
    if form is None:
        return filled
    if form.stage_key and form.stage_key not in dict(desk.stage_names(ask.db, ask.locale)):
        filled = filled.with_error("stage_key", N_("Please choose one from the list."))
    if form.kind is Kind.NEWS and form.happened_on is None:
        filled = filled.with_error("happened_on", N_("News has a day. Please enter it."))
    if not any(getattr(form, f"{field}_{end}") for field in ("title", "body") for end in LANGUAGES.values()):
        return filled.with_error("title_en", N_("Please write it in at least one language."))
    missing = desk.unknown_media(ask.db, media_in(form.body_en) | media_in(form.body_pt))
    for end in LANGUAGES.values():
        title, body = getattr(form, f"title_{end}"), getattr(form, f"body_{end}")
        more = any(getattr(form, f"{field}_{end}") for field in ("summary", "body", "who", "achieved"))
        if more and not title:
            filled = filled.with_error(f"title_{end}", HALF)
        if title and not body:
            filled = filled.with_error(f"body_{end}", HALF)
        if media_in(body) & missing:
            filled = filled.with_error(
                f"body_{end}", N_("One of its pictures or files isn’t here. Please upload it again.")
            )
        for problem in problems(body)[:1]:
            filled = filled.with_error(f"body_{end}", problem.message, **problem.values)
    return filled


def _editor(
    ask: AskOfStaff,
    lesson: int | None,
    form: Filled[Any],
    *,
    status: int = 0,
    previews: list[Preview] | None = None,
    uploaded: media.Kept | None = None,
    newest: desk.Version | None = None,
    differs: list[rules.Change] | None = None,
) -> Response:
    values: dict[str, Any] = {
        "item": desk.item(ask.db, lesson, ask.locale) if lesson is not None else None,
        "stages": desk.stage_names(ask.db, ask.locale),
        "known_plans": desk.plans(ask.db),
        "previews": previews or [],
        "newest": newest,
        "differs": differs or [],
        **_media(ask, uploaded),
        **_labels(ask),
    }
    if form.errors and not status:
        return ask.invalid("admin/lesson.html", form=form, **values)
    return ask.page("admin/lesson.html", status or 200, form=form, **values)


# Published or not, and away


@pages.post("/lessons/{lesson}/published")
def publish(ask: StaffAsk, lesson: Id) -> Response:
    writing.publish(ask.db, lesson, by=ask.me.by, now=ask.now)
    said = N_("Published. Readers find it now.")
    return ask.see_other(f"/admin/lessons/{lesson}", said=said, undo=f"/admin/lessons/{lesson}/withdrawn")


@pages.post("/lessons/{lesson}/withdrawn")
def withdraw(ask: StaffAsk, lesson: Id) -> Response:
    writing.withdraw(ask.db, lesson, by=ask.me.by, now=ask.now)
    said = N_("Withdrawn. It is a draft again.")
    return ask.see_other(f"/admin/lessons/{lesson}", said=said, undo=f"/admin/lessons/{lesson}/published")


@pages.post("/lessons/{lesson}/deleted")
def take_away(ask: StaffAsk, lesson: Id) -> Response:
    """Only where the page's box was ticked: there is no way back."""
    if ask.form.get("sure") != "1":
        return _editor(
            ask, lesson, empty_form(_typed(ask, lesson)).with_error("sure", N_("Please tick the box, then delete it."))
        )
    writing.take_away(ask.db, lesson, by=ask.me.by, now=ask.now)
    return ask.see_other("/admin/lessons", said=N_("The draft is deleted."))


# Versions


@pages.get("/lessons/{lesson}/versions")
def versions(ask: StaffAsk, lesson: Id) -> Response:
    return _versions(ask, lesson, None)


@pages.get("/lessons/{lesson}/versions/{number}")
def version(ask: StaffAsk, lesson: Id, number: Id) -> Response:
    """What has changed since that version."""
    return _versions(ask, lesson, number)


def _versions(ask: AskOfStaff, lesson: int, number: int | None) -> Response:
    differs: list[rules.Change] = []
    if number is not None:
        then = Draft.from_json(desk.version(ask.db, lesson, number).content)
        differs = rules.changes(then, writing.draft_of(ask.db, lesson))
    return ask.page(
        "admin/lesson_versions.html",
        item=desk.item(ask.db, lesson, ask.locale),
        versions=desk.versions(ask.db, lesson),
        number=number,
        differs=differs,
        **_labels(ask),
    )


class RestoreForm(BaseModel):
    version: int


@pages.post("/lessons/{lesson}/versions/{number}/restored")
def restore(ask: StaffAsk, lesson: Id, number: Id) -> Response:
    """That version as the newest; refused where somebody saved since the page was read."""
    filled = read_form(RestoreForm, ask.form)
    started_from = filled.value.version if filled.value else -1
    writing.restore(ask.db, lesson, number, version=started_from, by=ask.me.by, now=ask.now)
    return ask.see_other(f"/admin/lessons/{lesson}", said=N_("Version %(number)s is back."), number=number)


@pages.get("/lessons/{lesson}/readers")
def readers(ask: StaffAsk, lesson: Id, page: Page = 1) -> Response:
    """Who read this one, by name, a page at a time."""
    item = desk.item(ask.db, lesson, ask.locale)
    shown, count = desk.readers(ask.db, ask.locale, lesson, page=page, a_page=A_PAGE)
    return ask.page(
        "admin/lesson_readers.html",
        item=item,
        learners=shown,
        **_turning(f"{item.path}/readers", {}, page, count),
        **_labels(ask),
    )

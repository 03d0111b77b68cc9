"""What the answers to one survey come to, for whom one asks about: figures with their intervals, who is silent, every
comment with tags and themes, words to quote, and files to take away. Whatever was chosen stands in the address."""

import csv
import io
import itertools
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import IO, Annotated, Any, NamedTuple
from urllib.parse import urlencode

import xlsxwriter
from pydantic import AfterValidator, BaseModel, StringConstraints
from starlette.responses import Response

from portal import audit, words
from portal.accounts.rules import Language
from portal.audit import Event, Happened
from portal.clock import at_local, local_date
from portal.deps import AskOfStaff, Id, StaffAsk, looking_first, staff_pages
from portal.errors import N_, NotFound, Refused
from portal.forms import Filled, empty_form, read_form
from portal.insights import rules
from portal.insights.rules import Change, Nps, Share, Trust
from portal.journeys.import_plans import defused
from portal.policy import Permission
from portal.routes.staff import labels
from portal.routes.staff.insights import Month, Scores, by_month, faces, points
from portal.routes.staff.whose import ALL, Whose, whose
from portal.surveys import further_results, quoting, results, tallies, themes
from portal.surveys.narrowing import Narrow
from portal.surveys.results import Asked, Listed, Said, Taken
from portal.surveys.rules import Provenance, Question, ShownAs
from portal.surveys.tallies import Count
from portal.surveys.themes import Theme, Written
from portal.text import Paragraphs, clean_line

pages = staff_pages(Permission.SEE_FIGURES)
files = staff_pages(Permission.EXPORT_CUSTOMERS)

PERIODS: Mapping[str, str] = {
    "30": N_("Last 30 days"),
    "90": N_("Last 90 days"),
    "180": N_("Last 180 days"),
    "365": N_("Last 365 days"),
    "all": N_("Since the beginning"),
    "dates": N_("Between two dates"),
}
USUAL = "90"
MONTHS = 12
BEGINNING = date(2000, 1, 1)
MOST_TAKEN = 1_000_000
"""Lines of a file; the newest ones."""


class Filter(NamedTuple):
    """What was chosen; every value is one of a known few, or a date."""

    period: str
    first: str
    """As it was typed, like `last`."""
    last: str
    since: datetime
    until: datetime
    days: int
    stage: str
    plan: str
    language: str
    whose: Whose
    errors: Mapping[str, str]

    @property
    def address(self) -> str:
        """The query string that chooses this again; empty for what one sees first."""
        chosen = {
            "period": self.period if self.period != USUAL else "",
            "from": self.first if self.period == "dates" else "",
            "to": self.last if self.period == "dates" else "",
            "stage": self.stage,
            "plan": self.plan,
            "language": self.language,
            "owner": self.whose.value if self.whose.value != ALL else "",
        }
        return urlencode({name: value for name, value in chosen.items() if value})

    def narrow(self, survey: Listed) -> Narrow:
        return Narrow(survey.ids, self.stage or None, self.plan or None, self.language or None, self.whose.owner_id)


# All surveys


class Line(NamedTuple):
    """One survey in the list."""

    key: str
    name: str
    scores: Scores
    comments: int


@pages.get("/insights/surveys")
def surveys(ask: StaffAsk) -> Response:
    """Every survey with what came in lately."""
    until = ask.now + timedelta(microseconds=1)
    lines = []
    every = results.surveys(ask.db)
    narrow, bounds = (
        Narrow(tuple(id for survey in every for id in survey.ids)),
        [ask.now - timedelta(days=int(USUAL)), until],
    )
    counts = tallies.counted_by_survey(ask.db, narrow, bounds, now=ask.now)
    for survey in every:
        count = sum((counts[id][0] for id in survey.ids if id in counts), Count())
        name = survey.form.name.told(ask.locale, ask.settings.vendor_name)
        lines.append(Line(survey.form.key, name, _scores(count), count.comments))
    return ask.page("staff/survey_list.html", lines=lines, Trust=Trust, points=points)


def _survey(ask: AskOfStaff, key: str) -> Listed:
    """Errors: NotFound."""
    found = next((survey for survey in results.surveys(ask.db) if survey.form.key == key), None)
    if found is None:
        raise NotFound
    return found


# One survey


@pages.get("/insights/surveys/{key}")
def survey(ask: StaffAsk, key: str) -> Response:
    """The figures of one survey; their own block where a filter changed."""
    found, options = _survey(ask, key), _options(ask)
    chosen = _filter(ask, options)
    return ask.page_or_block(
        "staff/survey_results.html", "figures", **_frame(ask, found, chosen, options), **_figures(ask, found, chosen)
    )


class Options(NamedTuple):
    """What there is to choose from."""

    stages: list[tuple[str, str]]
    plans: Sequence[str]


def _options(ask: AskOfStaff) -> Options:
    return Options(results.stages(ask.db, ask.locale), results.plans(ask.db))


def _filter(ask: AskOfStaff, options: Options) -> Filter:
    asked = ask.query
    first, last = asked.get("from", ""), asked.get("to", "")
    period = asked.get("period", USUAL)
    if period not in PERIODS:
        period = USUAL
    until = ask.now + timedelta(microseconds=1)  # an answer of this very instant has come
    errors: dict[str, str] = {}
    if period == "dates":
        begins, ends = _day(first), _day(last)
        if first or last:  # who has only just chosen "between two dates" has typed nothing wrong yet
            missing = {"from": begins, "to": ends}
            errors = {name: N_("Please enter a date.") for name, day in missing.items() if day is None}
        if begins and ends and ends < begins:
            errors["to"] = N_("That is before the first day.")
        if begins and ends and not errors:
            since, until = at_local(begins, time(0), ask.zone), at_local(ends + timedelta(days=1), time(0), ask.zone)
        else:
            since = until - timedelta(days=int(USUAL))
    elif period == "all":
        since = at_local(BEGINNING, time(0), ask.zone)
    else:
        since = until - timedelta(days=int(period))
    stage, plan, language = asked.get("stage", ""), asked.get("plan", ""), asked.get("language", "")
    return Filter(
        period,
        first,
        last,
        since,
        until,
        max(1, round((until - since) / timedelta(days=1))),
        stage if stage in dict(options.stages) else "",
        plan if plan in options.plans else "",
        language if language in list(Language) else "",
        whose(ask, asked=asked.get("owner", ""), usual=ALL),
        errors,
    )


def _day(typed: str) -> date | None:
    try:
        day = date.fromisoformat(typed)
    except ValueError:
        return None
    return day if BEGINNING <= day <= date(2200, 1, 1) else None


def _frame(ask: AskOfStaff, found: Listed, chosen: Filter, options: Options) -> dict[str, Any]:
    """What stands above the figures and the comments alike."""
    return {
        "key": found.form.key,
        "is_anonymous": found.form.is_anonymous,
        "title": found.form.name.told(ask.locale, ask.settings.vendor_name),
        "filter": chosen,
        "periods": PERIODS,
        "options": options,
        "languages": labels.LANGUAGE,
        "Trust": Trust,
        "points": points,
    }


class Bar(NamedTuple):
    """How many gave one value."""

    value: str
    n: int
    share: float


def _figures(ask: AskOfStaff, found: Listed, chosen: Filter) -> dict[str, Any]:
    before_that = chosen.since - (chosen.until - chosen.since)
    has_before = chosen.period != "all"
    starts = _month_starts(local_date(chosen.until - timedelta(microseconds=1), ask.zone))
    months_at = [at_local(start, time(0), ask.zone) for start in starts]
    # One question to the database for all of it: cut at every bound, and added up again.
    bounds = sorted({*months_at, chosen.since, chosen.until, *([before_that] if has_before else [])})
    parts = tallies.counted(ask.db, chosen.narrow(found), bounds, now=ask.now)

    def between(start: datetime, end: datetime) -> Count:
        inside = (part for part, at in zip(parts, bounds, strict=False) if start <= at < end)
        return sum(inside, Count())

    count, earlier = between(chosen.since, chosen.until), between(before_that, chosen.since) if has_before else Count()
    months = [
        Month(begins, words.part(start, "MMM", ask.locale), _scores(between(begins, ends)))
        for start, begins, ends in zip(starts, months_at, months_at[1:], strict=False)
    ]
    scores, scores_before = _scores(count), _scores(earlier)
    return {
        "count": count,
        "scores": scores,
        "earlier": scores_before,
        "nps_change": rules.change(scores.nps, scores_before.nps) if has_before else None,
        "csat_change": rules.change_of_share(scores.csat, scores_before.csat) if has_before else None,
        "response_change": rules.change_of_share(scores.response, scores_before.response) if has_before else None,
        "help_change": rules.change_of_share(_help(count), _help(earlier)) if has_before else None,
        "help": _help(count),
        "questions": [
            (question.kind, question.asked(ask.locale, ask.settings.vendor_name))
            for question in found.form.questions
            if question.is_own
        ],
        "spreads": further_results.spreads(
            count,
            further_results.questions_of(found),
            language=ask.locale,
            vendor=ask.settings.vendor_name,
        ),
        "nps_bars": _bars(count.nps, range(10, -1, -1)),
        "faces": faces(scores, ask.locale),
        "months": months,
        "by_month": by_month(months, ask.locale),
        "silent": results.silent(ask.db, chosen.narrow(found), chosen.since, chosen.until, now=ask.now),
        "most_silent": results.MOST_SILENT,
        "Change": Change,
    }


def _month_starts(last: date) -> list[date]:
    """The first days of the twelve months up to that of `last`, and of the one after."""
    starts = [last.replace(day=1)]
    while len(starts) < MONTHS:
        starts.insert(0, (starts[0] - timedelta(days=1)).replace(day=1))
    return [*starts, (starts[-1] + timedelta(days=31)).replace(day=1)]


def _scores(count: Count) -> Scores:
    nps = Nps(
        sum(count.nps[n] for n in (9, 10)), sum(count.nps[n] for n in (7, 8)), sum(count.nps[n] for n in range(7))
    )
    face = tuple(count.csat[n] for n in range(1, 6))
    response = Share(count.answered, count.delivered)
    return Scores(nps, Share(face[3] + face[4], sum(face)), face, response, count.still_open)


def _help(count: Count) -> Share:
    return Share(count.help[True], count.help.total())


def _bars(counted: Mapping[int, int], values: Iterable[int]) -> list[Bar]:
    total = sum(counted.values())
    return [Bar(str(value), counted.get(value, 0), counted.get(value, 0) / total if total else 0) for value in values]


# Comments


class Group(NamedTuple):
    """A theme with what the page says of it."""

    theme: Theme
    unhappy: int
    examples: tuple[Said, ...]

    @property
    def key(self) -> str:
        return self.theme.words[0]


class TagForm(BaseModel):
    tag: Annotated[str, AfterValidator(clean_line), StringConstraints(min_length=1, max_length=40)]


@pages.get("/insights/surveys/{key}/comments")
def comments(ask: StaffAsk, key: str) -> Response:
    """Every comment, searched, by tag or by theme."""
    return _comments_page(ask, key)


@pages.post("/insights/surveys/{key}/comments/{answer}/tags")
def tag_comment(ask: StaffAsk, key: str, answer: Id) -> Response:
    """Puts a tag on a comment."""
    filled = read_form(TagForm, ask.form)
    if filled.value is not None:
        try:
            quoting.tag_comment(ask.db, answer_id=answer, tag=filled.value.tag, by=ask.me.by, now=ask.now)
        except NotFound:
            raise
        except Refused as refused:
            filled = filled.with_error("tag", refused.message, **refused.values)
    if filled.value is None:
        return _comments_page(ask, key, wrong=answer, form=filled)
    return _back_to_comment(ask, key, answer)


@pages.post("/insights/surveys/{key}/comments/{answer}/tags/remove")
def untag_comment(ask: StaffAsk, key: str, answer: Id) -> Response:
    """Takes a tag off."""
    quoting.untag_comment(ask.db, answer_id=answer, tag=ask.form.get("tag", "")[:80], by=ask.me.by, now=ask.now)
    return _back_to_comment(ask, key, answer)


def _back_to_comment(ask: AskOfStaff, key: str, answer: int) -> Response:
    found = _survey(ask, key)
    asked = str(ask.request.url.query)
    return ask.see_other(f"/staff/insights/surveys/{found.form.key}/comments?{asked}#comment-{answer}")


def _comments_page(ask: AskOfStaff, key: str, *, wrong: int | None = None, form: Filled[Any] | None = None) -> Response:
    found, options = _survey(ask, key), _options(ask)
    chosen = _filter(ask, options)
    narrow, asked = chosen.narrow(found), _asked(ask, chosen)
    groups = _groups(results.said(ask.db, narrow, asked, most=themes.MOST_COMMENTS))
    theme = next((group for group in groups if group.key == ask.query.get("theme", "")), None)
    if theme is not None:
        asked = asked._replace(ids=theme.theme.comments)
    page = results.comments(ask.db, narrow, asked)
    narrowed = {"q": asked.words, "tag": asked.tag, "theme": theme.key if theme else ""}
    more = urlencode({name: value for name, value in narrowed.items() if value})
    address = "&".join(filter(None, (chosen.address, more)))
    values = {
        **_frame(ask, found, chosen, options),
        "page": page,
        "words": asked.words,
        "tag": asked.tag,
        "tags": results.tags_in_use(ask.db, narrow, asked),
        "groups": groups,
        "theme": theme,
        "most": themes.MOST_COMMENTS,
        "most_searched": results.MOST_SEARCHED,
        "address": address,
        "is_first": asked.before is None,
        "here": "&".join(filter(None, (address, f"before={asked.before}" if asked.before else ""))),
        "wrong": wrong,
    }
    if form is not None:
        return ask.invalid("staff/survey_comments.html", form=form, **values)
    return ask.page_or_block("staff/survey_comments.html", "comments", form=empty_form(), **values)


def _asked(ask: AskOfStaff, chosen: Filter) -> Asked:
    before = ask.query.get("before", "")
    return Asked(
        chosen.since,
        chosen.until,
        words=ask.query.get("q", ""),
        tag=ask.query.get("tag", ""),
        before=int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None,
    )


def _groups(said: Sequence[Said]) -> list[Group]:
    by_id = {one.id: one for one in said}
    found = themes.themes([Written(one.id, one.words, one.language) for one in said])
    return [
        Group(
            theme,
            sum(_is_unhappy(by_id[number]) for number in theme.comments),
            tuple(by_id[number] for number in theme.comments[:3]),
        )
        for theme in found
    ]


def _is_unhappy(one: Said) -> bool:
    return (one.nps is not None and one.nps <= 6) or (one.csat is not None and one.csat <= 2)


# Words to quote


class QuoteForm(BaseModel):
    words: Annotated[Paragraphs, StringConstraints(min_length=1, max_length=1000)]


SHOWN_AS: Mapping[ShownAs, str] = {
    ShownAs.NAME_AND_COMPANY: N_("with name and company"),
    ShownAs.FIRST_NAME_AND_COMPANY: N_("with first name and company"),
    ShownAs.COMPANY: N_("with the company only"),
    ShownAs.NOBODY: N_("without a name"),
}


@pages.get("/insights/quotes")
def quotes(ask: StaffAsk) -> Response:
    """Words that people lent us, and those who were asked."""
    return ask.page("staff/quotes.html", quotes=quoting.quotes(ask.db), shown_as=SHOWN_AS)


@pages.get("/insights/comments/{answer}/quote")
def choose_words(ask: StaffAsk, answer: Id) -> Response:
    """Which of their words to ask for."""
    comment = _one_comment(ask, answer)
    return ask.page("staff/ask_for_words.html", comment=comment, form=empty_form({"words": comment.words[:1000]}))


@pages.post("/insights/comments/{answer}/quote")
def ask_for_words(ask: StaffAsk, answer: Id) -> Response:
    """Asks the person whether we may show them."""
    comment = _one_comment(ask, answer)
    filled = read_form(QuoteForm, ask.form)
    if filled.value is not None:
        try:
            goes_at = quoting.ask_for_words(
                ask.db, ask.house, answer_id=answer, words=filled.value.words, by=ask.me.by, now=ask.now
            )
        except NotFound:
            raise
        except Refused as refused:
            values = {name: _told(ask, value) for name, value in refused.values.items()}
            filled = filled.with_error("words", refused.message, **values)
    if filled.value is None:
        return ask.invalid("staff/ask_for_words.html", form=filled, comment=comment)
    said, places = N_("Asked %(name)s by mail. You see the answer here."), {"name": comment.contact_name}
    if goes_at > ask.now:
        said, places["when"] = N_("The mail goes out in %(name)s’s hours, on %(when)s."), _told(ask, goes_at)
    return ask.see_other("/staff/insights/quotes", said=said, **places)


def _told(ask: AskOfStaff, value: Any) -> Any:
    return words.day_hour_in(value, ask.zone, ask.locale) if isinstance(value, datetime) else value


def _one_comment(ask: AskOfStaff, answer: int) -> results.Comment:
    """Errors: NotFound."""
    comment = results.comment(ask.db, answer)
    if comment is None:
        raise NotFound
    return comment


# Files


COLUMNS = (
    N_("When"), N_("Customer"), N_("Plan"), N_("Person"), N_("E-mail"), N_("Language"), N_("Consultant"),
    N_("How it came"), N_("CSAT"), N_("NPS"), N_("Wants help"), N_("Comment"), N_("Tags"),
)  # fmt: skip
_CAME: Mapping[Provenance, str] = {
    Provenance.SIGNED_IN: N_("signed in"),
    Provenance.MAIL_LINK: N_("by the mail’s link"),
    Provenance.PHONE: N_("by phone"),
    Provenance.UNVERIFIED: N_("unverified"),
}


class _Taking(NamedTuple):
    """What is taken away: the survey, the lines that were chosen, how many those are, and what the address said."""

    found: Listed
    lines: Iterator[tuple[str | int, ...]]
    number: int
    chosen: str


def _to_take(ask: AskOfStaff, key: str) -> _Taking:
    """The lines that were chosen; only comments where the page showed those. They are read as they are taken."""
    found = _survey(ask, key)
    chosen = _filter(ask, _options(ask))
    asked = _asked(ask, chosen)._replace(before=None, with_words=ask.query.get("only", "") == "comments")
    what = (ask.house.database.read, chosen.narrow(found), asked)
    ask.db.close()  # its connection is not kept for as long as the others read
    taken = results.answers_to_take(*what, most=MOST_TAKEN)
    count = results.count_to_take(*what, most=MOST_TAKEN)
    return _Taking(found, _lines(ask, taken, further_results.questions_of(found)), count, chosen.address)


def _note(ask: AskOfStaff, taking: _Taking) -> None:
    detail = {"survey": taking.found.form.key, "lines": taking.number, "chosen": taking.chosen}
    audit.note(ask.db, Event(Happened.ANSWERS_EXPORTED, ask.me.by, ask.now, detail=detail))


@files.post("/insights/surveys/{key}/answers.csv")
@looking_first(_to_take)
def answers_as_csv(ask: StaffAsk, key: str) -> Response:
    """The answers as chosen, for any spreadsheet; no cell in it is a formula. They leave as they are read, once it is on
    record who took them."""
    taking: _Taking = ask.seen
    _note(ask, taking)
    name = _file_name(ask, taking.found, "csv")
    return ask.stream(_csv_of(_head(ask, taking.found), taking.lines), name=name, media_type="text/csv; charset=utf-8")


def _csv_of(head: Sequence[str], lines: Iterable[tuple[str | int, ...]]) -> Iterator[bytes]:
    out = io.StringIO()
    table = csv.writer(out)
    out.write("\ufeff")  # the mark at the start tells spreadsheets that it is UTF-8
    table.writerow([defused(column) for column in head])
    yield out.getvalue().encode()
    lines = iter(lines)
    while some := list(itertools.islice(lines, LINES_AT_A_TIME)):
        out.seek(0)
        out.truncate()
        table.writerows([defused(cell) if isinstance(cell, str) else cell for cell in line] for line in some)
        yield out.getvalue().encode()


LINES_AT_A_TIME = 500
PART = 64 * 1024


class _Workbook(NamedTuple):
    taking: _Taking
    file: IO[bytes]


def _made_workbook(ask: AskOfStaff, key: str) -> _Workbook:
    """The same as a workbook on disk: text is written as text, whatever it looks like. It begins with what is only known at
    its end, so it is made first and leaves then."""
    taking = _to_take(ask, key)
    file = tempfile.TemporaryFile()
    plain = {
        "constant_memory": True,
        "use_zip64": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(file, plain) as book:
        sheet = book.add_worksheet()
        head = book.add_format({"bold": True})
        for column, name in enumerate(_head(ask, taking.found)):
            sheet.write_string(0, column, name, head)
        sheet.freeze_panes(1, 0)
        for row, line in enumerate(taking.lines, 1):
            for column, cell in enumerate(line):
                if isinstance(cell, int):
                    sheet.write_number(row, column, cell)
                elif cell:
                    sheet.write_string(row, column, cell)
    return _Workbook(taking, file)


@files.post("/insights/surveys/{key}/answers.xlsx")
@looking_first(_made_workbook)
def answers_as_xlsx(ask: StaffAsk, key: str) -> Response:
    """The workbook that was made, once it is on record who took it."""
    made: _Workbook = ask.seen
    _note(ask, made.taking)
    media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return ask.stream(_parts_of(made.file), name=_file_name(ask, made.taking.found, "xlsx"), media_type=media_type)


def _parts_of(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while part := file.read(PART):
            yield part


def _file_name(ask: AskOfStaff, found: Listed, ending: str) -> str:
    return f"{found.form.key}-{ask.now:%Y-%m-%d}.{ending}"


def _head(ask: AskOfStaff, found: Listed) -> list[str]:
    """The columns' names; further questions have one each, after the others."""
    vendor = ask.settings.vendor_name
    further = [question.asked(ask.locale, vendor) for question in further_results.questions_of(found)]
    return [*(words.translate(ask.locale, column) for column in COLUMNS), *further]


def _lines(ask: AskOfStaff, taken: Iterable[Taken], further: Sequence[Question]) -> Iterator[tuple[str | int, ...]]:
    came = {how: words.translate(ask.locale, told) for how, told in _CAME.items()}
    yes_or_no = {None: "", True: words.translate(ask.locale, N_("Yes")), False: words.translate(ask.locale, N_("No"))}
    for one in taken:
        when = one.submitted_at.isoformat(sep=" ", timespec="minutes")
        scores: tuple[str | int, ...] = ("" if one.csat is None else one.csat, "" if one.nps is None else one.nps)
        who = (one.account, one.plan, one.contact, one.email or "", str(one.language), one.consultant)
        others = (_cell(ask, question, one.others) for question in further)
        said = (yes_or_no[one.wants_help], one.comment, one.tags)
        yield (when, *who, came[one.provenance], *scores, *said, *others)


def _cell(ask: AskOfStaff, question: Question, others: Mapping[str, Any]) -> str | int:
    given = others.get(question.key)
    if isinstance(given, bool):
        return words.translate(ask.locale, N_("Yes") if given else N_("No"))
    if isinstance(given, int):
        return given
    return ", ".join(further_results.told(question, others, language=ask.locale, vendor=ask.settings.vendor_name))

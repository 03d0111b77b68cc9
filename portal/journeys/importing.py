"""Files of won deals are taken in: read, shown, confirmed, carried out line by line, reported. Nobody is welcomed twice,
and nobody hears of what lies behind.

One import is carried out at a time, a few lines a transaction, by whichever worker comes by; a worker that dies leaves
whole lines behind."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import Session, undefer

from portal import audit, mail
from portal.accounts.deal_columns import Field
from portal.accounts.deal_files import DealFile, open_deals
from portal.accounts.deal_problems import DealFileRefused
from portal.accounts.deal_values import DateOrder
from portal.accounts.deals import GoodDeal
from portal.accounts.models import Staff
from portal.audit import Event, Happened
from portal.boundary import Crash, attempted
from portal.clock import local_date
from portal.db import insert_for
from portal.errors import N_, NotFound, Refused
from portal.house import House
from portal.journeys import import_queries, intake, public_plans
from portal.journeys.import_models import Became, DealImport, DealNumber, ImportLine
from portal.journeys.import_plans import (
    DEAL_NUMBER_TAKEN,
    USE_AFTER_DAYS,
    Known,
    Tally,
    changed_customer,
    facts,
    known_customers,
    links_of,
    marks_of,
    new_customer,
    no_plan,
    numbers_of,
    planned,
    read,
    restored,
    says_something_new,
    staff_ids,
    told,
    under_way,
)
from portal.mail import Kind, Letter

CHUNK = 100
"""Lines in one transaction."""
CHUNK_SECONDS = 0.5
"""A transaction ends after so long in any case: on SQLite everybody else waits for it."""
REST_SECONDS = 0.2
SOON = 500
"""A file with up to so many lines is read while its sender waits; a larger one by the worker."""
DRAFTS_KEPT = timedelta(days=7)
LINES_KEPT = timedelta(days=90)

NO_LINK = public_plans.Link(None)
KEPT_OUT = N_("Something on our side kept this line out. We made a note of it; please upload it again later.")
OF_REFUSED = N_("The customer in line %(line)s was not taken in. Mend that line first, and upload both.")


class ChangedMeanwhile(Refused):
    def __init__(self) -> None:
        super().__init__(N_("The columns were changed meanwhile. Please look at the result again before you confirm."))


class NotReady(Refused):
    def __init__(self) -> None:
        super().__init__(N_("This file can’t be taken in yet. Please choose its columns first."))


class TooManyPeople(Refused):
    """The storm guard: so many people would be written to that somebody has to say yes to it."""

    def __init__(self, people: int, limit: int) -> None:
        self.people, self.limit = people, limit
        super().__init__(
            N_("%(people)s people would get a welcome mail, more than %(limit)s. Please confirm that this is meant."),
            people=people,
            limit=limit,
        )


class Confirmation(NamedTuple):
    """A person's yes to what they saw."""

    version: int
    use_after_days: int = USE_AFTER_DAYS
    is_sure: bool = False
    """Also to more mails than the storm guard lets pass."""


# Drafts


def keep_file(
    db: Session, *, name: str, content: bytes, by: str, staff_id: int | None, now: datetime
) -> tuple[DealImport, DealFile]:
    """Keeps a file that is still to be read. Errors: DealFileRefused for what is no table of deals."""
    file = open_deals(content)
    made = DealImport(
        file_name=name,
        content=zlib.compress(content, 1),
        by=by,
        staff_id=staff_id,
        uploaded_at=now,
        mapping=_plain(file.mapping),
        reading=facts(file, mapping=file.mapping, reading=None),
    )
    db.add(made)
    db.flush()
    return made, file


def choose_columns(
    db: Session, import_id: int, *, mapping: Mapping[int, Field], date_order: DateOrder | None
) -> DealImport:
    """Takes other columns for a draft, which is then to be read again. Errors: NotFound, ChangedMeanwhile once confirmed."""
    draft = _draft(db, import_id)
    draft.mapping = _plain(mapping)
    draft.date_order = date_order or ""
    draft.version += 1
    draft.planned_at = None
    draft.trouble = {}
    db.execute(delete(ImportLine).where(ImportLine.import_id == import_id))
    db.flush()
    return draft


def drop(db: Session, import_id: int) -> None:
    """Forgets a draft. Errors: NotFound, ChangedMeanwhile once confirmed."""
    _draft(db, import_id)
    _delete(db, [import_id])


def _draft(db: Session, import_id: int) -> DealImport:
    found = db.scalar(select(DealImport).where(DealImport.id == import_id).with_for_update())
    if found is None:
        raise NotFound
    if found.confirmed_at is not None:
        raise ChangedMeanwhile
    return found


def _delete(db: Session, ids: Sequence[int]) -> None:
    db.execute(delete(ImportLine).where(ImportLine.import_id.in_(ids)))
    db.execute(delete(DealImport).where(DealImport.id.in_(ids)))


def _plain(mapping: Mapping[int, Field]) -> dict[str, str]:
    return {str(index): meaning.value for index, meaning in mapping.items()}


def mapping_of(draft: DealImport) -> dict[int, Field]:
    """What each column means, by its number from 0."""
    return {int(index): Field(meaning) for index, meaning in draft.mapping.items()}


# Reading a draft


def plan_at_once(db: Session, house: House, draft: DealImport, file: DealFile, *, now: datetime) -> None:
    """Reads a small file in the caller's transaction; a larger one is left to the worker."""
    if len(file.rows) > SOON:
        return
    reader = _Reader(db, house, draft, file, now=now)
    for rows in reader.chunks():
        _keep_lines(db, draft.id, rows)
    draft.reading, draft.trouble, draft.planned_at = reader.facts, reader.trouble, now
    db.flush()


def plan_again_at_once(db: Session, house: House, draft: DealImport, *, now: datetime) -> None:
    """The same for a draft whose columns were changed."""
    if draft.reading["rows"] <= SOON:
        content = db.scalars(select(DealImport.content).where(DealImport.id == draft.id)).one()
        plan_at_once(db, house, draft, open_deals(zlib.decompress(content)), now=now)


def plan(house: House, import_id: int, *, now: datetime) -> bool:
    """Reads a draft, a chunk a transaction; whether it got to the end. Not if the draft was changed or dropped meanwhile;
    if another worker reads it as well, both keep the same lines."""
    with house.database.read() as db:
        draft = db.get(DealImport, import_id, options=[undefer(DealImport.content)])
        if draft is None or draft.planned_at is not None:
            return False
        file = open_deals(zlib.decompress(draft.content))
        reader = _Reader(db, house, draft, file, now=now)
        for rows in reader.chunks():
            with house.database.write() as writing:
                if _same_draft(writing, draft) is None:
                    return False
                _keep_lines(writing, draft.id, rows)
    with house.database.write() as writing:
        mine = _same_draft(writing, draft)
        if mine is None:
            return False
        mine.reading, mine.trouble, mine.planned_at = reader.facts, reader.trouble, now
    return True


def _same_draft(db: Session, draft: DealImport) -> DealImport | None:
    """The draft as it was when reading began, held; None if it isn't that any more."""
    same = select(DealImport).where(
        DealImport.id == draft.id, DealImport.version == draft.version, DealImport.planned_at.is_(None)
    )
    return db.scalar(same.with_for_update())


class _Reader:
    """Reads one file with its draft's columns, and says how it was read."""

    def __init__(self, db: Session, house: House, draft: DealImport, file: DealFile, *, now: datetime) -> None:
        self._db, self._house, self._file = db, house, file
        self._mapping = mapping_of(draft)
        self._order = DateOrder(draft.date_order) if draft.date_order else None
        self._today = local_date(now, house.settings.default_timezone)
        self.trouble: dict[str, Any] = {}
        self.facts = facts(file, mapping=self._mapping, reading=None)

    def chunks(self) -> Iterator[list[dict[str, Any]]]:
        """Rows for `deal_import_lines`, a chunk at a time. Columns that can't be are the trouble, and there are no rows."""
        try:
            reading = read(
                self._db,
                self._house.settings,
                self._file,
                mapping=self._mapping,
                date_order=self._order,
                today=self._today,
            )
        except DealFileRefused as refused:
            self.trouble = {"message": refused.message, "values": refused.values}
            return
        tally = Tally()
        yield from planned(
            self._db,
            self._file,
            reading,
            mapping=self._mapping,
            house=self._house,
            today=self._today,
            tally=tally,
        )
        self.facts = facts(self._file, mapping=self._mapping, reading=reading) | tally.plain()


def _keep_lines(db: Session, import_id: int, rows: Sequence[dict[str, Any]]) -> None:
    kept = [{"import_id": import_id, "account_id": None, **row} for row in rows]
    table = ImportLine.__table__
    db.connection().execute(insert_for(db, table).on_conflict_do_nothing(index_elements=["import_id", "line"]), kept)


# The yes


def confirm(db: Session, house: House, import_id: int, *, yes: Confirmation, by: str, now: datetime) -> None:
    """Says yes to a draft as it was seen: the worker takes it in. Saying yes again changes nothing.

    Errors: NotFound; ChangedMeanwhile, NotReady; TooManyPeople without a yes to so many mails.
    """
    found = db.scalar(select(DealImport).where(DealImport.id == import_id).with_for_update())
    if found is None:
        raise NotFound
    if found.confirmed_at is not None:
        return
    if found.version != yes.version:
        raise ChangedMeanwhile
    if found.planned_at is None or found.trouble:
        raise NotReady
    limit = house.settings.storm_limit
    if found.reading["contacted"] > limit and not yes.is_sure:
        raise TooManyPeople(found.reading["contacted"], limit)
    found.confirmed_at, found.confirmed_by = now, by
    found.use_after_days = yes.use_after_days
    found.content = b""
    detail = {"import": import_id, "file": found.file_name, "lines": found.reading["rows"], "confirmed": True}
    audit.note(db, Event(Happened.DEALS_IMPORTED, by, now, detail=detail))


# Carrying it out


def carry_on(house: House, now: datetime) -> int:
    """Reads the next draft that waits, or takes in the next lines of the oldest confirmed file; how many lines that were.
    None where another worker is at it."""
    with house.database.read() as db:
        draft_id = db.scalar(_waiting_drafts(select(DealImport.id)).order_by(DealImport.id).limit(1))
    if draft_id is not None:
        return int(plan(house, draft_id, now=now))
    with house.database.write() as db:
        claimed = _oldest(db)
        if claimed is None:
            return 0
        lines = db.execute(_next_lines(claimed.id)).all()
        done = _Carrying(db, house, claimed, now=now).take(lines)
        if len(lines) < CHUNK and done == len(lines):
            _finish(db, claimed, now=now)
        return max(done, 1)


def see_to_the_end(house: House, import_id: int, *, now: datetime) -> None:
    """Takes in a confirmed file to its end, as a worker beside the others: those confirmed earlier come first."""
    while True:
        done = carry_on(house, now)
        with house.database.read() as db:
            found = db.get(DealImport, import_id)
        if found is None or found.finished_at is not None:
            return
        if not done:
            sleep(REST_SECONDS)  # another worker has the next lines in hand


def next_due(db: Session) -> datetime | None:
    """Since when something waits."""
    waiting = [
        db.scalar(_waiting_drafts(select(func.min(DealImport.uploaded_at)))),
        db.scalar(_unfinished(select(func.min(DealImport.confirmed_at)))),
    ]
    return min((moment for moment in waiting if moment is not None), default=None)


def _waiting_drafts(query: Any) -> Any:
    return query.where(DealImport.planned_at.is_(None), DealImport.confirmed_at.is_(None))


def _unfinished(query: Any) -> Any:
    return query.where(DealImport.confirmed_at.is_not(None), DealImport.finished_at.is_(None))


def _oldest(db: Session) -> DealImport | None:
    """The import whose turn it is, held. Always the oldest, so that two files never wait for each other's customers."""
    first = db.scalar(_unfinished(select(DealImport.id)).order_by(DealImport.confirmed_at, DealImport.id).limit(1))
    if first is None:
        return None
    mine: DealImport | None = db.scalar(
        _unfinished(select(DealImport)).where(DealImport.id == first).with_for_update(skip_locked=True)
    )
    return mine


def _next_lines(import_id: int) -> Any:
    return (
        select(ImportLine.id, ImportLine.line, ImportLine.of_line, ImportLine.deal, ImportLine.findings)
        .where(ImportLine.import_id == import_id, ImportLine.waiting)
        .order_by(ImportLine.line)
        .limit(CHUNK)
    )


_DONE = (
    update(ImportLine)
    .where(ImportLine.id == bindparam("the_id"))
    .values(
        became=bindparam("it_became"),
        account_id=bindparam("of_account"),
        findings=bindparam("what_is_told"),
        waiting=False,
        deal={},
    )
)


class _Carrying:
    """A few lines of one import, taken in within one transaction."""

    def __init__(self, db: Session, house: House, which: DealImport, *, now: datetime) -> None:
        self.db, self.house, self.which, self.now = db, house, which, now
        self.staff = staff_ids(db)
        # As of the yes, so that a file is not welcomed half and half where midnight comes in between.
        self.today = local_date(which.confirmed_at or now, house.settings.default_timezone)

    def take(self, lines: Sequence[Any]) -> int:
        """Takes lines in until the time is up; how many."""
        deals = {row.line: restored(row.deal) for row in lines if row.deal}
        known = known_customers(self.db, list(deals.values()))
        before = self._became_before([row.of_line for row in lines if row.of_line is not None and not row.deal])
        done: list[dict[str, Any]] = []
        end = monotonic() + CHUNK_SECONDS
        for row in lines:
            deal = deals.get(row.line)
            if deal is None:
                became, account_id = before[row.of_line]
                findings = row.findings
                if became is Became.REFUSED:
                    findings = [told(OF_REFUSED, line=row.of_line)]
                elif became is not Became.UNCHANGED:
                    became = Became.JOINED
            else:
                became, account_id, findings = self._take_one(deal, known.get(row.line), row.findings)
            before[row.line] = became, account_id
            done.append({"the_id": row.id, "it_became": became, "of_account": account_id, "what_is_told": findings})
            if monotonic() > end:
                break
        if done:
            self.db.connection().execute(_DONE, done)
            self.db.execute(
                update(ImportLine)
                .where(ImportLine.id.in_([d["the_id"] for d in done]), ImportLine.became != Became.REFUSED)
                .values(cells=[])
            )
        return len(done)

    def _became_before(self, lines: Sequence[int]) -> dict[int, tuple[Became, int | None]]:
        if not lines:
            return {}
        found = self.db.execute(
            select(ImportLine.line, ImportLine.became, ImportLine.account_id).where(
                ImportLine.import_id == self.which.id, ImportLine.line.in_(lines)
            )
        )
        return {line: (became, account_id) for line, became, account_id in found}

    def _take_one(
        self, deal: GoodDeal, known: Known | None, findings: list[dict[str, Any]]
    ) -> tuple[Became, int | None, list[dict[str, Any]]]:
        """One customer, in a savepoint: a refusal or a crash is told on the line, and the others go on."""

        def work() -> tuple[Became, int | None, list[dict[str, Any]]] | Refused:
            try:
                with self.db.begin_nested():
                    return self._taken(deal, known)
            except Refused as refused:
                return refused

        result = attempted(f"line {deal.line} of import {self.which.id}", work)
        if isinstance(result, Crash):
            return Became.REFUSED, None, [told(KEPT_OUT)]
        if isinstance(result, Refused):
            return Became.REFUSED, None, [told(result.message, **result.values)]
        became, account_id, more = result
        messages = {one["message"] for one in findings}
        return became, account_id, [*findings, *(one for one in more if one["message"] not in messages)]

    def _taken(self, deal: GoodDeal, known: Known | None) -> tuple[Became, int | None, list[dict[str, Any]]]:
        """What became of it, whose it is, and what is to be told beside what the preview said."""
        if known is not None and known.is_other_company:
            raise Refused(DEAL_NUMBER_TAKEN, value=deal.external_id, company=known.account.name)
        if known is not None and known.fingerprint == deal.fingerprint:
            return Became.UNCHANGED, known.account.id, []
        settings = self.house.settings
        if known is None:
            start = under_way(deal.sold_on, today=self.today, use_after_days=self.which.use_after_days)
            wanted = new_customer(deal, staff=self.staff, locale=settings.default_language, under_way=start)
        else:
            wanted = changed_customer(deal, known, staff=self.staff, locale=settings.default_language)
        # Judged anew: since the preview a link may have been ended, or another line may have taken its plan.
        them = {} if known is None else {deal.line: known}
        link = links_of(self.db, self.house, [deal], them).get(deal.line, NO_LINK)
        more = [no_plan(link)] if link.why else []
        wanted = replace(wanted, public_plan_id=link.plan_id)
        brings_none = link.plan_id is None or link.is_theirs
        if known is not None and brings_none and not says_something_new(wanted, known):
            self._remember(deal, known.account.id)
            return Became.UNCHANGED, known.account.id, more
        result = intake.take_in(self.db, self.house, deal=wanted, by=self.which.confirmed_by, now=self.now)
        self._remember(deal, result.account_id)
        return Became(result.taken.value), result.account_id, more

    def _remember(self, deal: GoodDeal, account_id: int) -> None:
        """By what this customer is known from now on. A number that is somebody's already stays theirs."""
        table = DealNumber.__table__
        own, *others = [{"kind": kind, "number": number, "account_id": account_id} for kind, number in numbers_of(deal)]
        insert_number = insert_for(self.db, table)
        if others:
            distinct = {(o["kind"], o["number"]): {**o, "fingerprint": "", "marks": {}} for o in others}
            self.db.connection().execute(insert_number.on_conflict_do_nothing(), list(distinct.values()))
        said = {"fingerprint": deal.fingerprint, "marks": marks_of(deal)}
        self.db.connection().execute(
            insert_number.values(**own, **said).on_conflict_do_update(
                index_elements=["kind", "number"], set_={**said, "account_id": account_id}
            )
        )


def _finish(db: Session, which: DealImport, *, now: datetime) -> None:
    """Counts what became of all lines, and tells who uploaded the file."""
    counts = import_queries.counts(db, which.id)
    which.finished_at, which.counts = now, {became.value: n for became, n in counts.items()}
    detail = {"import": which.id, "file": which.file_name, **which.counts}
    audit.note(db, Event(Happened.DEALS_IMPORTED, which.confirmed_by, now, detail=detail))
    reader = db.get(Staff, which.staff_id) if which.staff_id is not None else None
    if reader is None or reader.disabled_at is not None:
        return
    letter = Letter(
        key=f"import_report:{which.id}",
        kind=Kind.IMPORT_REPORT,
        to_email=reader.email,
        language=reader.language,
        staff_id=reader.id,
        context={
            "file_name": which.file_name,
            "taken": counts[Became.CREATED] + counts[Became.JOINED],
            "updated": counts[Became.UPDATED],
            "unchanged": counts[Became.UNCHANGED] + counts[Became.DUPLICATE],
            "refused": counts[Became.REFUSED],
            "path": f"/staff/import/{which.id}",
        },
    )
    mail.queue(db, letter, now=now)


class ToldLine(NamedTuple):
    """A line about which there is something to tell."""

    line: int
    became: Became
    findings: list[dict[str, Any]]


def told_lines(db: Session, import_id: int) -> list[ToldLine]:
    """Every refused line, and every one that was taken in but should be looked at, in the file's order."""
    found = db.execute(
        select(ImportLine.line, ImportLine.became, ImportLine.findings)
        .where(ImportLine.import_id == import_id, (ImportLine.became == Became.REFUSED) | ImportLine.has_cautions)
        .order_by(ImportLine.line)
    )
    return [ToldLine(*row) for row in found]


def forget_old(db: Session, now: datetime) -> int:
    """Drops drafts that nobody confirmed, and the lines of imports that ended long ago; how many imports."""
    drafts = db.scalars(
        select(DealImport.id).where(DealImport.confirmed_at.is_(None), DealImport.uploaded_at < now - DRAFTS_KEPT)
    ).all()
    if drafts:
        _delete(db, drafts)
    ended = select(DealImport.id).where(DealImport.finished_at < now - LINES_KEPT)
    db.execute(delete(ImportLine).where(ImportLine.import_id.in_(ended)))
    return len(drafts)


def lines_left(db: Session) -> int:
    """How many lines of confirmed files wait to be taken in."""
    waiting = _unfinished(select(DealImport.id))
    count = select(func.count()).where(ImportLine.waiting, ImportLine.import_id.in_(waiting))
    return db.scalar(count) or 0

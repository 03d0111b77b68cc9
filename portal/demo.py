"""A believable company with customers at every stage. Their histories aren't written, they are lived: the same actions
and the same worker, with a clock that starts five months ago.
"""

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import event, select
from sqlalchemy.orm import Session

from portal import copies, delivery, mail, shipped
from portal.accounts import people
from portal.accounts.models import Account, Contact, Staff
from portal.accounts.people import NewColleague
from portal.accounts.rules import Channel, Frequency, Language, Role, StartStep, Wishes
from portal.clock import FixedClock, SystemClock, at_local, local_date, next_business_day
from portal.db import DeploymentFact, is_migrated, migrate
from portal.demo_day import (
    ask_for_words,
    bring_calendars,
    lend_words,
    let_a_scanner_answer,
    offer_times,
    put_on_faces,
    said_of_ordering,
    send_survey,
    sort_comments,
    when_asked,
    write_survey,
)
from portal.demo_lessons import rate_lessons, read_lessons, write_lessons
from portal.demo_people import (
    INVITED,
    STAFF,
    THREADS,
    TITLES,
    UNREAD,
    WORDS,
    Customer,
    Said,
    Temper,
    customers,
)
from portal.errors import N_, Refused
from portal.house import CLOCK_OFFSET, DEMO, House
from portal.journeys import actions, cases, intake, planning, public_plans
from portal.journeys.models import Activity, Flag, GoalRow, JourneyRow, Milestone, PendingIssue
from portal.journeys.planning import GoalWords
from portal.journeys.rules import ActivityKind, FlagOutcome, Outcome, Status, Whose
from portal.mail import LetterRow
from portal.meetings import actions as meetings
from portal.meetings.actions import Booking
from portal.meetings.diary import slots
from portal.meetings.rules import MeetingKind
from portal.messages import actions as messages
from portal.messages.rules import Via
from portal.surveys import actions as surveys
from portal.surveys import rounds
from portal.surveys.models import Invitation, Survey
from portal.surveys.rounds import Segment
from portal.surveys.rules import Answers, Provenance, ShownAs
from portal.surveys.shipped import PULSE
from portal.surveys.stored import known_form
from portal.worker import COMPOSERS, TIMETABLE, Worker

SEED = 20260601
VISITED = ("LD-VISIT-EN", "LD-VISIT-PT")
"""The accounts as whose people visitors look at the demo."""
DAYS = 155
"""How far back the vendor's history goes."""


_VISITED = {"Moss & Rye Bakery": VISITED[0], "Padaria Flor de Trigo": VISITED[1]}


_RECIPES = {
    Language.EN: ("Every recipe with its cost", "recipes"),
    Language.PT_BR: ("Todas as receitas com o custo", "receitas"),
}
_STUCK = {
    Language.EN: "Two people share one tablet, and it asks for a code that nobody has. Which one is it?",
    Language.PT_BR: "Duas pessoas usam o mesmo tablet, e ele pede um código que ninguém tem. Qual é?",
}
_PROSPECTS = {Language.EN: "Copperline Coffee", Language.PT_BR: "Café da Serra"}


class NotTheDemos(Refused):
    """The demo refuses a database that holds somebody's real customers."""

    def __init__(self) -> None:
        super().__init__(
            N_(
                "This database isn't the demo's: it has customers of its own. Choose another with --data or PORTAL_DATA_DIR."
            )
        )


def is_demo(db: Session) -> bool:
    """Whether this database was made by the demo."""
    return db.get(DeploymentFact, DEMO) is not None


def must_be_the_demos(house: House) -> None:
    """For every process in demo mode, before it does anything. Errors: NotTheDemos for a database with people of its own."""
    if house.settings.demo:
        with house.database.read() as db:
            if is_migrated(db) and not is_demo(db) and _has_people(db):
                raise NotTheDemos


def _has_people(db: Session) -> bool:
    return any(db.scalar(select(table.id).limit(1)) is not None for table in (Account, Staff))


def prepare(house: House) -> bool:
    """Makes sure that the database is the demo's, and fills an empty one; whether it was filled now.

    Errors: NotTheDemos for a database with customers that the demo didn't make.
    """
    with house.database.read() as db:
        if is_demo(db):
            return False
        if _has_people(db):
            raise NotTheDemos
    if house.database.dialect != "sqlite":
        Life(house).live()
        return True
    # Lived beside and put in place at once: interrupted halfway, it is as if it had not begun.
    _live_beside(house, _as_new(house))
    copies.restore(house.database, _as_new(house))
    return True


def start_again(house: House) -> None:
    """Forgets everything that visitors did: the demo is again as it was when it was filled, today.

    The history is lived in a database of its own and then put in place at once: the demo's own worker runs meanwhile.
    Errors: NotTheDemos; Refused where the demo doesn't run on SQLite.
    """
    with house.database.read() as db:
        if not is_demo(db):
            raise NotTheDemos
    if house.database.dialect != "sqlite":
        raise Refused(
            N_("Starting again works on the embedded database. Here, empty the database and start the demo anew.")
        )
    fresh = _as_new(house)
    if not fresh.exists():
        _live_beside(house, fresh)
    copies.restore(house.database, fresh)


def _as_new(house: House) -> Path:
    """Where the demo as it was filled today is kept."""
    return house.settings.data_dir / f"as-new-{SystemClock().now():%Y-%m-%d}.sqlite"


def _live_beside(house: House, file: Path) -> None:
    with TemporaryDirectory(dir=house.settings.data_dir) as folder:
        url = f"sqlite:///{Path(folder).absolute() / 'onward.sqlite'}"
        migrate(url)
        beside = House.open(house.settings.model_copy(update={"database_url": url}))
        _quicken(beside)
        Life(beside).live()
        file.unlink(missing_ok=True)
        copies.backup(beside.database, file)
        beside.database.close()


def _quicken(house: House) -> None:
    """The demo's history needn't survive a power cut while it is being made."""
    if house.database.dialect == "sqlite":
        house.database.write_engine.dispose()
        event.listen(
            house.database.write_engine, "connect", lambda c, _r: c.execute("pragma synchronous=off"), insert=False
        )


class Life:
    """One life of the vendor: an agenda of what people will do, and the worker in between."""

    def __init__(self, house: House) -> None:
        self.today: datetime = house.clock.now() if not house.settings.demo else _machine_now(house)
        self.clock = FixedClock(self.today - timedelta(days=DAYS))
        self.house = replace(house, clock=self.clock)
        self.agenda: list[tuple[datetime, int, Callable[[Session], None]]] = []
        self.order = itertools.count()
        self.dice = random.Random(SEED)  # noqa: S311 - a believable history, not a secret
        self.further_dice = random.Random(SEED + 1)  # noqa: S311 - of its own, so that it changes nothing else
        self.worker = Worker(self.house, [job for job in TIMETABLE if job.name not in ("mail", "housekeeping")])
        self.own_survey = ""
        self.further = itertools.count()
        self.seen_invitations: set[int] = set()
        self.seen_flags: set[int] = set()
        self.seen_calls: set[int] = set()
        self.of_account: dict[int, Customer] = {}
        self.wrote: set[tuple[Language, Temper]] = set()
        self.staff: dict[str, int] = {}

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def at(self, moment: datetime, what: Callable[[Session], None]) -> None:
        """Puts something on the agenda; what lies after today will not happen."""
        heapq.heappush(self.agenda, (max(moment, self.now), next(self.order), what))

    def live(self) -> None:
        with self.house.database.write() as db:
            db.add(DeploymentFact(name=DEMO, value="1"))
            shipped.load_all(db, now=self.now)
            self._hire(db)
        for customer in customers():
            sold = self.today - timedelta(days=customer.sold_days_ago)
            day = min(next_business_day(sold.date()), self.today.date())
            moment = at_local(day, self._hour(9, 11), customer.timezone)
            self.at(min(moment, self.today - timedelta(minutes=5)), lambda db, c=customer: self._sell(db, c))  # type: ignore[misc]
        self.at(at_local((self.today - timedelta(days=9)).date(), time(10), "Europe/London"), self._ask_by_hand)
        self.at(when_asked(self.today), self._ask_further)
        while True:
            following = self.worker.next_due()
            planned = self.agenda[0][0] if self.agenda else None
            coming = min((m for m in (following, planned) if m is not None), default=None)
            if coming is None or coming > self.today:
                break
            self.clock.set(max(self.now, coming))
            if following is not None and following <= self.now:
                self.worker.run_until_idle(self.now)
            if self.agenda and self.agenda[0][0] <= self.now:
                _, _, what = heapq.heappop(self.agenda)
                with self.house.database.write() as db:
                    what(db)
            self._react()
        self.clock.set(self.today)
        with self.house.database.write() as db:
            self._get_stuck(db)
            self._show_plans(db)
            self._gather(db)
            write_lessons(db, self.house, by=f"staff:{self.staff['ana@larderly.example']}", now=self.today)
            read_lessons(db, visited=VISITED, now=self.today)
            rate_lessons(db, visited=VISITED, now=self.today)
            put_on_faces(db, self.house, visited=VISITED, now=self.today)
            lent = self._do_the_days_work(db)
            self._deliver(db)
            lend_words(db, self.house, lent, now=self.today)
            fact = db.get(DeploymentFact, CLOCK_OFFSET)
            if fact is not None:
                db.delete(fact)

    def _do_the_days_work(self, db: Session) -> dict[int, ShownAs]:
        """What else the house did lately; gives the words that their people are about to lend."""
        manager = f"staff:{self.staff['rui@larderly.example']}"
        let_a_scanner_answer(db, self.house, visited=VISITED, now=self.today)
        sort_comments(db, by=manager, now=self.today)
        offer_times(db, self.house, now=self.today)
        mains = [self.staff[f"{name}@larderly.example"] for name in ("carla", "noor")]
        bring_calendars(db, self.house, mains, now=self.today)
        return ask_for_words(db, self.house, by=manager, now=self.today)

    def _get_stuck(self, db: Session) -> None:
        """Today somebody can't get on with a step: one customer of each language whom nobody visits."""
        waiting = dict(_STUCK)
        rows = db.execute(
            select(Milestone, JourneyRow.account_id)
            .join(JourneyRow, JourneyRow.id == Milestone.journey_id)
            .where(
                Milestone.key.in_(("second_team", "routine")),
                Milestone.done_at.is_(None),
                JourneyRow.status == Status.OPEN,
                JourneyRow.use_started_on.is_not(None),
            )
            .order_by(JourneyRow.id.desc(), Milestone.id)
        ).all()
        for milestone, account_id in rows:
            customer = self.of_account[account_id]
            contact_id = db.scalar(select(Contact.id).where(Contact.account_id == account_id).order_by(Contact.id))
            is_visited = customer.company in _VISITED
            if (
                customer.language not in waiting
                or contact_id is None
                or is_visited
                or not _may_be_ticked(db, milestone)
            ):
                continue
            actions.hear_stuck(
                db,
                self.house,
                journey_id=milestone.journey_id,
                milestone_id=milestone.id,
                contact_id=contact_id,
                words=waiting.pop(customer.language),
                now=self.now,
            )

    def _show_plans(self, db: Session) -> None:
        """Two prospects who are about to sign were sent their plan."""
        for language, prospect in _PROSPECTS.items():
            consultant = next(p for p in STAFF if p.role is Role.CONSULTANT and p.language is language)
            public_plans.make(
                db,
                prospect=prospect,
                product="",
                language=language,
                starts_on=next_business_day(local_date(self.now, consultant.timezone) + timedelta(days=14)),
                staff_id=self.staff[consultant.email],
                by=f"staff:{self.staff[consultant.email]}",
                now=self.now,
            )

    def _hour(self, first: int, last: int) -> Any:
        return (datetime.min + timedelta(hours=first, minutes=self.dice.randrange((last - first) * 60))).time()

    def _say(self, language: Language, what: str) -> str:
        return self.dice.choice(WORDS[language][what])

    def _hire(self, db: Session) -> None:
        for person in STAFF:
            row = Staff(
                email=person.email,
                name=person.name,
                role=person.role,
                language=person.language,
                timezone=person.timezone,
                phone=person.phone,
                whatsapp=person.phone,
                meeting_url=f"https://meet.larderly.example/{person.email.split('@')[0]}",
                created_at=self.now,
            )
            db.add(row)
            db.flush()
            self.staff[person.email] = row.id

    # What customers and consultants do

    def _sell(self, db: Session, customer: Customer) -> None:
        consultants = [p for p in STAFF if p.role is Role.CONSULTANT and p.language is customer.language]
        # Whoever looks at the demo as the first consultant of their language finds the interesting cases.
        telling = customer.temper in (Temper.UNHAPPY, Temper.HELP, Temper.FORGOTTEN) or customer.company in _VISITED
        consultant = consultants[0 if telling else len(self.of_account) // 2 % len(consultants)]
        domain = "".join(c for c in customer.company.lower() if c.isascii() and c.isalnum())
        today = local_date(self.now, customer.timezone)
        deal = intake.Deal(
            external_id=_VISITED.get(customer.company, f"LD-{1001 + len(self.of_account)}"),
            name=customer.company,
            people=tuple(
                intake.Person(
                    name=name,
                    email=f"{_ascii(name.split()[0])}@{domain}.example",
                    phone="",
                    language=customer.language,
                    timezone=customer.timezone,
                    primary=n == 0,
                )
                for n, name in enumerate(customer.people)
            ),
            plan=customer.plan,
            mrr_amount=customer.mrr,
            mrr_currency=customer.currency,
            sold_on=today,
            renews_on=today + timedelta(days=365),
            consultant_id=self.staff[consultant.email],
        )
        taken = intake.take_in(db, self.house, deal=deal, by="api:crm", now=self.now)
        self.of_account[taken.account_id] = customer
        journey = db.scalars(select(JourneyRow).where(JourneyRow.account_id == taken.account_id)).one()
        by = f"staff:{journey.owner_id}"
        primary = db.scalars(select(Contact).where(Contact.account_id == taken.account_id).order_by(Contact.id)).first()
        assert primary is not None  # noqa: S101 - a customer has people
        self._converse(taken.account_id, customer)
        if customer.temper is Temper.FORGOTTEN:
            return
        hours = self.dice.choice((2, 3, 5, 24))
        self.at(self.now + timedelta(hours=hours), lambda db: self._analyse(db, journey.id, by, customer))
        if customer.temper is Temper.SLOW:
            self.at(self.now + timedelta(days=6), lambda db: self._introduce(db, journey.id, by, customer, primary.id))
        else:
            wait = timedelta(hours=hours + self.dice.choice((1, 4, 26, 49)))
            self.at(self.now + wait, lambda db: self._sign_in(db, primary.id))
        if customer.temper not in (Temper.SLOW, Temper.SILENT):
            self.at(
                self.now + timedelta(days=4),
                lambda db: self._book(db, journey.id, primary.id, by, MeetingKind.KICKOFF, by=f"contact:{primary.id}"),
            )
            for day, kind in ((13, MeetingKind.DAY14), (24, MeetingKind.CHECKUP), (62, MeetingKind.CHECKUP)):
                if self.dice.random() < 0.6 or taken.account_id in self._visited():
                    self.at(
                        self.now + timedelta(days=day),
                        lambda db, kind=kind: self._book(  # type: ignore[misc]
                            db, journey.id, primary.id, by, kind, by=f"contact:{primary.id}"
                        ),
                    )
        self.at(self.now + timedelta(days=12), lambda db: self._agree_goal(db, journey.id, by, customer))
        for day in (4, 8, 12, 16, 24, 27, 38, 54, 68, 90):
            self.at(
                self.now + timedelta(days=day, hours=self.dice.randrange(1, 7)),
                lambda db: self._tick(db, journey.id, primary.id, by),
            )
        for day in (21, 35, 47, 63, 80):
            if customer.temper not in (Temper.SILENT, Temper.SLOW, Temper.LEAVING):
                self.at(self.now + timedelta(days=day), lambda db: self._sign_in(db, primary.id))

    def _converse(self, account_id: int, customer: Customer) -> None:
        said = THREADS.get(customer.company, ())
        kind = (customer.language, customer.temper)
        if not said and kind not in self.wrote and customer.sold_days_ago > 2:
            said = UNREAD[customer.language].get(customer.temper, ())
            self.wrote.add(kind)
        for one in said:
            self.at(self.today - timedelta(hours=one.hours_ago), lambda db, one=one: self._write(db, account_id, one))  # type: ignore[misc]

    def _write(self, db: Session, account_id: int, said: Said) -> None:
        people = db.scalars(select(Contact.id).where(Contact.account_id == account_id).order_by(Contact.id)).all()
        is_ours = said.by == "us"
        draft = messages.Draft(
            account_id=account_id,
            contact_id=None if is_ours else people[min(1, len(people) - 1) if said.by == "second" else 0],
            staff_id=db.get_one(Account, account_id).consultant_id if is_ours else None,
            text=said.text,
            key=f"demo:{account_id}:{said.hours_ago}",
            via=Via.EMAIL if said.by_mail else Via.PORTAL,
        )
        messages.post(db, self.house, draft, now=self.now)

    def _analyse(self, db: Session, journey_id: int, by: str, customer: Customer) -> None:
        self._complete(db, journey_id, ActivityKind.ANALYSE_DEMAND, by, self._say(customer.language, "demand"))

    def _complete(self, db: Session, journey_id: int, kind: ActivityKind, by: str, note: str) -> None:
        open_one = db.scalar(
            select(Activity.id)
            .where(Activity.journey_id == journey_id, Activity.kind == kind, Activity.done_at.is_(None))
            .limit(1)
        )
        if open_one is not None:
            actions.complete_activity(db, self.house, activity_id=open_one, note=note, by=by, now=self.now)

    def _sign_in(self, db: Session, contact_id: int) -> None:
        actions.hear_sign_in(db, self.house, contact_id=contact_id, now=self.now)

    def _introduce(self, db: Session, journey_id: int, by: str, customer: Customer, contact_id: int) -> None:
        self._talk(db, journey_id, by, contact_id, Outcome.SATISFIED, self._say(customer.language, "hello"))
        self._complete(db, journey_id, ActivityKind.CALL_NO_CONTACT, by, "")

    def _talk(self, db: Session, journey_id: int, by: str, contact_id: int | None, result: Outcome, note: str) -> None:
        if db.get_one(JourneyRow, journey_id).status is Status.OPEN:
            actions.log_conversation(
                db,
                self.house,
                journey_id=journey_id,
                channel=Channel.PHONE,
                result=result,
                note=note,
                by=by,
                now=self.now,
                contact_id=contact_id,
            )

    def _visited(self) -> set[int]:
        return {account_id for account_id, customer in self.of_account.items() if customer.company in _VISITED}

    def _book(
        self,
        db: Session,
        journey_id: int,
        contact_id: int,
        staff: str,
        kind: MeetingKind,
        *,
        by: str,
        flag_id: int | None = None,
    ) -> None:
        """Books one of the next free times, and holds the meeting when it comes."""
        journey = db.get_one(JourneyRow, journey_id)
        if journey.status is not Status.OPEN:
            return
        staff_id = int(staff.partition(":")[2])
        free = slots(db, staff_id, kind, now=self.now, zone=journey.zone)
        if not free:
            return
        booking = Booking(
            journey_id=journey_id,
            contact_id=contact_id,
            staff_id=staff_id,
            kind=kind,
            starts_at=self.dice.choice(free[:16]).starts_at,
            flag_id=flag_id,
        )
        meeting_id = meetings.book(db, self.house, booking, by=by, now=self.now)
        ends = booking.starts_at + timedelta(minutes=50)
        self.at(
            ends, lambda db: _quietly(meetings.mark_held, db, self.house, meeting_id=meeting_id, by=staff, now=self.now)
        )

    def _agree_goal(self, db: Session, journey_id: int, by: str, customer: Customer) -> None:
        if db.get_one(JourneyRow, journey_id).use_started_on is None:
            return
        goal_id = planning.set_goal(
            db,
            self.house,
            journey_id=journey_id,
            day=90,
            title=self._say(customer.language, "goal"),
            measure="",
            by=by,
            now=self.now,
        )
        self._count_recipes(db, journey_id, by, customer)
        self._complete(db, journey_id, ActivityKind.FILL_IN_NEEDS, by, self._say(customer.language, "demand"))
        if customer.temper is not Temper.LEAVING:
            self.at(self.now + timedelta(days=72), lambda db: self._meet_goal(db, goal_id, journey_id, by))

    def _count_recipes(self, db: Session, journey_id: int, by: str, customer: Customer) -> None:
        """A goal in numbers, which the consultant brings up to date now and then."""
        title, unit = _RECIPES[customer.language]
        words = GoalWords(day=60, title=title, unit=unit, starts=Decimal(0), target=Decimal(10))
        goal_id = planning.write_goal(db, self.house, journey_id=journey_id, words=words, by=by, now=self.now)
        for days, reached in ((3, 2), (8, 4), (15, 6), (26, 9), (33, 10)):
            self.at(
                self.now + timedelta(days=days),
                lambda db, reached=reached: self._progress(db, goal_id, journey_id, reached, by),  # type: ignore[misc]
            )

    def _progress(self, db: Session, goal_id: int, journey_id: int, reached: int, by: str) -> None:
        if db.get_one(GoalRow, goal_id).met_at is not None:
            return
        is_there = planning.note_progress(
            db, self.house, goal_id=goal_id, journey_id=journey_id, reached=Decimal(reached), by=by, now=self.now
        )
        if is_there:
            self._meet_goal(db, goal_id, journey_id, by)

    def _meet_goal(self, db: Session, goal_id: int, journey_id: int, by: str) -> None:
        if db.get_one(GoalRow, goal_id).met_at is None:
            actions.close_goal(db, self.house, goal_id=goal_id, journey_id=journey_id, met=True, by=by, now=self.now)

    def _tick(self, db: Session, journey_id: int, contact_id: int, by: str) -> None:
        milestone = db.scalars(
            select(Milestone)
            .where(Milestone.journey_id == journey_id, Milestone.done_at.is_(None))
            .order_by(Milestone.position)
            .limit(1)
        ).first()
        if milestone is not None and _may_be_ticked(db, milestone):
            who = by if milestone.whose is Whose.US else f"contact:{contact_id}"
            actions.tick_milestone(
                db, self.house, milestone_id=milestone.id, journey_id=journey_id, done=True, by=who, now=self.now
            )

    # How they react to what the machine did

    def _react(self) -> None:
        with self.house.database.read() as db:
            invitations = db.execute(
                select(
                    Invitation.id, Invitation.account_id, Invitation.contact_id, Invitation.day, Invitation.survey_id
                ).where(Invitation.sent_at.is_not(None), Invitation.id > max(self.seen_invitations, default=0))
            ).all()
            flags = db.execute(
                select(Flag.id, Flag.account_id, Flag.journey_id, Flag.contact_id).where(
                    Flag.id > max(self.seen_flags, default=0)
                )
            ).all()
            calls = db.execute(
                select(
                    Activity.id,
                    Activity.kind,
                    Activity.journey_id,
                    JourneyRow.account_id,
                    JourneyRow.owner_id,
                    Activity.due_at,
                )
                .join(JourneyRow, JourneyRow.id == Activity.journey_id)
                .where(Activity.id > max(self.seen_calls, default=0))
            ).all()
        for invitation in invitations:
            self.seen_invitations.add(invitation.id)
            customer = self.of_account[invitation.account_id]
            if invitation.day is None:
                self._will_answer_further(invitation.id, customer, invitation.contact_id, invitation.survey_id)
                continue
            self._will_answer(invitation.id, customer, invitation.contact_id, invitation.day)
        for flag in flags:
            self.seen_flags.add(flag.id)
            self._will_be_settled(flag.id, self.of_account[flag.account_id], flag.journey_id, flag.contact_id)
        for call in calls:
            self.seen_calls.add(call.id)
            self._will_be_done(call)

    def _will_answer(self, invitation_id: int, customer: Customer, contact_id: int, day: int) -> None:
        scores = _scores(customer.temper, day, self.dice)
        if scores is None:
            return
        csat, nps, mood, wants_help = scores
        answers = Answers(csat=csat, nps=nps, comment=self._say(customer.language, mood), wants_help=wants_help)
        moment = self.now + timedelta(hours=self.dice.choice((1, 3, 6, 27, 31, 75)), minutes=self.dice.randrange(60))
        sending = surveys.Sending(Provenance.MAIL_LINK, f"contact:{contact_id}")
        self.at(
            moment,
            lambda db: _quietly(
                surveys.submit,
                db,
                self.house,
                invitation_id=invitation_id,
                answers=answers,
                sending=sending,
                now=self.now,
            ),
        )

    def _will_answer_further(self, invitation_id: int, customer: Customer, contact_id: int, survey_id: int) -> None:
        """After a meeting, or to a pulse: those who are well answer, some of them."""
        if customer.temper not in (Temper.DELIGHTED, Temper.CONTENT) or self.further_dice.random() < 0.4:
            return
        with self.house.database.read() as db:
            key = known_form(db, survey_id).key
        if key == self.own_survey:
            said = said_of_ordering(next(self.further), customer.language)
        elif key == PULSE:
            said = Answers(nps=10 if customer.temper is Temper.DELIGHTED else 8)
        else:
            words = self.further_dice.choice(WORDS[customer.language]["met"])
            said = Answers(csat=5 if customer.temper is Temper.DELIGHTED else 4, comment=words, others={"solved": True})
        sending = surveys.Sending(Provenance.MAIL_LINK, f"contact:{contact_id}")
        self.at(
            self.now + timedelta(hours=2, minutes=self.further_dice.randrange(60)),
            lambda db: _quietly(
                surveys.submit,
                db,
                self.house,
                invitation_id=invitation_id,
                answers=said,
                sending=sending,
                now=self.now,
            ),
        )

    def _ask_by_hand(self, db: Session) -> None:
        """The manager asks those in good hands how they see us by now, ahead of their turn."""
        segment = Segment(stage="good_hands")
        size = rounds.size_of(db, segment)
        rounds.send(
            db,
            self.house,
            key="demo",
            survey_key=PULSE,
            segment=segment,
            size=size,
            shown=size.people,
            is_sure=True,
            by=f"staff:{self.staff['rui@larderly.example']}",
            now=self.now,
        )

    def _ask_further(self, db: Session) -> None:
        """The administrator asks what no shipped survey does, in their own words."""
        by = f"staff:{self.staff['ana@larderly.example']}"
        self.own_survey = write_survey(db, by=by, now=self.now)
        send_survey(db, self.house, self.own_survey, by=by, now=self.now)
        self.at(self.now + timedelta(days=2, hours=4), self._answer_cards)

    def _answer_cards(self, db: Session) -> None:
        """Those who were asked for something else just before find it as a card when they sign in."""
        own = select(Invitation).join(Survey, Survey.id == Invitation.survey_id).where(Survey.key == self.own_survey)
        for invitation in db.scalars(own.where(Invitation.suppressed_at.is_not(None)).order_by(Invitation.id)).all():
            customer = self.of_account[invitation.account_id]
            if customer.temper in (Temper.SILENT, Temper.SLOW, Temper.LEAVING):
                continue
            _quietly(
                surveys.submit,
                db,
                self.house,
                invitation_id=invitation.id,
                answers=said_of_ordering(next(self.further), customer.language),
                sending=surveys.Sending(Provenance.SIGNED_IN, f"contact:{invitation.contact_id}"),
                now=self.now,
            )

    def _will_be_settled(self, flag_id: int, customer: Customer, journey_id: int, contact_id: int | None) -> None:
        with self.house.database.read() as db:
            by = f"staff:{db.scalar(select(JourneyRow.owner_id).where(JourneyRow.id == journey_id))}"
        first = self.now + timedelta(hours=self.dice.choice((2, 4, 20, 44)))
        self.at(first, lambda db: cases.act_on_flag(db, flag_id=flag_id, how="call", by=by, now=self.now))
        self.at(first + timedelta(hours=1), lambda db: self._promise(db, flag_id, journey_id, by, customer))
        if contact_id is not None and customer.temper is not Temper.LEAVING:
            meet = MeetingKind.DOUBT
            self.at(first, lambda db: self._book(db, journey_id, contact_id, by, meet, by=by, flag_id=flag_id))
        lost = customer.temper is Temper.LEAVING
        outcome = FlagOutcome.LOST if lost else FlagOutcome.RESOLVED
        note = self._say(customer.language, "lost" if lost else "fixed")
        self.at(
            first + timedelta(days=self.dice.choice((2, 3, 5))),
            lambda db: self._settle(db, flag_id, outcome, note, by, journey_id),
        )

    def _promise(self, db: Session, flag_id: int, journey_id: int, by: str, customer: Customer) -> None:
        if customer.temper is Temper.LEAVING:
            return
        due_on = local_date(self.now, customer.timezone) + timedelta(days=6)
        actions.note_issue(
            db,
            self.house,
            journey_id=journey_id,
            problem=self._say(customer.language, "issue"),
            solution=self._say(customer.language, "solution"),
            whose=Whose.US,
            due_on=due_on,
            by=by,
            now=self.now,
            flag_id=flag_id,
        )

    def _settle(self, db: Session, flag_id: int, outcome: FlagOutcome, note: str, by: str, journey_id: int) -> None:
        from_flag = db.get_one(Flag, flag_id)
        if from_flag.closed_at is not None:
            return
        for issue_id in _open_issues(db, flag_id):
            actions.solve_issue(db, self.house, issue_id=issue_id, journey_id=journey_id, by=by, now=self.now)
        cases.resolve_flag(db, self.house, flag_id=flag_id, outcome=outcome, note=note, by=by, now=self.now)
        if outcome is FlagOutcome.LOST:
            today = local_date(self.now, db.get_one(JourneyRow, journey_id).zone)
            cases.churn(db, self.house, account_id=from_flag.account_id, on=today, reason=note, by=by, now=self.now)

    def _will_be_done(self, row: Any) -> None:
        customer, by = self.of_account[row.account_id], f"staff:{row.owner_id}"
        if row.kind in (ActivityKind.CALL_NO_ANSWER, ActivityKind.CONTACT_BY_CALL):
            moment = self.now + timedelta(days=self.dice.choice((1, 2, 4)), hours=2)
            note = self._say(customer.language, "called")
            self.at(moment, lambda db: self._call(db, row.journey_id, row.kind, by, note))
        elif row.kind in (
            ActivityKind.CONTACT_60,
            ActivityKind.CONTACT_90,
            ActivityKind.HAND_OVER,
            ActivityKind.ASK_WHAT_IS_MISSING,
        ):
            if self.dice.random() < 0.8:
                moment = row.due_at + timedelta(days=self.dice.choice((0, 1, 3)), hours=3)
                self.at(moment, lambda db: self._complete(db, row.journey_id, row.kind, by, ""))

    def _call(self, db: Session, journey_id: int, kind: ActivityKind, by: str, note: str) -> None:
        self._talk(db, journey_id, by, None, Outcome.SATISFIED, note)
        self._complete(db, journey_id, kind, by, note)

    def _gather(self, db: Session) -> None:
        """The visited companies as teams: what each person does there, one halfway through their start, one invited."""
        for account_id, customer in self.of_account.items():
            if customer.company not in _VISITED:
                continue
            team = db.scalars(select(Contact).where(Contact.account_id == account_id).order_by(Contact.id)).all()
            for person, title in zip(team, TITLES[customer.language], strict=False):
                person.job_title = title
            main, *colleagues = team
            db.flush()
            for person in colleagues[:1]:
                people.allow_inviting(
                    db, contact_id=person.id, account_id=account_id, by=f"contact:{main.id}", now=self.now
                )
                people.take_step(db, person.id, StartStep.PLAN, now=self.now)
                mornings = Wishes(person.timezone, Channel.EMAIL, Frequency.LESS, time(8), time(12))
                people.wish(db, contact_id=person.id, wishes=mornings, by=f"contact:{person.id}", now=self.now)
                people.take_step(db, person.id, StartStep.PREFERENCES, now=self.now)
            domain = (main.email or "").rpartition("@")[2]
            name = INVITED[customer.language]
            new = NewColleague(name, f"{_ascii(name.split()[0])}@{domain}", customer.language)
            people.invite(
                db,
                self.house,
                new,
                account_id=account_id,
                by=f"contact:{main.id}",
                inviter_name=main.name,
                now=self.now - timedelta(days=1),
            )

    def _deliver(self, db: Session) -> None:
        """The letters of the past went out when they were due; the mailbox shows them. Only their subjects are kept."""
        waiting = db.scalars(
            select(LetterRow).where(
                LetterRow.sent_at.is_(None), LetterRow.suppressed_at.is_(None), LetterRow.due_at <= self.now
            )
        ).all()
        for row in waiting:
            row.sent_at = row.due_at  # before it is rendered: what stands against it today didn't then
            try:
                shown = delivery.rendered(db, self.house, row.id, composers=COMPOSERS)
            except mail.Withheld as withheld:
                row.sent_at, row.suppressed_at, row.why = None, row.due_at, withheld.why
                continue
            row.attempts, row.delivered_to = 1, mail.DeliveredTo.MAILBOX
            row.subject = shown.subject if shown is not None else ""


def _machine_now(house: House) -> datetime:
    from_clock = house.clock.now()
    with house.database.read() as db:
        ahead = db.scalar(select(DeploymentFact.value).where(DeploymentFact.name == CLOCK_OFFSET))
    return from_clock - timedelta(seconds=float(ahead or 0))


def _open_issues(db: Session, flag_id: int) -> list[int]:
    waiting = select(PendingIssue.id).where(PendingIssue.flag_id == flag_id, PendingIssue.solved_at.is_(None))
    return list(db.scalars(waiting))


def _scores(temper: Temper, day: int, dice: random.Random) -> tuple[int, int, str, bool] | None:
    """CSAT, NPS, the mood of the words, help wanted; None where nobody answers."""
    match temper:
        case Temper.DELIGHTED:
            return 5, dice.choice((9, 10, 10)), "delighted", False
        case Temper.NEUTRAL:
            return 3, 7, "neutral", False
        case Temper.UNHAPPY if day == 30:
            return 2, dice.choice((3, 4, 5)), "unhappy", False
        case Temper.HELP if day == 60:
            return 4, 8, "help", True
        case Temper.LEAVING:
            return 1, dice.choice((0, 1, 2)), "leaving", True
        case Temper.SILENT:
            return None
        case _:
            return 4, dice.choice((7, 8, 8, 9)), "content", False


def _may_be_ticked(db: Session, milestone: Milestone) -> bool:
    first = select(Milestone.id).where(
        Milestone.journey_id == milestone.journey_id,
        Milestone.key.in_(milestone.needs.split()),
        Milestone.done_at.is_(None),
    )
    return db.scalar(first.limit(1)) is None


def _quietly(what: Callable[..., object], *args: Any, **values: Any) -> None:
    """Somebody who meant to answer may come too late; that is their story too."""
    try:
        what(*args, **values)
    except Refused:
        return


def _ascii(name: str) -> str:
    from_name = name.lower().translate(str.maketrans("áàâãéêíóôõúç", "aaaaeeiooouc"))
    return "".join(c for c in from_name if c.isascii() and c.isalnum())

"""A customer's life as tests tell it: what people do, days that pass with or without the worker, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update

from portal.accounts.rules import Channel
from portal.clock import FixedClock, day_instant
from portal.house import House
from portal.journeys import actions, cases, planning
from portal.journeys.models import (
    Activity,
    DueAction,
    Flag,
    FollowUpRow,
    GoalRow,
    JourneyRow,
    PendingIssue,
    PipelineRow,
    Resolution,
    StageRow,
    Visit,
)
from portal.journeys.rules import ActivityKind, FlagOrigin, FlagOutcome, FollowUp, Outcome, Status, Whose
from portal.mail import Kind, LetterRow
from portal.surveys import actions as surveys
from portal.surveys.models import Invitation, Survey
from portal.surveys.rules import Answers, expires_at
from portal.worker import TIMETABLE, Worker
from tests.cast import Cast
from tests.journeys.paper import Facts, Stay, Waiting

ANSWERS = {
    Outcome.SATISFIED: Answers(csat=5, nps=8),
    Outcome.NEUTRAL: Answers(csat=3, nps=8),
    Outcome.DISSATISFIED: Answers(csat=1, nps=2, comment="Nothing works."),
}

JOBS = tuple(job for job in TIMETABLE if job.name in ("journeys", "surveys", "reminders", "stagnation", "late flags"))
"""What the worker does for journeys; letters stay in the outbox, where the tests look; surveys are marked as gone."""


@dataclass
class Story:
    """One customer's story. `now` is where it has got to; everything happens then."""

    house: House
    cast: Cast
    now: datetime
    id: int = 0
    worker: Worker = field(init=False)

    def __post_init__(self) -> None:
        self.worker = Worker(self.house, JOBS)

    # Time

    def live_until(self, moment: datetime) -> None:
        """Lets time pass with a worker at work: whatever falls due is done at its own time."""
        self.wake_worker()
        while (following := self.worker.next_due()) is not None and following <= moment:
            self._set(max(self.now, following))
            self.wake_worker()
        self._set(moment)

    def live_until_day(self, day: int, *, hour: int = 1) -> None:
        """The same up to `hour` hours after day N of use has come."""
        self.live_until(self.day_instant(day) + timedelta(hours=hour))

    def skip_until(self, moment: datetime) -> None:
        """Lets time pass while the worker stands still."""
        self._set(moment)

    def wake_worker(self) -> None:
        """The worker does everything that is due by now, and surveys reach whom they are for."""
        self.worker.run_until_idle(self.now)
        surveys = LetterRow.kind.in_((Kind.SURVEY_30, Kind.SURVEY_60, Kind.SURVEY_90))
        with self.house.database.write() as db:
            waiting = (LetterRow.sent_at.is_(None), LetterRow.suppressed_at.is_(None))
            db.execute(update(LetterRow).where(surveys, *waiting).values(sent_at=self.now))

    def _set(self, moment: datetime) -> None:
        self.now = max(moment, self.now)
        assert isinstance(self.house.clock, FixedClock)
        self.house.clock.set(self.now)

    def day_instant(self, day: int) -> datetime:
        row = self.row
        assert row.use_started_on is not None
        return day_instant(row.use_started_on, day, row.zone, self.house.holidays)

    # What people do

    def sell(self, *, use_started_on: date | None = None, stage: str = "") -> None:
        """The sale: the customer's journey opens."""
        under_way = actions.UnderWay(use_started_on, stage) if use_started_on or stage else None
        with self.house.database.write() as db:
            self.id = actions.open_after_sale(
                db,
                self.house,
                account_id=self.cast.padaria,
                owner_id=self.cast.carla,
                by="test",
                now=self.now,
                under_way=under_way,
            )

    def get_to_use(self) -> None:
        """Sold, analysed, greeted: use starts today."""
        self.sell()
        self.tick(ActivityKind.ANALYSE_DEMAND)
        self.sign_in()

    def person(self, name: str) -> int:
        return {"maria": self.cast.maria, "joao": self.cast.joao}[name]

    def analyse(self) -> None:
        """Carla ticks the newest open analysis off, if there is one."""
        if ActivityKind.ANALYSE_DEMAND in self.to_do():
            self.tick(ActivityKind.ANALYSE_DEMAND)

    def tick(self, kind: ActivityKind) -> None:
        """Carla ticks her newest open activity of that kind off."""
        with self.house.database.write() as db:
            activity_id = db.scalars(
                select(Activity.id)
                .where(Activity.journey_id == self.id, Activity.kind == kind, Activity.done_at.is_(None))
                .order_by(Activity.id.desc())
            ).first()
            assert activity_id is not None, f"nothing to tick: {kind}"
            actions.complete_activity(
                db, self.house, activity_id=activity_id, note="", by=f"staff:{self.cast.carla}", now=self.now
            )

    def sign_in(self) -> None:
        with self.house.database.write() as db:
            actions.hear_sign_in(db, self.house, contact_id=self.cast.maria, now=self.now)

    def write_to_us(self) -> None:
        """Maria sends a message."""
        with self.house.database.write() as db:
            actions.hear_sign_of_life(
                db, self.house, journey_id=self.id, contact_id=self.cast.maria, how="message", now=self.now
            )

    def book(self, until: datetime | None, *, flag_id: int | None = None) -> None:
        """Maria books a meeting that ends then, or cancels it (None)."""
        with self.house.database.write() as db:
            actions.hear_meeting(
                db,
                self.house,
                journey_id=self.id,
                contact_id=self.cast.maria,
                held_until=until,
                booked_by_customer=True,
                flag_id=flag_id,
                by=f"contact:{self.cast.maria}",
                now=self.now,
            )

    def answer(self, day: int, outcome: Outcome, *, who: int | None = None) -> None:
        """Maria (or a colleague) answers the survey of that day, on the phone so that the form's own ways don't matter."""
        contact_id = who or self.cast.maria
        with self.house.database.write() as db:
            asked = select(Invitation.id).where(
                Invitation.journey_id == self.id, Invitation.day == day, Invitation.contact_id == contact_id
            )
            invitation_id = db.scalar(asked) or self._ask_too(db, day, contact_id)
            surveys.answer_by_phone(
                db,
                self.house,
                invitation_id=invitation_id,
                answers=ANSWERS[outcome],
                by=f"contact:{contact_id}",
                now=self.now,
            )

    def _ask_too(self, db: Any, day: int, contact_id: int) -> int:
        """Several people of one account may be asked; the worker asks the primary contact only."""
        invitation = Invitation(
            survey_id=db.scalars(select(Survey.id).where(Survey.key == f"follow_up_{day}")).one(),
            account_id=self.cast.padaria,
            journey_id=self.id,
            contact_id=contact_id,
            day=day,
            nonce="",
            planned_at=self.now,
            sent_at=self.now,
            expires_at=expires_at(self.now, self.row.zone),
        )
        db.add(invitation)
        db.flush()
        return invitation.id

    def talk(self, result: Outcome = Outcome.SATISFIED, *, who: int | None = None) -> None:
        """Carla logs a conversation with its result."""
        with self.house.database.write() as db:
            actions.log_conversation(
                db,
                self.house,
                journey_id=self.id,
                channel=Channel.PHONE,
                result=result,
                note="We spoke.",
                by=f"staff:{self.cast.carla}",
                now=self.now,
                contact_id=who,
            )

    def raise_flag(self, *, day: int | None = None) -> int:
        """Carla opens a flag herself."""
        with self.house.database.write() as db:
            return cases.open_flag(
                db,
                self.house,
                journey_id=self.id,
                origin=FlagOrigin.CONSULTANT,
                by=f"staff:{self.cast.carla}",
                now=self.now,
                contact_id=self.cast.maria,
                day=day,
            )

    def settle_flag(self, outcome: FlagOutcome = FlagOutcome.RESOLVED, *, flag_id: int | None = None) -> None:
        """Carla ends the case: the one given, else the oldest that is open."""
        flag_id = flag_id or self.open_flags[0]
        with self.house.database.write() as db:
            cases.resolve_flag(
                db,
                self.house,
                flag_id=flag_id,
                outcome=outcome,
                note="What was done.",
                by=f"staff:{self.cast.carla}",
                now=self.now,
            )

    def merge_flags(self) -> None:
        """Carla merges the oldest open case of somebody who has others with those."""
        with self.house.database.write() as db:
            opened = db.execute(
                select(Flag.id, Flag.contact_id)
                .where(Flag.journey_id == self.id, Flag.closed_at.is_(None), Flag.contact_id.is_not(None))
                .order_by(Flag.id)
            ).all()
            for flag_id, contact_id in opened:
                same = [other for other, who in opened if who == contact_id and other != flag_id]
                if same:
                    by = f"staff:{self.cast.carla}"
                    cases.merge_flags(db, self.house, flag_id=flag_id, duplicates=same, by=by, now=self.now)
                    return

    def say_not_solved(self) -> None:
        """Maria says of the last resolution that it isn't true."""
        with self.house.database.write() as db:
            of_this = select(Resolution.id).join(Flag, Flag.id == Resolution.flag_id).where(Flag.journey_id == self.id)
            resolution_id = db.scalars(of_this.order_by(Resolution.id.desc())).first()
            assert resolution_id is not None
            by = f"contact:{self.cast.maria}"
            cases.reopen_flag(db, self.house, resolution_id=resolution_id, words="Not solved.", by=by, now=self.now)

    def move(self, stage: str, reason: str = "It fits better.") -> None:
        """Carla moves the card by hand."""
        with self.house.database.write() as db:
            by = f"staff:{self.cast.carla}"
            actions.move_by_hand(db, self.house, journey_id=self.id, stage=stage, reason=reason, by=by, now=self.now)

    def correct_start(self, on: date) -> None:
        with self.house.database.write() as db:
            by = f"staff:{self.cast.carla}"
            actions.correct_use_start(db, self.house, journey_id=self.id, on=on, by=by, now=self.now)

    def set_goal(self, day: int = 90) -> int:
        with self.house.database.write() as db:
            return planning.set_goal(
                db,
                self.house,
                journey_id=self.id,
                day=day,
                title="Waste under 4 %",
                measure="",
                by=f"staff:{self.cast.carla}",
                now=self.now,
            )

    def close_goal(self, goal_id: int, *, met: bool) -> None:
        with self.house.database.write() as db:
            by = f"staff:{self.cast.carla}"
            actions.close_goal(db, self.house, goal_id=goal_id, journey_id=self.id, met=met, by=by, now=self.now)

    def close_first_goal(self, *, met: bool) -> None:
        with self.house.database.read() as db:
            open_ones = GoalRow.journey_id == self.id, GoalRow.met_at.is_(None), GoalRow.dropped_at.is_(None)
            goal_id = db.scalars(select(func.min(GoalRow.id)).where(*open_ones)).one()
        self.close_goal(goal_id, met=met)

    def promise(self, due_on: date, whose: Whose = Whose.US) -> int:
        with self.house.database.write() as db:
            return actions.note_issue(
                db,
                self.house,
                journey_id=self.id,
                problem="The stock never adds up.",
                solution="We count together.",
                whose=whose,
                due_on=due_on,
                by=f"staff:{self.cast.carla}",
                now=self.now,
            )

    def keep_promise(self, issue_id: int) -> None:
        with self.house.database.write() as db:
            by = f"staff:{self.cast.carla}"
            actions.solve_issue(db, self.house, issue_id=issue_id, journey_id=self.id, by=by, now=self.now)

    def keep_first_promise(self) -> None:
        with self.house.database.read() as db:
            open_ones = PendingIssue.journey_id == self.id, PendingIssue.solved_at.is_(None)
            issue_id = db.scalars(select(func.min(PendingIssue.id)).where(*open_ones)).one()
        self.keep_promise(issue_id)

    def leave(self) -> None:
        """The customer leaves us."""
        with self.house.database.write() as db:
            by = f"staff:{self.cast.rui}"
            cases.churn(
                db,
                self.house,
                account_id=self.cast.padaria,
                on=self.now.date(),
                reason="Closed shop",
                by=by,
                now=self.now,
            )

    # What came of it

    @property
    def row(self) -> JourneyRow:
        with self.house.database.read() as db:
            return db.get_one(JourneyRow, self.id)

    @property
    def stage(self) -> str:
        with self.house.database.read() as db:
            return db.get_one(StageRow, self.row.stage_id).key

    @property
    def status(self) -> Status:
        return self.row.status

    def contact(self, day: int) -> FollowUpRow:
        with self.house.database.read() as db:
            return db.scalars(
                select(FollowUpRow).where(FollowUpRow.journey_id == self.id, FollowUpRow.day == day)
            ).one()

    @property
    def open_flags(self) -> Sequence[int]:
        with self.house.database.read() as db:
            return db.scalars(
                select(Flag.id).where(Flag.journey_id == self.id, Flag.closed_at.is_(None)).order_by(Flag.id)
            ).all()

    @property
    def path(self) -> list[str]:
        """The stages visited, in order."""
        with self.house.database.read() as db:
            return list(
                db.scalars(
                    select(StageRow.key)
                    .join(Visit, Visit.stage_id == StageRow.id)
                    .where(Visit.journey_id == self.id)
                    .order_by(Visit.seq)
                )
            )

    @property
    def last_visit(self) -> Visit:
        with self.house.database.read() as db:
            found = db.scalars(select(Visit).where(Visit.journey_id == self.id).order_by(Visit.seq.desc())).first()
            assert found is not None
            return found

    def letters(self, *kinds: Kind) -> list[str]:
        """The keys of the letters queued so far, of these kinds or of all."""
        with self.house.database.read() as db:
            mine = LetterRow.account_id == self.cast.padaria
            wanted = select(LetterRow.key).where(mine).order_by(LetterRow.id)
            return list(db.scalars(wanted.where(LetterRow.kind.in_(kinds)) if kinds else wanted))

    @property
    def surveys_sent(self) -> list[Kind]:
        with self.house.database.read() as db:
            kinds = (Kind.SURVEY_30, Kind.SURVEY_60, Kind.SURVEY_90)
            mine = LetterRow.account_id == self.cast.padaria, LetterRow.kind.in_(kinds)
            return list(db.scalars(select(LetterRow.kind).where(*mine).order_by(LetterRow.id)))

    def to_do(self, *, journey_id: int | None = None) -> list[ActivityKind]:
        """The open activities, in the order they were made."""
        with self.house.database.read() as db:
            return list(
                db.scalars(
                    select(Activity.kind)
                    .where(Activity.journey_id == (journey_id or self.id), Activity.done_at.is_(None))
                    .order_by(Activity.id)
                )
            )

    def activity(self, kind: ActivityKind) -> Activity:
        """The newest activity of that kind."""
        with self.house.database.read() as db:
            found = db.scalars(
                select(Activity)
                .where(Activity.journey_id == self.id, Activity.kind == kind)
                .order_by(Activity.id.desc())
            ).first()
            assert found is not None
            return found

    def due(self, key: str) -> DueAction:
        with self.house.database.read() as db:
            return db.scalars(select(DueAction).where(DueAction.journey_id == self.id, DueAction.key == key)).one()

    @property
    def waiting(self) -> dict[str, datetime]:
        """What waits, and until when."""
        with self.house.database.read() as db:
            found = db.execute(
                select(DueAction.key, DueAction.due_at)
                .where(DueAction.journey_id == self.id, DueAction.done_at.is_(None))
                .order_by(DueAction.due_at, DueAction.key)
            )
            return {key: due_at for key, due_at in found}

    @property
    def relationships(self) -> Sequence[JourneyRow]:
        """The Relationship journeys of the customer."""
        with self.house.database.read() as db:
            return db.scalars(
                select(JourneyRow)
                .join(PipelineRow, PipelineRow.id == JourneyRow.pipeline_id)
                .where(JourneyRow.account_id == self.cast.padaria, PipelineRow.key == "relationship")
                .order_by(JourneyRow.id)
            ).all()

    def facts(self) -> Facts:
        """The same as a journey on paper gives."""
        with self.house.database.read() as db:
            row = db.get_one(JourneyRow, self.id)
            stays = db.execute(
                select(StageRow.key, Visit.entered_at, Visit.left_at, Visit.moved_by)
                .join(StageRow, StageRow.id == Visit.stage_id)
                .where(Visit.journey_id == self.id)
                .order_by(Visit.seq)
            )
            contacts = db.scalars(
                select(FollowUpRow).where(FollowUpRow.journey_id == self.id).order_by(FollowUpRow.day)
            )
            waiting = db.execute(
                select(DueAction.key, DueAction.due_at, DueAction.result)
                .where(DueAction.journey_id == self.id, DueAction.kind != "referral_prompt")
                .order_by(DueAction.key)
            )
            to_do = db.scalars(
                select(Activity.key).where(
                    Activity.journey_id == self.id,
                    Activity.done_at.is_(None),
                    Activity.kind != ActivityKind.ASK_WHAT_IS_MISSING,
                )
            )
            relationships = select(JourneyRow.id).where(JourneyRow.previous_journey_id == self.id)
            stage = db.get_one(StageRow, row.stage_id)
            return Facts(
                stage=stage.key,
                status=row.status,
                stays=tuple(Stay(*stay) for stay in stays),
                contacts=tuple(
                    FollowUp(f.day, f.due_on, f.due_at, f.sent_at, f.settled_at, f.missed_at, f.converted_at)
                    for f in contacts
                ),
                open_flags=row.open_flags,
                waiting={key: Waiting(due_at, result) for key, due_at, result in waiting},
                mails=tuple(_short(key) for key in self.letters(*TO_CUSTOMERS)),
                to_do=tuple(sorted(to_do)),
                relationships=len(db.scalars(relationships).all()),
                limits=(row.behind_at, row.stuck_at) if row.behind_at and row.stuck_at else None,
            )


TO_CUSTOMERS = (
    Kind.WELCOME,
    Kind.SURVEY_30,
    Kind.SURVEY_60,
    Kind.SURVEY_90,
    Kind.SURVEY_REMINDER,
    Kind.CONGRATULATIONS,
)


def _short(key: str) -> str:
    return key.partition(":journey:")[0].removeprefix("survey_")

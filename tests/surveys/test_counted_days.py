"""Days counted ahead and what is counted when asked come to the same as counting every answer anew, whatever changes."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import delete, event, func, insert, select, update

from portal.accounts.models import Account, Contact, Staff
from portal.accounts.rules import Language, Role
from portal.house import House
from portal.journeys.models import JourneyRow, StageRow, Visit
from portal.surveys import counting, tallies
from portal.surveys.models import AnswerRow, Invitation, Survey
from portal.surveys.narrowing import Narrow
from portal.surveys.rules import Option, Question, QuestionKind, SurveyForm, SurveyPurpose, Thresholds, Wording
from portal.surveys.stored import stored_form
from portal.surveys.tallies import Count
from portal.surveys.tally_models import AnswerTally, StaleTally
from tests.surveys.conftest import START, Town

DAYS = 40
NOW = START + timedelta(days=DAYS, hours=3)
PLANS, LANGUAGES = ("Pro", "Team"), (Language.EN, Language.PT_BR)


def words(text: str) -> Wording:
    return Wording(text, text)


def form(key: str) -> SurveyForm:
    options = (Option("a", words("A")), Option("b", words("B")))
    return SurveyForm(
        0,
        key,
        words(key),
        (
            Question("nps", QuestionKind.NPS, words("?")),
            Question("pace", QuestionKind.RATING, words("?"), high=5),
            Question("which", QuestionKind.CHOICES, words("?"), options=options),
            Question("solved", QuestionKind.YES_NO, words("?")),
            Question("more", QuestionKind.TEXT, words("?")),
        ),
        thresholds=Thresholds(),
        minutes=1,
        purpose=SurveyPurpose.OTHER,
    )


class Crowd:
    """A dozen customers of two plans, languages and consultants, who move between stages and answer two versions."""

    def __init__(self, town: Town, seed: int) -> None:
        self.house, self.dice = town.house, random.Random(seed)  # noqa: S311 - chooses test data
        self.customers = [town.customer(name=f"Person {n}", email=f"p{n}@lumen.example") for n in range(12)]
        with self.house.database.write() as db:
            db.add(
                Staff(email="bea@onward.example", name="Bea", role=Role.CONSULTANT, timezone="UTC", created_at=START)
            )
            db.flush()
            self.surveys = [
                db.execute(
                    insert(Survey)
                    .values(**stored_form(form("after")), version=n, created_at=START)
                    .returning(Survey.id)
                ).scalar_one()
                for n in (1, 2)
            ]
            self.staff = list(db.scalars(select(Staff.id)))
            self.stages = [(number, key) for number, key in db.execute(select(StageRow.id, StageRow.key))][:4]
            db.execute(delete(Visit))
        for customer in self.customers:
            self._visits(customer.journey_id)
            self.plan(customer.account_id)
            self.language(customer.contact_id)
            self.owner(customer.journey_id)
        for _ in range(150):
            self.ask()

    def _write(self, statement: Any) -> Any:
        with self.house.database.write() as db:
            done: Any = db.connection().execute(statement)
            return done.scalar() if done.returns_rows else None

    def _visits(self, journey_id: int) -> None:
        cuts = sorted(self.moment() for _ in range(3))
        ends = [*cuts, None]
        for seq, (start, end) in enumerate(zip([START, *cuts], ends, strict=True), 1):
            stage = self.dice.choice(self.stages)[0]
            visit = {"journey_id": journey_id, "seq": seq, "stage_id": stage, "entered_at": start, "left_at": end}
            self._write(insert(Visit).values(**visit, moved_by="import"))

    def moment(self, after: datetime = START) -> datetime:
        return after + self.dice.random() * (NOW - after)

    def plan(self, account_id: int) -> None:
        self._write(update(Account).where(Account.id == account_id).values(plan=self.dice.choice(PLANS)))

    def language(self, contact_id: int) -> None:
        self._write(update(Contact).where(Contact.id == contact_id).values(language=self.dice.choice(LANGUAGES)))

    def owner(self, journey_id: int) -> None:
        owner = self.dice.choice([*self.staff, None])
        self._write(update(JourneyRow).where(JourneyRow.id == journey_id).values(owner_id=owner))

    def ask(self, at: datetime | None = None) -> None:
        """One more survey, answered or not."""
        customer, sent_at = self.dice.choice(self.customers), at or self.moment()
        asked = {
            "survey_id": self.dice.choice(self.surveys),
            "account_id": customer.account_id,
            "journey_id": customer.journey_id,
            "contact_id": customer.contact_id,
            "occasion": f"test:{self.dice.random()}",
            "nonce": "n",
            "planned_at": sent_at,
            "sent_at": sent_at,
            "expires_at": sent_at + timedelta(days=self.dice.choice([5, 5, 5, 9])),
        }
        number = self._write(insert(Invitation).values(**asked).returning(Invitation.id))
        if self.dice.random() < 0.7:
            self.answer(number, self.moment(sent_at) if at is None else at)

    def answer(self, invitation_id: int, at: datetime) -> None:
        with self.house.database.read() as db:
            asked = db.get_one(Invitation, invitation_id)
        dice = self.dice
        others: dict[str, Any] = {"pace": dice.randint(1, 5), "solved": dice.random() < 0.5, "more": f"{dice.random()}"}
        others["which"] = dice.sample(["a", "b"], dice.randint(1, 2))
        given = {
            "invitation_id": asked.id,
            "account_id": asked.account_id,
            "journey_id": asked.journey_id,
            "contact_id": asked.contact_id,
            "nps": dice.choice([None, 3, 8, 9, 10]),
            "csat": dice.choice([None, 1, 4, 5]),
            "wants_help": dice.choice([None, True, False]),
            "comment": dice.choice(["", "Words"]),
            "others": {key: others[key] for key in dice.sample(sorted(others), dice.randint(0, 4))},
            "provenance": "mail_link",
            "by": "contact:1",
            "submitted_at": at,
            "quarantined_at": at if dice.random() < 0.1 else None,
        }
        self._write(insert(AnswerRow).values(**given))

    def change(self) -> None:
        """One of all that can happen to what is counted already."""
        customer = self.dice.choice(self.customers)
        with self.house.database.read() as db:
            an_answer = self.dice.choice(list(db.scalars(select(AnswerRow.id).order_by(AnswerRow.id))))
            found = db.get_one(AnswerRow, an_answer)
            an_invitation = self.dice.choice(list(db.scalars(select(Invitation.id).order_by(Invitation.id))))
        it = AnswerRow.id == an_answer
        match self.dice.randint(0, 9):
            case 0:
                self.plan(customer.account_id)
            case 1:
                self.language(customer.contact_id)
            case 2:
                self.owner(customer.journey_id)
            case 3:  # corrected within seven days: the earlier version counts no more
                if found.quarantined_at is None and found.superseded_at is None:
                    self._write(update(AnswerRow).where(it).values(superseded_at=NOW))
                    self.answer(found.invitation_id, NOW)
            case 4:
                self._write(update(AnswerRow).where(it).values(quarantined_at=NOW))
            case 5:
                counted = select(AnswerRow.id).where(AnswerRow.invitation_id == found.invitation_id, tallies.COUNTED)
                with self.house.database.read() as db:
                    taken = db.scalar(counted.limit(1)) is not None
                if found.quarantined_at is not None and found.superseded_at is None and not taken:
                    self._write(update(AnswerRow).where(it).values(quarantined_at=None))
            case 6:  # somebody's words are erased
                self._write(update(AnswerRow).where(it).values(comment="", others={}))
            case 7:  # an old answer, and later its survey, is deleted
                self._write(delete(AnswerRow).where(AnswerRow.invitation_id == an_invitation))
                self._write(delete(Invitation).where(Invitation.id == an_invitation))
            case 8:
                self.ask(NOW)
            case _:
                stage = self.dice.choice(self.stages)[0]
                mine = Visit.journey_id == customer.journey_id
                self._write(update(Visit).where(mine, Visit.seq == 2).values(stage_id=stage))


def by_hand(crowd: Crowd, narrow: Narrow, bounds: list[datetime]) -> list[Count]:
    """Row by row."""
    counts = [Count() for _ in bounds[1:]]
    with crowd.house.database.read() as db:
        answers = list(db.scalars(select(AnswerRow)))
        invitations = {one.id: one for one in db.scalars(select(Invitation))}
        plans = {key: value for key, value in db.execute(select(Account.id, Account.plan))}
        languages = {key: value for key, value in db.execute(select(Contact.id, Contact.language))}
        owners = {key: value for key, value in db.execute(select(JourneyRow.id, JourneyRow.owner_id))}
        visits = list(db.scalars(select(Visit)))
    keys = dict(crowd.stages)

    def is_asked_for(row: Any, at: datetime) -> bool:
        stages = {
            keys[visit.stage_id]
            for visit in visits
            if visit.journey_id == row.journey_id
            and visit.entered_at <= at
            and (visit.left_at is None or visit.left_at > at)
        }
        return (
            (narrow.plan is None or plans[row.account_id] == narrow.plan)
            and (narrow.language is None or languages[row.contact_id] == narrow.language)
            and (narrow.owner_id is None or owners[row.journey_id] == narrow.owner_id)
            and (narrow.stage is None or narrow.stage in stages)
        )

    def period(at: datetime) -> Iterator[Count]:
        for n, (start, end) in enumerate(pairwise(bounds)):
            if start <= at < end:
                yield counts[n]

    valid = [one for one in answers if one.quarantined_at is None and one.superseded_at is None]
    answered = {one.invitation_id for one in valid}
    for one in valid:
        if not is_asked_for(one, one.submitted_at):
            continue
        for count in period(one.submitted_at):
            count.answers += 1
            count.comments += 1 if one.comment else 0
            for into, value in ((count.nps, one.nps), (count.csat, one.csat), (count.help, one.wants_help)):
                into.update([] if value is None else [value])  # type: ignore[arg-type]
            for key, value in one.others.items():
                count.further[key, ""] += 1
                if key != "more":
                    count.further.update((key, each) for each in tallies.keys_of(value))
    for asked in invitations.values():
        if asked.sent_at is not None and is_asked_for(asked, asked.sent_at):
            for count in period(asked.sent_at):
                count.delivered += 1
                count.answered += asked.id in answered
                count.still_open += asked.id not in answered and asked.expires_at is not None and asked.expires_at > NOW
    return counts


def narrows(crowd: Crowd) -> list[Narrow]:
    ids = tuple(crowd.surveys)
    return [
        Narrow(ids),
        *(Narrow(ids, plan=plan) for plan in PLANS),
        *(Narrow(ids, language=language) for language in LANGUAGES),
        *(Narrow(ids, owner_id=owner) for owner in crowd.staff),
        *(Narrow(ids, stage=stage) for stage in dict(crowd.stages).values()),
        Narrow(ids, plan=PLANS[0], language=LANGUAGES[0]),
    ]


def all_bounds() -> list[list[datetime]]:
    until = NOW + timedelta(microseconds=1)
    midnight = datetime(START.year, START.month, START.day, tzinfo=UTC)
    return [
        [START - timedelta(days=9), until],
        [until - timedelta(days=20), until - timedelta(days=10), midnight + timedelta(days=35, hours=3), until],
        [midnight + timedelta(days=5), midnight + timedelta(days=6), midnight + timedelta(days=12)],
        [midnight + timedelta(days=3, hours=5), midnight + timedelta(days=3, hours=9), midnight + timedelta(days=9)],
    ]


def check(crowd: Crowd) -> None:
    for narrow in narrows(crowd):
        for bounds in all_bounds():
            with crowd.house.database.read() as db:
                assert tallies.counted(db, narrow, bounds, now=NOW) == by_hand(crowd, narrow, bounds), (narrow, bounds)


def count_all(house: House) -> None:
    while counting.count_days(house, NOW):
        pass


def test_figures_are_exact_before_and_after_days_are_counted_and_whatever_changes(town: Town) -> None:
    crowd = Crowd(town, 1)
    check(crowd)
    count_all(crowd.house)
    with crowd.house.database.read() as db:
        assert db.scalar(select(func.count()).select_from(AnswerTally)) > 100  # type: ignore[operator]
    check(crowd)
    for _ in range(2):
        for _ in range(15):
            crowd.change()
        check(crowd)
    count_all(crowd.house)
    with crowd.house.database.read() as db:
        assert db.scalar(select(func.count()).select_from(StaleTally)) == 0
        assert counting.next_due(db) > NOW  # type: ignore[operator]
    check(crowd)


def test_the_newest_silent_are_looked_for_where_they_are(town: Town) -> None:
    crowd = Crowd(town, 2)
    check_silent(crowd)
    count_all(crowd.house)
    check_silent(crowd)
    for _ in range(15):
        crowd.change()
    check_silent(crowd)


def check_silent(crowd: Crowd) -> None:
    """The stretches hold as many of the newest silent as are asked for, or all of them; those who answered since the days
    were counted may be among the many."""
    with crowd.house.database.read() as db:
        answered = set(db.scalars(select(AnswerRow.invitation_id).where(tallies.COUNTED)))
        asked = [one for one in db.scalars(select(Invitation)) if one.sent_at is not None]
        plans = {key: value for key, value in db.execute(select(Account.id, Account.plan))}
        for narrow in (Narrow(tuple(crowd.surveys)), Narrow(tuple(crowd.surveys), plan=PLANS[0])):
            mine = [one for one in asked if narrow.plan is None or plans[one.account_id] == narrow.plan]
            for since, until in ((START - timedelta(days=1), NOW), (NOW - timedelta(days=20), NOW - timedelta(days=2))):
                quiet = sorted(
                    one.sent_at for one in mine if since <= one.sent_at < until and one.id not in answered
                )  # fmt: skip
                for most in (1, 5, 20, 10_000):
                    parts, are_all = tallies.quiet_parts(db, narrow, since, until, most=most)
                    assert parts == sorted(parts, key=lambda part: part.since)
                    within = [at for at in quiet if any(part.since <= at < part.before for part in parts)]
                    assert within == quiet[len(quiet) - len(within) :]
                    assert within == quiet if are_all else len(parts) > 0


def test_counting_that_was_overtaken_writes_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = Crowd(town, 3)
    count_all(crowd.house)
    with crowd.house.database.write() as db:
        db.execute(update(Account).values(plan="Pro" if PLANS[0] == "Team" else "Team"))
    read, again = counting._lines, []

    def overtaken(*given: Any) -> list[dict[str, Any]]:
        lines = read(*given)
        if not again:
            again.append(1)
            assert counting.count_days(crowd.house, NOW) > 0
        return lines

    monkeypatch.setattr(counting, "_lines", overtaken)
    assert counting.count_days(crowd.house, NOW) == 0
    check(crowd)


def test_a_day_in_use_is_read_in_few_statements_however_many_surveys_and_changes(
    town: Town, count_statements: Callable[[], int]
) -> None:
    crowd = Crowd(town, 4)
    count_all(crowd.house)
    took = []
    for changes in (0, 10):
        for _ in range(changes):
            crowd.change()
        with crowd.house.database.read() as db:
            narrow, bounds = Narrow(tuple(crowd.surveys)), all_bounds()[0]
            tallies.counted(db, narrow, bounds, now=NOW)
            before = count_statements()
            tallies.counted(db, narrow, bounds, now=NOW)
            took.append(count_statements() - before)
    assert took == [8, 8]


@pytest.fixture
def count_statements(town: Town) -> Callable[[], int]:
    ran: list[str] = []
    event.listen(town.house.database.read_engine, "before_cursor_execute", lambda *given: ran.append(given[2]))
    return lambda: len(ran)

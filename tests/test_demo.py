"""The demo: a history that hangs together, a clock that only goes on, and never somebody's real customers."""

from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from portal import demo
from portal.accounts.models import Account, Staff
from portal.accounts.rules import Role
from portal.app import create_app
from portal.db import migrate
from portal.house import House
from portal.journeys.models import DueAction, Flag, FollowUpRow, JourneyRow, Visit
from portal.journeys.rules import Status
from portal.mail import LetterRow
from portal.settings import read_settings
from portal.surveys.models import AnswerRow
from portal.worker import work_until


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The demo, filled once for all tests here."""
    folder = tmp_path_factory.mktemp("demo")
    settings = read_settings({"PORTAL_DEMO": "1", "PORTAL_DATA_DIR": str(folder)})
    migrate(settings.database_url)
    house = House.open(settings)
    assert demo.prepare(house)
    return house


@pytest.mark.slow
def test_there_is_a_customer_at_every_stage_and_nothing_is_left_undone(house: House) -> None:
    with house.database.read() as db:
        stages = {
            key for (key,) in db.execute(select(JourneyRow.position).where(JourneyRow.pipeline_key == "after_sale"))
        }
        assert stages == set(range(7))
        assert db.scalar(select(func.count()).select_from(Account)) == 60
        assert db.scalar(select(func.count()).select_from(Flag).where(Flag.closed_at.is_(None))) > 0
        assert db.scalar(select(func.count()).select_from(AnswerRow)) > 30
        assert db.scalar(select(func.count()).select_from(DueAction).where(DueAction.set_aside_at.is_not(None))) == 0
        late = LetterRow.sent_at.is_(None) & LetterRow.suppressed_at.is_(None) & (LetterRow.due_at < house.clock.now())
        assert db.scalar(select(func.count()).select_from(LetterRow).where(late)) == 0


@pytest.mark.slow
def test_nobody_was_approved_before_the_three_contacts_were_settled(house: House) -> None:
    with house.database.read() as db:
        won = select(JourneyRow.id).where(JourneyRow.status == Status.WON)
        unsettled = select(FollowUpRow.id).where(FollowUpRow.journey_id.in_(won), FollowUpRow.settled_at.is_(None))
        assert db.scalar(select(func.count()).select_from(won.subquery())) > 5
        assert db.scalars(unsettled).all() == []
        gaps = db.execute(
            select(Visit.journey_id, Visit.seq, Visit.entered_at, Visit.left_at).order_by(Visit.journey_id, Visit.seq)
        ).all()
    for before, after in pairwise(gaps):
        if before.journey_id == after.journey_id:
            assert before.left_at == after.entered_at


@pytest.mark.slow
def test_a_filled_demo_is_left_as_it_is_and_starting_again_brings_it_back(house: House) -> None:
    assert not demo.prepare(house)
    start = house.clock.now()
    work_until(house, start.replace(year=start.year + 1))
    assert house.clock.now().year == start.year + 1
    with house.database.write() as db:
        db.add(Staff(email="x@larderly.example", name="X", role=Role.MANAGER, timezone="UTC", created_at=start))
    demo.start_again(house)
    with house.database.read() as db:
        assert db.scalar(select(Staff.id).where(Staff.email == "x@larderly.example")) is None
    assert house.clock.now().year == start.year


def test_a_database_with_customers_of_its_own_is_refused(tmp_path: Path) -> None:
    settings = read_settings({"PORTAL_DEMO": "1", "PORTAL_DATA_DIR": str(tmp_path)})
    migrate(settings.database_url)
    house = House.open(settings)
    with house.database.write() as db:
        db.add(Staff(email="a@b.example", name="A", role=Role.MANAGER, timezone="UTC", created_at=house.clock.now()))
    with pytest.raises(demo.NotTheDemos):
        demo.prepare(house)
    with pytest.raises(demo.NotTheDemos), TestClient(create_app(settings)):
        pass
    house.database.close()

"""Every page of the staff: who may see it, and that it costs the same with one row and with three."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from portal.accounts.models import Account, Contact
from portal.accounts.rules import Language
from portal.db import Database
from portal.house import House
from portal.journeys import actions, cases, planning
from portal.journeys.models import JourneyRow
from portal.journeys.rules import FlagOrigin
from tests.routes.conftest import NOON, Cast
from tests.routes.staff.conftest import Road, statements

EVERYBODY = (
    "/staff",
    "/staff/pipeline",
    "/staff/pipeline?pipeline=relationship",
    "/staff/pipeline?show=stuck&owner=mine",
    "/staff/pipeline/deployment",
    "/staff/inbox",
    "/staff/customers",
    "/staff/customers/new",
    "/staff/customers/{lumen}",
    "/staff/customers/{lumen}/timeline?only=moves",
    "/staff/customers/{lumen}/conversation",
    "/staff/customers/{lumen}/note",
    "/staff/customers/{lumen}/activities",
    "/staff/customers/{lumen}/goals",
    "/staff/customers/{lumen}/issues",
    "/staff/customers/{lumen}/milestones",
    "/staff/customers/{lumen}/flags",
    "/staff/customers/{lumen}/start-of-use?on=2026-06-20",
    "/staff/journeys/{journey}/move",
    "/staff/flags/{flag}",
)
MANAGERS = ("/staff/customers/{lumen}/consultant", "/staff/customers/{lumen}/churn")
ADMINISTRATORS = ("/staff/people",)


def _at(path: str, cast: Cast, road: Road, flag: int) -> str:
    return path.format(lumen=cast.lumen, journey=road.lumen, flag=flag)


def test_each_page_opens_for_those_who_may_see_it(
    carla: TestClient, rui: TestClient, ana: TestClient, maria: TestClient, cast: Cast, road: Road, flag: int
) -> None:
    seen = {
        path: tuple(who.get(_at(path, cast, road, flag)).status_code for who in (maria, carla, rui, ana))
        for path in (*EVERYBODY, *MANAGERS, *ADMINISTRATORS)
    }
    assert seen == (
        dict.fromkeys(EVERYBODY, (404, 200, 200, 200))
        | dict.fromkeys(MANAGERS, (404, 403, 200, 200))
        | dict.fromkeys(ADMINISTRATORS, (404, 403, 403, 200))
    )


def _one_more(database: Database, house: House, cast: Cast, number: int) -> None:
    """Another customer of Carla's with a flag, an activity and a card that is late."""
    at = NOON - timedelta(days=9)
    with database.write() as db:
        account = Account(
            external_id=f"D-9{number}", name=f"Company {number}", plan="Team", search=f"company {number}",
            created_at=at, created_by="system",
        )  # fmt: skip
        db.add(account)
        db.flush()
        person = Contact(
            account_id=account.id, name="Paula", email=f"paula@c{number}.example", language=Language.EN,
            timezone="America/Sao_Paulo", is_primary=True, created_at=at,
        )  # fmt: skip
        db.add(person)
        db.flush()
        journey = actions.open_after_sale(db, house, account_id=account.id, owner_id=cast.carla, by="system", now=at)
        cases.open_flag(
            db,
            house,
            journey_id=journey,
            origin=FlagOrigin.HELP,
            by="system",
            contact_id=person.id,
            words="Help",
            now=at,
        )


@pytest.mark.parametrize(
    "path",
    ["/staff", "/staff/pipeline", "/staff/pipeline/demand_analysis", "/staff/inbox?owner=all", "/staff/customers"],
)
def test_a_list_costs_as_many_statements_with_one_row_as_with_three(
    path: str, carla: TestClient, database: Database, house: House, cast: Cast
) -> None:
    _one_more(database, house, cast, 1)
    carla.get(path)  # the names of stages are read once a process
    with statements(database) as one:
        assert carla.get(path).status_code == 200
    _one_more(database, house, cast, 2)
    _one_more(database, house, cast, 3)
    with statements(database) as three:
        assert "Company 3" in carla.get(path).text
    assert len(one) == len(three)


def test_a_customer_costs_as_many_statements_with_one_of_everything_as_with_three(
    carla: TestClient, database: Database, house: House, cast: Cast, road: Road
) -> None:
    path = f"/staff/customers/{cast.lumen}"

    def more(number: int) -> None:
        with database.write() as db:
            by, now = f"staff:{cast.carla}", NOON - timedelta(hours=number)
            planning.set_goal(db, house, journey_id=road.lumen, day=30, title=f"G{number}", measure="", by=by, now=now)
            actions.add_own_activity(
                db, house, journey_id=road.lumen, title=f"A{number}", due_at=NOON, by=f"contact:{cast.joao}", now=now
            )
            cases.open_flag(db, house, journey_id=road.lumen, origin=FlagOrigin.CONSULTANT, by=by, words="W", now=now)

    more(1)
    carla.get(path)
    with statements(database) as one:
        carla.get(path)
    more(2)
    more(3)
    with statements(database) as three:
        assert "G3" in carla.get(path).text
    assert len(one) == len(three)


def test_the_badge_counts_a_consultants_own_flags_and_a_managers_all(
    carla: TestClient, rui: TestClient, database: Database, house: House, flag: int, road: Road
) -> None:
    with database.write() as db:
        db.get_one(JourneyRow, road.lumen).owner_id = None
        cases.open_flag(db, house, journey_id=road.verdant, origin=FlagOrigin.HELP, by="system", words="Help", now=NOON)
    badge = '<span class="count">{}<span'
    assert badge.format(1) in carla.get("/staff/customers").text
    assert badge.format(2) in rui.get("/staff/customers").text


def test_my_day_is_mine_and_a_managers_is_everybodys_until_they_choose(
    carla: TestClient, rui: TestClient, cast: Cast, road: Road
) -> None:
    assert "Fill in customer needs" in carla.get("/staff").text
    assert "Fill in customer needs" in rui.get("/staff").text
    assert "Fill in customer needs" in rui.get(f"/staff?owner={cast.carla}").text
    assert "Nothing waits for you" in rui.get("/staff?owner=mine").text


def test_customers_are_found_by_folded_words_and_paged_by_where_one_was(
    carla: TestClient, database: Database, cast: Cast
) -> None:
    with database.write() as db:
        for number in range(60):
            db.add(
                Account(
                    external_id=f"P-{number}",
                    name=f"Padaria {number:02}",
                    search="padaria joao araujo",
                    created_at=NOON,
                    created_by="system",
                )
            )
    first = carla.get("/staff/customers?q=JOÃO Araújo")
    assert "Padaria 00" in first.text and "Padaria 49" in first.text and "Padaria 50" not in first.text
    assert "Lumen" not in first.text
    with database.read() as db:
        last = db.scalars(select(Account.id).where(Account.name == "Padaria 49")).one()
    second = carla.get(f"/staff/customers?q=joao&after={last}")
    assert "Padaria 50" in second.text and "Padaria 49" not in second.text
    assert "Nobody found for “zzz”" in carla.get("/staff/customers?q=zzz").text


def test_htmx_gets_the_list_alone(carla: TestClient) -> None:
    answer = carla.get("/staff/customers?q=lumen", headers={"HX-Request": "true", "HX-Request-Type": "partial"})
    assert answer.text.lstrip().startswith('<div class="card" id="list">')
    assert "Lumen" in answer.text and "Verdant" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/staff/customers/999999",
        "/staff/customers/0",
        "/staff/customers/99999999999999999999",
        "/staff/customers/abc",
        "/staff/flags/999999",
        "/staff/journeys/999999/move",
        "/staff/pipeline/no_such_stage",
        "/staff/pipeline/deployment?page=0",
        "/staff/customers/{lumen}?journey={verdant}",
        "/staff/customers/{lumen}?journey=x",
    ],
)
def test_what_is_not_there_is_a_friendly_404(path: str, carla: TestClient, cast: Cast, road: Road) -> None:
    assert carla.get(path.format(lumen=cast.lumen, verdant=road.verdant)).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/staff?owner=%00%01",
        "/staff/pipeline?owner=999&show=zzz&pipeline=zzz",
        "/staff/inbox?owner=-1",
        "/staff/customers?q=%00&after=99999999999999999999999",
        "/staff/customers?after=%F0%9F%98%80",
        "/staff/customers/{lumen}/timeline?only=zzz&before=abc",
        "/staff/customers/{lumen}/timeline?before=999999999999999999",
    ],
)
def test_odd_questions_get_the_usual_answer(path: str, carla: TestClient, cast: Cast) -> None:
    assert carla.get(path.format(lumen=cast.lumen)).status_code == 200


def test_a_wrong_day_in_the_preview_is_said_beside_the_field(carla: TestClient, cast: Cast) -> None:
    answer = carla.get(f"/staff/customers/{cast.lumen}/start-of-use?on=someday")
    assert answer.status_code == 422
    assert "Please enter a date." in answer.text

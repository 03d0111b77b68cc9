"""Everything that staff write down about a customer, and what is refused."""

from datetime import date

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from portal.accounts.models import Account, Contact
from portal.audit import AuditEvent, Happened
from portal.db import Database
from portal.house import House
from portal.journeys import actions, planning
from portal.journeys.models import Activity, Conversation, Flag, GoalRow, JourneyRow, Milestone, PendingIssue
from portal.journeys.rules import FlagOrigin, Status
from tests.routes.conftest import NOON, Cast
from tests.routes.staff.conftest import Road


def _last(database: Database, what: Happened) -> AuditEvent:
    with database.read() as db:
        return db.scalars(
            select(AuditEvent).where(AuditEvent.what == what).order_by(AuditEvent.id.desc()).limit(1)
        ).one()


def test_what_is_written_down_is_kept_with_who_wrote_it(
    carla: TestClient, database: Database, cast: Cast, road: Road
) -> None:
    customer, me = f"/staff/customers/{cast.lumen}", f"staff:{cast.carla}"
    written = {
        "note": ({"note": "Ann signs off."}, Happened.NOTE_WRITTEN),
        "conversation": (
            {"channel": "whatsapp", "result": "satisfied", "note": "All well."},
            Happened.CONVERSATION_LOGGED,
        ),
        "activities": ({"title": "Send the deck", "due_on": "2026-06-30"}, Happened.ACTIVITY_CREATED),
        "goals": ({"day": "30", "title": "Less waste"}, Happened.GOAL_SET),
        "issues": ({"problem": "Old prices", "whose": "us", "due_on": "2026-07-01"}, Happened.ISSUE_NOTED),
        "milestones": ({"title": "Train the night shift", "whose": "together"}, Happened.NOTE_WRITTEN),
    }
    for where, (data, what) in written.items():
        answer = carla.post(f"{customer}/{where}", data=data)
        assert (answer.status_code, answer.headers.get("location")) == (303, customer), where
        assert _last(database, what).by == me
    page = carla.get(customer).text
    for words in ("Ann signs off.", "Send the deck", "Less waste", "Old prices", "Train the night shift", "All well."):
        assert words in page


def test_goals_and_issues_are_settled_once(
    carla: TestClient, database: Database, house: House, cast: Cast, road: Road
) -> None:
    customer, by = f"/staff/customers/{cast.lumen}", f"staff:{cast.carla}"
    with database.write() as db:
        kept = planning.set_goal(db, house, journey_id=road.lumen, day=30, title="A", measure="", by=by, now=NOON)
        left = planning.set_goal(db, house, journey_id=road.lumen, day=30, title="B", measure="", by=by, now=NOON)
    carla.post(f"{customer}/issues", data={"problem": "P", "whose": "us", "due_on": "2026-07-01"})
    for path in (f"goals/{kept}/met", f"goals/{left}/dropped", "issues/1/solved"):
        assert carla.post(f"{customer}/{path}").status_code == 303
    with database.read() as db:
        assert (db.get_one(GoalRow, kept).met_at, db.get_one(GoalRow, left).dropped_at) == (NOON, NOON)
        assert db.scalars(select(PendingIssue.solved_by)).one() == by
    assert "Met on 23 June" in carla.get(customer).text


def test_staff_tick_what_is_ours_and_not_what_is_the_customers(
    carla: TestClient, database: Database, cast: Cast, road: Road
) -> None:
    with database.read() as db:
        rows = db.execute(select(Milestone.key, Milestone.id).where(Milestone.journey_id == road.lumen))
        ids = {key: number for key, number in rows}
    customer = f"/staff/customers/{cast.lumen}/milestones"
    assert carla.post(f"{customer}/{ids['brief']}/done", data={"done": "1"}).status_code == 303
    refused = carla.post(f"{customer}/{ids['first_use']}/done", data={"done": "1"})
    assert refused.status_code == 409 and "That one is the customer’s to tick." in refused.text
    with database.read() as db:
        assert db.get_one(Milestone, ids["brief"]).done_at == NOON
        assert db.get_one(Milestone, ids["first_use"]).done_at is None
    carla.post(f"{customer}/{ids['brief']}/done", data={"done": "0"})
    with database.read() as db:
        assert db.get_one(Milestone, ids["brief"]).done_at is None


def test_what_belongs_to_another_customer_is_not_found(
    carla: TestClient, database: Database, house: House, cast: Cast, road: Road
) -> None:
    with database.write() as db:
        goal = planning.set_goal(
            db, house, journey_id=road.verdant, day=30, title="Sofia's", measure="", by="x", now=NOON
        )
        milestone = db.scalars(select(Milestone.id).where(Milestone.journey_id == road.verdant).limit(1)).one()
    customer = f"/staff/customers/{cast.lumen}"
    for path in (f"goals/{goal}/met", f"milestones/{milestone}/done", "issues/77/solved"):
        assert carla.post(f"{customer}/{path}").status_code == 404
    assert carla.post(f"{customer}/note", data={"note": "x", "journey": str(road.verdant)}).status_code == 404
    with database.read() as db:
        assert db.get_one(GoalRow, goal).met_at is None


WRONG = [
    ("note", {}),
    ("note", {"note": "\x00"}),
    ("note", {"note": "x" * 10_001}),
    ("conversation", {"channel": "phone", "result": "satisfied", "note": "x", "contact": "{sofia}"}),
    ("conversation", {"channel": "", "result": "", "note": ""}),
    ("activities", {"title": "x" * 201, "due_on": "2026-06-30"}),
    ("activities", {"title": "x", "due_on": "30/06/2026"}),
    ("activities", {"title": "x", "due_on": "9999-12-31"}),
    ("activities", {"title": "x", "due_on": "20260630"}),
    ("goals", {"day": "45", "title": "x"}),
    ("goals", {"day": "30", "title": "\x07"}),
    ("goals", {"day": "30", "title": "x", "measure": "y" * 201}),
    ("issues", {"problem": "x" * 1001, "whose": "us", "due_on": "2026-06-30"}),
    ("issues", {"problem": "x", "whose": "everybody", "due_on": "2026-06-30"}),
    ("issues", {"problem": "x", "whose": "us", "due_on": ""}),
    ("milestones", {"title": "", "whose": "us"}),
    ("milestones", {"title": "x", "whose": "us", "due_on": "0001-01-01"}),
    ("flags", {"words": ""}),
    ("flags", {"words": "x", "contact": "{sofia}"}),
    ("start-of-use", {"on": ""}),
    ("start-of-use", {"on": "1999-01-01"}),
    ("start-of-use", {"on": "not a day"}),
    ("consultant", {"staff": "{ana}"}),
    ("consultant", {"staff": "-1"}),
    ("churn", {"on": "2026-06-01", "reason": "Closed"}),
    ("churn", {"on": "2099-06-01", "reason": "Closed", "sure": "yes"}),
    ("churn", {"on": "2026-06-01", "reason": "x" * 501, "sure": "yes"}),
]


@pytest.mark.parametrize(("where", "data"), WRONG)
def test_a_mistake_is_said_beside_its_field_and_nothing_changes(
    where: str, data: dict[str, str], rui: TestClient, database: Database, cast: Cast, road: Road
) -> None:
    ids = {"{sofia}": str(cast.sofia), "{ana}": str(cast.ana)}
    with database.read() as db:
        before = db.scalar(select(func.count()).select_from(AuditEvent))
    answer = rui.post(f"/staff/customers/{cast.lumen}/{where}", data={k: ids.get(v, v) for k, v in data.items()})
    assert answer.status_code == 422
    assert 'class="error"' in answer.text
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(AuditEvent)) == before


def test_a_flag_raised_by_hand_is_a_case(carla: TestClient, database: Database, cast: Cast) -> None:
    answer = carla.post(
        f"/staff/customers/{cast.lumen}/flags", data={"words": "Went silent.", "contact": str(cast.joao)}
    )
    with database.read() as db:
        flag = db.scalars(select(Flag)).one()
    assert answer.headers["location"] == f"/staff/flags/{flag.id}"
    assert (flag.origin, flag.contact_id, flag.words) == (FlagOrigin.CONSULTANT, cast.joao, "Went silent.")


def test_an_unhappy_conversation_leads_to_its_case(carla: TestClient, database: Database, cast: Cast) -> None:
    answer = carla.post(
        f"/staff/customers/{cast.lumen}/conversation",
        data={"channel": "phone", "result": "dissatisfied", "note": "Angry."},
    )
    with database.read() as db:
        flag = db.scalars(select(Flag.id)).one()
    assert answer.headers["location"] == f"/staff/flags/{flag}"


def test_the_start_of_use_shows_what_moves_and_moves_it(
    carla: TestClient, database: Database, cast: Cast, road: Road
) -> None:
    preview = carla.get(f"/staff/customers/{cast.lumen}/start-of-use?on=2026-06-27").text
    assert '<s class="faint">25 June</s> 30 June' in preview, "the kick-off, three days in, goes five days later"
    assert carla.post(f"/staff/customers/{cast.lumen}/start-of-use", data={"on": "2026-06-27"}).status_code == 303
    with database.read() as db:
        assert db.get_one(JourneyRow, road.lumen).use_started_on == date(2026, 6, 27)
        kickoff = select(Milestone.due_on).where(Milestone.journey_id == road.lumen, Milestone.key == "kickoff")
        assert db.scalars(kickoff).one() == date(2026, 6, 30)


def test_a_manager_hands_a_customer_over_with_what_is_to_be_done(
    rui: TestClient, carla: TestClient, database: Database, cast: Cast, road: Road
) -> None:
    address = f"/staff/customers/{cast.lumen}/consultant"
    assert carla.post(address, data={"staff": str(cast.rui)}).status_code == 403
    assert rui.post(address, data={"staff": str(cast.rui)}).status_code == 303
    with database.read() as db:
        assert db.get_one(Account, cast.lumen).consultant_id == cast.rui
        open_ones = select(Activity.assignee_id).where(Activity.journey_id == road.lumen, Activity.done_at.is_(None))
        assert set(db.scalars(open_ones)) == {cast.rui}
    assert "Rui Prado gave this customer to Rui Prado" in rui.get(f"/staff/customers/{cast.lumen}").text


def test_a_departure_is_recorded_once_and_ends_the_journeys(
    rui: TestClient, database: Database, cast: Cast, road: Road
) -> None:
    address = f"/staff/customers/{cast.lumen}/churn"
    assert "Every journey of Lumen ends as lost" in rui.get(address).text
    sent = {"on": "2026-06-20", "reason": "Closed two shops", "sure": "yes"}
    assert rui.post(address, data=sent).status_code == 303
    with database.read() as db:
        assert db.get_one(JourneyRow, road.lumen).status is Status.LOST
        assert db.get_one(Account, cast.lumen).churned_on == date(2026, 6, 20)
    assert "Closed two shops" in rui.get(f"/staff/customers/{cast.lumen}").text
    assert rui.post(address, data=sent).status_code == 409
    assert rui.post(f"/staff/customers/{cast.lumen}/flags", data={"words": "x"}).status_code == 409


def test_an_activity_is_done_once_with_its_note(carla: TestClient, database: Database, cast: Cast, road: Road) -> None:
    with database.read() as db:
        wanted = select(Activity.id).where(Activity.journey_id == road.lumen, Activity.done_at.is_(None))
        activity = db.scalars(wanted).one()
    path = f"/staff/activities/{activity}/done"
    too_long = carla.post(path, data={"note": "x" * 10_001})
    assert too_long.status_code == 422 and 'class="error"' in too_long.text
    fragment = carla.post(
        path, data={"note": "Four shops, two tablets."}, headers={"HX-Request": "true", "HX-Request-Type": "partial"}
    )
    assert fragment.text.lstrip().startswith(f'<li id="act-{activity}">')
    assert carla.post(path, data={"note": "again", "return": "/staff"}).headers["location"] == "/staff"
    with database.read() as db:
        done = db.get_one(Activity, activity)
    assert (done.done_by, done.note) == (f"staff:{cast.carla}", "Four shops, two tablets.")
    assert carla.post("/staff/activities/999999/done").status_code == 404


def test_the_words_of_people_are_text(carla: TestClient, cast: Cast) -> None:
    carla.post(f"/staff/customers/{cast.lumen}/note", data={"note": "<script>alert(1)</script>"})
    page = carla.get(f"/staff/customers/{cast.lumen}").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "<script>alert" not in page


def test_older_entries_go_on_where_the_newer_ended(
    carla: TestClient, database: Database, house: House, cast: Cast, road: Road
) -> None:
    with database.write() as db:
        for number in range(30):
            actions.write_note(db, house, journey_id=road.lumen, words=f"Note {number:02}.", by="system", now=NOON)
    page = carla.get(f"/staff/customers/{cast.lumen}").text
    assert "Note 29." in page and "Note 10." in page and "Note 09." not in page
    before = page.split("before=")[-1].split('"')[0]
    older = carla.get(
        f"/staff/customers/{cast.lumen}/timeline?only=all&before={before}",
        headers={"HX-Request": "true", "HX-Request-Type": "partial"},
    ).text
    assert "Note 09." in older and "Note 10." not in older and "<html" not in older


DEAL = {
    "name": "Padaria Nova", "plan": "Team", "mrr_amount": "1240.50", "mrr_currency": "brl", "contact_name": "Ana Sá",
    "email": "ana@nova.example", "phone": "11 91234-5678", "language": "pt-BR", "timezone": "America/Sao_Paulo",
    "sold_on": "2026-06-20", "renews_on": "2027-06-20",
}  # fmt: skip


def test_a_deal_typed_in_is_a_customer_on_the_road(carla: TestClient, database: Database, cast: Cast) -> None:
    answer = carla.post("/staff/customers/new", data={**DEAL, "consultant": str(cast.carla)})
    assert answer.status_code == 303
    page = carla.get(answer.headers["location"]).text
    assert "Padaria Nova" in page and "Analyse customer demand" in page
    with database.read() as db:
        account = db.scalars(select(Account).where(Account.name == "Padaria Nova")).one()
        person = db.scalars(select(Contact).where(Contact.account_id == account.id)).one()
    assert (account.mrr_currency, account.created_by, account.consultant_id) == (
        "BRL",
        f"staff:{cast.carla}",
        cast.carla,
    )
    assert (person.phone, person.email, person.is_primary) == ("+5511912345678", "ana@nova.example", True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 201),
        ("name", "a\x00"),
        ("mrr_amount", "-1"),
        ("mrr_amount", "NaN"),
        ("mrr_amount", "1e30"),
        ("mrr_amount", "12,5"),
        ("mrr_currency", "reais"),
        ("mrr_currency", ""),
        ("email", "not an address"),
        ("phone", "call me"),
        ("language", "fr"),
        ("timezone", "Mars/Olympus"),
        ("renews_on", "2020-01-01"),
        ("consultant", "999999"),
        ("consultant", "abc"),
        ("notes", "x" * 10_001),
    ],
)
def test_a_deal_with_a_mistake_comes_back_as_typed(
    field: str, value: str, carla: TestClient, database: Database, cast: Cast
) -> None:
    answer = carla.post("/staff/customers/new", data={**DEAL, field: value})
    assert answer.status_code == 422
    assert f'id="{field}-e"' in answer.text
    assert 'value="Ana Sá"' in answer.text
    with database.read() as db:
        assert db.scalar(select(func.count()).select_from(Account)) == 2


def test_a_customer_nobody_can_reach_is_refused(carla: TestClient) -> None:
    answer = carla.post("/staff/customers/new", data={**DEAL, "email": "", "phone": ""})
    assert answer.status_code == 422
    assert "Give an e-mail address or a phone number" in answer.text


def test_a_conversation_belongs_to_the_journey_that_is_looked_at(
    carla: TestClient, database: Database, cast: Cast, road: Road
) -> None:
    carla.post(
        f"/staff/customers/{cast.lumen}/conversation",
        data={"channel": "phone", "result": "neutral", "note": "x", "journey": str(road.lumen)},
    )
    with database.read() as db:
        assert db.scalars(select(Conversation.journey_id)).one() == road.lumen

"""Plans for prospects: made by staff, read by whoever has the link, of use at the sale, and closed to strangers afterwards."""

import re
from datetime import date

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from portal.accounts.models import Account
from portal.audit import AuditEvent, Happened
from portal.db import Database
from portal.journeys.models import JourneyRow, Milestone, PublicPlan
from tests.routes.conftest import Cast
from tests.routes.staff.conftest import Road, ana, carla, house, maria, road, rui

__all__ = ["ana", "carla", "house", "maria", "road", "rui"]

SHOWN = {"prospect": "Copperline Coffee", "product": "", "language": "en", "starts_on": "2026-07-06"}


@pytest.fixture
def link(carla: TestClient, cast: Cast) -> str:
    made = carla.post("/staff/plans", data=SHOWN | {"staff": cast.carla})
    assert made.status_code == 303
    (found,) = re.findall(r'value="http://testserver(/p/[^"]+)"', carla.get("/staff/plans").text)
    return str(found)


def test_a_prospect_reads_what_happens_when_without_signing_in(link: str, browser: object) -> None:
    page = browser().get(link)  # type: ignore[operator]
    assert page.status_code == 200
    for words in ("Plan for Copperline Coffee", "Mon 13 July", "Use it for one real task", "carla@onward.example"):
        assert words in page.text
    assert page.headers["x-robots-tag"] == "noindex, nofollow"
    assert page.headers["referrer-policy"] == "no-referrer"
    for hidden in ("Lumen", "Verdant", "Maria", "Rui"):
        assert hidden not in page.text


def test_looking_changes_nothing(link: str, browser: object, database: Database) -> None:
    def rows() -> int:
        with database.read() as db:
            return db.scalar(select(func.count()).select_from(AuditEvent)) or 0

    before = rows()
    browser().get(link)  # type: ignore[operator]
    browser().head(link)  # type: ignore[operator]
    assert rows() == before


def test_an_ended_link_says_so_and_a_guessed_one_finds_nothing(
    link: str, carla: TestClient, browser: object, database: Database
) -> None:
    with database.read() as db:
        number = db.scalars(select(PublicPlan.id)).one()
    carla.post(f"/staff/plans/{number}/revocation")
    ended = browser().get(link)  # type: ignore[operator]
    assert (ended.status_code, "Copperline" in ended.text) == (410, False)
    assert browser().get(link[:-2] + "xx").status_code == 404  # type: ignore[operator]
    assert browser().get(f"/p/{number}").status_code == 404  # type: ignore[operator]
    with database.read() as db:
        assert db.scalars(select(AuditEvent.by).where(AuditEvent.what == Happened.PUBLIC_PLAN_REVOKED)).one()


def test_by_hand_the_customer_starts_with_what_they_were_shown_and_the_link_leads_to_the_door(
    link: str, carla: TestClient, browser: object, database: Database
) -> None:
    with database.read() as db:
        number = db.scalars(select(PublicPlan.id)).one()
    form = {
        "name": "Copperline", "plan": "Team", "contact_name": "Cal", "email": "cal@copperline.example", "language": "en",
        "timezone": "Europe/London", "public_plan": number,
    }  # fmt: skip
    assert carla.post("/staff/customers/new", data=form).status_code == 303
    with database.read() as db:
        account = db.scalars(select(Account).where(Account.name == "Copperline")).one()
        journey = db.scalars(select(JourneyRow).where(JourneyRow.account_id == account.id)).one()
        first_use = db.scalars(
            select(Milestone).where(Milestone.journey_id == journey.id, Milestone.key == "first_use")
        ).one()
    assert first_use.due_on == date(2026, 7, 13)
    page = browser().get(link)  # type: ignore[operator]
    assert (page.status_code, "/sign-in?next=/plan" in page.text, "first real" in page.text) == (200, True, False)
    assert "Use it for one real task" not in page.text
    again = carla.post("/staff/customers/new", data=form | {"name": "Other", "email": "o@other.example"})
    assert again.status_code == 422


def test_staff_connect_it_to_a_customer_under_way_who_is_led_to_their_plan(
    link: str, carla: TestClient, maria: TestClient, cast: Cast, database: Database, browser: object
) -> None:
    with database.read() as db:
        number = db.scalars(select(PublicPlan.id)).one()
    page = f"/staff/customers/{cast.lumen}/shown-plan"
    assert "Copperline Coffee" in carla.get(page).text
    assert carla.post(page, data={"public_plan": number}).status_code == 303
    assert maria.get(link).headers["location"] == "/plan"
    assert "Use it for one real task" not in browser().get(link).text  # type: ignore[operator]
    assert carla.post(f"/staff/customers/{cast.other}/shown-plan", data={"public_plan": number}).status_code == 422


def test_wrong_input_comes_back_with_what_was_typed(carla: TestClient, cast: Cast) -> None:
    back = carla.post("/staff/plans", data=SHOWN | {"prospect": "", "starts_on": "2036-07-06", "staff": cast.carla})
    assert back.status_code == 422
    assert "2036-07-06" in back.text
    late = carla.post("/staff/plans", data=SHOWN | {"starts_on": "2036-07-06", "staff": cast.carla})
    assert "more than two years away" in late.text


def test_managers_edit_templates_and_consultants_do_not(rui: TestClient, carla: TestClient) -> None:
    page = rui.get("/admin/plans").text
    (template,) = re.findall(r'href="/admin/plans/(\d+)"><b>', page)
    entry = {
        "kind": "milestone", "title_en": "Count one shelf", "title_pt": "Contar uma prateleira", "whose": "you", "when": "after",
        "after": "first_use", "after_days": "3", "needs": ["first_use"], "stage": "deployment",
    }  # fmt: skip
    assert rui.post(f"/admin/plans/{template}/entries", data=entry).status_code == 303
    shown = rui.get(f"/admin/plans/{template}").text
    assert "Contar uma prateleira" in shown
    assert "3 days after “Use it for one real task”" in shown
    half = rui.post(f"/admin/plans/{template}/entries", data=entry | {"title_pt": "", "after": ""})
    assert (half.status_code, "Count one shelf" in half.text) == (422, True)
    (number,) = re.findall(r'id="entry-(\d+)"><div[^>]*><div[^>]*><b>Use it for one real task', shown)
    (own,) = re.findall(r'id="entry-(\d+)"><div[^>]*><div[^>]*><b>Count one shelf', shown)
    circle = entry | {"title_en": "Use it", "title_pt": "Usar", "when": "day", "day": "7", "needs": [f"entry:{own}"]}
    refused = rui.post(f"/admin/plans/{template}/entries/{number}", data=circle)
    assert (refused.status_code, "would wait for each other" in refused.text) == (422, True)
    assert carla.get("/admin/plans").status_code == 403
    assert carla.post(f"/admin/plans/{template}/entries", data=entry).status_code == 403


def test_a_stranger_changes_no_step_of_another_customers_plan(
    carla: TestClient, maria: TestClient, cast: Cast, road: Road, database: Database
) -> None:
    with database.read() as db:
        theirs = db.scalars(
            select(Milestone.id).where(Milestone.journey_id == road.verdant, Milestone.key == "channels")
        ).one()
        ours = db.scalars(
            select(Milestone.id).where(Milestone.journey_id == road.lumen, Milestone.key == "brief")
        ).one()
    own = re.findall(r"/milestones/(\d+)/stuck", maria.get("/plan").text)[0]
    empty = maria.post(f"/milestones/{own}/stuck", data={"words": " "})
    assert (empty.status_code, "Please fill this in." in empty.text) == (422, True)
    assert maria.post(f"/milestones/{theirs}/stuck", data={"words": "x"}).status_code == 404
    assert maria.get(f"/milestones/{ours}/stuck").status_code == 404
    assert carla.post(f"/staff/customers/{cast.lumen}/milestones/{theirs}/removal").status_code == 404
    assert carla.get(f"/staff/customers/{cast.lumen}/milestones/{theirs}").status_code == 404


def test_a_calendar_gets_the_days_that_lie_ahead(maria: TestClient) -> None:
    calendar = maria.get("/plan.ics")
    assert calendar.headers["content-type"].startswith("text/calendar")
    assert "SUMMARY:Use it for one real task" in calendar.text
    assert "DTSTART;VALUE=DATE:20260629" in calendar.text
    assert calendar.text == maria.get("/plan.ics").text
    assert "Brief your consultant" not in calendar.text  # it has no date


def test_the_private_feed_has_them_too(maria: TestClient, browser: object) -> None:
    maria.post("/check-ins/calendar")
    (address,) = re.findall(r"http://testserver(/calendar/[^\"]+\.ics)", maria.get("/check-ins").text)
    feed = browser().get(address).text  # type: ignore[operator]
    days = set(re.findall(r"UID:(\S+)", maria.get("/plan.ics").text))
    assert days
    assert days <= set(re.findall(r"UID:(\S+)", feed))

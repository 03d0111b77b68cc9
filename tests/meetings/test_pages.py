"""The pages: customers book, move and cancel; readers of a mail do without signing in; staff close, book, set their hours."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from icalendar import Calendar
from sqlalchemy import func, select
from starlette.testclient import TestClient

from portal.accounts.models import Contact, Staff
from portal.journeys import actions as journeys
from portal.journeys.actions import HeardAnswer
from portal.journeys.models import Flag
from portal.journeys.rules import Outcome
from portal.meetings import queries
from portal.meetings.models import HourException, Meeting, WeeklyHours
from portal.meetings.rules import MeetingKind, MeetingState
from portal.surveys.models import AnswerRow, Invitation, Survey
from portal.surveys.paths import sealed_path
from portal.surveys.rules import Provenance
from tests.meetings.conftest import MONDAY, WEDNESDAY_10, WEDNESDAY_11, SignIn, World, start_use
from tests.meetings.test_booking import open_flag

SLOT = "2026-06-24T13:00Z"
LATER_SLOT = "2026-06-24T14:00Z"
Browser = Callable[[], TestClient]


def radios(text: str) -> dict[str, str]:
    """The times a page offers: what is posted, and what is read."""
    found = re.findall(r'name="slot" value="([^"]+)"[^>]*><span class="num">([^<]+)<', text)
    return dict(found)


def meetings(world: World) -> list[Meeting]:
    with world.database.read() as db:
        return list(db.scalars(select(Meeting).order_by(Meeting.id)))


def sealed(world: World, meeting_id: int) -> str:
    with world.database.read() as db:
        line = queries.meeting(db, meeting_id)
    assert line is not None
    return queries.sealed_path(world.house, line.id, line.nonce)


# Customers


def test_a_customer_books_a_kickoff_from_the_first_page_to_the_last(world: World, signed_in: SignIn) -> None:
    maria = signed_in(contact_id=world.maria)
    first = maria.get("/check-ins")
    assert first.status_code == 200
    assert 'href="/check-ins/new?kind=kickoff"' in first.text
    picker = maria.get("/check-ins/new?kind=kickoff")
    assert radios(picker.text)[SLOT] == "10h00"
    booked = maria.post(
        "/check-ins/new?kind=kickoff", data={"slot": SLOT, "way": "phone", "agenda": "Our head baker joins."}
    )
    (meeting,) = meetings(world)
    assert (booked.status_code, booked.headers["location"]) == (303, f"/check-ins/{meeting.id}")
    assert (meeting.starts_at, meeting.kind, meeting.way, meeting.place, meeting.agenda, meeting.booked_by) == (
        WEDNESDAY_10,
        MeetingKind.KICKOFF,
        "phone",
        "+5511987654321",
        "Our head baker joins.",
        f"contact:{world.maria}",
    )
    page = maria.get(f"/check-ins/{meeting.id}")
    assert "qua., 24 de junho, 10h00" in page.text
    again = maria.get("/check-ins")
    assert "/check-ins/new?kind=kickoff" not in again.text


def test_the_same_form_sent_twice_books_once(world: World, signed_in: SignIn) -> None:
    maria = signed_in(contact_id=world.maria)
    start_use(world, date(2026, 5, 1))
    sent = [maria.post("/check-ins/new?kind=checkup", data={"slot": SLOT}) for _ in range(2)]
    (meeting,) = meetings(world)
    assert [answer.headers["location"] for answer in sent] == [f"/check-ins/{meeting.id}"] * 2


def test_a_slot_that_was_just_taken_shows_the_others_with_nothing_lost(world: World, signed_in: SignIn) -> None:
    maria = signed_in(contact_id=world.maria)
    world.book(contact_id=world.sofia)
    answer = maria.post(
        "/check-ins/new?kind=kickoff", data={"slot": SLOT, "way": "phone", "agenda": "Our head baker joins."}
    )
    assert answer.status_code == 409
    assert "Our head baker joins." in answer.text
    assert re.search(r'name="way" value="phone"[^>]* checked', answer.text)
    assert re.search(rf'value="{SLOT}" disabled', answer.text)
    assert LATER_SLOT in radios(answer.text)
    assert len(meetings(world)) == 1


def test_without_a_time_the_form_comes_back(world: World, signed_in: SignIn) -> None:
    maria = signed_in(contact_id=world.maria)
    for slot in ("", "soon", "2026-06-24T13:00", "9999-12-31T23:59-12:00", "20260624"):
        answer = maria.post("/check-ins/new?kind=kickoff", data={"slot": slot, "agenda": "Our head baker joins."})
        assert answer.status_code == 422, slot
        assert "Escolha um horário." in answer.text
        assert "Our head baker joins." in answer.text
    assert meetings(world) == []


def test_slots_are_in_the_customers_own_time_and_the_week_turns(world: World, signed_in: SignIn) -> None:
    sofia = signed_in(contact_id=world.sofia)
    page = sofia.get("/check-ins/new")
    assert radios(page.text)[SLOT] == "14:00"
    assert "23–29 June" in page.text
    assert 'href="/check-ins/new?kind=kickoff&amp;from=2026-06-30"' in page.text
    later = sofia.get("/check-ins/new?kind=kickoff&from=2026-06-30")
    assert "30 June – 6 July" in later.text
    assert SLOT not in radios(later.text)
    for odd in ("2026-13-01", "9999-12-31", "1000-01-01", "x"):
        assert sofia.get(f"/check-ins/new?kind=kickoff&from={odd}").status_code == 200


def test_a_meeting_is_moved_and_cancelled(world: World, signed_in: SignIn) -> None:
    booked = world.book()
    maria = signed_in(contact_id=world.maria)
    picker = maria.get(f"/check-ins/{booked}/move")
    assert SLOT in picker.text and LATER_SLOT in radios(picker.text)
    moved = maria.post(f"/check-ins/{booked}/move", data={"slot": LATER_SLOT})
    assert (moved.status_code, moved.headers["location"]) == (303, f"/check-ins/{booked}")
    assert meetings(world)[0].starts_at == WEDNESDAY_11
    assert maria.get(f"/check-ins/{booked}/cancel").status_code == 200
    assert meetings(world)[0].state is MeetingState.PLANNED
    gone = maria.post(f"/check-ins/{booked}/cancel", data={"why": "Inventory day."})
    assert gone.headers["location"] == "/check-ins"
    assert (meetings(world)[0].state, meetings(world)[0].cancelled_why) == (MeetingState.CANCELLED, "Inventory day.")


def test_two_hours_before_the_customer_is_asked_to_call(world: World, signed_in: SignIn) -> None:
    booked = world.book()
    world.clock.set(WEDNESDAY_10 - timedelta(minutes=119))
    maria = signed_in(contact_id=world.maria)
    assert maria.get(f"/check-ins/{booked}/move").status_code == 409
    assert maria.get(f"/check-ins/{booked}/cancel").status_code == 409
    assert maria.post(f"/check-ins/{booked}/cancel").status_code == 409
    assert maria.post(f"/check-ins/{booked}/move", data={"slot": LATER_SLOT}).status_code == 409
    assert meetings(world)[0].state is MeetingState.PLANNED


@pytest.mark.parametrize("path", ["", "/move", "/cancel", ".ics"])
def test_strangers_and_colleagues_find_nothing_of_marias_meeting(
    world: World, signed_in: SignIn, browser: Browser, path: str
) -> None:
    booked = world.book(agenda="The oven is broken.")
    for who in (world.joao, world.sofia):
        answer = signed_in(contact_id=who).get(f"/check-ins/{booked}{path}")
        assert answer.status_code == 404
        assert "oven" not in answer.text
    assert browser().get(f"/check-ins/{booked}{path}").status_code == 303
    assert "oven" not in signed_in(contact_id=world.joao).get("/check-ins").text
    for move in ("move", "cancel"):
        signed_in(contact_id=world.sofia).post(f"/check-ins/{booked}/{move}", data={"slot": LATER_SLOT})
    assert (meetings(world)[0].starts_at, meetings(world)[0].state) == (WEDNESDAY_10, MeetingState.PLANNED)


def test_the_file_for_a_calendar(world: World, signed_in: SignIn) -> None:
    booked = world.book()
    file = signed_in(contact_id=world.maria).get(f"/check-ins/{booked}.ics")
    (event,) = Calendar.from_ical(file.content).walk("VEVENT")
    assert file.headers["content-type"] == "text/calendar; charset=utf-8"
    assert (str(event["uid"]), event.start.astimezone(UTC)) == (meetings(world)[0].uid, WEDNESDAY_10)
    assert event["url"] == f"http://testserver/check-ins/{booked}"


def test_whoever_has_no_consultant_reads_why(world: World, signed_in: SignIn) -> None:
    with world.database.write() as db:
        db.get_one(Staff, world.carla).disabled_at = MONDAY
    maria = signed_in(contact_id=world.maria)
    assert "Estamos escolhendo quem vai te acompanhar" in maria.get("/check-ins/new").text
    assert maria.get("/check-ins").status_code == 200


# By the link in a mail


def test_a_get_by_the_mails_link_changes_nothing(world: World, browser: Browser) -> None:
    link = sealed(world, world.book())
    reader = browser()
    for path in ("", "/move", "/cancel"):
        assert reader.get(link + path).status_code == 200
        assert reader.head(link + path).status_code == 200
    assert [(m.state, m.sequence) for m in meetings(world)] == [(MeetingState.PLANNED, 0)]


def test_a_scanner_that_presses_every_button_changes_nothing(world: World, browser: Browser) -> None:
    """It follows each link and submits each form as it finds it: no radio chosen, no box ticked."""
    link = sealed(world, world.book())
    scanner = browser()
    assert scanner.post(f"{link}/move").status_code == 422
    assert scanner.post(f"{link}/cancel", data={"why": ""}).status_code == 422
    assert [(m.state, m.sequence) for m in meetings(world)] == [(MeetingState.PLANNED, 0)]


def test_a_person_moves_and_cancels_without_signing_in(world: World, browser: Browser) -> None:
    link = sealed(world, world.book(contact_id=world.sofia))
    reader = browser()
    page = reader.get(link)
    assert "Wed 24 June, 14:00" in page.text
    moved = reader.post(f"{link}/move", data={"slot": LATER_SLOT})
    assert (moved.status_code, moved.headers["location"]) == (303, link)
    assert "Wed 24 June, 15:00" in reader.get(link).text
    gone = reader.post(f"{link}/cancel", data={"sure": "1", "why": "Ill."})
    assert gone.headers["location"] == link
    (meeting,) = meetings(world)
    assert (meeting.state, meeting.cancelled_by, meeting.cancelled_why) == (
        MeetingState.CANCELLED,
        f"contact:{world.sofia}",
        "Ill.",
    )
    assert "This meeting was cancelled." in reader.get(link).text


def test_a_taken_time_by_the_link_is_409_with_the_others(world: World, browser: Browser) -> None:
    link = sealed(world, world.book())
    world.book(WEDNESDAY_11, contact_id=world.sofia)
    answer = browser().post(f"{link}/move", data={"slot": LATER_SLOT})
    assert answer.status_code == 409
    assert "2026-06-24T16:00Z" in radios(answer.text)


def test_a_forged_cut_or_old_link_opens_nothing(world: World, browser: Browser) -> None:
    link = sealed(world, world.book(agenda="The oven is broken."))
    other = sealed(world, world.book(WEDNESDAY_11, contact_id=world.sofia))
    mixed = f"/m/{link.removeprefix('/m/').split('.')[0]}.{other.split('.')[1]}"
    for wrong in (link[:-1], link[:-3] + "AAA", mixed, "/m/1", "/m/x", "/m/999.aaaa"):
        for path in ("", "/move", "/cancel"):
            answer = browser().get(wrong + path)
            assert answer.status_code == 404, wrong
            assert "oven" not in answer.text
        assert browser().post(f"{wrong}/cancel", data={"sure": "1"}).status_code == 404
    world.clock.set(WEDNESDAY_10 + timedelta(days=31))
    assert browser().get(link).status_code == 404
    assert {m.state for m in meetings(world)} == {MeetingState.PLANNED}


# Feeds


def feed_url(text: str) -> str:
    return re.findall(r"http://testserver(/calendar/[^\"]+)", text)[0]


def test_a_feed_is_private_and_ends_when_its_owner_says_so(world: World, signed_in: SignIn, browser: Browser) -> None:
    booked = world.book()
    world.book(WEDNESDAY_11, contact_id=world.sofia)
    maria = signed_in(contact_id=world.maria)
    assert maria.post("/check-ins/calendar").status_code == 303
    url = feed_url(maria.get("/check-ins").text)
    events = Calendar.from_ical(browser().get(url).content).walk("VEVENT")
    assert [(str(event["uid"]), str(event["status"])) for event in events] == [(meetings(world)[0].uid, "CONFIRMED")]
    maria.post(f"/check-ins/{booked}/cancel")
    events = Calendar.from_ical(browser().get(url).content).walk("VEVENT")
    assert [str(event["status"]) for event in events] == ["CANCELLED"]
    maria.post("/check-ins/calendar")
    newer = feed_url(maria.get("/check-ins").text)
    assert (browser().get(url).status_code, browser().get(newer).status_code) == (404, 200)
    maria.post("/check-ins/calendar/end")
    assert browser().get(newer).status_code == 404


def test_a_consultants_feed_has_all_their_customers_and_dies_with_their_account(
    world: World, signed_in: SignIn, browser: Browser
) -> None:
    world.book()
    world.book(WEDNESDAY_11, contact_id=world.sofia)
    carla = signed_in(staff_id=world.carla)
    carla.post("/staff/hours/calendar")
    url = feed_url(carla.get("/staff/hours").text)
    events = Calendar.from_ical(browser().get(url).content).walk("VEVENT")
    assert [str(event["summary"]) for event in events] == [
        "Kick-off call: Maria Souza, Lumen",
        "Kick-off call: Sofia Alves, Verdant",
    ]
    with world.database.write() as db:
        db.get_one(Staff, world.carla).disabled_at = MONDAY
    assert browser().get(url).status_code == 404


# Staff


def test_the_agenda_shows_what_waits_and_what_comes(world: World, signed_in: SignIn) -> None:
    first = world.book()
    world.book(WEDNESDAY_10 + timedelta(days=1), contact_id=world.sofia)
    carla = signed_in(staff_id=world.carla)
    page = carla.get("/staff/meetings")
    assert page.status_code == 200
    assert "What became of these?" not in page.text
    assert "Thu 25 June, 14:00 (London) for them" in page.text
    world.clock.set(WEDNESDAY_11)
    carla = signed_in(staff_id=world.carla)
    assert "What became of these?" in carla.get("/staff/meetings").text
    assert carla.post(f"/staff/meetings/{first}/held").status_code == 303
    assert meetings(world)[0].state is MeetingState.HELD
    assert "What became of these?" not in carla.get("/staff/meetings").text
    rui = signed_in(staff_id=world.rui)
    assert "Sofia Alves" not in rui.get("/staff/meetings").text
    assert "Sofia Alves" in rui.get(f"/staff/meetings?staff={world.carla}").text


def test_a_no_show_is_noted_from_the_agenda(world: World, signed_in: SignIn) -> None:
    booked = world.book()
    carla = signed_in(staff_id=world.carla)
    assert carla.post(f"/staff/meetings/{booked}/missed").status_code == 409
    world.clock.set(WEDNESDAY_11)
    assert signed_in(staff_id=world.carla).post(f"/staff/meetings/{booked}/missed").status_code == 303
    assert meetings(world)[0].state is MeetingState.MISSED


def test_customers_find_nothing_of_the_staffs_pages(world: World, signed_in: SignIn) -> None:
    booked = world.book()
    maria = signed_in(contact_id=world.maria)
    for path in ("/staff/meetings", f"/staff/meetings/{booked}", "/staff/hours"):
        assert maria.get(path).status_code == 404
    assert maria.post(f"/staff/meetings/{booked}/held").status_code == 404


def test_a_doubt_meeting_is_booked_from_a_flag(world: World, signed_in: SignIn) -> None:
    flag_id = open_flag(world, "It drops the count.\nEvery morning.")
    carla = signed_in(staff_id=world.carla)
    url = f"/staff/customers/{world.lumen}/meetings/new?flag={flag_id}"
    page = carla.get(url)
    assert page.status_code == 200
    assert "It drops the count.\nEvery morning.</textarea>" in page.text
    form = {"slot": SLOT, "contact": str(world.maria), "way": "phone", "agenda": "It drops the count."}
    booked = carla.post(url, data=form)
    (meeting,) = meetings(world)
    assert booked.headers["location"] == f"/staff/meetings/{meeting.id}"
    assert (meeting.kind, meeting.flag_id, meeting.agenda) == (MeetingKind.DOUBT, flag_id, "It drops the count.")
    assert f"/staff/flags/{flag_id}" in carla.get(f"/staff/meetings/{meeting.id}").text
    with world.database.read() as db:
        assert db.get_one(Flag, flag_id).acted_by == f"staff:{world.carla}"


def test_another_customers_flag_is_none_of_this_customers(world: World, signed_in: SignIn) -> None:
    flag_id = open_flag(world)
    carla = signed_in(staff_id=world.carla)
    for flag in (str(flag_id), "999", "x", "9" * 30):
        assert carla.get(f"/staff/customers/{world.verdant}/meetings/new?flag={flag}").status_code == 404


def test_a_consultant_insists_on_a_time_by_hand(world: World, signed_in: SignIn) -> None:
    carla = signed_in(staff_id=world.carla)
    url = f"/staff/customers/{world.lumen}/meetings/new?kind=checkup"
    form = {"contact": str(world.maria), "way": "video", "by_hand": "2026-06-27T19:30"}
    assert carla.post(url, data=form).status_code == 303
    assert meetings(world)[0].starts_at == datetime(2026, 6, 27, 22, 30, tzinfo=UTC)
    other = f"/staff/customers/{world.verdant}/meetings/new?kind=checkup"
    taken = carla.post(other, data={**form, "contact": str(world.sofia), "by_hand": "2026-06-27T19:45"})
    assert taken.status_code == 409
    for wrong in ("2026-06-27T19:31", "2026-06-01T10:00", "9999-12-31T23:59", "soon"):
        answer = carla.post(url, data={**form, "by_hand": wrong, "agenda": "Stay as typed."})
        assert answer.status_code == 422, wrong
        assert "Stay as typed." in answer.text
    assert len(meetings(world)) == 1


def test_a_colleague_stands_in_and_nobody_else_is_invited(world: World, signed_in: SignIn) -> None:
    rui = signed_in(staff_id=world.rui)
    url = f"/staff/customers/{world.lumen}/meetings/new?kind=checkup&with=me"
    form = {"slot": SLOT, "contact": str(world.maria), "way": "video"}
    assert rui.post(url, data=form).status_code == 303
    assert meetings(world)[0].staff_id == world.rui
    stranger = rui.post(url, data={**form, "slot": LATER_SLOT, "contact": str(world.sofia)})
    assert stranger.status_code == 404
    assert len(meetings(world)) == 1


def test_staff_move_and_cancel(world: World, signed_in: SignIn) -> None:
    booked = world.book()
    carla = signed_in(staff_id=world.carla)
    assert carla.get(f"/staff/meetings/{booked}/move").status_code == 200
    assert carla.post(f"/staff/meetings/{booked}/move").status_code == 422
    assert carla.post(f"/staff/meetings/{booked}/move", data={"slot": LATER_SLOT}).status_code == 303
    assert carla.post(f"/staff/meetings/{booked}/move", data={"by_hand": "2026-06-28T20:00"}).status_code == 303
    assert meetings(world)[0].starts_at == datetime(2026, 6, 28, 23, 0, tzinfo=UTC)
    assert carla.get(f"/staff/meetings/{booked}/cancel").status_code == 200
    assert carla.post(f"/staff/meetings/{booked}/cancel", data={"why": "I am ill."}).status_code == 303
    assert (meetings(world)[0].state, meetings(world)[0].cancelled_by) == (
        MeetingState.CANCELLED,
        f"staff:{world.carla}",
    )
    assert carla.get(f"/staff/meetings/{booked}").status_code == 200


def test_the_week_is_edited_and_comes_back_as_typed_when_wrong(world: World, signed_in: SignIn) -> None:
    carla = signed_in(staff_id=world.carla)
    page = carla.get("/staff/hours")
    assert 'value="09:00"' in page.text and 'value="17:00"' in page.text
    wrong = carla.post("/staff/hours", data={"opens_0_0": "09:00", "opens_1_0": "10:00", "closes_1_0": "09:00"})
    assert wrong.status_code == 422
    assert "Please give both: from and until." in wrong.text
    overlap = carla.post(
        "/staff/hours",
        data={"opens_1_0": "09:00", "closes_1_0": "12:00", "opens_1_1": "11:00", "closes_1_1": "13:00"},
    )
    assert overlap.status_code == 422
    assert "These hours overlap, or end before they begin." in overlap.text
    with world.database.read() as db:
        assert db.scalar(select(func.count(WeeklyHours.id))) == 0
    saved = carla.post("/staff/hours", data={"opens_2_0": "20:00", "closes_2_0": "00:00"})
    assert saved.status_code == 303
    with world.database.read() as db:
        rows = db.execute(select(WeeklyHours.weekday, WeeklyHours.opens_minute, WeeklyHours.closes_minute)).all()
    assert [tuple(row) for row in rows] == [(2, 1200, 1440)]
    assert 'value="20:00"' in carla.get("/staff/hours").text


def test_single_days_off_and_other_hours(world: World, signed_in: SignIn) -> None:
    carla = signed_in(staff_id=world.carla)
    assert carla.post("/staff/hours/days", data={"day": "2026-06-24"}).status_code == 303
    assert (
        carla.post("/staff/hours/days", data={"day": "2026-06-25", "opens": "18:00", "closes": "19:00"}).status_code
        == 303
    )
    maria = signed_in(contact_id=world.maria)
    times = radios(maria.get("/check-ins/new?kind=kickoff").text)
    assert SLOT not in times and times["2026-06-25T21:00Z"] == "18h00"
    for wrong in ({"day": ""}, {"day": "2026-06-01"}, {"day": "2026-06-26", "opens": "09:00"}):
        assert carla.post("/staff/hours/days", data=wrong).status_code == 422
    assert carla.post("/staff/hours/days/end", data={"day": "2026-06-24"}).status_code == 303
    with world.database.read() as db:
        assert list(db.scalars(select(HourException.day))) == [date(2026, 6, 25)]
    assert SLOT in radios(maria.get("/check-ins/new?kind=kickoff").text)


def test_clock_changes_in_two_zones_keep_every_time_true(world: World, signed_in: SignIn) -> None:
    """London leaves summer time on 25 October 2026, New York on 1 November; São Paulo has none."""
    world.clock.set(datetime(2026, 10, 23, 12, 0, tzinfo=UTC))
    with world.database.write() as db:
        db.get_one(Contact, world.maria).timezone = "America/New_York"
    nine = {"2026-10-26": "T12:00Z", "2026-11-02": "T12:00Z"}
    sofia, maria = signed_in(contact_id=world.sofia), signed_in(contact_id=world.maria)
    read = {
        name: [
            radios(who.get(f"/check-ins/new?kind=kickoff&from={day}").text)[
                f"{date.fromisoformat(day) + timedelta(days=1)}{at}"
            ]
            for day, at in nine.items()
        ]
        for name, who in (("London", sofia), ("New York", maria))
    }
    # 9:00 in São Paulo is 12:00 UTC all along.
    assert read == {"London": ["12:00", "12:00"], "New York": ["08h00", "07h00"]}
    booked = world.book(datetime(2026, 11, 3, 12, 0, tzinfo=UTC))
    assert "07h00" in signed_in(contact_id=world.maria).get(f"/check-ins/{booked}").text


# After a bad answer


def bad_answer(world: World) -> tuple[int, str]:
    """Sofia was asked on day 30 and is unhappy: her flag, and the path of her survey's link."""
    now = world.clock.now()
    with world.database.write() as db:
        survey = db.scalars(select(Survey)).first()
        assert survey is not None
        invitation = Invitation(
            survey_id=survey.id, account_id=world.verdant, journey_id=world.other_journey, contact_id=world.sofia,
            day=30, nonce="n" * 32, planned_at=now, sent_at=now, expires_at=now + timedelta(days=21),
        )  # fmt: skip
        db.add(invitation)
        db.flush()
        answer = AnswerRow(
            invitation_id=invitation.id, account_id=world.verdant, journey_id=world.other_journey,
            contact_id=world.sofia, day=30, csat=1, comment="Nobody calls me back.", outcome=Outcome.DISSATISFIED,
            provenance=Provenance.MAIL_LINK, by=f"contact:{world.sofia}", submitted_at=now,
        )  # fmt: skip
        db.add(answer)
        db.flush()
        flag_id = journeys.hear_answer(
            db,
            world.house,
            answer=HeardAnswer(
                world.other_journey,
                answer.id,
                world.sofia,
                30,
                Outcome.DISSATISFIED,
                f"contact:{world.sofia}",
                words="Nobody calls me back.",
            ),
            now=now,
        )
    assert flag_id is not None
    return flag_id, sealed_path(world.house, invitation.id, "n" * 32)


def test_after_a_bad_answer_a_time_to_talk_is_one_choice_away(world: World, browser: Browser, surveys: None) -> None:
    flag_id, link = bad_answer(world)
    reader = browser()
    page = reader.get(f"{link}/meeting")
    assert page.status_code == 200
    assert "Call about what you told us" in page.text
    assert meetings(world) == []
    assert reader.post(f"{link}/meeting").status_code == 422
    # Four hours of notice from 9:00: Carla's afternoon is still there.
    slot = "2026-06-22T16:00Z"
    assert radios(page.text)[slot] == "17:00"
    booked = reader.post(f"{link}/meeting", data={"slot": slot})
    (meeting,) = meetings(world)
    assert booked.headers["location"] == sealed(world, meeting.id)
    assert (meeting.kind, meeting.flag_id, meeting.agenda, meeting.booked_by) == (
        MeetingKind.DOUBT,
        flag_id,
        "Nobody calls me back.",
        f"contact:{world.sofia}",
    )
    again = reader.post(f"{link}/meeting", data={"slot": "2026-06-22T17:00Z"})
    assert again.headers["location"] == sealed(world, meeting.id)
    assert reader.get(f"{link}/meeting").headers["location"] == sealed(world, meeting.id)
    assert len(meetings(world)) == 1
    with world.database.read() as db:
        assert db.get_one(Flag, flag_id).acted_at == MONDAY


def test_a_time_taken_meanwhile_after_a_bad_answer(world: World, browser: Browser, surveys: None) -> None:
    _, link = bad_answer(world)
    slot = "2026-06-23T13:00Z"
    world.book(datetime(2026, 6, 23, 13, 0, tzinfo=UTC))
    answer = browser().post(f"{link}/meeting", data={"slot": slot})
    assert answer.status_code == 409
    assert radios(answer.text) != {}
    assert len(meetings(world)) == 1


def test_a_link_that_is_no_bad_answer_leads_back(world: World, browser: Browser, surveys: None) -> None:
    flag_id, link = bad_answer(world)
    forged = link[:-2] + "AA"
    assert browser().get(f"{forged}/meeting").headers["location"] == f"{forged}/thanks"
    assert browser().post(f"{forged}/meeting", data={"slot": SLOT}).status_code == 303
    assert meetings(world) == []
    with world.database.write() as db:
        db.get_one(Flag, flag_id).closed_at = MONDAY
    assert browser().get(f"{link}/meeting").headers["location"] == f"{link}/thanks"

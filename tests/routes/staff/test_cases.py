"""A case worked from one place: reply with times, promise, hand over, merge, settle with a reason, re-open, rate again."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from portal.audit import AuditEvent, Happened
from portal.clock import FixedClock
from portal.db import Database
from portal.errors import Refused
from portal.house import House
from portal.journeys import cases, desk, ledger, offers, reasons
from portal.journeys.models import Flag, JourneyRow, OfferedTimes, PendingIssue, Resolution
from portal.journeys.rules import FlagOrigin, FlagOutcome
from portal.mail import Kind, LetterRow
from portal.meetings.models import Meeting
from portal.messages.models import Message
from tests.routes.conftest import NOON, Cast, SignIn
from tests.routes.staff.conftest import Road


def again(database: Database, house: House, road: Road, cast: Cast, *, contact_id: int, day: int | None = None) -> int:
    with database.write() as db:
        return cases.open_flag(
            db,
            house,
            journey_id=road.lumen,
            origin=FlagOrigin.CONVERSATION,
            by=f"staff:{cast.carla}",
            contact_id=contact_id,
            day=day,
            words="It still loses the count.",
            now=NOON - timedelta(minutes=30),
        )


def free_times(client: TestClient, flag: int) -> list[str]:
    page = client.get(f"/staff/flags/{flag}").text
    return [part.split('"')[0] for part in page.split('name="slot" value="')[1:]]


def test_a_reply_goes_into_the_thread_with_three_times_and_holds_none(
    carla: TestClient, flag: int, database: Database, house: House, cast: Cast, clock: FixedClock
) -> None:
    times = free_times(carla, flag)[:3]
    assert len(times) == 3
    answer = carla.post(f"/staff/flags/{flag}/reply", data={"text": "Can we talk?", "slot": times, "key": "a" * 32})
    assert answer.status_code == 303
    carla.post(f"/staff/flags/{flag}/reply", data={"text": "Can we talk?", "slot": times, "key": "a" * 32})
    with database.read() as db:
        message = db.scalars(select(Message)).one()
        offered = db.scalars(select(OfferedTimes)).one()
        held = db.scalars(select(Meeting)).all()
        case = db.get_one(Flag, flag)
        path = offers.path_of(house, offered.id, offered.nonce)
    assert message.text.startswith("Can we talk?") and "/offered-times" in message.text
    assert path.rpartition("/")[2] not in message.text, "the thread keeps no link that opens anything"
    assert (offered.message_id, len(offered.starts), held) == (message.id, 3, [])
    assert (case.acted_at, case.acted_by) == (NOON, f"staff:{cast.carla}")


def test_the_first_who_books_has_the_time_and_then_others_are_offered(
    carla: TestClient, flag: int, database: Database, house: House, cast: Cast, signed_in: SignIn, road: Road
) -> None:
    times = free_times(carla, flag)[:3]
    carla.post(f"/staff/flags/{flag}/reply", data={"text": "Can we talk?", "slot": times})
    with database.read() as db:
        offered = db.scalars(select(OfferedTimes)).one()
    path = offers.path_of(house, offered.id, offered.nonce)
    sofia = again_of_sofia(database, house, road, cast)
    with database.write() as db:
        cases.offer_times(
            db,
            flag_id=sofia,
            contact_id=cast.sofia,
            starts=[datetime.fromisoformat(one) for one in times],
            message_id=None,
            by=f"staff:{cast.carla}",
            now=NOON,
        )
        theirs = db.scalars(select(OfferedTimes).where(OfferedTimes.flag_id == sofia)).one()
        other = offers.path_of(house, theirs.id, theirs.nonce)
    stranger = carla  # the link is the capability: who is signed in doesn't matter
    assert stranger.post(other, data={"slot": times[0]}).status_code == 303
    lost = stranger.post(path, data={"slot": times[0]})
    assert lost.status_code == 409
    assert "just been taken" in lost.text and times[1] in lost.text and f'value="{times[0]}"' not in lost.text
    assert stranger.post(path, data={}).status_code == 422
    assert stranger.post(path, data={"slot": times[1]}).status_code == 303
    with database.read() as db:
        meeting = db.scalars(select(Meeting).where(Meeting.flag_id == flag)).one()
    assert (meeting.agenda, meeting.contact_id) == ("The tablet loses the count.", cast.maria)
    assert stranger.get(path).status_code == 303, "booked: the link leads to the meeting"
    assert stranger.get(path[:-2]).status_code == 404


def again_of_sofia(database: Database, house: House, road: Road, cast: Cast) -> int:
    with database.write() as db:
        return cases.open_flag(
            db,
            house,
            journey_id=road.verdant,
            origin=FlagOrigin.CONVERSATION,
            by=f"staff:{cast.carla}",
            contact_id=cast.sofia,
            words="Ours too.",
            now=NOON,
        )


@pytest.mark.parametrize(
    ("where", "data"),
    [
        ("reply", {}),
        ("reply", {"text": "x" * 9_001}),
        ("reply", {"text": "x", "slot": ["2020-01-01T10:00Z"]}),
        ("reply", {"text": "x", "slot": ["9999-12-31T23:59-14:00"]}),
        ("reply", {"text": "x", "slot": ["soon"]}),
        ("reply", {"text": "x", "slot": [f"2027-0{n}-01T10:00Z" for n in range(1, 5)]}),
        ("promises", {"solution": "x"}),
        ("promises", {"solution": "x", "due_on": "2020-01-01"}),
        ("promises", {"solution": " ", "due_on": "2027-01-01"}),
        ("handover", {"staff": "999", "note": "x"}),
        ("handover", {"note": "x"}),
        ("handover", {"staff": "{rui}", "note": ""}),
        ("merge", {}),
        ("merge", {"duplicate": ["{flag}"]}),
        ("merge", {"duplicate": ["999"]}),
        ("reopening", {}),
    ],
)
def test_a_mistake_is_said_and_nothing_is_kept(
    where: str, data: dict[str, object], carla: TestClient, flag: int, cast: Cast, database: Database
) -> None:
    def filled(value: object) -> object:
        return value.replace("{rui}", str(cast.rui)).replace("{flag}", str(flag)) if isinstance(value, str) else value

    sent = {k: [filled(v) for v in value] if isinstance(value, list) else filled(value) for k, value in data.items()}
    answer = carla.post(f"/staff/flags/{flag}/{where}", data=sent)
    assert answer.status_code == 422
    if where not in ("merge", "reopening"):  # whose forms are shown only where there is something to merge or re-open
        assert 'class="error"' in answer.text
    with database.read() as db:
        for kept in (Message, OfferedTimes, PendingIssue, Resolution):
            assert db.scalars(select(kept)).all() == []


def test_a_promise_is_seen_by_the_customer_and_kept(
    carla: TestClient, maria: TestClient, flag: int, database: Database
) -> None:
    due = (NOON + timedelta(days=5)).date().isoformat()
    carla.post(f"/staff/flags/{flag}/promises", data={"solution": "A new tablet", "due_on": due})
    assert "A new tablet" in maria.get("/told-us").text
    with database.read() as db:
        promised = db.scalars(select(PendingIssue)).one()
    assert (promised.flag_id, promised.problem) == (flag, "The tablet loses the count.")
    assert carla.post(f"/staff/flags/{flag}/promises/999/done").status_code == 404
    assert carla.post(f"/staff/flags/{flag}/promises/{promised.id}/done").status_code == 303
    with database.read() as db:
        assert db.get_one(PendingIssue, promised.id).solved_at == NOON


def test_a_promise_sent_twice_is_one_promise_until_it_is_kept(carla: TestClient, flag: int, database: Database) -> None:
    due = (NOON + timedelta(days=5)).date().isoformat()
    at, said = f"/staff/flags/{flag}/promises", {"solution": "A new tablet", "due_on": due}
    for _ in range(2):
        assert carla.post(at, data=said).status_code == 303
    with database.read() as db:
        promised = db.scalars(select(PendingIssue.id)).one()
    carla.post(f"{at}/{promised}/done")
    carla.post(at, data=said)
    with database.read() as db:
        assert len(db.scalars(select(PendingIssue.id)).all()) == 2


def test_a_case_is_handed_over_with_a_note_and_the_customer_stays(
    carla: TestClient, rui: TestClient, flag: int, cast: Cast, database: Database, road: Road
) -> None:
    note = "You know their wifi."
    assert carla.post(f"/staff/flags/{flag}/handover", data={"staff": str(cast.rui), "note": note}).status_code == 303
    with database.read() as db:
        case, owner = db.get_one(Flag, flag), db.get_one(JourneyRow, road.lumen).owner_id
        letter = db.scalars(select(LetterRow).where(LetterRow.kind == Kind.FLAG_HANDED_OVER)).one()
        told = db.scalars(select(AuditEvent).where(AuditEvent.what == Happened.FLAG_HANDED_OVER)).one()
        mine = [line.id for line in desk.open_flags(db, owner_id=cast.rui)]
        theirs = [line.id for line in desk.open_flags(db, owner_id=cast.carla)]
    assert (case.handed_to_id, owner, letter.staff_id) == (cast.rui, cast.carla, cast.rui)
    assert (told.by, told.detail["note"]) == (f"staff:{cast.carla}", note)
    assert (mine, theirs) == ([flag], [])


def test_duplicates_of_one_person_go_on_in_one_case_and_end_with_it(
    carla: TestClient, flag: int, cast: Cast, database: Database, house: House, road: Road
) -> None:
    same = again(database, house, road, cast, contact_id=cast.maria, day=30)
    other = again(database, house, road, cast, contact_id=cast.joao)
    assert carla.post(f"/staff/flags/{flag}/merge", data={"duplicate": [str(other)]}).status_code == 422
    assert carla.post(f"/staff/flags/{flag}/merge", data={"duplicate": [str(same)]}).status_code == 303
    with database.read() as db:
        merged, ended = db.get_one(Flag, same), db.scalars(select(Resolution)).one()
        assert (merged.merged_into_id, merged.closed_at) == (flag, NOON)
        assert (ended.flag_id, ended.outcome, ended.by) == (same, FlagOutcome.MERGED, f"staff:{cast.carla}")
        assert db.get_one(JourneyRow, road.lumen).open_flags == 2
        assert cases.is_disputed(db, road.lumen, 30), "its answer is still in dispute: it goes on in the other case"
    carla.post(f"/staff/flags/{flag}/resolution", data={"outcome": "resolved", "reason": "1", "note": "Done"})
    with database.read() as db:
        assert not cases.is_disputed(db, road.lumen, 30)
        settled = db.scalars(select(AuditEvent).where(AuditEvent.what == Happened.CONTACT_SETTLED)).all()
        assert [event.detail["day"] for event in settled] == [30]
    # Undone: it is a case of its own again.
    carla.post(f"/staff/flags/{same}/reopening", data={"reason": "It is something else."})
    with database.read() as db:
        merged = db.get_one(Flag, same)
        assert (merged.merged_into_id, merged.closed_at) == (None, None)


def test_staff_re_open_with_a_reason_but_not_what_was_lost(
    carla: TestClient, flag: int, cast: Cast, database: Database, house: House
) -> None:
    carla.post(f"/staff/flags/{flag}/resolution", data={"outcome": "accepted_risk", "reason": "1", "note": "So be it"})
    assert carla.post(f"/staff/flags/{flag}/reopening", data={"reason": "They called again."}).status_code == 303
    with database.read() as db:
        undone = db.scalars(select(Resolution)).one()
        assert db.get_one(Flag, flag).closed_at is None
    assert (undone.undone_by, undone.undone_words) == (f"staff:{cast.carla}", "They called again.")
    carla.post(f"/staff/flags/{flag}/resolution", data={"outcome": "lost", "reason": "1", "note": "Gone"})
    assert carla.post(f"/staff/flags/{flag}/reopening", data={"reason": "x"}).status_code == 422


def test_a_reason_is_chosen_where_there_are_any(
    carla: TestClient, rui: TestClient, flag: int, database: Database
) -> None:
    assert carla.get("/admin/reasons").status_code == 403
    assert rui.post("/admin/reasons", data={"words_en": "Fixed", "words_pt": ""}).status_code == 422
    rui.post("/admin/reasons", data={"words_en": "Weather", "words_pt": "Clima"})
    with database.read() as db:
        fixed, *_, before, price = reasons.reasons(db, retired=True)
    rui.post(f"/admin/reasons/{price.id}/up")
    rui.post(f"/admin/reasons/{price.id}/retirement")
    with database.read() as db:
        assert [one.id for one in reasons.reasons(db, retired=True)][-2:] == [price.id, before.id]
        assert price.id not in {one.id for one in reasons.reasons(db, retired=False)}
    done = {"outcome": "resolved", "note": "Done"}
    assert carla.post(f"/staff/flags/{flag}/resolution", data=done).status_code == 422
    assert carla.post(f"/staff/flags/{flag}/resolution", data={**done, "reason": str(price.id)}).status_code == 422
    assert carla.post(f"/staff/flags/{flag}/resolution", data={**done, "reason": str(fixed.id)}).status_code == 303
    assert "Fixed · " in carla.get(f"/staff/flags/{flag}").text


def test_managers_see_at_half_time_what_nobody_acted_on(
    rui: TestClient, carla: TestClient, flag: int, database: Database, clock: FixedClock
) -> None:
    assert "Half of the time is over" not in rui.get("/staff/inbox").text
    with database.write() as db:
        db.get_one(Flag, flag).half_at = NOON - timedelta(minutes=1)
    assert "Half of the time is over for 1 flag" in rui.get("/staff/inbox").text
    assert "Half of the time is over for 1 flag" in rui.get("/staff").text
    assert "Half of the time is over" not in carla.get("/staff/inbox").text
    assert "managers see it now" in carla.get("/staff/inbox").text


def test_the_customer_confirms_and_rates_again_and_recovery_is_measured(
    carla: TestClient, maria: TestClient, flag: int, cast: Cast, database: Database, signed_in: SignIn
) -> None:
    assert maria.post(f"/told-us/{flag}/rating", data={"csat": "4"}).status_code == 409
    carla.post(f"/staff/flags/{flag}/resolution", data={"outcome": "resolved", "reason": "1", "note": "Done"})
    with database.read() as db:
        resolution = db.scalars(select(Resolution)).one()
    joao = signed_in(contact_id=cast.joao)
    assert joao.post(f"/told-us/{resolution.id}/solved").status_code == 404
    assert joao.post(f"/told-us/{flag}/rating", data={"csat": "1"}).status_code == 404
    assert maria.post(f"/told-us/{resolution.id}/solved").status_code == 303
    assert maria.post(f"/told-us/{flag}/rating", data={"csat": "6"}).status_code == 422
    assert maria.post(f"/told-us/{flag}/rating", data={"nps": "9"}).status_code == 422
    for score in ("5", "4"):
        assert maria.post(f"/told-us/{flag}/rating", data={"csat": score}).status_code == 303
    with database.read() as db:
        line = ledger.ledger(db, cast.maria)[0]
        csat, nps = ledger.recovery(db, since=NOON - timedelta(days=1), until=NOON + timedelta(days=1))
        none, _ = ledger.recovery(db, since=NOON, until=NOON + timedelta(days=1), owner_id=cast.rui)
    assert (line.before, line.after, line.recovery) == (2, 4, 2)
    assert (csat, nps.rated, none.rated) == (ledger.Recovery("csat", 1, 1, 0, 0, 2.0), 0, 0)


def test_what_staff_wrote_for_themselves_stays_theirs(carla: TestClient, maria: TestClient, flag: int) -> None:
    carla.post(
        f"/staff/flags/{flag}/resolution",
        data={"outcome": "accepted_risk", "reason": "1", "note": "They are difficult."},
    )
    page = maria.get("/told-us").text
    assert "The tablet loses the count." in page
    assert "They are difficult." not in page


def test_only_cases_of_one_person_are_merged(
    flag: int, cast: Cast, database: Database, house: House, road: Road
) -> None:
    other = again(database, house, road, cast, contact_id=cast.joao)
    with pytest.raises(Refused), database.write() as db:
        cases.merge_flags(db, house, flag_id=flag, duplicates=[other], by=f"staff:{cast.carla}", now=NOON)

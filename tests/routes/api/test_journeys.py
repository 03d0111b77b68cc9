"""Journeys through the API: where they are, moves, conversations, surveys, flags, activities, messages, figures."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from portal.audit import AuditEvent, Happened
from portal.db import Database
from portal.surveys.models import AnswerRow, Invitation, Survey
from tests.routes.api.conftest import Crm, LiveUntil, deal

DAY_30 = datetime(2026, 7, 31, 13, 0, tzinfo=UTC)
"""A Friday, an hour after nine in São Paulo, 30 days after the first of July."""


@pytest.fixture
def journey(crm: Crm) -> str:
    """Moss & Rye's journey, at its first stage."""
    made: str = crm.put("/accounts/D-77", deal(), status=201)["journeys"][0]["id"]
    return made


@pytest.fixture
def asked(crm: Crm, journey: str, live_until: LiveUntil) -> dict[str, Any]:
    """The invitation of day 30, sent."""
    crm.post(f"/journeys/{journey}/move", {"stage": "deployment", "reason": "They know each other"})
    crm.put(f"/journeys/{journey}/use-started", {"date": "2026-07-01"})
    live_until(DAY_30)
    (sent,) = crm.get("/survey-invitations", journey=journey, state="sent")["items"]
    found: dict[str, Any] = sent
    return found


def test_a_journey_tells_all_that_belongs_to_it(crm: Crm, journey: str) -> None:
    told = crm.get(f"/journeys/{journey}")
    assert list(told) == [
        "id", "account", "pipeline", "stage", "status", "flagged", "open_flags", "consultant_email", "use_started_on",
        "opened_at", "entered_stage_at", "ended_at", "previous_journey_id", "next_journey_id", "visits", "follow_ups",
        "touchpoints", "milestones", "goals", "issues", "activities", "conversations",
    ]  # fmt: skip
    assert (told["pipeline"], told["stage"], told["status"], told["flagged"]) == (
        "after_sale", "demand_analysis", "open", False,
    )  # fmt: skip
    assert told["entered_stage_at"] == "2026-06-23T15:00:00Z"
    assert told["visits"] == [
        {
            "stage": "demand_analysis",
            "entered_at": "2026-06-23T15:00:00Z",
            "left_at": None,
            "moved_by": "api:crm",
            "reason": "",
            "evidence": {},
        }
    ]
    assert [list(contact) for contact in told["follow_ups"]] == [
        [
            "day",
            "due_on",
            "due_at",
            "state",
            "asked_by_call",
            "why_by_call",
            "sent_at",
            "settled_at",
            "settled_by",
            "missed_at",
        ]
    ] * 3
    assert [(f["day"], f["due_at"], f["state"], f["settled_by"]) for f in told["follow_ups"]] == [
        (day, None, "planned", None) for day in (30, 60, 90)
    ]
    assert told["touchpoints"] and told["milestones"]
    assert [activity["kind"] for activity in told["activities"]] == ["analyse_demand"]
    assert told["account"] == {"external_id": "D-77", "name": "Moss & Rye Bakery"}


def test_journeys_can_be_narrowed(crm: Crm, journey: str) -> None:
    crm.put("/accounts/D-78", deal(consultant_email="rui@onward.example"), status=201)
    crm.post(f"/journeys/{journey}/move", {"stage": "first_contact", "reason": "Called"})

    def found(**wanted: object) -> list[str]:
        return [j["account"]["external_id"] for j in crm.get("/journeys", **wanted)["items"]]

    assert found() == ["D-77", "D-78"]
    assert found(stage="first_contact") == ["D-77"]
    assert found(pipeline="after_sale", stage="demand_analysis") == ["D-78"]
    assert found(pipeline="relationship") == found(stage="nowhere") == found(account="D-99") == []
    assert found(consultant="Rui@onward.example") == ["D-78"]
    assert found(account="D-77", flagged="false") == ["D-77"]
    assert found(flagged="true") == []
    assert found(pipeline="", stage="", flagged="", consultant="", account="") == ["D-77", "D-78"]
    parts = [crm.get("/journeys", limit=1)]
    parts.append(crm.get("/journeys", limit=1, cursor=parts[0]["next_cursor"]))
    assert [part["items"][0]["account"]["external_id"] for part in parts] == ["D-77", "D-78"]
    crm.ask("GET", "/journeys", params={"flagged": "perhaps"}, status=422)


def test_a_move_by_hand_keeps_who_and_why(crm: Crm, journey: str) -> None:
    moved = crm.post(f"/journeys/{journey}/move", {"stage": "first_contact", "reason": "Called them"})
    assert (moved["stage"], moved["visits"][1]["moved_by"], moved["visits"][1]["reason"]) == (
        "first_contact", "api:crm", "Called them",
    )  # fmt: skip
    assert moved["visits"][0]["left_at"] == moved["visits"][1]["entered_at"] == moved["entered_stage_at"]
    crm.post(f"/journeys/{journey}/move", {"stage": "first_contact", "reason": "Again"}, status=409)
    approved = crm.post(f"/journeys/{journey}/move", {"stage": "approved", "reason": "Please"}, status=409)
    assert approved["title"] == "That doesn’t go together"
    for body in ({"stage": "heaven", "reason": "r"}, {"stage": "deployment", "reason": "  "}, {"stage": "deployment"}):
        crm.post(f"/journeys/{journey}/move", body, status=422)
    crm.post("/journeys/999/move", {"stage": "deployment", "reason": "r"}, status=404)


def test_the_start_of_use_moves_the_plan(crm: Crm, journey: str) -> None:
    moved = crm.put(f"/journeys/{journey}/use-started", {"date": "2026-07-01"})
    assert [f["due_on"] for f in moved["follow_ups"]] == ["2026-07-31", "2026-08-30", "2026-09-29"]
    assert moved["use_started_on"] == "2026-07-01"
    wrong = crm.put(f"/journeys/{journey}/use-started", {"date": "2036-07-01"}, status=422)
    assert [error["field"] for error in wrong["errors"]] == ["date"]
    crm.put("/journeys/999/use-started", {"date": "2026-07-01"}, status=404)


def test_a_conversation_settles_or_flags(crm: Crm, asked: dict[str, Any]) -> None:
    path = f"/journeys/{asked['journey_id']}"
    talk = {"channel": "phone", "result": "satisfied", "note": "All is well", "contact_email": "Lia@mossrye.example"}
    talked = crm.post(f"{path}/conversations", talk, status=201)
    assert list(talked) == ["flag_id", "journey"]
    assert talked["flag_id"] is None
    assert next((f["state"], f["settled_by"]) for f in talked["journey"]["follow_ups"]) == ("settled", "conversation")
    assert talked["journey"]["conversations"][0] | {"at": ""} == {
        "at": "", "by": "api:crm", "channel": "phone", "result": "satisfied", "note": "All is well",
    }  # fmt: skip
    angry = crm.post(f"{path}/conversations", talk | {"result": "dissatisfied"}, status=201)
    assert angry["journey"]["flagged"]
    assert [flag["id"] for flag in crm.get("/flags", state="open")["items"]] == [angry["flag_id"]]
    for changes in (
        {"contact_email": "sofia@verdant.example"}, {"channel": "pigeon"}, {"result": "happy"}, {"note": ""},
        {"contact_email": "nobody"},
    ):  # fmt: skip
        wrong = crm.post(f"{path}/conversations", talk | changes, status=422)
        assert [error["field"] for error in wrong["errors"]] == list(changes)


def test_invitations_say_what_became_of_them(crm: Crm, asked: dict[str, Any]) -> None:
    assert list(asked) == [
        "id", "journey_id", "day", "contact_id", "contact_email", "state", "why", "url", "due_at", "sent_at",
        "expires_at", "provenance",
    ]  # fmt: skip
    assert (asked["day"], asked["contact_email"], asked["why"]) == (30, "lia@mossrye.example", None)
    assert asked["url"].startswith("http://testserver/s/")
    assert crm.client.get(asked["url"].removeprefix("http://testserver")).status_code == 200
    first = crm.get("/survey-invitations", journey=asked["journey_id"], limit=1)
    rest = crm.get("/survey-invitations", journey=asked["journey_id"], cursor=first["next_cursor"])
    assert [(i["day"], i["state"], i["id"]) for i in first["items"] + rest["items"]] == [
        (30, "sent", asked["id"]), (60, "planned", None), (90, "planned", None),
    ]  # fmt: skip
    assert crm.get("/survey-invitations", journey="not-ours")["items"] == []
    crm.ask("GET", "/survey-invitations", params={"state": "lost"}, status=422)


def test_an_answer_by_phone_is_kept_as_such(crm: Crm, asked: dict[str, Any], database: Database) -> None:
    path = f"/survey-invitations/{asked['id']}/answer"
    for answers, field in (
        ({"csat": 6}, "answers.csat"), ({"nps": 11}, "answers.nps"), ({"nps": -1}, "answers.nps"),
        ({"csat": True}, "answers.csat"), ({"csat": "5"}, "answers.csat"), ({"csat": 4.5}, "answers.csat"),
        ({"wants_help": "yes"}, "answers.wants_help"), ({"why": "x"}, "answers.why"),
    ):  # fmt: skip
        assert crm.post(path, {"answers": answers}, status=422)["errors"][0]["field"] == field
    assert crm.post(path, {"answers": {}}, status=422)["errors"][0]["field"].startswith("answers.")
    given = crm.post(path, {"answers": {"csat": 2, "nps": 4, "comment": "Slow", "wants_help": True}}, status=201)
    assert list(given) == [
        "id", "invitation_id", "journey_id", "day", "csat", "nps", "comment", "wants_help", "others", "outcome", "provenance",
        "by", "submitted_at",
    ]  # fmt: skip
    assert given["others"] == {}
    assert (given["outcome"], given["provenance"], given["by"]) == ("dissatisfied", "phone", "api:crm")
    crm.post(path, {"answers": {"csat": 5, "nps": 10}}, status=409)
    crm.post("/survey-invitations/999/answer", {"answers": {"csat": 5}}, status=404)
    assert crm.get("/survey-invitations", state="answered")["items"][0]["provenance"] == "phone"
    with database.read() as db:
        assert db.execute(select(AnswerRow.csat, AnswerRow.nps)).one() == (2, 4)


def test_further_questions_are_answered_by_the_rules_of_the_page(
    crm: Crm, asked: dict[str, Any], database: Database
) -> None:
    def words(text: str) -> dict[str, str]:
        return {"en": text, "pt": text}

    blank: dict[str, Any] = {"hint": words(""), "after": {}}
    options = [{"key": key, "text": words(key)} for key in ("till", "stock")]
    further: list[dict[str, Any]] = [
        {"key": "pace", "kind": "rating", "text": words("How fast?"), "high": 10},
        {"key": "where", "kind": "choice", "text": words("Where?"), "options": options},
        {"key": "which", "kind": "choices", "text": words("Which?"), "options": options},
        {"key": "more", "kind": "text", "text": words("More?")},
        {
            "key": "solved", "kind": "yes_no", "text": words("Solved?"),
            "show_if": {"question": "csat", "how": "at_most", "value": 3},
        },
    ]  # fmt: skip
    with database.write() as db:
        survey = db.get_one(Survey, db.get_one(Invitation, int(asked["id"])).survey_id)
        new = {column.key: getattr(survey, column.key) for column in Survey.__table__.columns if column.key != "id"}
        new |= {"version": 99, "questions": [*survey.questions, *({**blank, **one} for one in further)]}
        number = db.execute(insert(Survey).values(**new).returning(Survey.id)).scalar_one()
        db.execute(update(Invitation).where(Invitation.id == int(asked["id"])).values(survey_id=number))
    path = f"/survey-invitations/{asked['id']}/answer"
    for others, field in (
        ({"pace": 11}, "answers.others.pace"), ({"pace": True}, "answers.others.pace"),
        ({"where": "bar"}, "answers.others.where"), ({"which": ["till", "bar"]}, "answers.others.which"),
        ({"solved": "yes"}, "answers.others.solved"), ({"colour": "red"}, "answers.others.colour"),
        ({"pace": 1.5}, "answers.others.pace"), ({"more": "x" * 10_001}, "answers.others.more"),
        ({"where": {"key": "till"}}, "answers.others.where"), ({"more": "a\u0000b"}, "answers.others.more"),
    ):  # fmt: skip
        fields = {
            one["field"] for one in crm.post(path, {"answers": {"csat": 2, "others": others}}, status=422)["errors"]
        }
        assert fields == {field}, others
    others = {"pace": 10, "where": "till", "which": ["stock", "stock"], "more": " Slow ", "solved": False}
    given = crm.post(path, {"answers": {"csat": 5, "others": others}}, status=201)
    # What is asked of the unhappy alone was not asked; the same chosen twice counts once.
    assert given["others"] == {"pace": 10, "where": "till", "which": ["stock"], "more": "Slow"}
    with database.read() as db:
        assert db.scalars(select(AnswerRow.others)).one() == given["others"]


def test_a_flag_ends_by_an_outcome(crm: Crm, asked: dict[str, Any], database: Database) -> None:
    answers = {"csat": 1, "nps": 0, "comment": "Nothing works"}
    crm.post(f"/survey-invitations/{asked['id']}/answer", {"answers": answers}, status=201)
    (flag,) = crm.get("/flags", journey=asked["journey_id"])["items"]
    assert list(flag) == [
        "id", "journey_id", "account_external_id", "contact_email", "assignee_email", "state", "origin", "day", "stage",
        "words", "scores", "opened_at", "opened_by", "act_by", "acted_at", "closed_at", "outcome", "note", "resolved_by",
        "confirmed_at",
    ]  # fmt: skip
    assert (flag["state"], flag["words"], flag["day"], flag["scores"]["csat"]) == ("open", "Nothing works", 30, 1)
    assert [j["id"] for j in crm.get("/journeys", flagged="true")["items"]] == [asked["journey_id"]]
    path = f"/flags/{flag['id']}/resolve"
    for body in ({}, {"outcome": "gone", "note": "x"}, {"outcome": "resolved"}, {"outcome": "resolved", "note": " "}):
        crm.post(path, body, status=422)
    done = crm.post(path, {"outcome": "resolved", "note": "Fixed the price file"})
    assert (done["state"], done["outcome"], done["resolved_by"]) == ("resolved", "resolved", "api:crm")
    crm.post(path, {"outcome": "lost", "note": "x"}, status=409)
    crm.post("/flags/999/resolve", {"outcome": "lost", "note": "x"}, status=404)
    assert [f["id"] for f in crm.get("/flags", state="resolved")["items"]] == [flag["id"]]
    assert crm.get("/flags", state="resolved", journey=asked["journey_id"])["items"] == [done]
    assert crm.get("/flags", state="open")["items"] == crm.get("/flags", state="lost")["items"] == []
    settled = crm.get(f"/journeys/{asked['journey_id']}")["follow_ups"][0]
    assert (settled["state"], settled["settled_by"]) == ("settled", "flag")
    with database.read() as db:
        closed = select(AuditEvent.by).where(AuditEvent.what == Happened.FLAG_CLOSED)
        assert db.scalars(closed).all() == ["api:crm"]


def test_a_flag_can_end_as_lost(crm: Crm, journey: str) -> None:
    talk = {"channel": "phone", "result": "dissatisfied", "note": "They leave"}
    flag_id = crm.post(f"/journeys/{journey}/conversations", talk, status=201)["flag_id"]
    crm.post(f"/flags/{flag_id}/resolve", {"outcome": "lost", "note": "Gone"})
    assert crm.get(f"/journeys/{journey}")["status"] == "lost"


def test_an_activity_is_ticked_off_once(crm: Crm, journey: str) -> None:
    (activity,) = crm.get("/activities", journey=journey, state="open")["items"]
    assert list(activity) == [
        "id", "journey_id", "account_external_id", "kind", "title", "day", "state", "assignee_email", "due_at",
        "created_at", "created_by", "done_at", "done_by", "note",
    ]  # fmt: skip
    assert (activity["kind"], activity["title"], activity["assignee_email"]) == (
        "analyse_demand", "Analyse customer demand", "carla@onward.example",
    )  # fmt: skip
    done = crm.post(f"/activities/{activity['id']}/complete", {"note": "Three shops"})
    assert (done["state"], done["note"], done["done_by"]) == ("done", "Three shops", "api:crm")
    assert crm.post(f"/activities/{activity['id']}/complete", {"note": "Other"}) == done
    assert crm.get(f"/journeys/{journey}")["stage"] == "first_contact"
    assert [a["id"] for a in crm.get("/activities", state="done")["items"]] == [activity["id"]]
    crm.post("/activities/999/complete", {"note": ""}, status=404)
    crm.post(f"/activities/{activity['id']}/complete", {"notes": ""}, status=422)
    assert crm.ask("POST", f"/activities/{activity['id']}/complete", status=200) == done


def test_messages_are_what_customers_get(crm: Crm, asked: dict[str, Any]) -> None:
    told = crm.get("/messages", journey=asked["journey_id"])["items"]
    assert list(told[0]) == [
        "id", "journey_id", "contact_id", "kind", "channel", "to", "subject", "state", "why", "message_id", "queued_at",
        "due_at", "sent_at", "attempts", "error", "author", "text",
    ]  # fmt: skip
    assert {(message["kind"], message["channel"], message["to"]) for message in told} == {
        ("survey_30", "email", "lia@mossrye.example"),
        ("meeting_offer", "email", "lia@mossrye.example"),
    }
    talk = {"channel": "phone", "result": "dissatisfied", "note": "They are angry"}
    crm.post(f"/journeys/{asked['journey_id']}/conversations", talk, status=201)
    kinds = {message["kind"] for message in crm.get("/messages", journey=asked["journey_id"])["items"]}
    assert "flag_opened" not in kinds


def test_figures_come_with_their_n(crm: Crm, asked: dict[str, Any]) -> None:
    empty = crm.get("/insights/nps")
    assert (empty["score"], empty["n"], empty["response_rate"], empty["delivered"]) == (None, 0, 0.0, 1)
    crm.post(f"/survey-invitations/{asked['id']}/answer", {"answers": {"csat": 5, "nps": 10}}, status=201)
    told = crm.get("/insights/nps", **{"from": "2026-07-01", "to": "2026-07-31", "stage": "follow_up_30"})
    assert list(told) == [
        "score", "low", "high", "promoters", "passives", "detractors", "n", "trust", "response_rate", "delivered",
    ]  # fmt: skip
    assert (told["score"], told["promoters"], told["n"], told["trust"]) == (100.0, 1, 1, "counts_only")
    assert told["response_rate"] == 1.0
    assert crm.get("/insights/nps", consultant="carla@onward.example")["n"] == 1
    assert crm.get("/insights/nps", consultant="rui@onward.example")["n"] == 0
    assert (
        crm.get("/insights/nps", **{"to": "2026-07-30"})["n"]
        == crm.get("/insights/nps", stage="follow_up_60")["n"]
        == 0
    )
    assert crm.get("/insights/csat")["score"] == 1.0
    stages = {stage["stage"]: stage for stage in crm.get("/insights/stages")["stages"]}
    assert (stages["demand_analysis"]["entered"], stages["demand_analysis"]["went_on"]) == (1, 1)
    for wrong in (
        {"from": "2026-08-01", "to": "2026-07-01"}, {"stage": "heaven"}, {"consultant": "x@y.example"},
        {"from": "0001-01-01"}, {"to": "9999-12-31"}, {"to": "0001-01-01"}, {"since": "2026-01-01"},
    ):  # fmt: skip
        crm.ask("GET", "/insights/nps", params=wrong, status=422)


@pytest.mark.parametrize(
    "path", ["/journeys/0", "/journeys/x", "/journeys/-1", f"/journeys/{2**63}", "/journeys/1.5", "/journeys/999"]
)
def test_what_is_not_there_is_not_found(crm: Crm, path: str) -> None:
    assert crm.ask("GET", path, status=404)["status"] == 404


def test_day_30_is_a_business_day() -> None:
    assert date(2026, 7, 31).weekday() == 4

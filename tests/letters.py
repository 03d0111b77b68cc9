"""One believable letter of every kind, for tests that walk all of them (and for looking at them)."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy.orm import Session

from portal.house import House
from portal.mail import Calendar, Kind, LetterRow

TUESDAY_10 = datetime(2026, 6, 23, 9, 0, tzinfo=UTC)
STAFF_KINDS = {
    Kind.FLAG_OPENED,
    Kind.STUCK,
    Kind.FLAG_LATE,
    Kind.STAGNATION,
    Kind.STAGNATION_MANAGER,
    Kind.IMPORT_REPORT,
    Kind.CALENDAR_UNREADABLE,
    Kind.ERASURE_ASKED,
    Kind.MESSAGE_TO_STAFF,
}
FRIEND_KINDS = {Kind.REFERRAL_INVITATION, Kind.REFERRAL_CONFIRMATION, Kind.COLLEAGUE_INVITATION}
SURVEY_KINDS = {Kind.SURVEY_30, Kind.SURVEY_60, Kind.SURVEY_90, Kind.SURVEY_REMINDER}
FURTHER_KINDS = {Kind.SURVEY_MEETING, Kind.SURVEY_PULSE, Kind.SURVEY_FURTHER, Kind.SURVEY_FURTHER_REMINDER}
CALENDAR_KINDS = {Kind.MEETING_INVITATION, Kind.MEETING_CANCELLED}

_SURVEY: dict[str, Any] = {
    "started_on": date(2026, 5, 18), "closes_on": date(2026, 7, 8), "next_on": date(2026, 7, 17),
    "meeting_at": TUESDAY_10, "stage": {"number": 4, "of": 7, "name": "30-day check-in"},
}  # fmt: skip
_FURTHER: dict[str, Any] = {
    "occasion": "hand:3", "survey": "About the new stock page", "intro": "", "closes_on": date(2026, 7, 8), "minutes": 1,
    "question": "How likely are you to recommend Larderly to a friend or colleague?",
}  # fmt: skip
_FLAG: dict[str, Any] = {
    "person_name": "Maria Lima", "stage_name": "30-day follow-up", "path": "/staff/flags/17", "act_by_at": TUESDAY_10,
    "csat": 2, "nps": 4, "wants_help": True, "words": "The stock never adds up.\nI count it twice, every day.",
}  # fmt: skip
_MEETING: dict[str, Any] = {
    "title": "Doubt meeting", "starts_at": TUESDAY_10, "ends_at": TUESDAY_10.replace(minute=30), "path": "/meetings",
    "with_name": "Carla Souza", "place": "https://meet.larderly.example/carla",
}  # fmt: skip

CONTEXTS: dict[Kind, dict[str, Any]] = {
    Kind.SIGN_IN: {},
    Kind.WELCOME: {
        "stage": {"number": 2, "of": 7, "name": "First hello"},
        "steps": [
            {"title": "First hello", "owner": "both", "due_on": date(2026, 6, 19)},
            {"title": "Send us your product list", "owner": "you", "due_on": date(2026, 6, 24)},
            {"title": "Connect the tills in all three shops", "owner": "us", "due_on": date(2026, 6, 30)},
            {"title": "30-day check-in", "owner": "both"},
        ],
    },
    Kind.WELCOME_LINK: {"inviter_name": "Maria Lima"},
    Kind.SURVEY_30: _SURVEY,
    Kind.SURVEY_60: _SURVEY | {"stage": {"number": 5, "of": 7, "name": "60-day check-in"}},
    Kind.SURVEY_90: _SURVEY | {"next_on": None, "stage": {"number": 6, "of": 7, "name": "90-day check-in"}},
    Kind.SURVEY_REMINDER: _SURVEY | {"days": 30, "meeting_at": None},
    Kind.SURVEY_MEETING: _FURTHER | {
        "occasion": "meeting:17", "survey": "After our meeting", "question": "How satisfied are you with our meeting?",
        "scale": {"name": "csat", "low": 1, "high": 5, "low_label": "very unhappy", "high_label": "very happy"},
    },
    Kind.SURVEY_PULSE: _FURTHER | {"occasion": "pulse:2026-06-23", "survey": "A quick question"},
    Kind.SURVEY_FURTHER: _FURTHER,
    Kind.SURVEY_FURTHER_REMINDER: _FURTHER,
    Kind.SURVEY_ANONYMOUS: _FURTHER | {"question": ""},
    Kind.SURVEY_CONFIRM: {
        "days": 30, "csat": 2, "nps": 4, "wants_help": True, "words": "The stock never adds up.\nI count it twice, every day.",
    },
    Kind.SURVEY_TEST: {
        "survey": "After a meeting", "minutes": 1, "path": "/admin/surveys/post_meeting/try/en", "intro": "",
        "question": "How likely are you to recommend us?",
        "scale": {"name": "nps", "low": 0, "high": 10, "low_label": "not at all likely", "high_label": "certain"},
    },
    Kind.QUOTE_REQUEST: {"words": "We stopped counting flour at night."},
    Kind.CONGRATULATIONS: {"goals": ["All three shops count in one place", "Waste under 4%"], "next_on": date(2026, 9, 14)},
    Kind.FLAG_OPENED: _FLAG,
    Kind.FLAG_LATE: _FLAG | {"opened_at": datetime(2026, 6, 18, 14, 5, tzinfo=UTC), "consultant_name": "Carla Souza"},
    Kind.FLAG_HANDED_OVER: _FLAG | {"giver_name": "Rui Alves", "note": "You know their wifi. Could you call them?"},
    Kind.FLAG_RESOLVED: {"told_us": _FLAG["words"], "done": "The price file is fixed, and we counted with you on Friday."},
    Kind.STUCK: {
        "person_name": "Maria Lima", "person_email": "maria@moss.example", "person_phone": "+44 20 7946 0000",
        "step": "Use it for one real task", "due_on": date(2026, 6, 24), "words": "The tablet asks for a code.\nWhich one?",
        "path": "/staff/customers/3#ms-7",
    },
    Kind.STAGNATION: {"stage_name": "Contact with customer", "days": 6, "limit_days": 5, "path": "/staff/journeys/3"},
    Kind.STAGNATION_MANAGER: {
        "stage_name": "Demand analysis", "days": 2, "limit_days": 1, "path": "/staff/journeys/3", "consultant_name": "Carla Souza",
    },
    Kind.MEETING_OFFER: {
        "title": "Kick-off call", "purpose": "Meet your consultant, walk through the plan and agree what good looks like.",
        "with_name": "Carla Souza", "minutes": 45, "path": "/meet/17.abc",
    },
    Kind.MEETING_INVITATION: _MEETING,
    Kind.MEETING_CANCELLED: _MEETING | {"why": "I am ill; sorry."},
    Kind.MEETING_REMINDER: _MEETING | {"lead": "day"},
    Kind.MEETING_MISSED: _MEETING | {
        "path": "/m/17.abc/again", "purpose": "",
    },
    Kind.CALENDAR_UNREADABLE: {
        "host": "calendar.example", "since_at": TUESDAY_10, "was_read": True, "path": "/staff/hours#own-calendar",
        "error": "It is larger than %(megabytes)s MB.", "error_values": {"megabytes": 5},
    },
    Kind.REFERRAL_INVITATION: {
        "friend_name": "Beatriz Nunes", "referrer_name": "Maria Lima", "referrer_company": "Moss & Rye Bakery",
        "note": "We stopped counting flour at night. Have a look!", "reward": "If you become a customer, you both get a month free.",
    },
    Kind.REFERRAL_CONFIRMATION: {"friend_name": "Beatriz Nunes", "referrer_name": "Maria Lima"},
    Kind.MESSAGE_TO_CUSTOMER: {
        "writer_name": "Carla Souza", "path": "/messages#m17",
        "messages": [
            {"text": "The price file is fixed.\nCould you check one order?", "author": "Carla Souza", "files": ["prices.pdf"]},
        ],
    },
    Kind.MESSAGE_TO_STAFF: {
        "writer_name": "Maria Lima", "path": "/staff/messages/3#m18", "answers_by_mail": True,
        "messages": [
            {"text": "It looks right now, thank you!", "author": "Maria Lima", "files": []},
            {"text": "", "author": "Maria Lima", "files": ["till.webp"]},
        ],
    },
    Kind.IMPORT_REPORT: {"file_name": "deals.csv", "taken": 117, "updated": 12, "unchanged": 40, "refused": 3, "path": "/staff/imports/4"},
    Kind.COLLEAGUE_INVITATION: {
        "friend_name": "Lia Costa", "inviter_name": "Maria Lima", "company": "Moss & Rye Bakery", "until_at": TUESDAY_10,
    },
    Kind.ADDRESS_CONFIRMATION: {},
    Kind.ADDRESS_NOTICE: {"new_email": "maria@home.example"},
    Kind.ERASURE_ASKED: {
        "person_name": "Maria Lima", "company": "Moss & Rye Bakery", "words": "I have left the company.", "path": "/staff/customers/3/people/7",
    },
}  # fmt: skip

ICS = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"


def _gives(**values: str) -> Callable[[Session, House, LetterRow], dict[str, Any]]:
    return lambda _db, house, row: {name: house.url(f"{path}/{row.id}.k3J") for name, path in values.items()}


def _with_code(db: Session, house: House, row: LetterRow) -> dict[str, Any]:
    return {"sign_in_url": house.url("/sign-in/17.k3J"), "code": "042917"}


def _with_calendar(_db: Session, _house: House, row: LetterRow) -> dict[str, Any]:
    method = "CANCEL" if row.kind is Kind.MEETING_CANCELLED else "REQUEST"
    return {"calendar": Calendar(method, ICS.replace("REQUEST", method))}


def _with_free_times(_db: Session, _house: House, _row: LetterRow) -> dict[str, Any]:
    return {"slots": [TUESDAY_10.replace(day=24), TUESDAY_10.replace(day=25)]}


COMPOSERS = {
    Kind.SIGN_IN: _with_code,
    Kind.WELCOME: _gives(sign_in_url="/sign-in"),
    Kind.WELCOME_LINK: _gives(sign_in_url="/sign-in"),
    Kind.SURVEY_30: _gives(answer_url="/s"),
    Kind.SURVEY_60: _gives(answer_url="/s"),
    Kind.SURVEY_90: _gives(answer_url="/s"),
    Kind.SURVEY_REMINDER: _gives(answer_url="/s"),
    **dict.fromkeys([*sorted(FURTHER_KINDS), Kind.SURVEY_ANONYMOUS], _gives(answer_url="/s")),
    Kind.SURVEY_CONFIRM: _gives(confirm_url="/s"),
    Kind.SURVEY_TEST: _gives(answer_url="/admin/surveys/post_meeting/try/en"),
    Kind.QUOTE_REQUEST: _gives(quote_url="/quotes"),
    Kind.FLAG_RESOLVED: _gives(confirm_url="/solved"),
    Kind.MEETING_INVITATION: _with_calendar,
    Kind.MEETING_CANCELLED: _with_calendar,
    Kind.MEETING_MISSED: _with_free_times,
    Kind.MEETING_OFFER: _with_free_times,
    Kind.REFERRAL_INVITATION: _gives(invitation_url="/r"),
    Kind.REFERRAL_CONFIRMATION: _gives(confirm_url="/r/confirm"),
    Kind.COLLEAGUE_INVITATION: _gives(join_url="/join"),
    Kind.ADDRESS_CONFIRMATION: _gives(confirm_url="/address"),
}

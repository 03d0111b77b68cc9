"""The timeline in plain sentences: one for everything that can happen, told with names instead of keys."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from portal import words
from portal.accounts.rules import NotInvited
from portal.audit import Happened
from portal.errors import N_
from portal.journeys.desk import HIDDEN, TimelineEntry
from portal.journeys.rules import ACTIVITY_TITLES, ActivityKind, Outcome
from portal.routes.staff.labels import CHANNEL, CONVERTED_WHY, LETTER, RESULT


class Topic(StrEnum):
    """What the timeline can be narrowed to."""

    ALL = "all"
    ANSWERS = "answers"
    TALKS = "talks"
    MOVES = "moves"
    MAILS = "mails"
    WORK = "work"


TOPICS: dict[Topic, str] = {
    Topic.ALL: N_("Everything"),
    Topic.ANSWERS: N_("Answers and flags"),
    Topic.TALKS: N_("Conversations"),
    Topic.MOVES: N_("Moves"),
    Topic.MAILS: N_("Mails"),
    Topic.WORK: N_("Work and notes"),
}


class Telling(NamedTuple):
    """How one kind of event is told. `by_itself` is for events that no person did; empty where `text` suits both."""

    topic: Topic
    icon: str
    text: str
    by_itself: str = ""
    tone: str = ""


SENTENCES: dict[Happened, Telling] = {
    Happened.ACCOUNT_CREATED: Telling(
        Topic.WORK, "plus", N_("%(who)s added this customer"), N_("This customer came in"), "brand"
    ),
    Happened.ACCOUNT_CHANGED: Telling(
        Topic.WORK,
        "edit",
        N_("%(who)s brought the customer’s details up to date"),
        N_("The customer’s details were brought up to date"),
    ),
    Happened.ACCOUNT_CHURNED: Telling(
        Topic.MOVES, "exit", N_("%(who)s recorded that this customer has left"), "", "bad"
    ),
    Happened.CONTACT_CHANGED: Telling(
        Topic.WORK, "user", N_("%(who)s changed the details of %(person)s"), N_("The details of %(person)s changed")
    ),
    Happened.COLLEAGUE_INVITED: Telling(
        Topic.TALKS, "plus", N_("%(who)s invited %(name)s to the portal"), N_("%(name)s was invited to the portal")
    ),
    Happened.COLLEAGUE_NOT_INVITED: Telling(
        Topic.TALKS, "alert", N_("%(who)s wanted to invite %(name)s, and couldn’t: %(cause)s"), "", "slow"
    ),
    Happened.COLLEAGUE_INVITATION_ENDED: Telling(
        Topic.TALKS, "x", N_("%(who)s took back the invitation to %(name)s"), N_("%(name)s declined the invitation")
    ),
    Happened.COLLEAGUE_JOINED: Telling(Topic.TALKS, "user", N_("%(person)s joined the portal"), "", "ok"),
    Happened.CONTACT_REMOVED: Telling(
        Topic.TALKS, "exit", N_("%(who)s ended the access of %(name)s"), N_("The access of %(name)s ended"), "slow"
    ),
    Happened.PRIMARY_CHANGED: Telling(
        Topic.TALKS, "users", N_("%(who)s made %(after)s the main contact"), N_("%(after)s is the main contact now")
    ),
    Happened.INVITING_CHANGED: Telling(Topic.WORK, "users", N_("%(who)s let %(name)s invite colleagues")),
    Happened.ASKING_CHANGED: Telling(Topic.WORK, "bell", N_("%(who)s decided that we ask %(name)s")),
    Happened.PREFERENCES_CHANGED: Telling(Topic.TALKS, "bell", N_("%(person)s changed how they want to be reached")),
    Happened.ADDRESS_CHANGED: Telling(Topic.TALKS, "mail", N_("%(person)s has a new e-mail address")),
    Happened.CORRECTION_SUGGESTED: Telling(
        Topic.TALKS, "edit", N_("%(person)s says that something in the details is wrong"), "", "slow"
    ),
    Happened.DATA_EXPORTED: Telling(Topic.WORK, "down", N_("%(person)s took away a copy of their data")),
    Happened.ERASURE_ASKED: Telling(Topic.TALKS, "shield", N_("%(person)s asks to be forgotten"), "", "bad"),
    Happened.PERSON_ERASED: Telling(Topic.WORK, "shield", N_("%(who)s erased a person"), N_("A person was erased")),
    Happened.CONSULTANT_ASSIGNED: Telling(
        Topic.WORK, "user", N_("%(who)s gave this customer to %(to)s"), N_("%(to)s is their consultant now"), "brand"
    ),
    Happened.STAFF_CHANGED: Telling(Topic.WORK, "users", N_("%(who)s changed the team"), N_("The team changed")),
    Happened.MEETING_KIND_CHANGED: Telling(
        Topic.WORK, "cal", N_("%(who)s changed a kind of meeting"), N_("A kind of meeting changed")
    ),
    Happened.DEALS_IMPORTED: Telling(
        Topic.WORK, "upload", N_("%(who)s imported won deals"), N_("Won deals were imported")
    ),
    Happened.JOURNEY_OPENED: Telling(
        Topic.MOVES,
        "path",
        N_("%(who)s opened the journey %(pipeline)s"),
        N_("The journey %(pipeline)s began"),
        "brand",
    ),
    Happened.STAGE_ENTERED: Telling(
        Topic.MOVES,
        "right",
        N_("%(who)s moved them from %(from)s to %(to)s"),
        N_("Moved on by itself from %(from)s to %(to)s"),
        "brand",
    ),
    Happened.JOURNEY_APPROVED: Telling(Topic.MOVES, "star", N_("Approved: the whole road was walked"), "", "ok"),
    Happened.JOURNEY_LOST: Telling(
        Topic.MOVES, "exit", N_("%(who)s ended the journey as lost"), N_("The journey ended as lost"), "bad"
    ),
    Happened.USE_STARTED: Telling(
        Topic.MOVES, "play", N_("%(who)s set the start of use to %(to)s"), N_("Use started on %(to)s"), "brand"
    ),
    Happened.FIRST_CONTACT: Telling(Topic.TALKS, "chat", N_("First contact: %(how)s"), "", "ok"),
    Happened.CONTACT_SETTLED: Telling(Topic.ANSWERS, "okc", N_("The %(day)s-day contact is settled, %(by)s"), "", "ok"),
    Happened.CONTACT_MISSED: Telling(
        Topic.ANSWERS, "clock", N_("The %(day)s-day contact was missed; a conversation has to make it good"), "", "slow"
    ),
    Happened.CONTACT_CONVERTED: Telling(
        Topic.ANSWERS, "phone", N_("The %(day)s-day contact became a call"), "", "cool"
    ),
    Happened.SURVEY_SENT: Telling(Topic.ANSWERS, "mail", N_("The %(day)s-day survey went out")),
    Happened.SURVEY_REMINDED: Telling(Topic.ANSWERS, "bell", N_("A reminder of the %(day)s-day survey went out")),
    Happened.SURVEY_ANSWERED: Telling(Topic.ANSWERS, "heart", N_("%(person)s answered the survey%(scores)s")),
    Happened.SURVEY_CHANGED: Telling(Topic.ANSWERS, "edit", N_("%(person)s changed their answer%(scores)s")),
    Happened.SURVEY_SET_ASIDE: Telling(
        Topic.ANSWERS, "shield", N_("An answer was set aside: it looks like a machine’s"), "", "slow"
    ),
    Happened.SURVEY_CONFIRM_ASKED: Telling(
        Topic.ANSWERS, "mail", N_("%(who)s asked %(person)s whether an answer is theirs")
    ),
    Happened.SURVEY_TRIGGER_CHANGED: Telling(Topic.WORK, "bell", N_("%(who)s changed when a survey is sent")),
    Happened.SURVEY_ROUND_SENT: Telling(Topic.WORK, "mail", N_("%(who)s sent a survey by hand")),
    Happened.SURVEY_DISCARDED: Telling(Topic.ANSWERS, "x", N_("%(who)s discarded an answer that was set aside")),
    Happened.COMMENT_TAGGED: Telling(Topic.ANSWERS, "tune", N_("%(who)s tagged a comment")),
    Happened.COMMENT_UNTAGGED: Telling(Topic.ANSWERS, "tune", N_("%(who)s took a tag off a comment")),
    Happened.QUOTE_ASKED: Telling(Topic.ANSWERS, "mail", N_("%(who)s asked %(person)s whether we may quote them")),
    Happened.QUOTE_ALLOWED: Telling(Topic.ANSWERS, "heart", N_("%(person)s lets us quote them"), "", "ok"),
    Happened.QUOTE_DECLINED: Telling(Topic.ANSWERS, "x", N_("%(person)s would rather not be quoted")),
    Happened.QUOTE_WITHDRAWN: Telling(
        Topic.ANSWERS, "exit", N_("%(person)s took back their words: they may not be quoted any more"), "", "slow"
    ),
    Happened.ANSWERS_EXPORTED: Telling(Topic.WORK, "down", N_("%(who)s took away answers as a file")),
    Happened.CONVERSATION_LOGGED: Telling(
        Topic.TALKS, "phone", N_("%(who)s talked with %(person)s (%(channel)s): %(result)s"), "", "cool"
    ),
    Happened.FLAG_OPENED: Telling(
        Topic.ANSWERS, "flag", N_("%(who)s raised a flag"), N_("%(person)s is unhappy: a flag was opened"), "bad"
    ),
    Happened.FLAG_ACTED_ON: Telling(
        Topic.ANSWERS, "reply", N_("%(who)s acted on the flag: %(how)s"), N_("The flag was acted on: %(how)s")
    ),
    Happened.FLAG_CLOSED: Telling(Topic.ANSWERS, "okc", N_("%(who)s resolved the flag"), "", "ok"),
    Happened.FLAG_REOPENED: Telling(
        Topic.ANSWERS, "redo", N_("%(who)s says that it isn’t solved: the flag is open again"), "", "bad"
    ),
    Happened.FLAG_LATE: Telling(
        Topic.ANSWERS, "hour", N_("Nobody acted on the flag in time; the managers were told"), "", "bad"
    ),
    Happened.FLAG_HANDED_OVER: Telling(Topic.ANSWERS, "users", N_("%(who)s handed the flag over to a colleague")),
    Happened.FLAG_RATED: Telling(Topic.ANSWERS, "star", N_("%(who)s rated us again after the flag")),
    Happened.CASE_REASONS_CHANGED: Telling(Topic.WORK, "list", N_("%(who)s changed the reasons for flags")),
    Happened.ACTIVITY_CREATED: Telling(Topic.WORK, "plus", N_("New on the list: %(activity)s")),
    Happened.ACTIVITY_COMPLETED: Telling(
        Topic.WORK, "check", N_("%(who)s did: %(activity)s"), N_("Done: %(activity)s"), "ok"
    ),
    Happened.STAGNATED: Telling(Topic.MOVES, "hour", N_("Fell behind: the consultant was told"), "", "slow"),
    Happened.MILESTONE_DONE: Telling(
        Topic.WORK, "check", N_("%(who)s ticked “%(title)s”"), N_("“%(title)s” is done"), "ok"
    ),
    Happened.MILESTONE_UNDONE: Telling(
        Topic.WORK, "redo", N_("%(who)s took back “%(title)s”"), N_("“%(title)s” is open again")
    ),
    Happened.STUCK: Telling(Topic.TALKS, "chat", N_("%(person)s is stuck with “%(title)s”"), "", "slow"),
    Happened.UNSTUCK: Telling(
        Topic.TALKS, "okc", N_("%(who)s settled it: nobody is stuck with “%(title)s” any more"), "", "ok"
    ),
    Happened.PLAN_CHANGED: Telling(Topic.WORK, "path", N_("%(who)s changed “%(title)s” on the plan")),
    Happened.GOAL_PROGRESSED: Telling(Topic.WORK, "target", N_("%(who)s noted progress on “%(goal)s”: %(reached)s")),
    Happened.PLAN_TEMPLATE_CHANGED: Telling(Topic.WORK, "path", N_("%(who)s changed the plans for new customers")),
    Happened.PUBLIC_PLAN_MADE: Telling(Topic.WORK, "link", N_("%(who)s made a plan to show before the sale")),
    Happened.PUBLIC_PLAN_REVOKED: Telling(
        Topic.WORK, "link", N_("%(who)s ended the link to the plan shown before the sale")
    ),
    Happened.PUBLIC_PLAN_CONNECTED: Telling(
        Topic.WORK,
        "link",
        N_("%(who)s connected the plan that they were shown before the sale"),
        N_("They go by the plan that they were shown before the sale"),
        "brand",
    ),
    Happened.GOAL_SET: Telling(Topic.WORK, "target", N_("%(who)s set a goal for day %(day)s: %(goal)s")),
    Happened.GOAL_MET: Telling(Topic.WORK, "target", N_("Goal met: %(goal)s"), "", "ok"),
    Happened.ISSUE_NOTED: Telling(Topic.WORK, "alert", N_("%(who)s noted a pending issue: %(problem)s"), "", "slow"),
    Happened.ISSUE_SOLVED: Telling(Topic.WORK, "okc", N_("%(who)s solved a pending issue: %(problem)s"), "", "ok"),
    Happened.MEETING_BOOKED: Telling(
        Topic.TALKS, "cal", N_("%(who)s booked a meeting"), N_("A meeting was booked"), "cool"
    ),
    Happened.MEETING_MOVED: Telling(
        Topic.TALKS, "cal", N_("%(who)s moved the meeting"), N_("The meeting was moved"), "cool"
    ),
    Happened.MEETING_CANCELLED: Telling(
        Topic.TALKS, "x", N_("%(who)s cancelled the meeting"), N_("The meeting was cancelled"), "slow"
    ),
    Happened.MEETING_HELD: Telling(Topic.TALKS, "video", N_("The meeting took place"), "", "ok"),
    Happened.MEETING_MISSED: Telling(Topic.TALKS, "alert", N_("The meeting did not take place"), "", "slow"),
    Happened.TUTORIAL_FINISHED: Telling(Topic.WORK, "book", N_("%(person)s finished a tutorial"), "", "ok"),
    Happened.CONTENT_CREATED: Telling(Topic.WORK, "book", N_("%(who)s began to write something to read")),
    Happened.CONTENT_CHANGED: Telling(Topic.WORK, "book", N_("%(who)s changed something to read")),
    Happened.CONTENT_PUBLISHED: Telling(Topic.WORK, "book", N_("%(who)s published something to read"), "", "ok"),
    Happened.CONTENT_WITHDRAWN: Telling(Topic.WORK, "book", N_("%(who)s withdrew something to read")),
    Happened.CONTENT_DELETED: Telling(Topic.WORK, "trash", N_("%(who)s deleted a draft")),
    Happened.CONTENT_UPLOADED: Telling(Topic.WORK, "book", N_("%(who)s uploaded a picture or file")),
    Happened.SURVEY_SKETCHED: Telling(Topic.WORK, "list", N_("%(who)s worked on a survey")),
    Happened.SURVEY_PUBLISHED: Telling(Topic.WORK, "list", N_("%(who)s published a survey"), "", "ok"),
    Happened.SURVEY_SKETCH_DROPPED: Telling(Topic.WORK, "trash", N_("%(who)s dropped a survey’s sketch")),
    Happened.SURVEY_RETIRED: Telling(Topic.WORK, "list", N_("%(who)s retired a survey")),
    Happened.SURVEY_REVIVED: Telling(Topic.WORK, "list", N_("%(who)s took a survey up again")),
    Happened.SURVEY_TEST_SENT: Telling(Topic.WORK, "mail", N_("%(who)s sent themselves a survey to try")),
    Happened.UPLOAD_DELETED: Telling(Topic.WORK, "trash", N_("%(who)s deleted a picture or file")),
    Happened.MAIL_SENT: Telling(Topic.MAILS, "mail", N_("Mail sent: %(letter)s")),
    Happened.MAIL_FAILED: Telling(Topic.MAILS, "alert", N_("A mail could not be delivered: %(letter)s"), "", "bad"),
    Happened.NOTE_WRITTEN: Telling(Topic.WORK, "note", N_("%(who)s wrote a note"), N_("A note")),
    Happened.MESSAGE_RECEIVED: Telling(Topic.TALKS, "chat", N_("%(who)s wrote a message"), "", "cool"),
    Happened.MESSAGE_SENT: Telling(Topic.TALKS, "reply", N_("%(who)s wrote to them"), N_("We wrote to them")),
    Happened.MAIL_SET_ASIDE: Telling(Topic.TALKS, "alert", N_("A mail to their thread was set aside"), "", "slow"),
    Happened.REFERRAL_PROMPTED: Telling(Topic.WORK, "gift", N_("A good moment to ask for a referral"), "", "ok"),
    Happened.REFERRAL_PROMPT_CLOSED: Telling(
        Topic.WORK, "gift", N_("%(who)s settled the referral prompt"), N_("The referral prompt was settled")
    ),
    Happened.REFERRAL_INVITED: Telling(Topic.WORK, "gift", N_("%(person)s invited a friend"), "", "ok"),
    Happened.REFERRAL_ACCEPTED: Telling(
        Topic.WORK, "gift", N_("A friend of %(person)s accepted the invitation"), "", "ok"
    ),
    Happened.REFERRAL_MOVED: Telling(Topic.WORK, "gift", N_("A referral went one step on")),
    Happened.SIGNED_IN: Telling(Topic.TALKS, "key", N_("%(person)s signed in")),
    Happened.SIGN_IN_REFUSED: Telling(Topic.WORK, "lock", N_("A sign-in was refused"), "", "slow"),
    Happened.SIGNED_OUT: Telling(Topic.WORK, "exit", N_("%(person)s signed out")),
    Happened.TOKEN_CREATED: Telling(Topic.WORK, "key", N_("%(who)s made an access token")),
    Happened.TOKEN_REVOKED: Telling(Topic.WORK, "key", N_("%(who)s revoked an access token")),
    Happened.PERMISSION_REFUSED: Telling(Topic.WORK, "lock", N_("%(who)s was not allowed to do something"), "", "slow"),
}

_VARIANTS: dict[tuple[Happened, str], Telling] = {
    (Happened.DATA_EXPORTED, "staff"): Telling(Topic.WORK, "down", N_("%(who)s took a copy of the data of %(person)s")),
    (Happened.SURVEY_SENT, "further"): Telling(Topic.ANSWERS, "mail", N_("The survey “%(survey)s” went out")),
    (Happened.SURVEY_REMINDED, "further"): Telling(
        Topic.ANSWERS, "bell", N_("A reminder of the survey “%(survey)s” went out")
    ),
    (Happened.COLLEAGUE_INVITATION_ENDED, "declined"): Telling(
        Topic.TALKS, "x", N_("%(name)s declined the invitation"), "", "slow"
    ),
    (Happened.COLLEAGUE_JOINED, "staff"): Telling(Topic.TALKS, "user", N_("%(who)s added %(name)s"), "", "ok"),
    (Happened.CONTACT_REMOVED, "left"): Telling(Topic.TALKS, "exit", N_("%(name)s left the portal"), "", "slow"),
    (Happened.INVITING_CHANGED, "revoked"): Telling(
        Topic.WORK, "users", N_("%(who)s no longer lets %(name)s invite colleagues")
    ),
    (Happened.ASKING_CHANGED, "not_asked"): Telling(
        Topic.WORK, "bell", N_("%(who)s decided that we don’t ask %(name)s")
    ),
    (Happened.FLAG_CLOSED, "accepted_risk"): Telling(
        Topic.ANSWERS, "shield", N_("%(who)s closed the flag as an accepted risk"), "", "slow"
    ),
    (Happened.FLAG_CLOSED, "merged"): Telling(Topic.ANSWERS, "link", N_("%(who)s merged the flag into another one")),
    (Happened.FLAG_CLOSED, "lost"): Telling(Topic.ANSWERS, "exit", N_("%(who)s closed the flag as lost"), "", "bad"),
    (Happened.FLAG_OPENED, "consultant"): Telling(Topic.ANSWERS, "flag", N_("%(who)s raised a flag"), "", "bad"),
    (Happened.FLAG_OPENED, "conversation"): Telling(
        Topic.ANSWERS, "flag", N_("%(who)s heard in a conversation that they are unhappy"), "", "bad"
    ),
    (Happened.FLAG_OPENED, "help"): Telling(
        Topic.ANSWERS, "flag", N_("%(person)s asked for help: a flag was opened"), "", "bad"
    ),
    (Happened.FLAG_OPENED, "answer"): Telling(
        Topic.ANSWERS, "flag", N_("%(person)s is unhappy: a flag was opened"), "", "bad"
    ),
    (Happened.STAGNATED, "stuck"): Telling(Topic.MOVES, "hour", N_("Stuck: the managers were told too"), "", "slow"),
    (Happened.STAGNATED, "error"): Telling(Topic.MOVES, "alert", N_("An alert could not be made"), "", "bad"),
    (Happened.GOAL_MET, "dropped"): Telling(Topic.WORK, "target", N_("%(who)s dropped a goal: %(goal)s")),
    (Happened.PLAN_CHANGED, "added"): Telling(Topic.WORK, "path", N_("%(who)s put “%(title)s” on the plan")),
    (Happened.PLAN_CHANGED, "removed"): Telling(Topic.WORK, "path", N_("%(who)s took “%(title)s” off the plan")),
    (Happened.PLAN_CHANGED, "moved"): Telling(Topic.WORK, "path", N_("%(who)s moved “%(title)s” on the plan")),
    (Happened.PLAN_CHANGED, "adopted"): Telling(
        Topic.WORK, "path", N_("%(who)s put the plan that they were shown in place of the usual one")
    ),
    (Happened.NOTE_WRITTEN, "milestone"): Telling(Topic.WORK, "path", N_("%(who)s added to the plan: %(milestone)s")),
    (Happened.NOTE_WRITTEN, "confirmed"): Telling(
        Topic.ANSWERS, "okc", N_("%(who)s confirms that it is solved"), "", "ok"
    ),
}

KINDS: dict[Topic, tuple[Happened, ...]] = {
    topic: tuple(
        what for what, telling in SENTENCES.items() if topic in (Topic.ALL, telling.topic) and what not in HIDDEN
    )
    for topic in Topic
}

_HOW: dict[str, str] = {
    "sign_in": N_("they signed in"),
    "answer": N_("they answered a survey"),
    "reply": N_("a reply"),
    "message": N_("a message"),
    "booking": N_("a meeting was booked"),
    "stuck": N_("they asked for help with a step"),
    "meeting": N_("a meeting"),
    "conversation": N_("a conversation"),
    "call": N_("a conversation"),
}
_NOT_INVITED: dict[str, str] = {
    NotInvited.ALREADY_HERE: N_("already a contact"),
    NotInvited.ALREADY_INVITED: N_("invited already"),
    NotInvited.FULL: N_("as many people as there is room for"),
    NotInvited.OTHER_DOMAIN: N_("another domain than the company’s. You can add them."),
    NotInvited.ELSEWHERE: N_("the address belongs to another customer, or to our team"),
    NotInvited.NO_CONTACT: N_("the person asked not to be written to"),
}
_SETTLED: dict[str, str] = {
    "answer": N_("by their answer"),
    "flag": N_("since its flag was resolved"),
    "conversation": N_("by a conversation"),
}
_RULES: dict[str, str] = {
    "demand_analysed": N_("The demand was analysed, and plan, consultant and a way to reach them are known."),
    "first_contact": N_("There was a first contact."),
    "day_of_use": N_("Day %(day)s of use came."),
    "contact_settled": N_("The %(day)s-day contact was settled."),
    "contact_missed": N_("The next contact’s day came while the %(day)s-day contact was still open."),
    "all_contacts_settled": N_("All contacts were settled."),
    "goals_met": N_("The goals for day %(day)s were met."),
    "renewal_within": N_("The renewal is less than %(day)s days away."),
    "approved": N_("The customer was approved."),
    "assign_consultant": N_("Chosen by itself: whoever has the fewest open customers."),
    "start_use": N_("Set by itself on entering the stage."),
}


class Line(NamedTuple):
    """One entry of the timeline, ready to read."""

    id: int
    at: datetime
    icon: str
    tone: str
    title: str
    text: str
    quote: str


def tell(
    entry: TimelineEntry,
    *,
    stages: Mapping[str, str],
    names: Mapping[str, str],
    pipelines: Mapping[str, str],
    locale: str,
) -> Line:
    """The entry as a sentence. `stages` and `pipelines` give names for keys, `names` for `staff:12`."""

    def say(message: str, **values: object) -> str:
        return words.translate(locale, message, **values)

    detail = entry.detail
    telling = _VARIANTS.get((entry.what, _variant(entry))) or SENTENCES[entry.what]
    by_person = bool(entry.by_name) or entry.by.startswith("api:")
    message = telling.text if by_person or not telling.by_itself else telling.by_itself
    nobody = say(N_("The customer"))
    day = detail.get("day") or ""
    scores = [
        f"{name} {detail[key]}" for key, name in (("csat", "CSAT"), ("nps", "NPS")) if detail.get(key) is not None
    ]
    places = {
        "who": entry.by_name or _actor(entry.by, say),
        "person": entry.contact_name or (entry.by_name if entry.by.startswith("contact:") else nobody),
        "from": _place(detail.get("from"), stages, names, locale),
        "to": _place(detail.get("to"), stages, names, locale),
        "survey": str(detail.get("survey_pt" if locale == "pt-BR" else "survey_en", "")),
        "pipeline": say(pipelines.get(str(detail.get("pipeline")), str(detail.get("pipeline", "")))),
        "how": say(_HOW.get(str(detail.get("how")), N_("they got in touch"))),
        "by": say(_SETTLED.get(str(detail.get("by")), N_("by a conversation"))),
        "day": day,
        "scores": f": {', '.join(scores)}" if scores else "",
        "channel": say(CHANNEL[detail["channel"]]) if detail.get("channel") in CHANNEL else "",
        "result": say(RESULT[Outcome(detail["result"])]).lower() if detail.get("result") in RESULT else "",
        "activity": _activity(detail, say),
        "letter": say(LETTER[detail["kind"]]) if detail.get("kind") in LETTER else str(detail.get("subject", "")),
        "reached": " ".join(filter(None, (str(detail.get("to", "")), str(detail.get("unit", ""))))),
        "title": str((locale == "pt-BR" and detail.get("title_pt")) or detail.get("title", "")),
        **{name: str(detail.get(name, "")) for name in ("goal", "problem", "milestone", "name", "after")},
        "cause": say(_NOT_INVITED[detail["why"]]) if detail.get("why") in _NOT_INVITED else "",
    }
    return Line(entry.id, entry.at, telling.icon, telling.tone, say(message, **places), _why(entry, say), _quote(entry))


def _variant(entry: TimelineEntry) -> str:
    detail = entry.detail
    match entry.what:
        case Happened.FLAG_CLOSED:
            return str(detail.get("outcome", ""))
        case (
            Happened.COLLEAGUE_INVITATION_ENDED
            | Happened.COLLEAGUE_JOINED
            | Happened.CONTACT_REMOVED
            | Happened.INVITING_CHANGED
            | Happened.ASKING_CHANGED
        ):
            return str(detail.get("how", ""))
        case Happened.DATA_EXPORTED:
            return entry.by.partition(":")[0]
        case Happened.FLAG_OPENED:
            return str(detail.get("origin", ""))
        case Happened.SURVEY_SENT | Happened.SURVEY_REMINDED:
            return "further" if detail.get("occasion") else ""
        case Happened.STAGNATED:
            return "error" if "error" in detail else str(detail.get("pace", ""))
        case Happened.GOAL_MET:
            return "" if detail.get("met", True) else "dropped"
        case Happened.PLAN_CHANGED:
            return str(detail.get("did", ""))
        case Happened.NOTE_WRITTEN:
            return next((name for name in ("milestone", "confirmed") if detail.get(name)), "")
        case _:
            return ""


def _actor(by: str, say: Any) -> str:
    """Who did it where it is no person of ours."""
    kind, _, name = by.partition(":")
    if kind == "api":
        return str(say(N_("The integration “%(name)s”"), name=name))
    if kind in ("staff", "contact"):
        return str(say(N_("Somebody who is no longer here")))
    return str(say(N_("The import")) if kind == "import" else say(N_("Onward")))


def _place(value: object, stages: Mapping[str, str], names: Mapping[str, str], locale: str) -> str:
    """A stage's name, a day, or a colleague's name."""
    if isinstance(value, int):
        return names.get(f"staff:{value}", words.translate(locale, N_("nobody")))
    if not isinstance(value, str):
        return words.translate(locale, N_("nobody"))
    if value in stages:
        return stages[value]
    try:
        return words.day(date.fromisoformat(value), locale)
    except ValueError:
        return value


def _activity(detail: Mapping[str, Any], say: Any) -> str:
    if detail.get("title"):
        return str(detail["title"])
    kind = detail.get("kind")
    return str(say(ACTIVITY_TITLES[ActivityKind(kind)])) if kind in ACTIVITY_TITLES else ""


def _why(entry: TimelineEntry, say: Any) -> str:
    """The reason that was kept with it: a person's own words, or the rule that did it."""
    detail = entry.detail
    for name in ("reason", "note", "error"):
        if isinstance(detail.get(name), str) and detail[name]:
            return str(detail[name])
    if entry.what is Happened.CONTACT_CONVERTED:
        return str(say(CONVERTED_WHY[detail["why"]])) if detail.get("why") in CONVERTED_WHY else ""
    kind, _, rule = entry.by.partition(":")
    name, _, number = rule.partition(":")
    if kind == "rule" and name in _RULES:
        return str(say(_RULES[name], day=number))
    return ""


def _quote(entry: TimelineEntry) -> str:
    said = entry.detail.get("words") or entry.detail.get("comment")
    return str(said) if isinstance(said, str) else ""

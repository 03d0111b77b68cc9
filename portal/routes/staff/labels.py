"""Names of closed sets as staff read them: msgids, translated where they are shown."""

from portal.accounts.asking import WHY_IT_WAITS, Became
from portal.accounts.rules import Channel, Frequency, Language, Role, StartStep, Wishes
from portal.errors import N_
from portal.journeys.desk import Show
from portal.journeys.rules import FlagOrigin, FlagOutcome, Outcome, Pace, SettledBy, Whose
from portal.journeys.shipped import AFTER_SALE, RELATIONSHIP
from portal.journeys.suggestions import Next
from portal.mail import Kind, LetterState, Purpose
from portal.surveys.moments import WHY_NO_MAIL, TriggerKind
from portal.surveys.moments import read as read_occasion
from portal.surveys.rules import WHY_NOT, Provenance

PIPELINES: dict[str, str] = {AFTER_SALE: N_("After-sale"), RELATIONSHIP: N_("Relationship")}

SHOWN: dict[Show, str] = {
    Show.ALL: N_("All cards"),
    Show.FLAGGED: N_("Flagged"),
    Show.BEHIND: N_("Behind"),
    Show.STUCK: N_("Stuck"),
}

PACE: dict[Pace, str] = {
    Pace.ON_TRACK: N_("On track"),
    Pace.BEHIND: N_("Behind"),
    Pace.STUCK: N_("Stuck"),
}

PACE_TONE: dict[Pace, str] = {Pace.ON_TRACK: "ok", Pace.BEHIND: "slow", Pace.STUCK: "slow"}

CHANNEL: dict[Channel, str] = {
    Channel.PHONE: N_("Phone"),
    Channel.WHATSAPP: N_("WhatsApp"),
    Channel.EMAIL: N_("E-mail"),
    Channel.PORTAL: N_("Message in the portal"),
}

FREQUENCY: dict[Frequency, str] = {
    Frequency.USUAL: N_("as usual: one request a week at most"),
    Frequency.LESS: N_("less: one every two weeks at most"),
    Frequency.MONTHLY: N_("rarely: one a month at most"),
    Frequency.NECESSARY: N_("only what the plan needs"),
}

TOPIC: dict[Purpose, str] = {
    Purpose.SURVEY: N_("Check-in questions"),
    Purpose.REMINDER: N_("Reminders"),
    Purpose.NEWS: N_("News"),
    Purpose.OFFER: N_("Offers"),
    Purpose.REFERRAL: N_("Asking for a recommendation"),
}

STEP: dict[StartStep, str] = {
    StartStep.PLAN: N_("saw the plan"),
    StartStep.LESSON: N_("first lesson"),
    StartStep.PREFERENCES: N_("said how to reach them"),
    StartStep.CALL: N_("booked a call"),
}

WEEKDAYS: tuple[str, ...] = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))


def hours(wishes: Wishes) -> str:
    """What a colleague would say: mornings, afternoons; empty for the usual working day. A msgid."""
    if wishes.hours_until.hour <= 13 and wishes.hours_from.hour < 12:
        return N_("mornings")
    return N_("afternoons") if wishes.hours_from.hour >= 12 else ""


RESULT: dict[Outcome, str] = {
    Outcome.SATISFIED: N_("Satisfied"),
    Outcome.NEUTRAL: N_("Neither happy nor unhappy"),
    Outcome.DISSATISFIED: N_("Dissatisfied"),
}

RESULT_MEANS: dict[Outcome, str] = {
    Outcome.SATISFIED: N_("Settles every contact whose day has come."),
    Outcome.NEUTRAL: N_("Settles every contact whose day has come."),
    Outcome.DISSATISFIED: N_("Opens a flag; the contact stays open until it is resolved."),
}

FLAG_OUTCOME: dict[FlagOutcome, str] = {
    FlagOutcome.RESOLVED: N_("Resolved"),
    FlagOutcome.ACCEPTED_RISK: N_("Accepted risk"),
    FlagOutcome.LOST: N_("Lost"),
    FlagOutcome.MERGED: N_("Merged"),
}

FLAG_OUTCOME_MEANS: dict[FlagOutcome, str] = {
    FlagOutcome.RESOLVED: N_(
        "The problem is solved. The customer reads your note and is asked whether it is true; the contact is settled "
        "and the stage is released."
    ),
    FlagOutcome.ACCEPTED_RISK: N_(
        "It can’t be solved, and we go on knowing it. The stage is released; the contact still has to be settled by a "
        "conversation. The customer is told nothing."
    ),
    FlagOutcome.LOST: N_("The customer can’t be won back. The journey ends as lost, with your note as the reason."),
}

NEXT_STEP: dict[Next, str] = {
    Next.CALL: N_("Call them"),
    Next.REPLY: N_("Reply, and offer times"),
    Next.BOOK: N_("Book a doubt meeting"),
    Next.PROMISE: N_("Promise something with a date"),
    Next.KEEP: N_("Keep the promise"),
    Next.WAIT: N_("Wait"),
    Next.RESOLVE: N_("Settle it"),
}

FLAG_ORIGIN: dict[FlagOrigin, str] = {
    FlagOrigin.ANSWER: N_("Answer to a survey"),
    FlagOrigin.HELP: N_("Asked for help"),
    FlagOrigin.CONVERSATION: N_("Said in a conversation"),
    FlagOrigin.CONSULTANT: N_("Raised by a colleague"),
}

SETTLED_BY: dict[SettledBy, str] = {
    SettledBy.ANSWER: N_("by their answer"),
    SettledBy.FLAG: N_("by the flag that was resolved"),
    SettledBy.CONVERSATION: N_("by a conversation"),
}

WHOSE: dict[Whose, str] = {
    Whose.YOU: N_("The customer"),
    Whose.US: N_("Us"),
    Whose.TOGETHER: N_("Together"),
}

TOUCHPOINT_CHANNEL: dict[str, str] = {
    "meeting": N_("A call"),
    "phone": N_("By phone"),
    "email": N_("By e-mail"),
    "portal": N_("Here in the portal"),
}
"""As customers read it, too: by the keys of `plans.CHANNELS`."""

CONVERTED_WHY = WHY_NOT

WAITS_WHY = WHY_IT_WAITS

NO_MAIL_WHY = WHY_NO_MAIL
"""Why a survey beyond the plan was no mail."""

_OCCASION: dict[TriggerKind | None, str] = {
    TriggerKind.MEETING: N_("After a meeting"),
    TriggerKind.DAY_OF_USE: N_("On day %(number)s of use"),
    TriggerKind.STAGE: N_("In a stage"),
    TriggerKind.EVERY_DAYS: N_("From time to time"),
    None: N_("Sent by hand"),
}


def occasion(told: str) -> tuple[str, int]:
    """What a survey beyond the plan was about (msgid), and the number in it."""
    read = read_occasion(told)
    return _OCCASION[read.kind], read.number


BECAME: dict[Became, str] = {
    Became.WAITING: N_("It waits until %(when)s."),
    Became.MAIL: N_("It goes out on %(when)s."),
    Became.CALL: N_("It became a call on %(when)s."),
    Became.WHATSAPP: N_("It became a message to write on %(when)s."),
    Became.CARD: N_("It has been a card in the portal since %(when)s."),
    Became.NOTHING: N_("Not asked: an anonymous survey only comes by mail."),
}

ROLE: dict[Role, str] = {
    Role.CONSULTANT: N_("Consultant"),
    Role.MANAGER: N_("Manager"),
    Role.ADMINISTRATOR: N_("Administrator"),
}

LANGUAGE: dict[Language, str] = {Language.EN: "English", Language.PT_BR: "Português (Brasil)"}

LETTER: dict[Kind, str] = {
    Kind.SIGN_IN: N_("Sign-in link"),
    Kind.WELCOME: N_("Welcome"),
    Kind.WELCOME_LINK: N_("A new sign-in link"),
    Kind.SURVEY_30: N_("30-day survey"),
    Kind.SURVEY_60: N_("60-day survey"),
    Kind.SURVEY_90: N_("90-day survey"),
    Kind.SURVEY_REMINDER: N_("Reminder of the survey"),
    Kind.SURVEY_MEETING: N_("Survey after a meeting"),
    Kind.SURVEY_PULSE: N_("Pulse survey"),
    Kind.SURVEY_FURTHER: N_("Another survey"),
    Kind.SURVEY_FURTHER_REMINDER: N_("Reminder of another survey"),
    Kind.SURVEY_ANONYMOUS: N_("Anonymous survey"),
    Kind.SURVEY_CONFIRM: N_("Was this answer yours?"),
    Kind.SURVEY_TEST: N_("To us: a survey to try"),
    Kind.QUOTE_REQUEST: N_("May we quote you?"),
    Kind.CONGRATULATIONS: N_("Congratulations"),
    Kind.FLAG_OPENED: N_("To us: a flag was opened"),
    Kind.FLAG_LATE: N_("To us: a flag is late"),
    Kind.FLAG_HANDED_OVER: N_("To us: a flag was handed over"),
    Kind.FLAG_RESOLVED: N_("What became of their flag"),
    Kind.STUCK: N_("To us: a customer is stuck with a step"),
    Kind.STAGNATION: N_("To us: a customer stands still"),
    Kind.STAGNATION_MANAGER: N_("To us: a customer still stands still"),
    Kind.MEETING_OFFER: N_("Times for a call of the plan"),
    Kind.MEETING_INVITATION: N_("Meeting invitation"),
    Kind.MEETING_CANCELLED: N_("Meeting cancelled"),
    Kind.MEETING_REMINDER: N_("Meeting reminder"),
    Kind.MEETING_MISSED: N_("After a missed meeting: other times"),
    Kind.CALENDAR_UNREADABLE: N_("To us: a calendar can’t be read"),
    Kind.REFERRAL_INVITATION: N_("Invitation to a friend"),
    Kind.REFERRAL_CONFIRMATION: N_("Confirmation of a referral"),
    Kind.IMPORT_REPORT: N_("Report of an import"),
    Kind.COLLEAGUE_INVITATION: N_("Invitation to a colleague"),
    Kind.ADDRESS_CONFIRMATION: N_("Confirmation of a new address"),
    Kind.ADDRESS_NOTICE: N_("Notice of a new address"),
    Kind.ERASURE_ASKED: N_("To us: somebody asks to be forgotten"),
    Kind.MESSAGE_TO_CUSTOMER: N_("Our message, by mail"),
    Kind.MESSAGE_TO_STAFF: N_("To us: they wrote a message"),
}

LETTER_STATE: dict[LetterState, str] = {
    LetterState.QUEUED: N_("Waiting to be sent"),
    LetterState.SENT: N_("Sent"),
    LetterState.FAILED: N_("Could not be delivered"),
    LetterState.SUPPRESSED: N_("Not sent"),
}

LETTER_TONE: dict[LetterState, str] = {
    LetterState.QUEUED: "",
    LetterState.SENT: "ok",
    LetterState.FAILED: "bad",
    LetterState.SUPPRESSED: "slow",
}

PROVENANCE: dict[Provenance, str] = {
    Provenance.SIGNED_IN: N_("signed in"),
    Provenance.MAIL_LINK: N_("by the link in the mail"),
    Provenance.PHONE: N_("by phone, written down by a colleague"),
    Provenance.UNVERIFIED: N_("set aside, not counted"),
}

"""What an answer says, what we ask, and what tells a person's answer from a machine's: pure functions (domain.md, "Surveys")."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from portal.clock import at_local, local_date
from portal.errors import N_
from portal.journeys.rules import Outcome

OPEN_DAYS = 21
"""How long a survey can be answered, the day it is sent not counted."""


class QuestionKind(StrEnum):
    """What can be asked; choice and rating questions will be further kinds."""

    CSAT = "csat"
    NPS = "nps"
    TEXT = "text"
    YES_NO = "yes_no"


RANGES: dict[QuestionKind, tuple[int, int]] = {QuestionKind.CSAT: (1, 5), QuestionKind.NPS: (0, 10)}


class Provenance(StrEnum):
    """How an answer reached us: what it proves about who gave it."""

    SIGNED_IN = "signed_in"
    MAIL_LINK = "mail_link"
    PHONE = "phone"
    UNVERIFIED = "unverified"
    """It looks like a machine's, and is set aside."""


class InvitationState(StrEnum):
    PLANNED = "planned"
    SENT = "sent"
    ANSWERED = "answered"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"


WHY_NOT: dict[str, str] = {
    "open_flag": N_("They told us that something is wrong: a call instead of a survey."),
    "late": N_("Its day was more than two weeks ago: a call instead of a survey."),
    "too_soon": N_("They got another survey less than two weeks ago: a call instead of one more."),
    "no_address": N_("Nobody there has an e-mail address: a call instead of a survey."),
    "refused": N_("They asked not to get surveys by e-mail: a call instead, and a card in the portal."),
    "no_survey": N_("There is no survey for that day: a call instead."),
    "prefers_phone": N_("They like the phone best: a call instead of a survey."),
    "prefers_whatsapp": N_("They like WhatsApp best: a message there instead of a mail."),
    "prefers_portal": N_("They want no mail about it: it waits for them as a card in the portal."),
    "fewer_requests": N_("They want to be asked less often: a call instead."),
    "budget": N_("They were asked for something else not long before: a call instead."),
    "missed_meeting": N_("They missed a meeting that day: a call instead."),
    "out_of_hours": N_("Their hours were too far off: a call instead."),
    "no_hour": N_("None of their hours is on a working day: a call instead."),
    "taken_in": N_("They were a customer before we knew them: a call instead of a survey."),
    "missed": N_("The next check-in came before this one was answered."),
}
"""Why a survey did not go out as a mail, as a sentence for each reason that a contact keeps."""
IN_THE_PORTAL = ("refused", "prefers_portal")
"""Reasons for which it waits as a card in the portal."""


@dataclass(frozen=True)
class Wording:
    """A sentence in both languages; `{vendor}` stands for the company's name."""

    en: str
    pt: str

    def told(self, language: str, vendor: str) -> str:
        # A plain replacement: an administrator may well write a percent sign or a brace.
        return (self.pt if language == "pt-BR" else self.en).replace("{vendor}", vendor)


_ON_WHATSAPP = Wording(
    "Hi {name}, this is {consultant} from {vendor}. You’ve been with us for {days} days now: how satisfied are you so far, "
    "from 1 (very unhappy) to 5 (very happy)? And what would make it better? Just answer here, or in the portal: {url}",
    "Oi, {name}! Aqui é {consultant}, da {vendor}. Já são {days} dias com a gente: até aqui, qual é a sua satisfação, de 1 "
    "(muito insatisfeito) a 5 (muito satisfeito)? E o que deixaria tudo melhor? Pode responder por aqui, ou no portal: {url}",
)


def whatsapp_words(language: str, *, name: str, consultant: str, vendor: str, days: int, url: str) -> str:
    """The message that a consultant sends who asks by WhatsApp, in the customer's language."""
    first = {"{name}": (name.split() or [""])[0], "{consultant}": (consultant.split() or [""])[0]}
    told = _ON_WHATSAPP.told(language, vendor)
    for mark, value in {**first, "{days}": str(days), "{url}": url}.items():
        told = told.replace(mark, value)
    return told


@dataclass(frozen=True)
class Question:
    """One question; `key` names the field that the answer is kept in."""

    key: str
    kind: QuestionKind
    text: Wording
    hint: Wording = Wording("", "")
    after: Mapping[Outcome, Wording] = field(default_factory=dict)
    """Other words for the question once the scores say this much: the "why" follows the score."""

    def asked(self, language: str, vendor: str, *, so_far: Outcome | None = None) -> str:
        """The question as that reader sees it, after what they have answered so far."""
        wording = self.text if so_far is None else self.after.get(so_far, self.text)
        return wording.told(language, vendor)


@dataclass(frozen=True)
class Thresholds:
    """From which scores on a person counts as unhappy, happy, a promoter. Configurable for each survey."""

    csat_bad: int = 2
    csat_good: int = 4
    nps_bad: int = 6
    nps_good: int = 7
    nps_promoter: int = 9


@dataclass(frozen=True)
class SurveyForm:
    """One version of a survey, as it is asked."""

    id: int
    key: str
    name: Wording
    questions: tuple[Question, ...]
    thresholds: Thresholds = Thresholds()
    minutes: int = 2

    def question(self, kind: QuestionKind) -> Question | None:
        """The question of that kind, if it is asked."""
        return next((q for q in self.questions if q.kind is kind), None)

    @property
    def first_score(self) -> Question | None:
        """The score that a mail shows, NPS before CSAT: its link opens the form with that score chosen."""
        return self.question(QuestionKind.NPS) or self.question(QuestionKind.CSAT)


@dataclass(frozen=True)
class Answers:
    """What one person answered. None: not asked or not answered, which is no evidence of anything."""

    csat: int | None = None
    nps: int | None = None
    comment: str = ""
    wants_help: bool | None = None


def outcome(answers: Answers, thresholds: Thresholds) -> Outcome | None:
    """What the answer says (domain.md, "Outcome of one answer"); None where it gives no evidence at all.

    One bad score or a call for help outweighs everything else; satisfied means that every score given is good.
    """
    if answers.wants_help:
        return Outcome.DISSATISFIED
    if answers.csat is not None and answers.csat <= thresholds.csat_bad:
        return Outcome.DISSATISFIED
    if answers.nps is not None and answers.nps <= thresholds.nps_bad:
        return Outcome.DISSATISFIED
    if answers.csat is None and answers.nps is None:
        return None
    csat_is_good = answers.csat is None or answers.csat >= thresholds.csat_good
    nps_is_good = answers.nps is None or answers.nps >= thresholds.nps_good
    return Outcome.SATISFIED if csat_is_good and nps_is_good else Outcome.NEUTRAL


def is_promoter(answers: Answers, thresholds: Thresholds) -> bool:
    """Whether to think of asking for a referral: satisfied, and likely to recommend us."""
    likely = answers.nps is not None and answers.nps >= thresholds.nps_promoter
    return likely and outcome(answers, thresholds) is Outcome.SATISFIED


def problems(form: SurveyForm, answers: Answers) -> dict[str, str]:
    """What is wrong with an answer: field and msgid. Empty: it can be taken.

    Free text is never mandatory. One score, or the wish for help, is needed where scores are asked: without them the
    answer would say nothing, and the person would think that they had told us.
    """
    given = {
        QuestionKind.CSAT: answers.csat,
        QuestionKind.NPS: answers.nps,
        QuestionKind.TEXT: answers.comment or None,
        QuestionKind.YES_NO: answers.wants_help,
    }
    found: dict[str, str] = {}
    for kind, value in given.items():
        question = form.question(kind)
        if value is None:
            continue
        if question is None:
            found[_FIELDS[kind]] = N_("This survey doesn't ask that.")
        elif kind in RANGES and not RANGES[kind][0] <= int(value) <= RANGES[kind][1]:
            found[_FIELDS[kind]] = _OUT_OF_RANGE[kind]
    first = next((q for q in form.questions if q.kind in RANGES), None)
    if not found and first is not None and answers.csat is None and answers.nps is None and not answers.wants_help:
        found[_FIELDS[first.kind]] = N_("Please choose a number, or tell us that you would like help.")
    return found


_FIELDS = {
    QuestionKind.CSAT: "csat",
    QuestionKind.NPS: "nps",
    QuestionKind.TEXT: "comment",
    QuestionKind.YES_NO: "wants_help",
}
_OUT_OF_RANGE = {
    QuestionKind.CSAT: N_("Please choose a number from 1 to 5."),
    QuestionKind.NPS: N_("Please choose a number from 0 to 10."),
}


def closes_on(sent_at: datetime, zone_name: str) -> date:
    """The last day on which the survey can be answered, where the person is."""
    return local_date(sent_at, zone_name) + timedelta(days=OPEN_DAYS)


def expires_at(sent_at: datetime, zone_name: str) -> datetime:
    """The instant after which it is closed: the end of that last day, so that "open until 22 June" is true all day."""
    return at_local(closes_on(sent_at, zone_name) + timedelta(days=1), time(0), zone_name)


def state(
    now: datetime,
    *,
    sent_at: datetime | None,
    suppressed_at: datetime | None,
    expires_at: datetime | None,
    answered: bool,
) -> InvitationState:
    """What has become of an invitation."""
    if answered:
        return InvitationState.ANSWERED
    if suppressed_at is not None:
        return InvitationState.SUPPRESSED
    if sent_at is None:
        return InvitationState.PLANNED
    return InvitationState.EXPIRED if expires_at is not None and expires_at <= now else InvitationState.SENT


def is_open(
    now: datetime,
    provenance: Provenance,
    *,
    sent_at: datetime | None,
    suppressed_at: datetime | None,
    expires_at: datetime | None,
) -> bool:
    """Whether it can be answered that way now. A survey that never went out as a mail is answered by phone or in the
    portal all the same: that is what it became."""
    if expires_at is None or expires_at <= now:
        return False
    return sent_at is not None or (suppressed_at is not None and provenance is not Provenance.MAIL_LINK)


# People and machines

CHANGE_DAYS = 7
"""How long a person may change an answer that counts, from the first version on."""
FASTEST_SECONDS = 2
"""Nobody reads a question, thinks and sends within that time of seeing it."""
SOONEST_SECONDS = 10
"""Nobody gets a mail, opens it, follows its link and answers within that time of its delivery; scanners do it all the time."""
BURST_SECONDS = 10
SCORES_IN_A_BURST = 3
"""A person taps one score, at times two by mistake; so many within a burst are all of the mail's links being fetched."""
MOST_SET_ASIDE = 20
"""Answers in quarantine that one invitation keeps as evidence; more of the same tell nothing new."""


class Sign(StrEnum):
    """What makes an answer look like a machine's."""

    NO_FORM = "no_form"
    TOO_FAST = "too_fast"
    SCORES_AT_ONCE = "scores_at_once"
    JUST_DELIVERED = "just_delivered"
    UNTOUCHED = "untouched"
    TRAP_FILLED = "trap_filled"


WHY_SET_ASIDE: dict[Sign, str] = {
    Sign.NO_FORM: N_("It came without the page that we show to people."),
    Sign.TOO_FAST: N_("It was sent within two seconds of opening the page."),
    Sign.SCORES_AT_ONCE: N_("Several scores of the same mail were opened at once."),
    Sign.JUST_DELIVERED: N_("It came within seconds of the mail’s delivery."),
    Sign.UNTOUCHED: N_("Only the button was pressed: nothing on the page was chosen by hand."),
    Sign.TRAP_FILLED: N_("A field was filled in that people can’t see."),
}


class QuarantineEnd(StrEnum):
    """What became of an answer that was set aside."""

    CONFIRMED = "confirmed"
    """The person said that it is theirs; it counts from then on, as an answer of its own."""
    ANSWERED = "answered"
    """The person answered themselves, something else."""
    DISCARDED = "discarded"
    """It is nobody's."""


class Reader(StrEnum):
    """To which kind of request a form was shown, as far as the request tells. Evidence only: people use odd browsers."""

    BROWSER = "browser"
    PREFETCH = "prefetch"
    HEAD = "head"
    TOOL = "tool"


@dataclass(frozen=True)
class Shown:
    """What a form says of itself, sealed by us when it was shown."""

    at: datetime
    nonce: str
    """One a form: the same form sent again is the same answer."""
    reader: Reader
    filled: str
    """A digest of what was filled in already, by the link or from what was kept."""


@dataclass(frozen=True)
class Evidence:
    """What is known of how an answer came."""

    way: Provenance
    shown: Shown | None
    """None: no form of ours for this invitation."""
    untouched: bool
    """Whether exactly that was sent which was filled in already, and nobody said that it is theirs."""
    trap: bool
    delivered_at: datetime | None
    """The latest mail about this survey."""
    scores_opened: int
    """How many different scores of this mail were opened around the moment in which this form was."""

    @property
    def reacts_to_the_mail(self) -> bool:
        """Whether the form was opened after the latest mail had been delivered."""
        return self.delivered_at is not None and self.shown is not None and self.shown.at >= self.delivered_at


def machine_signs(evidence: Evidence, now: datetime) -> tuple[Sign, ...]:
    """Why this looks like a machine's answer; empty: it is a person's.

    A session or a colleague on the phone vouches for the person. Of a link only what was done with the form tells, never
    the browser's name: security programs send the names of people's browsers.
    """
    if evidence.way is not Provenance.MAIL_LINK:
        return ()
    shown, seconds = evidence.shown, timedelta(seconds=1)
    # A form that was open before the mail came is no reaction to it.
    delivered = evidence.delivered_at if shown is None or evidence.reacts_to_the_mail else None
    found = {
        Sign.NO_FORM: shown is None,
        Sign.TOO_FAST: shown is not None and now - shown.at < FASTEST_SECONDS * seconds,
        Sign.SCORES_AT_ONCE: evidence.scores_opened >= SCORES_IN_A_BURST,
        Sign.JUST_DELIVERED: delivered is not None and now - delivered < SOONEST_SECONDS * seconds,
        Sign.UNTOUCHED: evidence.untouched,
        Sign.TRAP_FILLED: evidence.trap,
    }
    return tuple(sign for sign, is_there in found.items() if is_there)


def changeable_until(first_sent_at: datetime) -> datetime:
    """Until when the person may change their answer."""
    return first_sent_at + timedelta(days=CHANGE_DAYS)


# Words to quote


class ShownAs(StrEnum):
    """How a person lets us show their words, chosen by themselves."""

    NAME_AND_COMPANY = "name_and_company"
    FIRST_NAME_AND_COMPANY = "first_name_and_company"
    COMPANY = "company"
    NOBODY = "nobody"
    """The words alone."""


ASK_AGAIN_DAYS = 90
"""A person is asked to lend us their words at most that often."""


def byline(shown_as: ShownAs, *, name: str, company: str) -> str:
    """The name under a quote; empty where they wanted none."""
    match shown_as:
        case ShownAs.NAME_AND_COMPANY:
            return f"{name}, {company}"
        case ShownAs.FIRST_NAME_AND_COMPANY:
            return f"{name.split()[0] if name.split() else name}, {company}"
        case ShownAs.COMPANY:
            return company
        case ShownAs.NOBODY:
            return ""

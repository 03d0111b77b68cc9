"""What an answer says, what we ask, and what tells a person's answer from a machine's: pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import assert_never

from portal.clock import at_local, local_date
from portal.errors import N_
from portal.journeys.rules import Outcome

OPEN_DAYS = 21
"""How long a survey can be answered unless it says otherwise, the day it is sent not counted."""


MOST_QUESTIONS = 5
MOST_OPTIONS = 10
LONGEST_TEXT = 10_000


class SurveyPurpose(StrEnum):
    """What a survey is for: when it is sent follows from that."""

    FOLLOW_UP = "follow_up"
    POST_MEETING = "post_meeting"
    PULSE = "pulse"
    OTHER = "other"


class QuestionKind(StrEnum):
    """What can be asked."""

    CSAT = "csat"
    NPS = "nps"
    RATING = "rating"
    CHOICE = "choice"
    CHOICES = "choices"
    """Several of the options."""
    TEXT = "text"
    YES_NO = "yes_no"


class Verdict(StrEnum):
    """What an answer says, and whether it is a promoter's, who is a satisfied person too."""

    DISSATISFIED = "dissatisfied"
    NEUTRAL = "neutral"
    SATISFIED = "satisfied"
    PROMOTER = "promoter"


class Then(StrEnum):
    """What an answer can set going."""

    FLAG = "flag"
    ASK_WHAT_IS_MISSING = "ask_what_is_missing"
    REFERRAL_PROMPT = "referral_prompt"
    TELL_CONSULTANT = "tell_consultant"


Does = Mapping[Verdict, tuple[Then, ...]]


def does_by_default() -> Does:
    """What the outcomes of a follow-up survey set going."""
    return {
        Verdict.DISSATISFIED: (Then.FLAG,),
        Verdict.NEUTRAL: (Then.ASK_WHAT_IS_MISSING,),
        Verdict.SATISFIED: (),
        Verdict.PROMOTER: (Then.REFERRAL_PROMPT,),
    }


def stored_does(does: Does) -> dict[str, list[str]]:
    """As it is kept with the survey."""
    return {verdict.value: [then.value for then in does.get(verdict, ())] for verdict in Verdict}


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


LOST_ITS_REASON: dict[str, str] = {
    "left": N_("The customer left before it went out."),
    "settled": N_("It was settled before the mail went out."),
    "withdrawn": N_("The survey was withdrawn."),
}
"""Why one that had been decided on never left, as a sentence."""
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
    "undelivered": N_("Our mail could not be delivered: a call instead, and a card in the portal."),
    "missed": N_("The next check-in came before this one was answered."),
    **LOST_ITS_REASON,
}
"""Why a survey did not go out as a mail, as a sentence for each reason that a contact keeps."""
IN_THE_PORTAL = ("refused", "prefers_portal", "undelivered")
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


NO_WORDS = Wording("", "")


class ShowHow(StrEnum):
    """What an earlier answer has to be for a question to be shown."""

    AT_MOST = "at_most"
    AT_LEAST = "at_least"
    ONE_OF = "one_of"
    ANSWERED = "answered"


@dataclass(frozen=True)
class ShowIf:
    """A condition on the answer to an earlier question. `value`: the number, or the options (of yes/no: `yes`, `no`)."""

    question: str
    how: ShowHow
    value: int | tuple[str, ...] = ()


@dataclass(frozen=True)
class Option:
    """One answer to choose; `key` is what is kept, so that its words can be put better later."""

    key: str
    text: Wording


@dataclass(frozen=True)
class Question:
    """One question; `key` names the field that the answer is kept in: one of `OWN_FIELDS`, or a key of `Answers.others`."""

    key: str
    kind: QuestionKind
    text: Wording
    hint: Wording = NO_WORDS
    after: Mapping[Outcome, Wording] = field(default_factory=dict)
    """Other words for the question once the scores say this much: the "why" follows the score."""
    high: int = 5
    """Of a rating: 5 or 10, from 1."""
    low_label: Wording = NO_WORDS
    high_label: Wording = NO_WORDS
    """What the ends of a scale mean; the usual words where empty."""
    options: tuple[Option, ...] = ()
    show_if: ShowIf | None = None

    @property
    def is_own(self) -> bool:
        """Whether its answer has a column of its own: figures, outcome and quotes are about those."""
        return OWN_FIELDS.get(self.kind) == self.key

    @property
    def range(self) -> tuple[int, int] | None:
        """The lowest and highest number that can be chosen; None where no number is."""
        return (1, self.high) if self.kind is QuestionKind.RATING else RANGES.get(self.kind)

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
    purpose: SurveyPurpose = SurveyPurpose.FOLLOW_UP
    is_anonymous: bool = False
    does: Does = field(default_factory=does_by_default)
    closes_after_days: int = OPEN_DAYS
    intro: Wording = NO_WORDS
    thanks: Wording = NO_WORDS

    def question(self, kind: QuestionKind) -> Question | None:
        """The question of that kind whose answer has a column of its own, if it is asked."""
        return next((q for q in self.questions if q.kind is kind and q.is_own), None)

    def further(self) -> tuple[Question, ...]:
        """The questions whose answers are kept in `Answers.others`."""
        return tuple(q for q in self.questions if not q.is_own)

    @property
    def first_score(self) -> Question | None:
        """The score that a mail shows, NPS before CSAT: its link opens the form with that score chosen."""
        return self.question(QuestionKind.NPS) or self.question(QuestionKind.CSAT)


Other = int | str | bool | list[str]


@dataclass(frozen=True)
class Answers:
    """What one person answered. None: not asked or not answered, which is no evidence of anything."""

    csat: int | None = None
    nps: int | None = None
    comment: str = ""
    wants_help: bool | None = None
    others: Mapping[str, Other] = field(default_factory=dict)
    """Answers to further questions, by their keys."""

    def to(self, question: Question) -> Other | None:
        """What was answered to that question; None: nothing."""
        own = {"csat": self.csat, "nps": self.nps, "comment": self.comment or None, "wants_help": self.wants_help}
        return own[question.key] if question.is_own else self.others.get(question.key)


def outcome(answers: Answers, thresholds: Thresholds) -> Outcome | None:
    """What the answer says; None where it gives no evidence at all.

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


def verdict(answers: Answers, thresholds: Thresholds) -> Verdict | None:
    """The outcome, a promoter told from the other satisfied people: what a survey does goes by that."""
    said = outcome(answers, thresholds)
    if said is None:
        return None
    return Verdict.PROMOTER if is_promoter(answers, thresholds) else Verdict(said.value)


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
            found[OWN_FIELDS[kind]] = _NOT_ASKED
        elif kind in RANGES and not RANGES[kind][0] <= int(value) <= RANGES[kind][1]:
            found[OWN_FIELDS[kind]] = _OUT_OF_RANGE[RANGES[kind]]
    further = {question.key: question for question in form.further()}
    for key, other in answers.others.items():
        wrong = _wrong_with(further[key], other) if key in further else _NOT_ASKED
        if wrong:
            found[key] = wrong
    first = next((q for q in form.questions if q.kind in RANGES), None)
    if not found and first is not None and answers.csat is None and answers.nps is None and not answers.wants_help:
        asks_help = form.question(QuestionKind.YES_NO) is not None
        found[first.key] = _NUMBER_OR_HELP if asks_help else N_("Please choose a number.")
    if not found and first is None and not _says_anything(form, answers):
        found[form.questions[0].key] = N_("Please answer at least one question.")
    return found


def _says_anything(form: SurveyForm, answers: Answers) -> bool:
    return any(answers.to(question) is not None for question in form.questions)


def _wrong_with(question: Question, other: Other) -> str:
    """What is wrong with an answer to a further question; empty: nothing."""
    options = {option.key for option in question.options}
    match question.kind:
        case QuestionKind.RATING:
            is_number = isinstance(other, int) and not isinstance(other, bool)
            fits = is_number and 1 <= int(str(other)) <= question.high
            return "" if fits else _OUT_OF_RANGE[1, question.high]
        case QuestionKind.CHOICE:
            return "" if isinstance(other, str) and other in options else N_("Please choose one from the list.")
        case QuestionKind.CHOICES:
            fits = isinstance(other, list) and bool(other) and set(other) <= options
            return "" if fits else N_("Please choose from the list.")
        case QuestionKind.TEXT:
            fits = isinstance(other, str) and len(other) <= LONGEST_TEXT
            return "" if fits else N_("That is too long. Please keep it under 10,000 characters.")
        case QuestionKind.YES_NO:
            return "" if isinstance(other, bool) else N_("Please choose yes or no.")
        case QuestionKind.CSAT | QuestionKind.NPS:
            return _NOT_ASKED
    assert_never(question.kind)


OWN_FIELDS: dict[QuestionKind, str] = {
    QuestionKind.CSAT: "csat",
    QuestionKind.NPS: "nps",
    QuestionKind.TEXT: "comment",
    QuestionKind.YES_NO: "wants_help",
}
"""The answers that have a column of their own."""
_OUT_OF_RANGE = {
    (1, 5): N_("Please choose a number from 1 to 5."),
    (0, 10): N_("Please choose a number from 0 to 10."),
    (1, 10): N_("Please choose a number from 1 to 10."),
}
_NOT_ASKED = N_("This survey doesn't ask that.")
_NUMBER_OR_HELP = N_("Please choose a number, or tell us that you would like help.")


def shown_questions(form: SurveyForm, answers: Answers) -> tuple[Question, ...]:
    """The questions that somebody who answered this much gets to see. A condition on a hidden question's answer fails."""
    shown: dict[str, Question] = {}
    for question in form.questions:
        condition = question.show_if
        on = shown.get(condition.question) if condition is not None else None
        if condition is None or (on is not None and _holds(condition, answers.to(on))):
            shown[question.key] = question
    return tuple(shown.values())


def _holds(condition: ShowIf, answer: Other | None) -> bool:
    if answer is None:
        return False
    if condition.how is ShowHow.ANSWERED:
        return True
    if condition.how is ShowHow.ONE_OF:
        told = {True: ["yes"], False: ["no"]}[answer] if isinstance(answer, bool) else answer
        chosen = told if isinstance(told, list) else [str(told)]
        return isinstance(condition.value, tuple) and not set(chosen).isdisjoint(condition.value)
    if not isinstance(answer, int) or not isinstance(condition.value, int):
        return False
    return answer <= condition.value if condition.how is ShowHow.AT_MOST else answer >= condition.value


def heard(form: SurveyForm, answers: Answers) -> Answers:
    """The answers without those to questions that weren't shown to them: a form without script sends them, too."""
    if all(question.show_if is None for question in form.questions):
        return answers
    hidden = {q.key: q for q in form.questions}.keys() - {q.key for q in shown_questions(form, answers)}
    return Answers(
        csat=None if "csat" in hidden else answers.csat,
        nps=None if "nps" in hidden else answers.nps,
        comment="" if "comment" in hidden else answers.comment,
        wants_help=None if "wants_help" in hidden else answers.wants_help,
        others={key: other for key, other in answers.others.items() if key not in hidden},
    )


def closes_on(sent_at: datetime, zone_name: str, *, days: int = OPEN_DAYS) -> date:
    """The last day on which the survey can be answered, where the person is."""
    return local_date(sent_at, zone_name) + timedelta(days=days)


def expires_at(sent_at: datetime, zone_name: str, *, days: int = OPEN_DAYS) -> datetime:
    """The instant after which it is closed: the end of that last day, so that "open until 22 June" is true all day."""
    return at_local(closes_on(sent_at, zone_name, days=days) + timedelta(days=1), time(0), zone_name)


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

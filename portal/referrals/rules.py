"""Who may be brought, how far a friend has got, and when a consultant is prompted to ask. Pure functions over facts."""

import hmac
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import assert_never

from portal.accounts.rules import normalised_email
from portal.errors import N_

INVITATIONS_A_DAY = 20
FORGOTTEN_AFTER = timedelta(days=30)
"""Unaccepted invitations, and details that were left and never confirmed."""
BETWEEN_PROMPTS = timedelta(days=90)


class Step(StrEnum):
    """How far a friend has got. `invited` is the sent mail; `opened` means that they left their details and have yet
    to confirm their address; `accepted` that they have."""

    INVITED = "invited"
    OPENED = "opened"
    ACCEPTED = "accepted"
    QUALIFIED = "qualified"
    WON = "won"
    REWARDED = "rewarded"
    REJECTED = "rejected"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True)
class Facts:
    """When each thing happened to one friend; None: not yet."""

    invited_at: datetime | None = None
    forgotten_at: datetime | None = None
    opened_at: datetime | None = None
    accepted_at: datetime | None = None
    qualified_at: datetime | None = None
    won_at: datetime | None = None
    rewarded_at: datetime | None = None
    rejected_at: datetime | None = None


def step(facts: Facts) -> tuple[Step, datetime | None]:
    """The furthest step, and since when."""
    for reached, at in (
        (Step.REJECTED, facts.rejected_at),
        (Step.REWARDED, facts.rewarded_at),
        (Step.WON, facts.won_at),
        (Step.QUALIFIED, facts.qualified_at),
        (Step.ACCEPTED, facts.accepted_at),
        (Step.FORGOTTEN, facts.forgotten_at),
        (Step.OPENED, facts.opened_at),
    ):
        if at is not None:
            return reached, at
    return Step.INVITED, facts.invited_at


class Move(StrEnum):
    """What staff, or the CRM, tell of a friend."""

    QUALIFY = "qualify"
    WIN = "win"
    REJECT = "reject"
    REWARD = "reward"


REACHES = {Move.QUALIFY: Step.QUALIFIED, Move.WIN: Step.WON, Move.REJECT: Step.REJECTED, Move.REWARD: Step.REWARDED}

# A win may come without the step before it: the CRM often tells only how it ended.
POSSIBLE: dict[Step, tuple[Move, ...]] = {
    Step.INVITED: (),
    Step.OPENED: (),
    Step.ACCEPTED: (Move.QUALIFY, Move.WIN, Move.REJECT),
    Step.QUALIFIED: (Move.WIN, Move.REJECT),
    Step.WON: (Move.REWARD,),
    Step.REWARDED: (),
    Step.REJECTED: (),
    Step.FORGOTTEN: (),
}

_ORDER = (Step.ACCEPTED, Step.QUALIFIED, Step.WON, Step.REWARDED)


def is_done_already(move: Move, at: Step) -> bool:
    """Whether the friend is where the move leads, or beyond: telling it again changes nothing."""
    to = REACHES[move]
    return at is to or (at in _ORDER and to in _ORDER and _ORDER.index(at) > _ORDER.index(to))


# Who may be brought


class Refusal(StrEnum):
    """Why somebody can't be brought."""

    ONESELF = "oneself"
    COLLEAGUE = "colleague"
    CUSTOMER = "customer"
    ALREADY_REFERRED = "already_referred"
    NO_CONTACT = "no_contact"


@dataclass(frozen=True)
class Candidate:
    """What is known of an address that somebody would bring."""

    is_referrer: bool = False
    is_colleague: bool = False
    is_customer: bool = False
    is_kept_by_another: bool = False
    """Somebody else referred them first and keeps it, or they have accepted once already."""
    wants_no_contact: bool = False


def refusal(candidate: Candidate) -> Refusal | None:
    """Why not, the reason that is nearest to the referrer first; None: welcome."""
    if candidate.is_referrer:
        return Refusal.ONESELF
    if candidate.is_colleague:
        return Refusal.COLLEAGUE
    if candidate.is_customer:
        return Refusal.CUSTOMER
    if candidate.wants_no_contact:
        return Refusal.NO_CONTACT
    if candidate.is_kept_by_another:
        return Refusal.ALREADY_REFERRED
    return None


TO_REFERRER = {
    Refusal.ONESELF: N_("That’s your own address. This is for friends at other companies."),
    Refusal.COLLEAGUE: N_("They work at your company. Invite them under Your colleagues instead."),
    Refusal.CUSTOMER: N_("They are our customer already. Thank you for thinking of them."),
    Refusal.ALREADY_REFERRED: N_(
        "They have had an invitation already. Each address gets one mail, and the first invitation counts."
    ),
    Refusal.NO_CONTACT: N_("They asked us not to write to them, so we won’t."),
}
"""The plain reason, said to who would bring them."""

TO_FRIEND = {
    Refusal.ONESELF: N_("This is your own link. It’s meant for friends at other companies."),
    Refusal.COLLEAGUE: N_("Your company works with us already. Ask your colleague to invite you to its workspace."),
    Refusal.CUSTOMER: N_("You are our customer already, so there’s nothing more to do here."),
    Refusal.ALREADY_REFERRED: N_(
        "You have answered an invitation before, or somebody invited you earlier. The first one counts, and nothing is lost for you."
    ),
    Refusal.NO_CONTACT: N_("You asked us not to write to you, so we keep to that."),
}
"""The plain reason, said to the friend, once their address is proven to be theirs: before that it would tell strangers
who our customers are."""


def address_hash(secret: str, address: str) -> str:
    """What stands for a friend's address once it is forgotten; without the deployment's secret it can't be guessed."""
    return hmac.new(secret.encode(), b"referral-address:" + normalised_email(address).encode(), sha256).hexdigest()


_LINK = re.compile(r"://|www\.|\b[\w-]{2,}\.[a-z]{2,}/", re.IGNORECASE)


def holds_link(text: str) -> bool:
    """Whether a text would put a link into our mail: an invitation must not become a stranger's leaflet."""
    return _LINK.search(text) is not None


def is_same_first_name(typed: str, name: str) -> bool:
    """Whether the friend typed the name they had left (its first word, or all of it): what the lone press of a button by a
    mail scanner does not do."""
    said, whole = _folded(typed), _folded(name)
    return bool(said) and (said == whole or said == whole.split(" ")[0])


def _folded(text: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(plain.casefold().split())


# When to ask


class Why(StrEnum):
    """The moment that makes it right to ask."""

    ANSWER = "answer"
    GOAL = "goal"
    APPROVAL = "approval"


class Withheld(StrEnum):
    """Why a prompt was not given to the consultant."""

    OPEN_FLAG = "open_flag"
    RECENT = "recent"
    NO_PROMOTER = "no_promoter"
    NO_CUSTOMER = "no_customer"
    NOT_WANTED = "not_wanted"
    """They asked not to be asked for recommendations, or for anything that the plan doesn't need."""


class Result(StrEnum):
    """What the consultant did with a prompt."""

    ASKED = "asked"
    NOT_NOW = "not_now"


@dataclass(frozen=True)
class Moment:
    """A good moment in an account's life, and what speaks against it."""

    why: Why
    at: datetime
    has_open_flag: bool
    last_prompt_at: datetime | None
    is_promoter: bool
    """Whether somebody at the account answered as a promoter on this journey. Only an approval asks for it: a goal that was met
    is a reason of its own."""
    is_customer: bool
    is_unwanted: bool = False
    """Whether the person said that they don't want to be asked."""


def withheld(moment: Moment) -> Withheld | None:
    """Why the consultant isn't prompted now; None: they are. Never while a flag is open, nor within 90 days of the last."""
    if not moment.is_customer:
        return Withheld.NO_CUSTOMER
    if moment.has_open_flag:
        return Withheld.OPEN_FLAG
    if moment.is_unwanted:
        return Withheld.NOT_WANTED
    if moment.last_prompt_at is not None and moment.at - moment.last_prompt_at < BETWEEN_PROMPTS:
        return Withheld.RECENT
    match moment.why:
        case Why.APPROVAL:
            return None if moment.is_promoter else Withheld.NO_PROMOTER
        case Why.ANSWER | Why.GOAL:
            return None
        case never:
            assert_never(never)


def read_why(what: str) -> tuple[Why, int | None]:
    """What a due action tells: `approval`, `answer_17`, `goal_3`, as the moment and the row it is about. Errors: ValueError."""
    word, _, row = what.partition("_")
    return Why(word), int(row) if row else None


def earned(steps: Iterable[Step]) -> int:
    """How many rewards were given."""
    return sum(step is Step.REWARDED for step in steps)

"""What to do next about a case, and why: pure rules, so that the page can say its reason."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from portal.errors import N_


class Next(StrEnum):
    """The next step that a case suggests."""

    CALL = "call"
    REPLY = "reply"
    BOOK = "book"
    PROMISE = "promise"
    KEEP = "keep"
    WAIT = "wait"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """What the suggestion rests on."""

    now: datetime
    act_by: datetime
    acted_at: datetime | None
    wants_help: bool
    has_phone: bool
    likes_calls: bool
    worst_score: bool
    """The bottom of the scale: CSAT 1, or NPS 0 to 3."""
    meeting_at: datetime | None
    """A doubt meeting that is planned."""
    met: bool
    """There was a conversation since the case was opened."""
    wrote_back: bool
    """The customer wrote after we did."""
    offered: bool
    """Times were offered, and none was taken yet."""
    promises_open: int
    promises_kept: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The step, and the reason as a msgid."""

    step: Next
    why: str


def suggest(facts: CaseFacts) -> Suggestion:
    """The first that fits: answer whoever waits for an answer, meet, promise, keep it, then settle."""
    if facts.wrote_back:
        return Suggestion(Next.REPLY, N_("They wrote after you did, and wait for an answer."))
    if facts.acted_at is None and facts.meeting_at is None:
        return _first_step(facts)
    if facts.meeting_at is not None and facts.meeting_at > facts.now:
        return Suggestion(Next.WAIT, N_("A meeting is planned. Read what they said before it, and bring a date."))
    if facts.promises_open:
        return Suggestion(Next.KEEP, N_("Something is promised and not done yet. Do it, then tick it off."))
    if facts.promises_kept:
        return Suggestion(
            Next.RESOLVE, N_("Everything that was promised is done. Tell them, and ask whether it’s solved.")
        )
    if facts.met:
        return Suggestion(Next.PROMISE, N_("You have talked. Write down what you will do, and by when."))
    if facts.offered:
        return Suggestion(Next.WAIT, N_("Times are offered. If none is taken by tomorrow, call."))
    return Suggestion(Next.BOOK, N_("You have reacted, but not talked yet. A bad answer is an appointment."))


def _first_step(facts: CaseFacts) -> Suggestion:
    if facts.has_phone and facts.now >= facts.act_by:
        return Suggestion(Next.CALL, N_("The time to act has passed. A call is the quickest way to make it good."))
    if facts.has_phone and facts.wants_help:
        return Suggestion(Next.CALL, N_("They asked for somebody to help."))
    if facts.has_phone and (facts.likes_calls or facts.worst_score):
        why = (
            N_("They like to be called.")
            if facts.likes_calls
            else N_("The score is as low as it gets: talk, don’t write.")
        )
        return Suggestion(Next.CALL, why)
    return Suggestion(Next.REPLY, N_("Nobody has reacted yet. Say that you read it, and offer three times to talk."))

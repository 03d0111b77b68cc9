"""How warm a customer is, from 0 to 100, as a sum that a consultant can read as sentences.

Pure: `read` adds up what is known; every part that counts is listed with its points. The quiet ones count.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from portal.errors import N_
from portal.journeys.rules import Outcome

START = 60
FRESH_DAYS = 180
"""An older answer says nothing about today."""
QUIET_DAYS = 30
"""So long without signing in is silence."""
UNANSWERED_DAYS = 7
"""So long after it went out, a survey counts as unanswered."""


@dataclass(frozen=True)
class Said:
    """One counted answer."""

    at: datetime
    outcome: Outcome | None
    csat: int | None
    nps: int | None


@dataclass(frozen=True)
class Facts:
    """What is known of one account, as of now."""

    customer_since: datetime
    answers: tuple[Said, ...] = ()
    """Newest first; two are enough."""
    unanswered_surveys: int = 0
    last_signed_in_at: datetime | None = None
    tutorials_done: int = 0
    """Within the last 90 days."""
    late_milestones: int = 0
    open_flags: int = 0
    open_issues: int = 0
    late_issues: int = 0
    """Those of the open ones whose deadline has passed."""
    churned_on: date | None = None


class Part(NamedTuple):
    """One contribution: its name, its points, and why (a msgid with its values)."""

    name: str
    points: int
    message: str
    values: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """The sentence in English."""
        return self.message % self.values if self.values else self.message


class Temperature(NamedTuple):
    score: int
    parts: tuple[Part, ...]
    """They add up to the score, unless that would leave 0 to 100."""


def read(facts: Facts, now: datetime) -> Temperature:
    """The temperature with every part that makes it."""
    if facts.churned_on is not None:
        gone = Part("churned", 0, N_("The customer left on %(day)s."), {"day": facts.churned_on.isoformat()})
        return Temperature(0, (gone,))
    parts = (Part("start", START, N_("Every customer starts at 60.")), *_parts(facts, now))
    return Temperature(max(0, min(100, sum(part.points for part in parts))), parts)


def _parts(facts: Facts, now: datetime) -> Iterator[Part]:
    answers = [said for said in facts.answers if now - said.at <= timedelta(days=FRESH_DAYS)]
    if answers:
        yield from _last_answer(answers[0])
    if len(answers) > 1:
        yield from _trend(answers[0], answers[1])
    if facts.unanswered_surveys:
        yield _counted(
            "unanswered_surveys", -10, -20, facts.unanswered_surveys, N_("Surveys without an answer: %(n)s.")
        )
    yield from _sign_ins(facts, now)
    if facts.tutorials_done:
        yield _counted(
            "tutorials", 2, 10, facts.tutorials_done, N_("Tutorials finished in the last three months: %(n)s.")
        )
    if facts.late_milestones:
        yield _counted("late_milestones", -5, -15, facts.late_milestones, N_("Milestones past their date: %(n)s."))
    if facts.open_flags:
        yield _counted("open_flags", -20, -40, facts.open_flags, N_("Open flags: %(n)s."))
    if facts.late_issues:
        yield _counted("late_issues", -8, -16, facts.late_issues, N_("Pending issues past their deadline: %(n)s."))
    if in_time := facts.open_issues - facts.late_issues:
        yield _counted("pending_issues", -2, -6, in_time, N_("Pending issues within their deadline: %(n)s."))


def _counted(name: str, each: int, most: int, n: int, message: str) -> Part:
    """So many points each, up to a bound that no single cause goes beyond."""
    points = max(each * n, most) if each < 0 else min(each * n, most)
    return Part(name, points, message, {"n": n})


_OF_OUTCOME = {Outcome.SATISFIED: 20, Outcome.NEUTRAL: 0, Outcome.DISSATISFIED: -25}


def _last_answer(said: Said) -> Iterator[Part]:
    if said.outcome is None:
        return
    points = _OF_OUTCOME[said.outcome] + (5 if said.outcome is Outcome.SATISFIED and (said.nps or 0) >= 9 else 0)
    if said.nps is not None and said.csat is not None:
        yield Part(
            "last_answer",
            points,
            N_("The last answer: %(nps)s of 10 for recommending, %(csat)s of 5 for satisfaction."),
            {"nps": said.nps, "csat": said.csat},
        )
    elif said.nps is not None:
        yield Part("last_answer", points, N_("The last answer: %(nps)s of 10 for recommending."), {"nps": said.nps})
    elif said.csat is not None:
        yield Part("last_answer", points, N_("The last answer: %(csat)s of 5 for satisfaction."), {"csat": said.csat})
    else:
        yield Part("last_answer", points, N_("The last answer asked for help."))


def _trend(last: Said, before: Said) -> Iterator[Part]:
    """Compared on the same scale; NPS is finer, so it speaks first, and one point there is no trend."""
    if last.nps is not None and before.nps is not None:
        difference, least = last.nps - before.nps, 2
    elif last.csat is not None and before.csat is not None:
        difference, least = last.csat - before.csat, 1
    else:
        return
    if difference >= least:
        yield Part("trend", 5, N_("Better than the answer before, by %(n)s."), {"n": difference})
    elif difference <= -least:
        yield Part("trend", -10, N_("Worse than the answer before, by %(n)s."), {"n": -difference})


def _sign_ins(facts: Facts, now: datetime) -> Iterator[Part]:
    if facts.last_signed_in_at is None:
        if now - facts.customer_since > timedelta(days=14):
            yield Part("sign_in", -10, N_("Nobody has signed in lately, or ever."))
        return
    days = (now - facts.last_signed_in_at).days
    if days > QUIET_DAYS:
        yield Part("sign_in", -10, N_("Nobody has signed in for %(days)s days."), {"days": days})
    elif days <= 14:
        yield Part("sign_in", 5, N_("Somebody signed in within the last two weeks."))

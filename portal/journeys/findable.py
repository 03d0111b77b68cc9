"""What of somebody's own journey can be found by searching: their plan, what they told us, who looks after them.

Read through the person who asks each time they search, so it is never stale and never in the shared index.
"""

from collections.abc import Iterable, Iterator

from portal.journeys.plans import StepState
from portal.journeys.queries import CustomerJourney, Plan, ToldUs
from portal.search.rules import Document, Kind
from portal.words import short_day

PLAN = "/plan"

# What people call the ways to reach somebody, in both languages.
WAYS = "contact reach help support consultant phone call mail email whatsapp contato ajuda suporte consultor telefone ligar"


def own_journey(
    journey: CustomerJourney | None, plan: Plan | None, told_us: Iterable[ToldUs], *, locale: str
) -> Iterator[Document]:
    """The documents of one reader, in their language."""
    for told in told_us:
        if told.words or told.done:
            yield Document(
                Kind.TOLD, f"{told.flag_id}", locale, told.words or told.done, f"/told-us#t{told.flag_id}", told.done
            )
    if journey is None:
        return
    if journey.consultant is not None:
        c = journey.consultant
        ways = " · ".join(dict.fromkeys(way for way in (c.phone, c.email, c.whatsapp) if way))
        yield Document(Kind.PERSON, f"staff:{c.id}", locale, c.name, "/#person", ways, names=WAYS)
    for step in journey.path:
        here = step.key if step.state is StepState.NOW else ""
        yield Document(Kind.PLAN, f"stage:{step.key}", locale, step.name, "/", step.text, place=here)
    if plan is None:
        return
    for m in plan.milestones:
        due = short_day(m.due_on, locale) if m.due_on else ""
        yield Document(Kind.PLAN, f"milestone:{m.id}", locale, m.title, f"{PLAN}#miles", _said(m.help, due))
    for t in plan.touchpoints:
        due = short_day(t.due_on, locale) if t.due_on else ""
        yield Document(Kind.PLAN, f"touchpoint:{t.key}", locale, t.title, f"{PLAN}#talk", _said(t.objective, due))
    for goal in plan.goals:
        yield Document(Kind.PLAN, f"goal:{goal.id}", locale, goal.title, f"{PLAN}#goals", goal.measure)
    for issue in plan.issues:
        due = short_day(issue.due_on, locale)
        yield Document(
            Kind.PLAN, f"issue:{issue.id}", locale, issue.problem, f"{PLAN}#issues", _said(issue.solution, due)
        )


def _said(*parts: str) -> str:
    return " · ".join(part for part in parts if part)

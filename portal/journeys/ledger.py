"""The promise ledger: what a customer told us, what we said we would do, by when, whether it's done, and how they rate us
since. And for managers: how much better that is than before."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from portal.journeys.models import Flag, JourneyRow, PendingIssue, RatingAfter, Resolution
from portal.journeys.rules import FlagOutcome, Whose


class Promised(NamedTuple):
    """One thing that was agreed about it."""

    id: int
    what: str
    whose: Whose
    due_on: date
    done_at: datetime | None


class Told(NamedTuple):
    """One thing that a customer told us. `resolution_id`: what they can confirm, or say that it isn't so."""

    flag_id: int
    words: str
    scores: dict[str, Any]
    opened_at: datetime
    acted_at: datetime | None
    closed_at: datetime | None
    outcome: FlagOutcome | None
    resolution_id: int | None
    done: str
    confirmed_at: datetime | None
    reopened_at: datetime | None
    """When they last said that it wasn't solved."""
    merged_into_id: int | None
    csat_after: int | None
    nps_after: int | None
    promises: tuple[Promised, ...]

    @property
    def scale(self) -> str:
        """The scale of the score before, which they are asked on again: `csat` or `nps`."""
        return "nps" if self.scores.get("csat") is None and self.scores.get("nps") is not None else "csat"

    @property
    def before(self) -> int | None:
        score = self.scores.get(self.scale)
        return int(score) if score is not None else None

    @property
    def after(self) -> int | None:
        return self.nps_after if self.scale == "nps" else self.csat_after

    @property
    def recovery(self) -> int | None:
        """The score after it minus the one before, on that scale."""
        return self.after - self.before if self.after is not None and self.before is not None else None


_UNDONE = (
    select(func.max(Resolution.undone_at))
    .where(Resolution.flag_id == Flag.id, Resolution.outcome == FlagOutcome.RESOLVED)
    .correlate(Flag)
    .scalar_subquery()
)
_TOLD = (
    select(
        Flag.id,
        Flag.words,
        Flag.scores,
        Flag.opened_at,
        Flag.acted_at,
        Flag.closed_at,
        Resolution.outcome,
        Resolution.id,
        func.coalesce(Resolution.note, ""),
        Resolution.confirmed_at,
        _UNDONE,
        Flag.merged_into_id,
        RatingAfter.csat,
        RatingAfter.nps,
    )
    .outerjoin(Resolution, (Resolution.flag_id == Flag.id) & Resolution.undone_at.is_(None))
    .outerjoin(RatingAfter, RatingAfter.flag_id == Flag.id)
    .where(Flag.contact_id == bindparam("contact_id"))
    .order_by(Flag.id.desc())
    .limit(50)
)
_PROMISES = (
    select(
        PendingIssue.flag_id,
        PendingIssue.id,
        func.coalesce(func.nullif(PendingIssue.solution, ""), PendingIssue.problem),
        PendingIssue.whose,
        PendingIssue.due_on,
        PendingIssue.solved_at,
    )
    .where(PendingIssue.flag_id.in_(bindparam("flag_ids", expanding=True)))
    .order_by(PendingIssue.due_on, PendingIssue.id)
)


def ledger(db: Session, contact_id: int) -> tuple[Told, ...]:
    """Everything that a person told us, newest first. Two statements."""
    rows = db.execute(_TOLD, {"contact_id": contact_id}).all()
    promises: dict[int, list[Promised]] = {row[0]: [] for row in rows}
    if rows:
        for flag_id, *facts in db.execute(_PROMISES, {"flag_ids": list(promises)}):
            promises[flag_id].append(Promised(*facts))
    return tuple(_told(Told._make((*row, tuple(promises[row[0]])))) for row in rows)


def _told(line: Told) -> Told:
    """What staff wrote for themselves stays theirs: only what was resolved was told to the customer."""
    return line if line.outcome is FlagOutcome.RESOLVED else line._replace(resolution_id=None, done="")


def rating_of(db: Session, flag_id: int) -> tuple[int | None, int | None] | None:
    """How they rated us after a case: CSAT or NPS; None while they haven't."""
    row = db.execute(select(RatingAfter.csat, RatingAfter.nps).where(RatingAfter.flag_id == flag_id)).first()
    return (row.csat, row.nps) if row is not None else None


# For managers


class Recovery(NamedTuple):
    """How ratings after a case compare with the scores before, on one scale. `mean`: None where there is none."""

    scale: str
    rated: int
    better: int
    same: int
    worse: int
    mean: float | None


_RATED = (
    select(Flag.scores, RatingAfter.csat, RatingAfter.nps)
    .join(Flag, Flag.id == RatingAfter.flag_id)
    .join(JourneyRow, JourneyRow.id == Flag.journey_id)
    .where(RatingAfter.at >= bindparam("since"), RatingAfter.at < bindparam("until"))
)
_RATED_OF_OWNER = _RATED.where(JourneyRow.owner_id == bindparam("owner_id"))


def recovery(
    db: Session, *, since: datetime, until: datetime, owner_id: int | None = None
) -> tuple[Recovery, Recovery]:
    """Recovery (score after a flag minus score before) of the cases rated in that time, for CSAT and NPS questions apart:
    points of the two scales don't add up."""
    asked = {"since": since, "until": until} | ({} if owner_id is None else {"owner_id": owner_id})
    rows = db.execute(_RATED if owner_id is None else _RATED_OF_OWNER, asked).all()
    return (
        summed(
            "csat", [after - before for scores, after, _ in rows if None not in (after, before := scores.get("csat"))]
        ),
        summed(
            "nps", [after - before for scores, _, after in rows if None not in (after, before := scores.get("nps"))]
        ),
    )


def summed(scale: str, differences: Iterable[int]) -> Recovery:
    """The figure of some differences."""
    found: Sequence[int] = list(differences)
    mean = sum(found) / len(found) if found else None
    better, worse = sum(d > 0 for d in found), sum(d < 0 for d in found)
    return Recovery(scale, len(found), better, len(found) - better - worse, worse, mean)

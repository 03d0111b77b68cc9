"""The one gate that every change of what readers find passes: words, target, published or withdrawn, taken away."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Session

from portal.learning.findable import keep_findable
from portal.learning.models import Tutorial


def readers_view_changed(db: Session, tutorial_ids: Collection[int], *, now: datetime) -> None:
    """Called within the same transaction after the change (and before a row is taken away, while it can still be read).

    What is made of the words elsewhere is brought up to date from here: the index to search in. A draft passes too, and is
    not found.
    """
    if tutorial_ids:
        db.flush()
        db.execute(update(Tutorial).where(Tutorial.id.in_(tutorial_ids)).values(changed_at=now))
        keep_findable(db, *sorted(tutorial_ids))

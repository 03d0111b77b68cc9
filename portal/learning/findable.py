"""What of this room can be found by searching: the published lessons, in each language they are written in.

Whatever publishes a lesson, takes it back or changes its words calls `keep_findable` in the same transaction.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.learning.markdown import as_plain
from portal.learning.models import Tutorial, TutorialText
from portal.search import index
from portal.search.rules import Document, Kind

_LESSONS = (
    select(
        Tutorial.id,
        Tutorial.slug,
        Tutorial.stage_key,
        TutorialText.language,
        TutorialText.title,
        TutorialText.summary,
        TutorialText.body,
    )
    .join(TutorialText, TutorialText.tutorial_id == Tutorial.id)
    .where(Tutorial.published_at.is_not(None))
    .order_by(Tutorial.id, TutorialText.language)
)


def lessons(db: Session, ids: Sequence[int] | None = None) -> Iterator[Document]:
    """The published lessons as they can be found: all, or those of these ids."""
    asked = _LESSONS if ids is None else _LESSONS.where(Tutorial.id.in_(ids))
    for number, slug, stage_key, language, title, summary, body in db.execute(asked).yield_per(200):
        said = f"{summary}\n{as_plain(body)}" if summary else as_plain(body)
        yield Document(Kind.LESSON, str(number), str(language), title, f"/learn/{slug}", said, place=stage_key)


def keep_findable(db: Session, tutorial_id: int) -> None:
    """Puts a lesson into the index as it is now, or takes it out if nobody may read it any more."""
    db.flush()
    documents = list(lessons(db, [tutorial_id]))
    if documents:
        index.put(db, documents)
    else:
        index.remove(db, Kind.LESSON, [str(tutorial_id)])

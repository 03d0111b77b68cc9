"""What of this room can be found by searching: the published lessons, examples and news, in each language they are written
in, by those whom they are for.

`learning.changes` calls `keep_findable` in the transaction of whatever publishes one, takes it back or changes it.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.learning.markdown import as_plain
from portal.learning.models import Tutorial, TutorialText
from portal.learning.rules import Audience
from portal.learning.rules import Kind as Written
from portal.search import index
from portal.search.rules import EVERYBODY, Document, Kind, of_place, of_plan

KINDS = {Written.TUTORIAL: Kind.LESSON, Written.EXAMPLE: Kind.EXAMPLE, Written.NEWS: Kind.NEWS}

_LESSONS = (
    select(
        Tutorial.id,
        Tutorial.slug,
        Tutorial.kind,
        Tutorial.stage_key,
        Tutorial.audience,
        Tutorial.plans,
        TutorialText.language,
        TutorialText.title,
        TutorialText.summary,
        TutorialText.body,
        TutorialText.who,
        TutorialText.achieved,
    )
    .join(TutorialText, TutorialText.tutorial_id == Tutorial.id)
    .where(Tutorial.published_at.is_not(None))
    .order_by(Tutorial.id, TutorialText.language)
)


def lessons(db: Session, ids: Sequence[int] | None = None, *, kind: Written = Written.TUTORIAL) -> Iterator[Document]:
    """The published ones of a kind as they can be found: all, or those of these ids."""
    asked = _LESSONS.where(Tutorial.kind == kind)
    asked = asked if ids is None else asked.where(Tutorial.id.in_(ids))
    for number, slug, _, stage_key, audience, plans, language, title, summary, body, who, achieved in db.execute(
        asked
    ).yield_per(200):
        said = "\n".join(filter(None, (summary, who, achieved, as_plain(body))))
        for whose in sorted({of_plan(plan) for plan in plans} or {EVERYBODY}):
            seen_by = whose if audience is Audience.EVERYONE else of_place(whose, audience)
            path = f"/learn/{slug}"
            yield Document(
                KINDS[kind], str(number), str(language), title, path, said, audience=seen_by, place=stage_key
            )


def examples(db: Session) -> Iterator[Document]:
    return lessons(db, kind=Written.EXAMPLE)


def news(db: Session) -> Iterator[Document]:
    return lessons(db, kind=Written.NEWS)


def keep_findable(db: Session, *tutorial_ids: int) -> None:
    """Puts them into the index as they are now, and takes out what nobody may read any more, or not as that kind."""
    db.flush()
    for written, kind in KINDS.items():
        documents = list(lessons(db, tutorial_ids, kind=written))
        index.put(db, documents)
        index.remove(db, kind, sorted({str(number) for number in tutorial_ids} - {each.ref for each in documents}))

"""What the search index is made of: each room's own account of what of it can be found, in one place."""

from collections.abc import Callable, Iterable, Mapping

from sqlalchemy.orm import Session

from portal.learning.findable import examples, lessons, news
from portal.messages.findable import messages
from portal.search import index
from portal.search.rules import Document, Kind

SOURCES: Mapping[Kind, Callable[[Session], Iterable[Document]]] = {
    Kind.LESSON: lessons,
    Kind.EXAMPLE: examples,
    Kind.NEWS: news,
    Kind.MESSAGE: messages,
}
"""By kind, all documents there are; a thing's own documents come one after the other."""


def bring_up_to_date(db: Session) -> int:
    """Makes the index what the rows say, writing only what differs; gives how many things that were."""
    return sum(index.refresh(db, kind, source(db)) for kind, source in SOURCES.items())


def make_anew(db: Session) -> int:
    """Empties the index and fills it from the rows; readers see the old one until the transaction ends."""
    index.clear(db)
    return bring_up_to_date(db)

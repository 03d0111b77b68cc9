"""What of a thread can be found by searching: each message, by those who may see the thread (`queries.sees_thread`)."""

from collections.abc import Iterable, Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.accounts.models import Contact, Staff
from portal.messages.models import Message
from portal.search import index
from portal.search.rules import Document, Kind, of_account

_MESSAGES = (
    select(Message.id, Message.account_id, func.coalesce(Contact.name, Staff.name, ""), Message.text)
    .outerjoin(Contact, Contact.id == Message.contact_id)
    .outerjoin(Staff, Staff.id == Message.staff_id)
    .order_by(Message.id)
)


def messages(db: Session) -> Iterator[Document]:
    """All there are."""
    return _documents(db.execute(_MESSAGES).yield_per(200))


def keep_findable(db: Session, message_id: int) -> None:
    """Puts a message into the index; a message never changes."""
    index.put(db, _documents(db.execute(_MESSAGES.where(Message.id == message_id))))


def _documents(rows: Iterable[tuple[int, int, str, str]]) -> Iterator[Document]:
    for number, account_id, author, text in rows:
        # In nobody's language: people write as they like. The stretch of the thread that ends with it is where it is read.
        path = f"/messages?before={number + 1}#m{number}"
        yield Document(Kind.MESSAGE, str(number), "", author or "—", path, text, audience=of_account(account_id))

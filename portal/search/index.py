"""Keeping the index: rooms put what can be found, and take it out, in their own transaction."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from sqlalchemy import bindparam, delete, select, text
from sqlalchemy.orm import Session

from portal.db import insert_for, rows_of
from portal.search.models import SearchDocument, SearchSpelling
from portal.search.rules import (
    LONGEST_TEXT,
    Document,
    Kind,
    can_be_misspelt,
    fold_in_place,
    parts,
    scope,
    words_in,
)

AT_ONCE = 200
"""Documents written with one statement: SQLite takes some 32 000 values in one."""
LINES_AT_ONCE = 20_000
"""Parts of words written with one statement."""
MOST_PLACES = 250
"""Places of one word in a document that PostgreSQL is told: it keeps no more than 256."""

_KNOWN = select(
    SearchDocument.id,
    SearchDocument.kind,
    SearchDocument.ref,
    SearchDocument.language,
    SearchDocument.audience,
    SearchDocument.fingerprint,
).where(SearchDocument.kind == bindparam("kind"), SearchDocument.ref.in_(bindparam("refs", expanding=True)))

_SPELT = select(SearchSpelling.word).where(SearchSpelling.word.in_(bindparam("words", expanding=True))).distinct()

_SQLITE_HAS = text("SELECT 1 FROM search_index WHERE search_index MATCH :word LIMIT 1")
_POSTGRESQL_HAS = text("SELECT 1 FROM search_index WHERE words @@ CAST(:word AS tsquery) LIMIT 1")
_SQLITE_DROP = text("DELETE FROM search_index WHERE rowid = :id")
_SQLITE_WRITE = text(
    "INSERT INTO search_index (rowid, scope, title, names, text) VALUES (:id, :scope, :title, :names, :text)"
)
_POSTGRESQL_DROP = text("DELETE FROM search_index WHERE document_id = :id")
_POSTGRESQL_WRITE = text(
    "INSERT INTO search_index (document_id, title, words) "
    "VALUES (:id, CAST(:title AS tsvector), CAST(:words AS tsvector))"
)
_POSTGRESQL_SPELL = text(
    "INSERT INTO search_spellings (part, word) "
    "SELECT * FROM unnest(CAST(:parts AS varchar[]), CAST(:words AS varchar[])) ON CONFLICT DO NOTHING"
)


def put(db: Session, documents: Iterable[Document]) -> int:
    """Makes these findable; gives how many were new or changed.

    Give all documents of a thing together (its languages, its audiences): those of before that are not among them are
    taken out, so that what is no longer for everybody is not found by everybody.
    """
    changed = 0
    words: set[str] = set()
    for some in _by_thing(documents):
        changed += _put(db, some, words)
    _write_spellings(db, words)
    return changed


def remove(db: Session, kind: Kind, refs: Sequence[str]) -> None:
    """Takes things out, in every language and for every audience."""
    for some in _some(iter(refs)):
        _drop(db, [row.id for row in rows_of(db, _KNOWN, {"kind": kind.value, "refs": some})])


def forget_words(db: Session, words: Iterable[str]) -> None:
    """Takes those words out of the spellings that nothing has any more: of somebody who was erased not even a guess stays."""
    connection = db.connection()
    asks = _POSTGRESQL_HAS if connection.dialect.name == "postgresql" else _SQLITE_HAS
    quote = "'" if connection.dialect.name == "postgresql" else '"'
    gone = [
        word
        for word in sorted(set(words))
        if can_be_misspelt(word) and connection.execute(asks, {"word": f"{quote}{word}{quote}"}).first() is None
    ]
    for some in _some(iter(gone)):
        db.execute(delete(SearchSpelling).where(SearchSpelling.word.in_(some)))


def refresh(db: Session, kind: Kind, documents: Iterable[Document]) -> int:
    """Makes these, and nothing else of their kind, findable; gives how many were new or changed."""
    given: set[str] = set()

    def noted() -> Iterator[Document]:
        for document in documents:
            given.add(document.ref)
            yield document

    changed = put(db, noted())
    there = db.scalars(select(SearchDocument.ref).where(SearchDocument.kind == kind.value).distinct()).all()
    gone = sorted(set(there) - given)
    remove(db, kind, gone)
    return changed + len(gone)


def clear(db: Session) -> None:
    """Empties the index, its words included; to be filled anew in the same transaction."""
    db.execute(text("DELETE FROM search_index"))
    db.execute(delete(SearchDocument))
    db.execute(delete(SearchSpelling))


def _some(rest: Iterator[str]) -> Iterator[list[str]]:
    while some := list(islice(rest, AT_ONCE)):
        yield some


def _by_thing(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Some documents at a time; those of one thing are never parted, if they came one after the other."""
    some: list[Document] = []
    for document in documents:
        last = some[-1] if some else document
        if len(some) >= AT_ONCE and (document.kind, document.ref) != (last.kind, last.ref):
            yield some
            some = []
        some.append(document)
    if some:
        yield some


def _put(db: Session, documents: Sequence[Document], words: set[str]) -> int:
    """To `words` are added those whose spellings have to be there in the end."""
    known: dict[tuple[str, str, str, str], tuple[int, str]] = {}
    for kind in sorted({document.kind for document in documents}):
        refs = sorted({document.ref for document in documents if document.kind == kind})
        for row in rows_of(db, _KNOWN, {"kind": kind.value, "refs": refs}):
            known[row.kind, row.ref, row.language, row.audience] = (row.id, row.fingerprint)
    # In one order, whoever writes: two that write the same things must not wait for each other.
    wanted = {_key(document): document for document in sorted(documents, key=_key)}
    gone = [number for key, (number, _) in known.items() if key not in wanted]
    changed = [document for key, document in wanted.items() if known.get(key, (0, ""))[1] != document.fingerprint]
    _drop(db, gone)
    if changed:
        _write(db, changed)
        words |= _spellable(changed)
    return len(changed)


def _key(document: Document) -> tuple[str, str, str, str]:
    return document.kind.value, document.ref, document.language, document.audience


def _drop(db: Session, ids: Sequence[int]) -> None:
    if not ids:
        return
    connection = db.connection()
    drop = _POSTGRESQL_DROP if connection.dialect.name == "postgresql" else _SQLITE_DROP
    connection.execute(drop, [{"id": number} for number in ids])
    connection.execute(delete(SearchDocument).where(SearchDocument.id.in_(ids)))


def _write(db: Session, documents: Sequence[Document]) -> None:
    rows = [
        {
            "kind": document.kind.value,
            "ref": document.ref,
            "language": document.language,
            "audience": document.audience,
            "title": document.title,
            "text": document.text[:LONGEST_TEXT],
            "folded": fold_in_place(document.text[:LONGEST_TEXT]),
            "path": document.path,
            "place": document.place,
            "names": document.names,
            "fingerprint": document.fingerprint,
        }
        for document in documents
    ]
    table = SearchDocument.__table__.c
    new = insert_for(db, SearchDocument.__table__)
    same = ("kind", "ref", "language", "audience")
    values = {name: new.excluded[name] for name in rows[0] if name not in same}
    # The rows beside the statement, not in it: it is compiled once.
    written = db.connection().execute(
        new.on_conflict_do_update(index_elements=same, set_=values).returning(
            table.id, table.kind, table.ref, table.language, table.audience
        ),
        rows,
    )
    ids = {(kind, ref, language, audience): number for number, kind, ref, language, audience in written}
    connection = db.connection()
    entries = [(ids[_key(document)], document) for document in documents]
    if connection.dialect.name == "postgresql":
        drop, write = _POSTGRESQL_DROP, _POSTGRESQL_WRITE
        lines = [
            {
                "id": number,
                "title": _vector(document, with_text=False),
                "words": _vector(document, with_text=True),
            }
            for number, document in entries
        ]
    else:
        drop, write = _SQLITE_DROP, _SQLITE_WRITE
        lines = [
            {
                "id": number,
                "scope": scope(document.audience, document.language),
                "title": " ".join(words_in(document.title)),
                "names": " ".join(words_in(document.names)),
                "text": " ".join(words_in(document.text[:LONGEST_TEXT])),
            }
            for number, document in entries
        ]
    connection.execute(drop, [{"id": line["id"]} for line in lines])
    connection.execute(write, lines)


def _vector(document: Document, *, with_text: bool) -> str:
    """The document's words as PostgreSQL writes a tsvector. Words are letters and digits alone, so nothing needs quoting
    but the whole; and they are cut by us, so that both databases find the same. No word begins with `@`: the scope does."""
    places: dict[str, list[str]] = {f"@{scope(document.audience, document.language)}": ["1"]}
    parts_of_it = [("A", document.title), ("B", document.names)]
    if with_text:
        parts_of_it.append(("", document.text[:LONGEST_TEXT]))
    at = 0
    for weight, said in parts_of_it:
        for word in words_in(said):
            at += 1
            its = places.setdefault(word, [])
            if len(its) < MOST_PLACES:
                its.append(f"{min(at, 16_383)}{weight}")
    return " ".join(f"'{word}':{','.join(its)}" for word, its in places.items())


def _spellable(documents: Sequence[Document]) -> set[str]:
    every = {
        word
        for document in documents
        for said in (document.title, document.names, document.text[:LONGEST_TEXT])
        for word in words_in(said)
    }
    return {word for word in every if can_be_misspelt(word)}


def _write_spellings(db: Session, words: set[str]) -> None:
    """Once for all documents, and in the order of the table: its pages are filled one after the other."""
    new = set(words)
    for some in _some(iter(sorted(words))):
        new -= {word for (word,) in rows_of(db, _SPELT, {"words": some})}
    # In one order, whoever writes: two that bring the same words wait for each other once, and never in a ring.
    rows = sorted((part, word) for word in new for part in parts(word))
    connection = db.connection()
    for start in range(0, len(rows), LINES_AT_ONCE):
        lines = rows[start : start + LINES_AT_ONCE]
        if connection.dialect.name == "postgresql":
            columns = {"parts": [part for part, _ in lines], "words": [word for _, word in lines]}
            connection.execute(_POSTGRESQL_SPELL, columns)
        else:
            connection.exec_driver_sql("INSERT OR IGNORE INTO search_spellings (part, word) VALUES (?, ?)", lines)

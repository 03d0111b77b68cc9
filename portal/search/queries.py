"""Finding: what the reader may see that answers what was typed, best first. Each database asks its own index."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select, text
from sqlalchemy.orm import Session

from portal.db import rows_of
from portal.search.models import SearchDocument, SearchSpelling
from portal.search.rules import (
    EVERYBODY,
    Document,
    Kind,
    Piece,
    Term,
    as_typed,
    as_written,
    asked_for,
    can_be_misspelt,
    closeness,
    excerpt,
    marked,
    matches,
    nearest,
    parts,
    pattern_of,
    with_other_forms,
    with_spellings,
    words_in,
)

MOST = 30
"""Things on a page of results; who finds none of theirs among them types another word."""
CANDIDATES = 80
FEW = 5
"""With fewer than this, other forms of the words are let in, too."""


class Reader(NamedTuple):
    """Who asks: their language, what they may see, the key of the stage they stand in."""

    language: str
    audiences: tuple[str, ...] = (EVERYBODY,)
    place: str = ""


class Hit(NamedTuple):
    """One thing found; what was looked for is marked in title and excerpt."""

    kind: Kind
    ref: str
    language: str
    path: str
    title: tuple[Piece, ...]
    excerpt: tuple[Piece, ...]


class Found(NamedTuple):
    """What was found for the words, best first. `meant`: what was taken for them where nothing had them as they were
    typed. `is_loose`: nothing had all of them, so these have some. `more`: there would be more than are shown."""

    words: tuple[str, ...]
    hits: tuple[Hit, ...]
    meant: str = ""
    is_loose: bool = False
    more: bool = False


class _Candidate(NamedTuple):
    """Something that may be shown; `at` counts from the best in the index's own order."""

    kind: str
    ref: str
    language: str
    title: str
    path: str
    place: str
    at: int
    number: int
    text: str


# The reader's language first, then the index's own order (bm25): a word in the title weighs six times one in the text.
_SQLITE = text(
    """
    SELECT d.id, d.kind, d.ref, d.language, d.title, d.path, d.place
    FROM search_index JOIN search_documents d ON d.id = search_index.rowid
    WHERE search_index MATCH :question AND d.audience IN :audiences
    ORDER BY d.language = :language DESC, bm25(search_index, 6.0, 3.0, 1.0), d.id LIMIT :most
    """
).bindparams(bindparam("audiences", expanding=True))
_POSTGRESQL = text(
    """
    SELECT d.id, d.kind, d.ref, d.language, d.title, d.path, d.place
    FROM search_index i JOIN search_documents d ON d.id = i.document_id
    WHERE i.words @@ CAST(:question AS tsquery) AND d.audience IN :audiences
    ORDER BY d.language = :language DESC, ts_rank(i.words, CAST(:question AS tsquery), 1) DESC, d.id LIMIT :most
    """
).bindparams(bindparam("audiences", expanding=True))
_TEXTS = select(SearchDocument.id, SearchDocument.text).where(
    SearchDocument.id.in_(bindparam("ids", expanding=True))
)
_SPELLINGS = (
    select(SearchSpelling.word).where(SearchSpelling.part.in_(bindparam("parts", expanding=True))).distinct()
)


def find(db: Session, typed: str, reader: Reader, *, own: Sequence[Document] = ()) -> Found:
    """What the reader may see that answers what they typed. `own` are the few rows of the reader themselves.

    At most six statements, however much there is: the words as typed; their other forms where little was found; then
    likely misspellings; then any of the words; and the texts of what is shown.
    """
    words = asked_for(typed)
    if not words:
        return Found((), ())
    search = _Search(db, reader, [_OwnWords(document) for document in own])
    terms = as_typed(words)
    found = search.all_of(terms)
    meant: tuple[Term, ...] = ()
    if len(found) < FEW:
        terms = with_other_forms(terms)
        found = search.all_of(terms)
    if not found:
        terms = with_spellings(terms, search.spellings(words))
        if any(term.whole for term in terms):
            found, meant = search.all_of(terms), terms
    is_loose = not found and len(words) > 1
    if is_loose:
        found = search.any_of(terms)
    return search.shown(words, terms, found, is_loose=is_loose, is_guess=bool(meant))


class _OwnWords:
    """A document of the reader's own with its words."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.words = frozenset(words_in(f"{document.title} {document.names} {document.text}"))


class _Search:
    """One look through the index and the reader's own."""

    def __init__(self, db: Session, reader: Reader, own: Sequence[_OwnWords]) -> None:
        self.db = db
        self.reader = reader
        self.own = own
        self.is_postgresql = db.get_bind().dialect.name == "postgresql"

    def all_of(self, terms: Sequence[Term]) -> list[_Candidate]:
        return self._ask(terms, least=len(terms))

    def any_of(self, terms: Sequence[Term]) -> list[_Candidate]:
        return self._ask(terms, least=1)

    def _ask(self, terms: Sequence[Term], *, least: int) -> list[_Candidate]:
        own = [
            _Candidate(d.kind, d.ref, d.language, d.title, d.path, d.place, 0, 0, d.text)
            for d, words in ((each.document, each.words) for each in self.own)
            if matches(terms, words, least=least)
        ]
        every = least == len(terms)
        asked = {
            "question": _tsquery(terms, every=every) if self.is_postgresql else _match(terms, every=every),
            "audiences": list(self.reader.audiences),
            "language": self.reader.language,
            "most": CANDIDATES,
        }
        rows = rows_of(self.db, _POSTGRESQL if self.is_postgresql else _SQLITE, asked)
        indexed = [
            _Candidate(kind, ref, language, title, path, place, at, number, "")
            for at, (number, kind, ref, language, title, path, place) in enumerate(rows)
        ]
        return [*own, *indexed]

    def spellings(self, words: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """For each word the known ones that may have been meant; from the index, and from the reader's own."""
        unsure = [word for word in words if can_be_misspelt(word)]
        if not unsure:
            return {}
        wanted = sorted(set().union(*(parts(word) for word in unsure)))
        known = [word for (word,) in rows_of(self.db, _SPELLINGS, {"parts": wanted})]
        known += {word for each in self.own for word in each.words if can_be_misspelt(word)}
        return {word: nearest(word, (each for each in known if _is_like(each, word))) for word in unsure}

    def shown(
        self,
        words: tuple[str, ...],
        terms: Sequence[Term],
        found: Sequence[_Candidate],
        *,
        is_loose: bool,
        is_guess: bool,
    ) -> Found:
        ranked = self._ranked(terms, found)
        top = ranked[:MOST]
        texts = dict(rows_of(self.db, _TEXTS, {"ids": [each.number for each in top if each.number]})) if top else {}
        full = [each._replace(text=texts.get(each.number, each.text)) for each in top]
        pattern = pattern_of(terms)
        hits = tuple(
            Hit(
                Kind(each.kind),
                each.ref,
                each.language,
                each.path,
                marked(each.title, pattern),
                marked(excerpt(each.text, pattern), pattern),
            )
            for each in full
        )
        meant = _meant(terms, full) if is_guess else ""
        return Found(words, hits, meant, is_loose and bool(hits), len(ranked) > MOST)

    def _ranked(self, terms: Sequence[Term], found: Sequence[_Candidate]) -> list[_Candidate]:
        """Best first, each thing once: in the reader's language if it is there."""
        scored = sorted(((self._score(terms, each), n, each) for n, each in enumerate(found)), key=lambda s: (-s[0], s[1]))
        best: dict[tuple[str, str], _Candidate] = {}
        for _, _, each in scored:
            known = best.get((each.kind, each.ref))
            if known is None or (each.language == self.reader.language != known.language):
                best[each.kind, each.ref] = each if known is None else each
        return list(best.values())

    def _score(self, terms: Sequence[Term], each: _Candidate) -> float:
        title = closeness(terms, words_in(each.title))
        order = 1.0 - each.at / CANDIDATES
        own_language = 1.0 if each.language == self.reader.language else 0.0
        here = 0.25 if each.place and each.place == self.reader.place else 0.0
        return 2.0 * title + order + own_language + here


def _is_like(known: str, typed: str) -> bool:
    return not parts(known).isdisjoint(parts(typed))


def _meant(terms: Sequence[Term], found: Iterable[_Candidate]) -> str:
    """The words that were taken for those typed, as what was found writes them; only words that the reader can see."""
    texts = [f"{each.title} {each.text}" for each in found]
    there = [frozenset(words_in(each)) for each in texts[:MOST]]
    said = []
    for term in terms:
        taken = term.word
        if not any(word.startswith(term.beginnings or (term.word,)) for words in there for word in words):
            taken = next((word for word in term.whole if any(word in words for words in there)), term.word)
        said.append(as_written(taken, texts))
    return " ".join(said)


def _match(terms: Sequence[Term], *, every: bool) -> str:
    """FTS5's way of asking. Terms are letters and digits alone, and quoted: nothing typed becomes an operator."""
    asked = [
        "(" + " OR ".join([f'"{each}"*' for each in term.beginnings] + [f'"{each}"' for each in term.whole]) + ")"
        for term in terms
    ]
    return (" AND " if every else " OR ").join(asked)


def _tsquery(terms: Sequence[Term], *, every: bool) -> str:
    """PostgreSQL's way of asking, the same."""
    asked = [
        "(" + " | ".join([f"'{each}':*" for each in term.beginnings] + [f"'{each}'" for each in term.whole]) + ")"
        for term in terms
    ]
    return (" & " if every else " | ").join(asked)

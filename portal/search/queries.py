"""Finding: what the reader may see that answers what was typed, best first. Each database asks its own index."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import TextClause, bindparam, select, text
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
    first_place,
    fold_in_place,
    marked,
    matches,
    nearest,
    parts,
    pattern_of,
    scope,
    spaced,
    spaced_short,
    with_other_forms,
    with_spellings,
)
from portal.words import LOCALES

DQ, SQ = '"', "'"
MOST = 20
"""Things on a page of results; who finds none of theirs among them types another word."""
GUESSED_FROM = 5
"""Among so many of the best is looked which guess was right."""
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
    folded: str


# A few looks in one statement: titles before texts, in the reader's language before the other one. Each look is limited
# before it is ranked: where more texts have the words than anybody reads, the newest are ranked, and a page stays quick.
# On SQLite only texts are ranked by the index (`bm25` counts each word and each scope through the whole of it first); titles
# are compared here anyway. On PostgreSQL the looks are functions, see the migration that made them.
_SQLITE_TITLES = """
    SELECT * FROM (
        SELECT {n} AS look, rowid AS id, 0.0 AS rank
        FROM search_index WHERE search_index MATCH :look_{n} ORDER BY rowid DESC LIMIT {most}
    )"""
_SQLITE_TEXTS = _SQLITE_TITLES.replace("0.0 AS", "bm25(search_index, 0.0, 6.0, 3.0, 1.0) AS")
_POSTGRESQL_TITLES = "SELECT {n} AS look, id, 0.0 AS rank FROM search_titles(CAST(:look_{n} AS tsquery), {most}) AS id"
_POSTGRESQL_TEXTS = (
    "SELECT {n} AS look, id, rank FROM search_texts(CAST(:look_{n} AS tsquery), CAST(:terms AS tsquery), {most})"
)


def _looks(titles: str, texts: str, *, limits: Sequence[int]) -> TextClause:
    """The statement of the first looks."""
    looks = (titles, texts, titles, texts)
    united = " UNION ALL ".join(looks[n].format(n=n, most=most) for n, most in enumerate(limits))
    return text(
        f"""
        SELECT d.id, d.kind, d.ref, d.language, d.title, d.path, d.place FROM ({united}) AS found
        JOIN search_documents d ON d.id = found.id ORDER BY found.look, found.rank, d.id DESC
        """  # noqa: S608 - of our own words only
    )


_QUICK: tuple[int, ...] = (40, 60, 20)
_THOROUGH: tuple[int, ...] = (60, 120, 30, 60)
_SQLITE = {limits: _looks(_SQLITE_TITLES, _SQLITE_TEXTS, limits=limits) for limits in (_QUICK, _THOROUGH)}
_POSTGRESQL = {limits: _looks(_POSTGRESQL_TITLES, _POSTGRESQL_TEXTS, limits=limits) for limits in (_QUICK, _THOROUGH)}
POSTGRESQL_READ = select(SearchDocument.id, SearchDocument.text, SearchDocument.folded).where(
    SearchDocument.id.in_(bindparam("ids", expanding=True))
)
# Row by row by its number, said so that nothing else can be chosen: with `IN`, or a join, and statistics from when there were
# fewer texts, SQLite reads through all of them for these twenty (25 ms of 5 000 articles' 38).
SQLITE_READ = text(
    """
    SELECT shown.value, (SELECT d.text FROM search_documents d WHERE d.id = shown.value),
        (SELECT d.folded FROM search_documents d WHERE d.id = shown.value)
    FROM json_each(:ids) AS shown
    """
)
_SPELLINGS = select(SearchSpelling.part, SearchSpelling.word).where(
    SearchSpelling.part.in_(bindparam("parts", expanding=True))
)


def find(db: Session, typed: str, reader: Reader, *, own: Sequence[Document] = (), most: int = MOST) -> Found:
    """What the reader may see that answers what they typed, the best `most`. `own` are the few rows of the reader themselves.

    Two statements where the words as typed are found often enough: they, and the texts of what is shown. At most six,
    however much there is: other forms and texts in the other language where little was found; then likely misspellings;
    then any of the words.
    """
    words = asked_for(typed)
    if not words:
        return Found((), ())
    search = _Search(db, reader, [_OwnWords(document) for document in own])
    terms = as_typed(words)
    found = search.all_of(terms, _QUICK)
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
    return search.shown(words, terms, found, is_loose=is_loose, is_guess=bool(meant), most=most)


class _OwnWords:
    """A document of the reader's own with its words (`spaced`)."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.said = spaced_short(f"{document.title} {document.names} {document.text}")


class _Search:
    """One look through the index and the reader's own."""

    def __init__(self, db: Session, reader: Reader, own: Sequence[_OwnWords]) -> None:
        self.db = db
        self.reader = reader
        self.own = own
        self.is_postgresql = db.get_bind().dialect.name == "postgresql"

    def all_of(self, terms: Sequence[Term], limits: tuple[int, ...] = _THOROUGH) -> list[_Candidate]:
        return self._ask(terms, limits, least=len(terms))

    def any_of(self, terms: Sequence[Term]) -> list[_Candidate]:
        return self._ask(terms, _THOROUGH, least=1)

    def _ask(self, terms: Sequence[Term], limits: tuple[int, ...], *, least: int) -> list[_Candidate]:
        own = [
            _Candidate(d.kind, d.ref, d.language, d.title, d.path, d.place, 0, 0, d.text, fold_in_place(d.text))
            for d, said in ((each.document, each.said) for each in self.own)
            if matches(terms, said, least=least)
        ]
        every = least == len(terms)
        asked = self._tsqueries(terms, every) if self.is_postgresql else self._matches(terms, every)
        indexed: dict[int, _Candidate] = {}
        for number, kind, ref, language, title, path, place in rows_of(
            self.db, (_POSTGRESQL if self.is_postgresql else _SQLITE)[limits], asked
        ):
            at = len(indexed)
            indexed.setdefault(number, _Candidate(kind, ref, language, title, path, place, at, number, "", ""))
        return [*own, *indexed.values()]

    def _scopes(self) -> Iterator[list[str]]:
        """The scopes of the four looks: the reader's own language (and what is in nobody's) twice, then the others twice."""
        own = [
            scope(audience, language) for audience in self.reader.audiences for language in (self.reader.language, "")
        ]
        others = [
            scope(audience, language)
            for audience in self.reader.audiences
            for language in LOCALES
            if language != self.reader.language
        ]
        yield from (own, own, others, others)

    def _matches(self, terms: Sequence[Term], every: bool) -> dict[str, str]:
        """FTS5's way of asking. Terms are letters and digits alone, and quoted: nothing typed becomes an operator."""
        words = (" AND " if every else " OR ").join(
            "(" + " OR ".join([f'"{each}" *' for each in term.beginnings] + [f'"{each}"' for each in term.whole]) + ")"
            for term in terms
        )
        columns = ("{title names}", "{title names text}") * 2
        return {
            f"look_{n}": f"scope : ({' OR '.join(f'{DQ}{each}{DQ}' for each in scopes)}) AND {column} : ({words})"
            for n, (scopes, column) in enumerate(zip(self._scopes(), columns, strict=True))
        }

    def _tsqueries(self, terms: Sequence[Term], every: bool) -> dict[str, str]:
        """PostgreSQL's way of asking, the same."""
        words = (" & " if every else " | ").join(
            "(" + " | ".join([f"'{each}':*" for each in term.beginnings] + [f"'{each}'" for each in term.whole]) + ")"
            for term in terms
        )
        asked = {
            f"look_{n}": f"({' | '.join(f'{SQ}@{each}{SQ}' for each in scopes)}) & ({words})"
            for n, scopes in enumerate(self._scopes())
        }
        return {"terms": words, **asked}

    def spellings(self, words: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """For each word the known ones that may have been meant; from the index, and from the reader's own."""
        left = {word: parts(word) for word in words if can_be_misspelt(word)}
        if not left:
            return {}
        like: dict[str, set[str]] = {typed: set() for typed in left}
        for part, word in rows_of(self.db, _SPELLINGS, {"parts": sorted(frozenset().union(*left.values()))}):
            for typed, remains in left.items():
                if part in remains:
                    like[typed].add(word)
        for word in frozenset(word for each in self.own for word in each.said.split()):
            for typed, remains in left.items():
                if can_be_misspelt(word) and not parts(word).isdisjoint(remains):
                    like[typed].add(word)
        return {typed: nearest(typed, known) for typed, known in like.items()}

    def shown(
        self,
        words: tuple[str, ...],
        terms: Sequence[Term],
        found: Sequence[_Candidate],
        *,
        is_loose: bool,
        is_guess: bool,
        most: int,
    ) -> Found:
        ranked = self._ranked(terms, found)
        top = ranked[:most]
        ids = [each.number for each in top if each.number]
        texts = {number: said for number, *said in self._texts(ids)} if ids else {}
        full = [
            each._replace(text=said[0], folded=said[1]) if (said := texts.get(each.number)) else each for each in top
        ]
        pattern = pattern_of(terms)
        hits = tuple(
            Hit(
                Kind(each.kind),
                each.ref,
                each.language,
                each.path,
                marked(each.title, pattern),
                marked(excerpt(each.text, first_place(terms, each.folded)), pattern),
            )
            for each in full
        )
        meant = _meant(terms, full) if is_guess and full else ""
        return Found(words, hits, meant, is_loose and bool(hits), len(ranked) > most)

    def _texts(self, ids: Sequence[int]) -> Sequence[Any]:
        if self.is_postgresql:
            return rows_of(self.db, POSTGRESQL_READ, {"ids": ids})
        return rows_of(self.db, SQLITE_READ, {"ids": json.dumps(ids)})

    def _ranked(self, terms: Sequence[Term], found: Sequence[_Candidate]) -> list[_Candidate]:
        """Best first, each thing once: in the reader's language if it is there."""
        scored = sorted(
            ((self._score(terms, each), n, each) for n, each in enumerate(found)), key=lambda s: (-s[0], s[1])
        )
        best: dict[tuple[str, str], _Candidate] = {}
        for _, _, each in scored:
            known = best.get((each.kind, each.ref))
            if known is None or (each.language == self.reader.language != known.language):
                best[each.kind, each.ref] = each
        return list(best.values())

    def _score(self, terms: Sequence[Term], each: _Candidate) -> float:
        title = closeness(terms, spaced_short(each.title))
        order = 1.0 / (1.0 + each.at / 20)
        own_language = 1.0 if each.language in (self.reader.language, "") else 0.0
        here = 0.25 if each.place and each.place == self.reader.place else 0.0
        return 2.0 * title + order + own_language + here


def _meant(terms: Sequence[Term], found: Sequence[_Candidate]) -> str:
    """The words that were taken for those typed, as what was found writes them; only words that the reader can see."""
    there = [spaced(f"{each.title} {each.folded}") for each in found[:GUESSED_FROM]]
    texts = [
        pair
        for each in found[:GUESSED_FROM]
        for pair in ((each.title, fold_in_place(each.title)), (each.text, each.folded))
    ]
    said = []
    for term in terms:
        taken = term.word
        if not any(f" {each}" in words for words in there for each in term.beginnings or (term.word,)):
            taken = next((word for word in term.whole if any(f" {word} " in words for words in there)), term.word)
        said.append(as_written(taken, texts))
    return " ".join(said)

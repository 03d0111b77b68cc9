"""What is found, and what is not: on both databases, with what could leak in sight."""

import json
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from portal.db import Database
from portal.search import index, queries
from portal.search.models import SearchDocument, SearchSpelling
from portal.search.queries import Found, Reader
from portal.search.rules import EVERYBODY, Document, Kind, of_account, of_contact, of_plan

PADARIA, FLORICULTURA, MARIA, JOAO, SOFIA = 1, 2, 11, 12, 21


def lesson(ref: str, language: str, title: str, said: str = "", **more: str) -> Document:
    return Document(Kind.LESSON, ref, language, title, f"/learn/{ref}", said, **more)


SHELF = [
    lesson("1", "en", "Keep every receipt", "Where receipts go, and the schedule behind it.", place="deployment"),
    lesson("1", "pt-BR", "Guarde cada recibo", "Para onde vão os recibos e o agendamento por trás disso."),
    lesson("2", "en", "Rolling it out", "The deployment of your workspace, step by step. No receipt needed."),
    lesson("2", "pt-BR", "A implantação passo a passo", "Como fazer a implantação com a sua equipe. Reuniões curtas."),
    lesson("3", "en", "Only in English: the ledger", "A ledger keeps promises."),
]
PRIVATE = [
    Document(Kind.MESSAGE, "m1", "en", "Zeppelin budget", "/messages/1", "The zeppelin costs", of_account(PADARIA)),
    Document(Kind.MESSAGE, "m2", "en", "Just for Maria", "/messages/2", "The mandolin", of_contact(MARIA)),
    lesson("4", "en", "For the Growth plan: orchestras", "", audience=of_plan("Growth")),
]

MARIAS = Reader("en", (EVERYBODY, of_plan("growth"), of_account(PADARIA), of_contact(MARIA)), "deployment")
JOAOS = Reader("en", (EVERYBODY, of_plan("GROWTH"), of_account(PADARIA), of_contact(JOAO)))
SOFIAS = Reader("pt-BR", (EVERYBODY, of_plan("Start"), of_account(FLORICULTURA), of_contact(SOFIA)))

Look = Callable[..., Found]


@pytest.fixture
def look(database: Database) -> Look:
    with database.write() as db:
        index.put(db, [*SHELF, *PRIVATE])

    def find(typed: str, reader: Reader = MARIAS, *own: Document) -> Found:
        with database.read() as db:
            return queries.find(db, typed, reader, own=own)

    return find


def refs(found: Found) -> list[str]:
    return [hit.ref for hit in found.hits]


def said(found: Found) -> str:
    return str(found)


def test_the_title_comes_before_the_text(look: Look) -> None:
    assert refs(look("receipt")) == ["1", "2"]


@pytest.mark.parametrize("typed", ["re", "rec", "rece", "recei", "receip", "receipt"])
def test_it_finds_as_one_types(look: Look, typed: str) -> None:
    assert refs(look(typed))[0] == "1"


@pytest.mark.parametrize("typed", ["implantacao", "Implantação", "IMPLANTAÇAO", "implantaçao"])
def test_accents_and_case_make_no_difference(look: Look, typed: str) -> None:
    found = look(typed, SOFIAS)
    assert refs(found) == ["2"]
    assert found.meant == ""
    assert [piece.text for piece in found.hits[0].title if piece.is_hit] == ["implantação"]


@pytest.mark.parametrize(
    ("typed", "reader", "meant", "ref"),
    [
        ("reciept", MARIAS, "receipt", "1"),
        ("agendmento", SOFIAS, "", "1"),  # as another form of the word: nothing to guess
        ("agendmen", SOFIAS, "agendamento", "1"),
        ("implatnacao", SOFIAS, "implantação", "2"),
        ("recbo", SOFIAS, "recibo", "1"),
        ("passo implatação", SOFIAS, "passo implantação", "2"),
    ],
)
def test_slips_are_forgiven_and_said(look: Look, typed: str, reader: Reader, meant: str, ref: str) -> None:
    found = look(typed, reader)
    assert (refs(found)[0], found.meant) == (ref, meant)


def test_other_forms_of_a_word_are_found(look: Look) -> None:
    assert refs(look("reunião", SOFIAS)) == ["2"]
    assert refs(look("deployments")) == ["2"]


def test_the_readers_language_comes_first_and_each_thing_once(look: Look) -> None:
    found = look("passo", SOFIAS)
    assert [(hit.ref, hit.language) for hit in found.hits] == [("2", "pt-BR")]
    # What is written in the other language only is found all the same.
    assert [(hit.ref, hit.language) for hit in look("ledger", SOFIAS).hits] == [("3", "en")]
    assert [hit.language for hit in look("recibo", MARIAS).hits] == ["pt-BR"]


def test_where_the_reader_stands_breaks_a_tie(database: Database) -> None:
    twins = [
        lesson(ref, "en", "Counting stock", "The same words.", place=place)
        for ref, place in (("a", ""), ("b", "deployment"))
    ]
    with database.write() as db:
        index.put(db, twins)
    with database.read() as db:
        assert refs(queries.find(db, "stock", MARIAS)) == ["b", "a"]


def test_all_words_before_some_words(look: Look) -> None:
    assert refs(look("receipt deployment")) == ["2"]
    loose = look("receipt ledger")
    assert (set(refs(loose)), loose.is_loose) == ({"1", "2", "3"}, True)


# Who may see it


@pytest.mark.parametrize(
    "typed", ["zeppelin", "zepelin", "mandolin", "mandolim", "orchestras", "orchestra", "zep", "budget Maria"]
)
def test_sofia_finds_nothing_of_marias(look: Look, typed: str) -> None:
    """Nor a hint of it: what is taken for a misspelt word is only ever a word that the reader can see."""
    assert look(typed, MARIAS).hits != ()
    found = look(typed, SOFIAS)
    assert found.hits == ()
    assert found.meant == ""
    assert "zeppelin" not in said(found) or typed == "zeppelin"


def test_what_is_for_one_person_is_not_for_a_colleague(look: Look) -> None:
    assert refs(look("mandolin", MARIAS)) == ["m2"]
    assert refs(look("mandolin", JOAOS)) == []
    assert refs(look("zeppelin", JOAOS)) == ["m1"]
    assert refs(look("orchestras", JOAOS)) == ["4"]


def test_what_is_taken_back_is_gone_at_once(database: Database, look: Look) -> None:
    with database.write() as db:
        index.put(db, [lesson("1", "en", "Keep every invoice")])
        index.remove(db, Kind.LESSON, ["2"])
    assert look("receipt").hits == ()
    assert look("recibo", SOFIAS).hits == (), "the language that was not given is taken out with it"
    assert look("reciept").meant == ""
    assert refs(look("invoice")) == ["1"]


def test_what_was_for_everybody_is_for_one_account_from_then_on(database: Database, look: Look) -> None:
    with database.write() as db:
        index.put(db, [lesson("3", "en", "The ledger", audience=of_account(PADARIA))])
    assert (refs(look("ledger", MARIAS)), refs(look("ledger", SOFIAS))) == (["3"], [])


def test_a_rollback_leaves_everything_findable(database: Database, look: Look) -> None:
    def fail() -> None:
        with database.write() as db:
            index.remove(db, Kind.LESSON, ["1"])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert refs(look("receipt"))[0] == "1"


def test_the_readers_own_is_found_by_the_same_rules(look: Look) -> None:
    own = Document(Kind.PLAN, "milestone:1", "pt-BR", "Importar a planilha de fornecedores", "/plan", "até 3 de julho")
    for typed in ("planilha", "plan", "fornecedor", "fornecdores", "planlha", "importar fornecedores"):
        assert "milestone:1" in refs(look(typed, SOFIAS, own)), typed
    assert look("fornecdores", SOFIAS, own).meant == "fornecedores"
    assert refs(look("fornecedores", SOFIAS)) == []


# The index


def test_putting_the_same_again_changes_nothing(database: Database, look: Look) -> None:
    with database.write() as db:
        assert index.put(db, [*SHELF, *PRIVATE]) == 0


def test_made_anew_it_is_what_it_was(database: Database, look: Look) -> None:
    def whole() -> tuple[object, ...]:
        with database.read() as db:
            rows = sorted(
                tuple(row)
                for row in db.execute(
                    select(
                        SearchDocument.ref, SearchDocument.language, SearchDocument.audience, SearchDocument.fingerprint
                    )
                )
            )
            parts = sorted(tuple(row) for row in db.execute(select(SearchSpelling.part, SearchSpelling.word)))
            entries = db.execute(text("SELECT count(*) FROM search_index")).scalar_one()
        answers = [
            (refs(look(typed, reader)), look(typed, reader).meant)
            for typed in ("receipt", "recibo", "agendmento", "passo")
            for reader in (MARIAS, SOFIAS)
        ]
        return rows, parts, entries, answers

    kept = whole()
    with database.write() as db:
        index.clear(db)
        assert db.execute(text("SELECT count(*) FROM search_index")).scalar_one() == 0
        index.put(db, [*SHELF, *PRIVATE])
    assert whole() == kept


def test_refreshing_takes_out_what_is_no_longer_there(database: Database, look: Look) -> None:
    with database.write() as db:
        assert index.refresh(db, Kind.LESSON, SHELF[:2]) == 3, "the second, the third and the fourth are gone"
        assert db.scalar(select(func.count()).select_from(SearchDocument)) == 4
    assert refs(look("zeppelin")) == ["m1"], "other kinds stay"


# Whatever is typed


HOSTILE = [
    '"', "*", "AND", "OR NOT", "NEAR(", "receipt AND (", "a:b", "title:receipt", "-receipt", "^receipt", "receipt*", "'; DROP TABLE accounts",
    "& | !", ":*", "\\", "%", "_", "🦊🦊", "…", "١٢٣", "مرحبا بالعالم", "שלום", "会议", "é" * 200, "a" * 10_000, " ".join("abcdefghij"),
    "𝔯𝔢𝔠𝔢𝔦𝔭𝔱", "re\u0301ceipt", "\u0301", "ß", "ﷺ", "x'y", "1e5", "-1", "<->", "receipt <2> x",
]  # fmt: skip


@pytest.mark.parametrize("typed", HOSTILE)
def test_nothing_typed_is_an_operator_or_an_error(look: Look, typed: str) -> None:
    assert isinstance(look(typed), Found)


def test_operators_are_words(look: Look) -> None:
    assert refs(look("title:receipt"))[0:1] == ["1"]
    assert refs(look('"receipt" *'))[0] == "1"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(typed=st.text(max_size=60))
def test_any_text_is_answered(look: Look, typed: str) -> None:
    for reader in (MARIAS, SOFIAS):
        assert isinstance(look(typed.replace("\0", ""), reader), Found)


def test_the_texts_of_a_page_are_read_one_by_one_whatever_the_statistics_say(database: Database) -> None:
    if database.dialect != "sqlite":
        pytest.skip("PostgreSQL renews its statistics by itself")
    with database.write() as db:
        index.put(db, SHELF)
        db.execute(text("ANALYZE"))
        db.execute(text("UPDATE sqlite_stat1 SET stat = '1 1 1 1 1' WHERE tbl = 'search_documents'"))
    reopened = Database(str(database.url))  # statistics are read when a file is opened
    with reopened.read() as db:
        plan = db.execute(
            text(f"EXPLAIN QUERY PLAN {queries.SQLITE_READ.text}"),
            {"ids": json.dumps(list(range(20)))},
        )
        steps = [row[3] for row in plan]
    reopened.close()
    assert [step for step in steps if step.startswith("SCAN d")] == []
    assert steps.count("SEARCH d USING INTEGER PRIMARY KEY (rowid=?)") == 2

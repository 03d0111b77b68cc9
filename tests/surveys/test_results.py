"""What one survey comes to, on both databases: who is counted where, who is silent, which comments are found."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import event, update

from portal.accounts.models import Account, Contact
from portal.accounts.rules import Language
from portal.db import Database
from portal.house import House
from portal.journeys.models import JourneyRow
from portal.surveys import actions as surveys
from portal.surveys import quoting, results, tallies
from portal.surveys.actions import Sending
from portal.surveys.models import AnswerRow
from portal.surveys.narrowing import Narrow
from portal.surveys.results import Asked
from portal.surveys.rules import Answers, Provenance
from portal.surveys.tallies import Count
from tests.surveys.conftest import DAY_30, Customer, Town

A_DAY = timedelta(days=1)
BOUNDS = [DAY_30 - A_DAY, DAY_30, DAY_30 + 30 * A_DAY]
ALL = Asked(BOUNDS[0], BOUNDS[-1])

Said = Callable[[int, Answers], int]


@pytest.fixture
def asked(town: Town) -> list[Customer]:
    """Five customers who were all asked on day 30."""
    customers = [town.customer(name=f"Person {n}", email=f"person{n}@lumen.example") for n in range(5)]
    town.live_until(DAY_30)
    return customers


@pytest.fixture
def said(town: Town, asked: list[Customer]) -> Said:
    def say(number: int, answers: Answers) -> int:
        customer = asked[number]
        with town.house.database.write() as db:
            return surveys.submit(
                db,
                town.house,
                invitation_id=town.invitation(customer).id,
                answers=answers,
                sending=Sending(Provenance.MAIL_LINK, f"contact:{customer.contact_id}"),
                now=DAY_30 + A_DAY,
            ).answer_id

    return say


def narrow(house: House, **chosen: object) -> Narrow:
    with house.database.read() as db:
        ids = next(one.ids for one in results.surveys(db) if one.form.key == "follow_up_30")
    return Narrow(ids, **chosen)  # type: ignore[arg-type]


def count(house: House, **chosen: object) -> Count:
    only = narrow(house, **chosen)
    with house.database.read() as db:
        earlier, lately = tallies.counted(db, only, BOUNDS, now=DAY_30 + 2 * A_DAY)
    assert earlier == Count()
    return lately


def test_every_value_of_every_question_is_counted(town: Town, said: Said) -> None:
    said(0, Answers(csat=5, nps=10, comment="Good"))
    said(1, Answers(csat=5, nps=9))
    said(2, Answers(csat=1, nps=0, comment="Bad", wants_help=True))
    got = count(town.house)
    assert (dict(got.nps), dict(got.csat), dict(got.help)) == ({10: 1, 9: 1, 0: 1}, {5: 2, 1: 1}, {True: 1})
    assert (got.answers, got.comments, got.delivered, got.answered, got.still_open) == (3, 2, 5, 3, 2)


def test_quarantine_and_earlier_versions_count_nowhere(town: Town, said: Said) -> None:
    first, second = said(0, Answers(csat=5, nps=10, comment="A")), said(1, Answers(csat=5, nps=10, comment="B"))
    with town.house.database.write() as db:
        db.execute(update(AnswerRow).where(AnswerRow.id == first).values(quarantined_at=DAY_30))
        db.execute(update(AnswerRow).where(AnswerRow.id == second).values(superseded_at=DAY_30))
    got = count(town.house)
    assert (got.answers, got.delivered, got.answered, got.still_open) == (0, 5, 0, 5)
    with town.house.database.read() as db:
        assert results.comments(db, narrow(town.house), ALL).comments == []
        assert list(results.answers_to_take(town.house.database.read, narrow(town.house), ALL, most=10)) == []


def test_it_is_narrowed_by_plan_language_consultant_and_the_stage_they_were_in(
    town: Town, asked: list[Customer], said: Said
) -> None:
    for number in range(3):
        said(number, Answers(csat=5, nps=9))
    with town.house.database.write() as db:
        db.execute(update(Account).where(Account.id == asked[0].account_id).values(plan="Team"))
        db.execute(update(Contact).where(Contact.id == asked[1].contact_id).values(language=Language.PT_BR))
        db.execute(update(JourneyRow).where(JourneyRow.id == asked[2].journey_id).values(owner_id=None))
    assert [(c.answers, c.delivered) for c in (count(town.house, plan="Team"), count(town.house, plan="Pro"))] == [
        (1, 1),
        (2, 4),
    ]
    assert [
        (c.answers, c.delivered) for c in (count(town.house, language="pt-BR"), count(town.house, language="en"))
    ] == [
        (1, 1),
        (2, 4),
    ]
    assert (count(town.house, owner_id=1).answers, count(town.house, owner_id=2).answers) == (2, 0)
    # All of them were in one stage when they got it and when they answered, whatever stage they are in by now.
    with town.house.database.read() as db:
        keys = [key for key, _ in results.stages(db, "en")]
    by_stage = {key: (c.answers, c.delivered) for key in keys if (c := count(town.house, stage=key)).delivered}
    assert sum(delivered for _, delivered in by_stage.values()) == 5
    assert sum(count(town.house, stage=key).answers for key in keys) == 3


def test_another_survey_has_its_own_figures(town: Town, said: Said) -> None:
    said(0, Answers(csat=5, nps=9))
    with town.house.database.read() as db:
        other = next(one.ids for one in results.surveys(db) if one.form.key == "follow_up_60")
        assert tallies.counted(db, Narrow(other), BOUNDS, now=DAY_30) == [Count(), Count()]
        assert tallies.counted(db, Narrow(()), BOUNDS, now=DAY_30) == [Count(), Count()]


def test_the_silent_are_named_and_those_who_answered_are_not(town: Town, said: Said) -> None:
    said(0, Answers(csat=5, nps=9))
    with town.house.database.read() as db:
        quiet = results.silent(db, narrow(town.house), BOUNDS[0], BOUNDS[-1], now=DAY_30 + A_DAY)
        later = results.silent(db, narrow(town.house), BOUNDS[0], BOUNDS[-1], now=DAY_30 + 60 * A_DAY)
    assert {one.contact_name for one in quiet} == {f"Person {n}" for n in range(1, 5)}
    assert ({one.is_open for one in quiet}, {one.is_open for one in later}) == ({True}, {False})


def test_search_does_not_mind_accents_and_capitals_and_wants_every_word(town: Town, said: Said) -> None:
    first = said(0, Answers(nps=9, comment="A implantação foi rápida"))
    said(1, Answers(nps=9, comment="Implantação demorada, preço bom"))

    def found(words: str) -> list[int]:
        with town.house.database.read() as db:
            return [one.id for one in results.comments(db, narrow(town.house), ALL._replace(words=words)).comments]

    assert len(found("IMPLANTACAO")) == 2
    assert found("implantacao rapida") == [first]
    assert found("100%_") == []


def test_a_page_ends_and_the_next_one_goes_on(town: Town, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        said(number, Answers(nps=9, comment=f"Comment {number}"))
    monkeypatch.setattr(results, "PAGE", 2)
    seen, before = [], None
    with town.house.database.read() as db:
        for _ in range(3):
            page = results.comments(db, narrow(town.house), ALL._replace(before=before))
            seen += [one.words for one in page.comments]
            before = page.older
    assert (seen, before) == ([f"Comment {n}" for n in (4, 3, 2, 1, 0)], None)


def test_tags_are_found_in_any_spelling_and_counted(town: Town, said: Said) -> None:
    one, other = said(0, Answers(nps=9, comment="A")), said(1, Answers(nps=9, comment="B"))
    with town.house.database.write() as db:
        for answer_id, tag in ((one, "Preço"), (one, "PRECO"), (other, "preco"), (other, "Luz")):
            quoting.tag_comment(db, answer_id=answer_id, tag=tag, by="staff:1", now=DAY_30)
    with town.house.database.read() as db:
        only = narrow(town.house)
        assert results.tags_in_use(db, only, ALL) == [("Preço", 2), ("Luz", 1)]
        found = results.comments(db, only, ALL._replace(tag="PREÇO")).comments
        assert [(one.words, one.tags) for one in found] == [("B", ("Luz", "Preço")), ("A", ("Preço",))]
        taken = list(results.answers_to_take(town.house.database.read, only, ALL._replace(tag="luz"), most=10))
        assert [(one.comment, one.tags) for one in taken] == [("B", "Luz, Preço")]


def test_lines_are_read_a_few_at_a_time_and_none_is_missed_or_comes_twice(
    town: Town, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        said(number, Answers(nps=9, comment=f"Stock counts {number}" if number != 3 else "Something else"))
    monkeypatch.setattr(results, "AT_A_TIME", 2)
    read, only = town.house.database.read, narrow(town.house)

    def taken(asked: results.Asked, most: int = 10) -> list[str]:
        some = [one.comment for one in results.answers_to_take(read, only, asked, most=most)]
        assert results.count_to_take(read, only, asked, most=most) == len(some)
        return some

    everything = ["Stock counts 4", "Something else", "Stock counts 2", "Stock counts 1", "Stock counts 0"]
    assert taken(ALL) == everything
    assert taken(ALL, most=3) == everything[:3]
    assert taken(ALL._replace(words="stock")) == [one for one in everything if one.startswith("Stock")]
    assert taken(ALL._replace(words="stock"), most=2) == ["Stock counts 4", "Stock counts 2"]


@pytest.mark.parametrize("answers", [1, 4])
def test_it_takes_as_many_statements_for_one_answer_as_for_many(
    town: Town, said: Said, database: Database, answers: int
) -> None:
    for number in range(answers):
        said(number, Answers(nps=9, comment="Stock counts"))
    only, ran = narrow(town.house), []
    engine = town.house.database.read_engine
    event.listen(engine, "before_cursor_execute", lambda *given: ran.append(given[2]))

    def took(do: Callable[[], object]) -> int:
        before = len(ran)
        do()
        return len(ran) - before

    with town.house.database.read() as db:
        assert took(lambda: tallies.counted(db, only, BOUNDS, now=DAY_30)) == 4
        assert took(lambda: results.silent(db, only, BOUNDS[0], BOUNDS[-1], now=DAY_30)) == 2
        assert took(lambda: results.comments(db, only, ALL)) == 4
        assert took(lambda: list(results.answers_to_take(town.house.database.read, only, ALL, most=9))) == 2

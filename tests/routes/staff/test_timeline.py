"""Every kind of event is told in a sentence, in both languages, with names and without a key left over."""

import pytest

from portal import words
from portal.audit import Happened
from portal.journeys.desk import TimelineEntry
from portal.routes.staff.labels import PIPELINES
from portal.routes.staff.told import _VARIANTS, KINDS, SENTENCES, Topic, tell
from tests.routes.conftest import NOON

DETAIL = {
    "from": "first_contact", "to": "deployment", "pipeline": "after_sale", "day": 30, "how": "sign_in", "by": "answer",
    "channel": "phone", "result": "satisfied", "title": "Call", "goal": "Less waste", "problem": "Old prices",
    "milestone": "Kick-off", "kind": "welcome", "csat": 5, "nps": 9, "reason": "They asked for it",
}  # fmt: skip
STAGES = {"first_contact": "First contact", "deployment": "Deployment"}


def _told(what: Happened, locale: str, *, by: str = "staff:1", by_name: str = "Carla", **detail: object) -> str:
    entry = TimelineEntry(1, NOON, what, by, by_name, "Maria", {**DETAIL, **detail})
    line = tell(entry, stages=STAGES, names={"staff:1": "Carla"}, pipelines=PIPELINES, locale=locale)
    return line.title


@pytest.mark.parametrize("what", Happened)
def test_everything_that_can_happen_has_a_sentence(what: Happened) -> None:
    for by, name in (("staff:1", "Carla"), ("system", ""), ("rule:contact_settled:30", ""), ("api:crm", "")):
        english, portuguese = _told(what, "en", by=by, by_name=name), _told(what, "pt-BR", by=by, by_name=name)
        assert english and portuguese and english != portuguese
        assert "%(" not in english + portuguese


def test_every_sentence_is_translated() -> None:
    sentences = [
        t for telling in (*SENTENCES.values(), *_VARIANTS.values()) for t in (telling.text, telling.by_itself) if t
    ]
    assert [text for text in sentences if words.translate("pt-BR", text) == text] == []


def test_each_kind_belongs_to_one_topic_and_is_in_everything() -> None:
    topics = [topic for topic in Topic if topic is not Topic.ALL]
    for what in KINDS[Topic.ALL]:
        assert sum(what in KINDS[topic] for topic in topics) == 1


def test_a_move_tells_from_where_to_where_and_by_whom() -> None:
    assert _told(Happened.STAGE_ENTERED, "en") == "Carla moved them from First contact to Deployment"
    assert (
        _told(Happened.STAGE_ENTERED, "en", by="rule:first_contact", by_name="")
        == "Moved on by itself from First contact to Deployment"
    )
    assert _told(Happened.STAGE_ENTERED, "pt-BR") == "Carla moveu de First contact para Deployment"


def test_an_odd_detail_is_told_without_breaking() -> None:
    entry = TimelineEntry(1, NOON, Happened.CONVERSATION_LOGGED, "staff:9", "", "", {"channel": 5, "result": None})
    line = tell(entry, stages={}, names={}, pipelines=PIPELINES, locale="en")
    assert line.title == "Somebody who is no longer here talked with The customer (): "

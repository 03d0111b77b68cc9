"""Writing surveys, over HTTP: sketch, rehearsal, publish, versions; two writers; a test to oneself that stores nothing."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from portal.accounts.models import Staff
from portal.accounts.rules import Language
from portal.db import Database
from portal.mail import Kind, LetterRow
from portal.shipped import load_all
from portal.surveys.models import AnswerRow, RetiredSurvey, Survey, SurveySketch
from portal.surveys.rules import QuestionKind
from portal.surveys.stored import survey_form
from tests.routes.conftest import NOON, Cast

SignIn = Callable[..., TestClient]
AT = "/admin/surveys/follow_up_30"


@pytest.fixture
def ana(database: Database, cast: Cast, signed_in: SignIn) -> TestClient:
    with database.write() as db:
        load_all(db, now=NOON)
        db.get_one(Staff, cast.ana).language = Language.EN
    return signed_in(staff_id=cast.ana)


def fields_of(page: str) -> dict[str, Any]:
    """What the editor's form would send as it stands."""
    form = page[page.index('id="editor"') :]
    form = form[: form.index("</form>")]
    found: dict[str, Any] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name is None or ('type="checkbox"' in tag and " checked" not in tag):
            continue
        given = value[1] if value else ""
        found[name[1]] = [*found[name[1]], given] if isinstance(found.get(name[1]), list) else given
        if 'type="checkbox"' in tag and not isinstance(found[name[1]], list):
            found[name[1]] = [given]
    for name_, body in re.findall(r'<textarea[^>]*name="([^"]+)"[^>]*>\n?(.*?)</textarea>', form, re.DOTALL):
        found[name_] = body
    for name_, body in re.findall(r'<select[^>]*name="([^"]+)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', body) or re.search(r'value="([^"]*)"', body)
        found[name_] = chosen[1] if chosen else ""
    return found


def versions(database: Database, key: str = "follow_up_30") -> list[int]:
    with database.read() as db:
        return list(db.scalars(select(Survey.version).where(Survey.key == key).order_by(Survey.version)))


def newest(database: Database, key: str) -> Any:
    with database.read() as db:
        row = db.scalars(select(Survey).where(Survey.key == key).order_by(Survey.version.desc())).first()
        assert row is not None
        return survey_form(row)


def count(database: Database, table: Any) -> int:
    with database.read() as db:
        return db.scalar(select(func.count()).select_from(table)) or 0


def edit(client: TestClient, at: str, then: str = "save", **changed: Any) -> Any:
    return client.post(at, data={**fields_of(client.get(at).text), "then": then, **changed})


def test_a_form_that_was_only_opened_and_saved_changes_nothing(ana: TestClient, database: Database) -> None:
    assert edit(ana, AT).status_code == 303
    page = ana.get(f"{AT}/check").text
    assert "word for word what is asked now" in page
    assert versions(database) == [1]


def test_a_change_is_rehearsed_and_published_as_a_new_version(ana: TestClient, database: Database) -> None:
    edit(ana, AT, "check", csat_bad="3", csat_good="4", q0_text_en="How happy are you?")
    page = ana.get(f"{AT}/check").text
    assert "How happy are you?" in page and "CSAT: unhappy up to" in page and "no round is open" in page
    before = newest(database, "follow_up_30")
    saves = re.search(r'name="saves" value="(\d+)"', page)
    assert saves is not None
    assert ana.post(f"{AT}/published", data={"saves": saves[1]}).status_code == 303
    assert versions(database) == [1, 2] and count(database, SurveySketch) == 0
    after = newest(database, "follow_up_30")
    assert (after.thresholds.csat_bad, after.question(QuestionKind.CSAT).text.en) == (3, "How happy are you?")
    assert (before.thresholds.csat_bad, before.questions[1:]) == (2, after.questions[1:])
    # Sent again, nothing is published twice.
    assert ana.post(f"{AT}/published", data={"saves": saves[1]}).status_code == 303
    assert versions(database) == [1, 2]


def test_a_survey_is_built_from_nothing(ana: TestClient, database: Database) -> None:
    made = ana.post("/admin/surveys", data={"name_en": "After the training", "purpose": "other"})
    at = made.headers["location"]
    assert at == "/admin/surveys/after_the_training"
    for kind in ("csat", "rating", "choice", "choices", "text"):
        assert edit(ana, at, "add", add_kind=kind).status_code == 303
    page = ana.get(at).text
    assert "Portuguese is missing" in page and "Five questions" in page
    sent = fields_of(page)
    assert [sent[f"q{n}_kind"] for n in range(5)] == ["csat", "rating", "choice", "choices", "text"]
    words = {f"q{n}_text_{end}": f"Question {n} {end}" for n in range(5) for end in ("en", "pt")}
    options = {f"q{n}_option{m}_{end}": f"Option {m} {end}" for n in (2, 3) for m in range(3) for end in ("en", "pt")}
    refused = ana.post(f"{at}/published", data={"saves": sent["saves"]})
    assert refused.status_code == 422 and versions(database, "after_the_training") == []
    edit(ana, at, name_pt="Depois do treino", q4_if="csat:at_most:3", **words, **options)
    page = ana.get(f"{at}/check").text
    assert "missing before it can be asked" not in page
    assert ana.post(f"{at}/published", data={"saves": fields_of(ana.get(at).text)["saves"]}).status_code == 303
    form = newest(database, "after_the_training")
    assert [question.kind for question in form.questions] == ["csat", "rating", "choice", "choices", "text"]
    assert [len(question.options) for question in form.questions] == [0, 0, 3, 3, 0]
    assert form.questions[4].key == "comment" and form.questions[4].show_if.value == 3


def test_the_second_of_two_writers_is_told_and_loses_nothing(ana: TestClient, database: Database) -> None:
    mine = {**fields_of(ana.get(AT).text), "then": "save", "q0_text_en": "Mine"}
    edit(ana, AT, q0_text_en="Theirs")
    late = ana.post(AT, data=mine)
    assert late.status_code == 409
    assert "Mine" in late.text and "Theirs" in late.text and "Ana" in late.text
    assert ana.post(AT, data={**fields_of(late.text), "then": "save"}).status_code == 303
    with database.read() as db:
        assert db.scalars(select(SurveySketch)).one().form["questions"][0]["text"]["en"] == "Mine"


def test_what_cannot_be_kept_is_said_beside_its_field(ana: TestClient, database: Database) -> None:
    wrong = edit(ana, AT, minutes="soon", q0_text_en="x" * 301, nps_bad="99")
    assert wrong.status_code == 422 and count(database, SurveySketch) == 0
    assert 'value="soon"' in wrong.text and "x" * 301 in wrong.text
    for sentence in ("from 1 to 30", "shorten this to 300", "from 0 to 10"):
        assert sentence in wrong.text


def test_thresholds_that_contradict_each_other_keep_it_from_being_asked(ana: TestClient, database: Database) -> None:
    edit(ana, AT, csat_bad="4", csat_good="4")
    assert "unhappy has to be below happy" in ana.get(f"{AT}/check").text
    assert ana.post(f"{AT}/published", data={"saves": "1"}).status_code == 422
    assert versions(database) == [1]


def test_a_follow_up_always_flags_the_unhappy(ana: TestClient, database: Database) -> None:
    sent = fields_of(ana.get(AT).text)
    assert "does_dissatisfied" in sent
    sent.pop("does_dissatisfied")
    ana.post(AT, data={**sent, "then": "save"})
    ana.post(f"{AT}/published", data={"saves": "1"})
    assert newest(database, "follow_up_30").does["dissatisfied"] == ("flag",)


def test_questions_move_and_go(ana: TestClient, database: Database) -> None:
    edit(ana, AT, "up:1")
    assert fields_of(ana.get(AT).text)["q0_kind"] == "nps"
    edit(ana, AT, "remove:0")
    sent = fields_of(ana.get(AT).text)
    assert [sent[f"q{n}_kind"] for n in range(3)] == ["csat", "text", "yes_no"] and "q3_kind" not in sent


def test_a_test_is_mailed_to_whoever_asks_and_its_send_stores_nothing(
    ana: TestClient, database: Database, cast: Cast
) -> None:
    assert ana.post(f"{AT}/test", data={"language": "pt-BR"}).status_code == 303
    with database.read() as db:
        letter = db.scalars(select(LetterRow).where(LetterRow.kind == Kind.SURVEY_TEST)).one()
    assert (letter.staff_id, letter.language, letter.context["path"]) == (cast.ana, "pt-BR", f"{AT}/try/pt-BR")
    page = ana.get(f"{AT}/try/pt-BR?nps=9")
    assert "frame-ancestors 'self'" in page.headers["content-security-policy"]
    assert 'lang="pt-BR"' in page.text and "data-draft" not in page.text
    assert re.search(r'name="nps" value="9" checked', page.text)
    assert ana.post(f"{AT}/try/en", data={"csat": "7"}).status_code == 422
    thanks = ana.post(f"{AT}/try/en", data={"csat": "1", "nps": "2", "comment": "Slow"})
    assert thanks.status_code == 200 and "nothing is kept" in thanks.text
    assert count(database, AnswerRow) == 0


def test_preview_frames_only_our_own_page(ana: TestClient) -> None:
    page = ana.get(f"{AT}/preview")
    assert page.headers["content-security-policy"].endswith("frame-src 'self'")
    assert re.findall(r'<iframe src="([^"]+)"', page.text) == [f"{AT}/try/en"] * 2


def test_a_retired_survey_is_asked_again_when_revived(ana: TestClient, database: Database) -> None:
    ana.post(f"{AT}/retired")
    ana.post(f"{AT}/retired")
    assert count(database, RetiredSurvey) == 1 and "Retired" in ana.get("/admin/surveys").text
    ana.post(f"{AT}/revived")
    assert count(database, RetiredSurvey) == 0


def test_an_older_version_comes_back_as_a_sketch(ana: TestClient, database: Database) -> None:
    edit(ana, AT, q0_text_en="Another question")
    ana.post(f"{AT}/published", data={"saves": "1"})
    assert "Another question" in ana.get(f"{AT}/versions/1").text
    assert ana.post(f"{AT}/versions/1/restored").status_code == 303
    assert "satisfied are you with {vendor} so far?" in fields_of(ana.get(AT).text)["q0_text_en"]
    assert versions(database) == [1, 2]


def test_only_administrators_write_surveys(database: Database, cast: Cast, signed_in: SignIn) -> None:
    with database.write() as db:
        load_all(db, now=NOON)
    assert signed_in(staff_id=cast.rui).get("/admin/surveys").status_code in (403, 404)
    assert signed_in(staff_id=cast.carla).post(AT, data={}).status_code in (403, 404)


def test_unknown_surveys_are_not_found(ana: TestClient) -> None:
    for path in ("nothing", "nothing/preview", "nothing/try/en", "nothing/versions", "follow_up_30/versions/9"):
        assert ana.get(f"/admin/surveys/{path}").status_code == 404


def test_a_form_that_didnt_come_whole_takes_no_question_out(ana: TestClient, database: Database) -> None:
    for half in ({}, {"then": "save"}, {"name_en": "Half"}):
        assert ana.post(AT, data=half).status_code == 303
    with database.read() as db:
        assert db.scalars(select(SurveySketch)).all() == []

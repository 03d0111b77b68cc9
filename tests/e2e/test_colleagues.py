"""A colleague is invited and comes in, on a phone and without JavaScript, with a real browser and a real mail."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from portal import auth
from portal.accounts.rules import Language, Role
from portal.db import Database
from portal.web import SESSION_COOKIE
from tests import factories
from tests.e2e.conftest import Visitor
from tests.e2e.running import Running, running
from tests.servers import SmtpSink

LIA = "lia@padaria.example"


@pytest.fixture
def onward(migrated_sqlite_file: Path, tmp_path: Path, smtp_sink: SmtpSink) -> Iterator[Running]:
    with running(f"sqlite:///{tmp_path / 'onward.sqlite'}", tmp_path, smtp_sink) as started:
        yield started


def put_maria_there(onward: Running) -> str:
    """Maria, main contact of a bakery with a journey; gives the cookie of her session."""
    database = Database(onward.environ["PORTAL_DATABASE_URL"])
    now = onward.start
    with database.write() as db:
        house = factories.house(database, now)
        factories.load_shipped_rules(db, now=now)
        carla = factories.staff(db, "Carla Souza", Role.CONSULTANT, now=now, phone="+5511912345678")
        account = factories.account(db, "Padaria do João", now=now, plan="Growth", consultant_id=carla)
        maria = factories.contact(
            db, account, "Maria Lima", now=now, is_primary=True, email="maria@padaria.example", language=Language.EN
        )
        factories.journey(db, house, account, now=now, owner_id=carla)
        cookie = auth.open_session(db, contact_id=maria, way="test", now=now)
    database.close()
    return cookie


def faultless(page: Page) -> None:
    """Axe finds nothing, and nothing scrolls sideways."""
    found = Axe().run(page).response["violations"]
    assert [one["id"] for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_a_colleague_is_invited_on_a_phone_and_comes_in(
    onward: Running, visitor: Callable[..., Visitor], script: bool
) -> None:
    cookie = put_maria_there(onward)
    maria = visitor(width=375, java_script_enabled=script)
    maria.context.add_cookies([{"name": SESSION_COOKIE, "value": cookie, "url": onward.address}])

    maria.goto(f"{onward.address}/team")
    maria.get_by_label("Their name").fill("Lia Costa")
    maria.get_by_label("Their email").fill(LIA)
    maria.get_by_label("Their language").select_option("pt-BR")
    maria.get_by_role("button", name="Send invite").click()
    expect(maria.get_by_role("button", name="Send again: Lia Costa")).to_be_visible()
    if script:
        faultless(maria)

    letter = onward.post.letter(LIA)
    assert letter.subject == "Maria Lima convida você"
    link = letter.link("/join/")

    lia = visitor(width=320, locale="pt-BR", java_script_enabled=script)
    lia.goto(link)
    expect(lia.get_by_role("heading", level=1)).to_have_text("Maria Lima gostaria de ter você aqui")
    if script:
        faultless(lia)
    lia.get_by_label("O e-mail que recebeu o convite").fill(LIA)
    lia.get_by_label("O que você faz lá").fill("Atendimento")
    lia.get_by_label("Fuso horário").select_option("America/Recife")
    lia.context.set_default_timeout(30_000)
    lia.get_by_role("button", name="Entrar").click()

    expect(lia.get_by_role("heading", name="Boas-vindas. Três pequenos passos")).to_be_visible()
    lia.get_by_role("button", name="Ver o plano").click()
    lia.wait_for_url("**/plan")
    lia.goto(f"{onward.address}/preferences")
    lia.locator("label.pick", has_text="a cada duas semanas").click()
    lia.get_by_label("Ofertas").uncheck()
    lia.get_by_role("button", name="Salvar").click()
    lia.goto(onward.address)
    expect(lia.get_by_text("2 de 3 feitas").first).to_be_visible()
    if script:
        faultless(lia)

    welcome = onward.post.letter(LIA)
    assert "Três pequenos passos" in welcome.text
    assert visitor().request.get(link).status == 410

    maria.goto(f"{onward.address}/team")
    expect(maria.get_by_text("Lia Costa", exact=True)).to_be_visible()

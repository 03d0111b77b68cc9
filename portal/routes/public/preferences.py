"""Language and theme of whoever reads: two small forms that work without JavaScript."""

from pydantic import BaseModel
from starlette.responses import Response

from portal import auth
from portal.accounts.rules import Language
from portal.deps import Ask, PublicAsk, public_pages
from portal.errors import NotFound
from portal.forms import read_form
from portal.text import Line
from portal.web import THEMES, YEAR_SECONDS

pages = public_pages()


class LanguageChoice(BaseModel):
    language: Language


class ThemeChoice(BaseModel):
    theme: Line = ""


@pages.post("/language")
def choose_language(ask: PublicAsk) -> Response:
    """Kept in this browser, and for who is signed in also for mails."""
    chosen = read_form(LanguageChoice, ask.form).value
    if chosen is None:
        raise NotFound
    if ask.me is not None:
        auth.choose_language(ask.db, ask.me, chosen.language)
    return _kept(ask, "language", chosen.language)


@pages.post("/theme")
def choose_theme(ask: PublicAsk) -> Response:
    """`light`, `dark`; anything else follows the system again."""
    chosen = read_form(ThemeChoice, ask.form).value
    return _kept(ask, "theme", chosen.theme if chosen and chosen.theme in THEMES else "")


def _kept(ask: Ask, name: str, value: str) -> Response:
    """Back to the page it was chosen on. htmx gets the whole page anew as well: every word of it may change."""
    response = ask.see_other(ask.came_from)
    # Readable by scripts, unlike the session: the theme is put on before the first paint.
    response.set_cookie(
        name, value, max_age=YEAR_SECONDS if value else 0, path="/", secure=ask.settings.secure_cookies, samesite="lax"
    )
    return response

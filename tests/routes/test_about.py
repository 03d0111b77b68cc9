"""What anybody may know of the portal, and that a phone can put it on its home screen."""

import io
from collections.abc import Callable

from PIL import Image
from starlette.testclient import TestClient

from portal.places import STATIC


def test_privacy_is_told_in_both_languages_and_names_whom_to_ask(browser: Callable[[], TestClient]) -> None:
    somebody = browser()
    for language, words in (("en", "Your data, in plain words"), ("pt-BR", "Seus dados, em palavras simples")):
        page = somebody.get("/privacy", headers={"accept-language": language})
        assert page.status_code == 200
        assert words in page.text and "mailto:" in page.text


def test_a_phone_can_put_it_on_its_home_screen(browser: Callable[[], TestClient]) -> None:
    somebody = browser()
    answer = somebody.get("/manifest.webmanifest")
    assert answer.headers["content-type"].startswith("application/manifest+json")
    told = answer.json()
    assert (told["start_url"], told["scope"], told["display"]) == ("/", "/", "standalone")
    assert {one["purpose"] for one in told["icons"]} == {"any", "maskable"}
    for one in told["icons"]:
        picture = somebody.get(one["src"])
        assert "immutable" in picture.headers["cache-control"]
        width = Image.open(io.BytesIO(picture.content)).size[0]
        assert one["sizes"] == f"{width}x{width}"
    page = somebody.get("/sign-in").text
    assert 'rel="manifest" href="/manifest.webmanifest"' in page
    assert (STATIC / "icon-apple-180.png").exists() and "icon-apple-180.png" in page

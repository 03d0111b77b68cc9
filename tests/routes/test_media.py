"""Pictures and files of `portal.media` over HTTP: cached for ever, harmless to open, and only for whom they are."""

from collections.abc import Callable

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from portal import media
from portal.house import House
from tests.routes.conftest import NOON
from tests.test_media import Brought, picture


@pytest.fixture
def stranger(browser: Callable[[], TestClient]) -> TestClient:
    return browser()


def kept(onward: FastAPI, harmless: media.Harmless, *, reach: media.Reach) -> media.Kept:
    house: House = onward.state.wiring.house
    with house.database.write() as db:
        return media.keep(db, house, harmless, reach=reach, by="staff:1", now=NOON)


def test_a_picture_is_shown_and_may_be_kept_for_ever(onward: FastAPI, stranger: TestClient) -> None:
    one = kept(onward, media.read_picture(Brought("logo.png", picture())), reach=media.Reach.BY_ADDRESS)
    answer = stranger.get(one.path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == "inline; filename*=UTF-8''logo.webp"
    again = stranger.get(one.path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_file_is_downloaded_under_its_own_name_whatever_the_link_says(onward: FastAPI, stranger: TestClient) -> None:
    one = kept(onward, media.read_file(Brought("lista de preços.txt", b"hello")), reach=media.Reach.BY_ADDRESS)
    answer = stranger.get(f"/media/{one.address}/invoice.exe")
    assert answer.content == b"hello"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''lista%20de%20pre%C3%A7os.txt"


@pytest.mark.parametrize("address", ["0" * 40, "../../etc/passwd", "x"])
def test_there_is_nothing_at_other_addresses(stranger: TestClient, address: str) -> None:
    assert stranger.get(f"/media/{address}/logo.webp").status_code == 404


def test_what_is_for_some_only_is_not_given_out_by_its_address(onward: FastAPI, stranger: TestClient) -> None:
    one = kept(onward, media.read_file(Brought("offer.txt", b"for you")), reach=media.Reach.THROUGH_ITS_PAGE)
    assert stranger.get(one.path).status_code == 404

"""What people bring is looked at before it is kept: pictures come out as pictures and nothing else, files are what their
names say, and all else is refused in words."""

import io
import struct
import zipfile
import zlib
from typing import NamedTuple

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sqlalchemy import func, select

from portal.db import Database
from portal.errors import NotFound
from portal.media import (
    LONGEST_SIDE,
    MediaRefused,
    Medium,
    MediumBytes,
    Reach,
    bytes_of,
    forget,
    found,
    found_by_address,
    keep,
    read_file,
    read_picture,
)
from tests import factories
from tests.cast import MONDAY

SCRIPT = b"<script>alert(document.cookie)</script>"


class Brought(NamedTuple):
    name: str
    content: bytes


def picture(
    kind: str = "PNG", size: tuple[int, int] = (60, 40), mode: str = "RGB", colour: str = "#0c5b4b", **how: object
) -> bytes:
    made = io.BytesIO()
    Image.new(mode, size, colour).save(made, kind, **how)  # type: ignore[arg-type]
    return made.getvalue()


def office(folder: str = "word", *, more: dict[str, bytes] | None = None, types: bytes = b"<Types/>") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", types)
        archive.writestr(f"{folder}/document.xml", b"<document/>")
        for name, content in (more or {}).items():
            archive.writestr(name, content)
    return made.getvalue()


def pdf(*objects: bytes) -> bytes:
    return b"%PDF-1.7\n" + b"\n".join(objects) + b"\n%%EOF\n"


def png_that_claims(width: int, height: int) -> bytes:
    """A file of a few bytes that would unpack to width × height pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 10_000))
        + chunk(b"IEND", b"")
    )


# Pictures


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_comes_out_as_webp_of_the_same_size(kind: str) -> None:
    read = read_picture(Brought("holiday.photo.PNG", picture(kind)))
    assert (read.name, read.media_type, read.width, read.height) == ("holiday.photo.webp", "image/webp", 60, 40)
    with Image.open(io.BytesIO(read.content)) as image:
        assert (image.format, image.size) == ("WEBP", (60, 40))


def test_a_large_picture_is_made_smaller_and_keeps_its_shape() -> None:
    read = read_picture(Brought("wide.jpg", picture("JPEG", (5000, 2500))))
    assert (read.width, read.height) == (LONGEST_SIDE, LONGEST_SIDE // 2)


def test_where_a_photograph_was_taken_stays_behind_and_it_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    exif[0x010E] = "Rua das Flores 12"
    exif.get_ifd(0x8825)[1] = "S"
    brought = picture("JPEG", (60, 40), exif=exif)
    assert b"Rua das Flores" in brought
    read = read_picture(Brought("photo.jpg", brought))
    assert (read.width, read.height) == (40, 60)
    assert b"Rua das Flores" not in read.content
    with Image.open(io.BytesIO(read.content)) as image:
        assert dict(image.getexif()) == {}


def test_what_shines_through_still_does() -> None:
    read = read_picture(Brought("logo.png", picture("PNG", mode="RGBA", colour="#ff000000")))
    with Image.open(io.BytesIO(read.content)) as image:
        assert image.convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
def test_a_picture_that_is_also_a_page_with_a_script_comes_out_as_a_picture_only(kind: str) -> None:
    polyglot = picture(kind) + b"<html>" + SCRIPT + office()
    read = read_picture(Brought("both.html", polyglot))
    assert SCRIPT not in read.content
    assert b"PK\x03\x04" not in read.content


def test_a_script_in_a_pictures_comments_stays_behind() -> None:
    notes = PngInfo()
    notes.add_text("Comment", SCRIPT.decode())
    brought = picture("PNG", pnginfo=notes)
    assert SCRIPT in brought
    assert SCRIPT not in read_picture(Brought("noted.png", brought)).content


SVG = b"<svg xmlns='http://www.w3.org/2000/svg'>" + SCRIPT + b"</svg>"


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("empty.png", b"", "empty"),
        ("drawing.svg", SVG, "SVG"),
        ("drawing.png", b"<?xml version='1.0'?>\n" + SVG, "SVG"),
        ("phone.heic", b"\0\0\0\x18ftypheic" + b"\0" * 40, "HEIC"),
        ("page.png", b"<html>" + SCRIPT, "as a picture"),
        ("cut.png", picture("PNG", (300, 300))[:60], "as a picture"),
        ("paint.bmp", picture("BMP"), "as a picture"),
        ("huge.png", b"\x89PNG\r\n\x1a\n" + b"\0" * (10 * 1024 * 1024), "11 MB"),
        ("bomb.png", png_that_claims(50_000, 50_000), "too many pixels"),
        ("bomb.png", png_that_claims(9_000, 9_000), "too many pixels"),
        ("torn.png", png_that_claims(3_000, 3_000), "as a picture"),
    ],
)
def test_not_a_picture_that_we_take(name: str, content: bytes, why: str) -> None:
    with pytest.raises(MediaRefused, match=why) as refused:
        read_picture(Brought(name, content))
    assert refused.value.status == 422


# Files


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("plan.pdf", pdf(b"1 0 obj << /Type /Catalog >> endobj"), "application/pdf"),
        (
            "Contract.DOCX",
            office("word"),
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        ("list.xlsx", office("xl"), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("list.csv", "produto;preço\npão;1,50\n".encode("cp1252"), "text/csv"),
        ("notes.txt", "São Paulo < Rio > 3".encode(), "text/plain"),
        ("wide.txt", "São Paulo".encode("utf-16"), "text/plain"),
    ],
)
def test_a_file_that_is_what_its_name_says(name: str, content: bytes, media_type: str) -> None:
    read = read_file(Brought(name, content))
    assert (read.media_type, read.content, read.is_picture) == (media_type, content, False)
    assert read.name == name.rpartition(".")[0] + "." + name.rpartition(".")[2].lower()


def test_a_picture_among_files_is_written_anew() -> None:
    assert read_file(Brought("photo.jpeg", picture("JPEG") + SCRIPT)).media_type == "image/webp"


HIDDEN = zlib.compress(b"4 0 <</S/JavaScript/JS(app.alert(1))>>")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("setup.exe", b"MZ" + b"\0" * 100, "These work: PDF"),
        ("page.html", SCRIPT, "These work: PDF"),
        ("page", SCRIPT, "These work: PDF"),
        ("drawing.svg", SVG, "These work: PDF"),
        ("macros.docm", office(), "These work: PDF"),
        ("plan.pdf", picture(), "isn’t what its name says"),
        ("plan.pdf", b"<html>%PDF-1.7", "isn’t what its name says"),
        ("plan.docx", office("xl"), "isn’t what its name says"),
        ("plan.docx", pdf(), "isn’t what its name says"),
        ("plan.docx", office()[:-30], "isn’t what its name says"),
        ("plan.docx", picture() + office(), "isn’t what its name says"),
        ("plan.png", pdf(), "as a picture"),
        ("macros.xlsx", office("xl", more={"xl/vbaProject.bin": b"x"}), "macros"),
        ("macros.xlsx", office("xl", types=b"application/vnd.ms-excel.sheet.macroEnabled.main+xml"), "macros"),
        ("bomb.docx", office(more={"word/media/a.xml": b"\0" * 60_000_000}), "unpacks to far more"),
        ("plan.pdf", pdf(b"1 0 obj << /S /JavaScript /JS (app.alert(1)) >> endobj"), "scripts"),
        ("plan.pdf", pdf(b"1 0 obj << /S /J#61vaScript /JS (app.alert(1)) >> endobj"), "scripts"),
        ("plan.pdf", pdf(b"1 0 obj << /S /Launch /F (cmd.exe) >> endobj"), "scripts"),
        (
            "plan.pdf",
            pdf(b"3 0 obj << /Type /ObjStm /Filter /FlateDecode >> stream\n" + HIDDEN + b"\nendstream endobj"),
            "scripts",
        ),
        (
            "plan.pdf",
            pdf(b"3 0 obj << /Type /ObjStm >> stream\n" + zlib.compress(b"\0" * 30_000_000) + b"\nendstream endobj"),
            "unpacks to far more",
        ),
        ("notes.txt", b"hello " + SCRIPT, "scripts"),
        ("list.csv", b"a;b\n" + SVG, "scripts"),
        ("notes.txt", b"\x7fELF\x02\x01\x01\0\0\0", "not plain text"),
    ],
)
def test_not_a_file_that_we_take(name: str, content: bytes, why: str) -> None:
    with pytest.raises(MediaRefused, match=why):
        read_file(Brought(name, content))


@pytest.mark.parametrize(
    ("brought", "kept"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\Users\\maria\\preços.txt", "preços.txt"),
        ("invoice\u202egnp.txt", "invoicegnp.txt"),
        ('"; rm -rf.txt', "rm -rf.txt"),
        (".txt", "file.txt"),
        ("a\r\nSet-Cookie: x.txt", "a Set-Cookie x.txt"),
        ("x" * 300 + ".txt", "x" * 100 + ".txt"),
    ],
)
def test_a_name_is_only_a_name(brought: str, kept: str) -> None:
    assert read_file(Brought(brought, b"hello")).name == kept


# Keeping


def test_what_is_for_everybody_is_kept_once_under_an_address_that_nobody_can_guess(database: Database) -> None:
    house, other_house = (factories.house(database, MONDAY, secret_key=key * 40) for key in "ab")
    harmless = read_picture(Brought("logo.png", picture()))
    with database.write() as db:
        first = keep(db, house, harmless, reach=Reach.BY_ADDRESS, by="staff:1", now=MONDAY)
        again = keep(db, house, harmless, reach=Reach.BY_ADDRESS, by="staff:2", now=MONDAY)
        elsewhere = keep(db, other_house, harmless, reach=Reach.BY_ADDRESS, by="staff:1", now=MONDAY)
    assert first == again
    assert first.path == f"/media/{first.address}/logo.webp"
    assert (len(first.address), elsewhere.address == first.address) == (40, False)
    with database.read() as db:
        assert bytes_of(db, first.id) == harmless.content
        assert found_by_address(db, first.address) == found(db, first.id) == first
        assert db.scalar(select(func.count()).select_from(Medium)) == 2


def test_what_is_for_some_only_has_an_address_of_its_own_each_time(database: Database) -> None:
    house = factories.house(database, MONDAY)
    harmless = read_file(Brought("offer.txt", b"for you only"))
    with database.write() as db:
        kept = [keep(db, house, harmless, reach=Reach.THROUGH_ITS_PAGE, by="contact:1", now=MONDAY) for _ in range(2)]
    assert len({one.address for one in kept}) == 2


def test_what_is_forgotten_takes_its_bytes_along(database: Database) -> None:
    house = factories.house(database, MONDAY)
    harmless = read_file(Brought("offer.txt", b"for you only"))
    with database.write() as db:
        one, other = (
            keep(db, house, harmless, reach=Reach.THROUGH_ITS_PAGE, by="contact:1", now=MONDAY) for _ in range(2)
        )
        forget(db, one.id)
        forget(db, one.id)
    with database.read() as db:
        assert list(db.scalars(select(MediumBytes.medium_id))) == [other.id]
        with pytest.raises(NotFound):
            found(db, one.id)
        with pytest.raises(NotFound):
            bytes_of(db, one.id)

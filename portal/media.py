"""Pictures and files that people bring: read with suspicion, kept as bytes in the database, given out harmless.

Several web processes on several machines share only the database, so that is where the bytes are. A picture is never kept
as it came: it is decoded and written anew, which leaves behind what else was in it (where it was taken, scripts after its
end). A file is kept only if its content is what its name says, of a few kinds, without macros and scripts.

To take one in: `read_picture(upload)` or `read_file(upload)`, which refuse in words (`MediaRefused`, a sentence for beside
the field); then `keep(...)`, which gives its number and path. The path of one for everybody (`Reach.BY_ADDRESS`) is a link
that may be cached for ever. One for some people only (`Reach.THROUGH_ITS_PAGE`) is given out by a route of the room it
belongs to, after that room's own question of who may see it: `ask.kept(found(db, id))`. Paths where people upload
need room for it in `front_door.ROOM_FOR_FILES`.
"""

import hashlib
import hmac
import io
import re
import secrets
import threading
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum
from struct import error as StructError
from typing import NamedTuple, Protocol
from urllib.parse import quote

from PIL import Image, ImageOps
from sqlalchemy import CheckConstraint, ForeignKey, Integer, LargeBinary, String, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.db import Base, By, Id, Key, choice, insert_for
from portal.errors import N_, NotFound, Refused
from portal.house import House
from portal.text import FORBIDDEN

MEGABYTE = 1024 * 1024
MOST_BYTES = 10 * MEGABYTE
"""Of one picture or file as it comes."""
LONGEST_SIDE = 2000
"""Of a picture as we keep it, in pixels; larger ones are made smaller."""
MOST_PIXELS = 50_000_000
"""Of a picture as it comes: what a good telephone takes. Beyond this a few bytes could fill our memory."""
_LOSSLESS_UP_TO = 400_000
_MOST_UNPACKED = 200 * MEGABYTE
_MOST_PARTS = 5_000
_LONGEST_NAME = 100

Image.MAX_IMAGE_PIXELS = MOST_PIXELS
_DECODING = threading.BoundedSemaphore(2)
"""A decoded picture is two hundred times its file: two at a time are enough for one process."""


class MediaRefused(Refused):
    """A picture or file that we don't take, with the reason for who brought it."""

    status = 422


class Upload(Protocol):
    """What came: `portal.deps.Upload`, or a part of a mail."""

    @property
    def name(self) -> str: ...
    @property
    def content(self) -> bytes: ...


class Reach(StrEnum):
    """Who may have it."""

    BY_ADDRESS = "by_address"
    """Whoever knows the address, which can't be guessed: what is published."""
    THROUGH_ITS_PAGE = "through_its_page"
    """Whom the room that keeps it lets: what two people send each other."""


class Medium(Base):
    """A picture or file that we keep; its bytes are in a table of their own, so that lists don't carry them along."""

    __tablename__ = "media"
    __table_args__ = (
        CheckConstraint("size > 0", name="not_empty"),
        CheckConstraint("(width IS NULL) = (height IS NULL)", name="both_sides"),
    )

    id: Mapped[Id]
    address: Mapped[Key] = mapped_column(unique=True)
    reach: Mapped[Reach] = mapped_column(choice(Reach, "reach"))
    media_type: Mapped[Key]
    name: Mapped[str] = mapped_column(String(120))
    size: Mapped[int] = mapped_column(Integer)
    """In bytes."""
    width: Mapped[int | None] = mapped_column(Integer)
    """In pixels, as `height`; None for what is no picture."""
    height: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime]
    created_by: Mapped[By]


class MediumBytes(Base):
    """The bytes of one of them."""

    __tablename__ = "media_bytes"

    medium_id: Mapped[int] = mapped_column(ForeignKey("media.id", ondelete="CASCADE"), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class Harmless(NamedTuple):
    """A picture or file that was looked at, about to be kept. `width` and `height` in pixels are None for a file."""

    name: str
    media_type: str
    content: bytes
    width: int | None = None
    height: int | None = None

    @property
    def is_picture(self) -> bool:
        return self.width is not None


class Kept(NamedTuple):
    """One that we keep, without its bytes."""

    id: int
    address: str
    reach: Reach
    media_type: str
    name: str
    size: int
    width: int | None
    height: int | None
    created_at: datetime
    created_by: str

    @property
    def path(self) -> str:
        """Where whoever knows it finds it; only of `Reach.BY_ADDRESS`."""
        return path_of(self.address, self.name)

    @property
    def is_picture(self) -> bool:
        return self.width is not None

    @property
    def kind(self) -> str:
        """What people call it: PDF, DOCX, WEBP."""
        return self.name.rpartition(".")[2].upper()


def path_of(address: str, name: str) -> str:
    """The path of one for everybody. The name is for who reads the address or saves it; only the address finds it."""
    return f"/media/{address}/{quote(name)}"


# Looking at what came


def read_picture(upload: Upload) -> Harmless:
    """The picture, written anew: upright, at most 2000 pixels a side, without anything that is not picture.

    PNG, JPEG, WebP and GIF are read, whatever the name says; WebP is what comes out. Errors: MediaRefused.
    """
    _check_size(upload)
    with _DECODING:
        try:
            picture = _decoded(upload.content)
            content = _as_webp(picture)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as bomb:
            raise MediaRefused(_TOO_MANY_PIXELS) from bomb
        except (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, StructError, zlib.error) as broken:
            # Everything that Pillow raises over broken files, UnidentifiedImageError (an OSError) among it.
            raise MediaRefused(_why_no_picture(upload)) from broken
    name = f"{_stem(upload.name) or 'picture'}.webp"
    return Harmless(name, "image/webp", content, picture.width, picture.height)


def read_file(upload: Upload) -> Harmless:
    """The file, if its content is what its name says and it is of a kind that we take; pictures as `read_picture` has them.

    Errors: MediaRefused.
    """
    _check_size(upload)
    ending = _ending(upload.name)
    if ending in _PICTURES:
        return read_picture(upload)
    if ending not in _FILES:
        raise MediaRefused(_NOT_OF_THESE, kinds=KINDS_TAKEN)
    media_type, check = _FILES[ending]
    check(upload.content)
    return Harmless(f"{_stem(upload.name) or 'file'}.{ending}", media_type, upload.content)


_EMPTY = N_("This file is empty. Please choose another one.")
_TOO_LARGE = N_("This file has %(size)s MB. Please choose one of at most %(most)s MB.")
_TOO_MANY_PIXELS = N_("This picture has too many pixels. Please make it smaller first, such as 2000 pixels wide.")
_VECTORS = N_("SVG drawings can hold scripts, so we don’t take them. Please save it as PNG.")
_HEIC = N_("We can’t read HEIC pictures. Please save it as JPEG.")
_NO_PICTURE = N_("We can’t read this as a picture. Please choose a PNG, JPEG, WebP or GIF file.")
_NOT_OF_THESE = N_("We don’t take files of this kind. These work: %(kinds)s.")
_NOT_WHAT_IT_SAYS = N_("The content of this file isn’t what its name says. Please save it again as %(kind)s.")
_MACROS = N_("This file contains macros. Please save it without them.")
_SCRIPTS = N_("This file contains scripts. Please save it without them, or as another kind of file.")
_PACKED_TOO_TIGHT = N_("This file unpacks to far more than it should. Please save it again, or make it smaller.")
_NOT_TEXT = N_("This is not plain text. Please save it as UTF-8.")

_PICTURES = frozenset({"png", "jpg", "jpeg", "webp", "gif"})
KINDS_TAKEN = "PDF, DOCX, XLSX, PPTX, CSV, TXT, PNG, JPEG, WebP, GIF"


def _check_size(upload: Upload) -> None:
    size = len(upload.content)
    if not size:
        raise MediaRefused(_EMPTY)
    if size > MOST_BYTES:
        raise MediaRefused(_TOO_LARGE, size=-(-size // MEGABYTE), most=MOST_BYTES // MEGABYTE)


def _ending(name: str) -> str:
    return name.rpartition(".")[2].strip().lower() if "." in name else ""


def _stem(name: str) -> str:
    """The name without folders, its ending and whatever could mislead an eye or a shell."""
    last = re.split(r"[\\/]", name)[-1]
    stem = last.rpartition(".")[0] if "." in last else last
    plain = FORBIDDEN.sub("", unicodedata.normalize("NFC", stem))
    words = re.sub(r"[^\w .,()+-]+", " ", plain)
    return " ".join(words.split()).strip(" .")[:_LONGEST_NAME].strip(" .")


# Pictures


def _decoded(content: bytes) -> Image.Image:
    """The picture's pixels, upright and small enough."""
    with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP", "GIF")) as image:
        if image.width * image.height > MOST_PIXELS:
            raise Image.DecompressionBombError
        # A JPEG can be decoded at a half or a quarter right away; other kinds ignore this.
        image.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
        upright = ImageOps.exif_transpose(image)
    has_holes = "A" in upright.getbands() or "transparency" in upright.info
    plain = upright.convert("RGBA" if has_holes else "RGB")
    plain.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    # Only the pixels go on: what a decoder hung on the picture (EXIF, XMP, colour profile, comments) stays behind.
    return Image.frombytes(plain.mode, plain.size, plain.tobytes())


def _as_webp(picture: Image.Image) -> bytes:
    """Drawings and screenshots exactly, which is smaller as well; photographs as the eye sees them."""
    few_colours = picture.convert("RGB").getcolors(maxcolors=4096) is not None
    if few_colours:
        exact = io.BytesIO()
        picture.save(exact, "WEBP", lossless=True, method=4)
        if exact.tell() <= _LOSSLESS_UP_TO:
            return exact.getvalue()
    seen = io.BytesIO()
    picture.save(seen, "WEBP", quality=82, method=4)
    return seen.getvalue()


def _why_no_picture(upload: Upload) -> str:
    start = upload.content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if _ending(upload.name) in ("svg", "svgz") or start.startswith(b"<svg") or (b"<svg" in start and start[:1] == b"<"):
        return _VECTORS
    if upload.content[4:8] == b"ftyp" and upload.content[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return _HEIC
    return _NO_PICTURE


# Files


def _check_pdf(content: bytes) -> None:
    if not content.startswith(b"%PDF-"):
        raise MediaRefused(_NOT_WHAT_IT_SAYS, kind="PDF")
    if any(_RUNS_SOMETHING.search(_unescaped(part)) for part in (content, *_object_streams(content))):
        raise MediaRefused(_SCRIPTS)


# The kinds of action that run something. Their names are this long: no packed picture holds one by chance.
_RUNS_SOMETHING = re.compile(rb"/(JavaScript|Launch|RichMedia)\b")
_STREAM = re.compile(rb"(?<!end)stream\r?\n")
_MOST_STREAMS = 50_000


def _unescaped(part: bytes) -> bytes:
    """`/J#61vaScript` is `/JavaScript` to a reader."""
    return re.sub(rb"#([0-9A-Fa-f]{2})", lambda code: bytes([int(code[1], 16)]), part)


def _object_streams(content: bytes) -> Iterator[bytes]:
    """The objects that are packed away in streams; streams of another kind (pictures, fonts) hold none."""
    packed = unpacked = 0
    for number, found in enumerate(_STREAM.finditer(content)):
        head = content[max(0, found.start() - 4096) : found.start()].rpartition(b" obj")[2]
        if b"/ObjStm" in _unescaped(head):
            stream = content[found.end() : content.find(b"endstream", found.end())]
            opened = zlib.decompressobj()
            try:
                inside = opened.decompress(stream, 20 * MEGABYTE)
            except zlib.error:
                continue  # encrypted, or of another filter: nothing here can look into it
            packed += len(stream)
            unpacked += len(inside)
            yield inside
            if opened.unconsumed_tail:
                raise MediaRefused(_PACKED_TOO_TIGHT)
        # Streams that lie within each other are counted each time: such a file is made to keep us busy.
        if number > _MOST_STREAMS or packed > 5 * MOST_BYTES or unpacked > _MOST_UNPACKED:
            raise MediaRefused(_PACKED_TOO_TIGHT)


def _office(folder: str, kind: str) -> Callable[[bytes], None]:
    def check(content: bytes) -> None:
        try:
            if not content.startswith(b"PK\x03\x04"):
                raise zipfile.BadZipFile
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                _check_archive(archive, folder=folder, kind=kind)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, zlib.error) as broken:
            raise MediaRefused(_NOT_WHAT_IT_SAYS, kind=kind) from broken

    return check


def _check_archive(archive: zipfile.ZipFile, *, folder: str, kind: str) -> None:
    parts = archive.infolist()
    names = [part.filename.lower() for part in parts]
    if "[content_types].xml" not in names or not any(name.startswith(f"{folder}/") for name in names):
        raise MediaRefused(_NOT_WHAT_IT_SAYS, kind=kind)
    unpacked, packed = sum(part.file_size for part in parts), sum(part.compress_size for part in parts)
    if len(parts) > _MOST_PARTS or unpacked > _MOST_UNPACKED or unpacked > 200 * packed + MEGABYTE:
        raise MediaRefused(_PACKED_TOO_TIGHT)
    with archive.open(parts[names.index("[content_types].xml")]) as types:
        told = types.read(MEGABYTE).lower()
    if b"macroenabled" in told or any(
        re.search(r"vba\w*\.bin$|(^|/)macrosheets/|(^|/)activex/", name) for name in names
    ):
        raise MediaRefused(_MACROS)


def _check_text(content: bytes) -> None:
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")  # as spreadsheets of some countries still write
    if re.search("[\x00-\x08\x0e-\x1a\x1c-\x1f]", text):
        raise MediaRefused(_NOT_TEXT)
    if re.search(r"<\s*(script|html|svg|iframe|!doctype|\?php)\b", text, re.IGNORECASE):
        raise MediaRefused(_SCRIPTS)


_FILES: dict[str, tuple[str, Callable[[bytes], None]]] = {
    "pdf": ("application/pdf", _check_pdf),
    "docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", _office("word", "DOCX")),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", _office("xl", "XLSX")),
    "pptx": ("application/vnd.openxmlformats-officedocument.presentationml.presentation", _office("ppt", "PPTX")),
    "csv": ("text/csv", _check_text),
    "txt": ("text/plain", _check_text),
}


# Keeping and finding


def keep(db: Session, house: House, harmless: Harmless, *, reach: Reach, by: str, now: datetime) -> Kept:
    """Keeps it in the caller's transaction. What is for everybody is kept once, however often it is brought."""
    media, size = Medium.__table__, len(harmless.content)
    address = _address(house, harmless) if reach is Reach.BY_ADDRESS else secrets.token_hex(20)
    row = {
        "address": address,
        "reach": reach,
        "media_type": harmless.media_type,
        "name": harmless.name,
        "size": size,
        "width": harmless.width,
        "height": harmless.height,
        "created_at": now,
        "created_by": by,
    }
    new = db.execute(
        insert_for(db, media).values(row).on_conflict_do_nothing(index_elements=["address"]).returning(media.c.id)
    ).scalar()
    if new is not None:
        db.execute(insert_for(db, MediumBytes.__table__).values(medium_id=new, content=harmless.content))
    return found_by_address(db, address)


def _address(house: House, harmless: Harmless) -> str:
    """Of the content, so that it may be cached for ever; keyed, so that who has the same file doesn't know the address."""
    told = "\0".join((harmless.name, harmless.media_type)).encode() + b"\0" + hashlib.sha256(harmless.content).digest()
    return hmac.new(house.secret.encode(), told, hashlib.sha256).hexdigest()[:40]


_KEPT = select(*(Medium.__table__.c[name] for name in Kept._fields))


def found(db: Session, medium_id: int) -> Kept:
    """One by its number. Errors: NotFound."""
    return _one(db, Medium.id == medium_id)


def found_by_address(db: Session, address: str) -> Kept:
    """One by its address, of whatever reach. Errors: NotFound."""
    return _one(db, Medium.address == address)


def _one(db: Session, which: object) -> Kept:
    row = db.execute(_KEPT.where(which)).first()  # type: ignore[arg-type]
    if row is None:
        raise NotFound
    return Kept(*row)


def bytes_of(db: Session, medium_id: int) -> bytes:
    """Its content. Errors: NotFound."""
    content = db.scalar(select(MediumBytes.content).where(MediumBytes.medium_id == medium_id))
    if content is None:
        raise NotFound
    return content


def forget(db: Session, medium_id: int) -> None:
    """Takes it away, bytes and all; nothing where it isn't there any more."""
    db.execute(delete(Medium).where(Medium.id == medium_id))

"""From bytes to a table: which encoding, which delimiter, which lines. The first half of reading a file of won deals.

Only limits and `DealFileRefused`; what the cells mean is for `deals`."""

import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from portal.accounts.deal_columns import DATE_LOOK, EMAIL_LOOK, Column, Field, guess_columns
from portal.accounts.deal_problems import (
    EmptyFile,
    FileTooLarge,
    NoHeader,
    NotATable,
    OnlyHeader,
    QuotesBroken,
    SpreadsheetFile,
    TooManyRows,
    Undecodable,
    shown,
)

LIMIT_MEGABYTES = 20
LIMIT_ROWS = 50_000
_LIMIT_COLUMNS = 200
_DELIMITERS = (",", ";", "\t", "|")

# A record that goes on for longer than this has a quotation mark that is never closed.
_RECORD_LINES = 60
_RECORD_LETTERS = 200_000
# Many blank lines or line breaks in cells are fine, but not millions of them.
_LINES_A_ROW = 20

# Each broken record is tried again from its next line; a file made of them must not cost the square of its size.
_SECOND_TRIES = 500


class Row(NamedTuple):
    """One record. `line` is the physical line of the file where it starts (the first is 1)."""

    line: int
    cells: tuple[str, ...]
    unclosed_quote: bool = False


@dataclass(frozen=True)
class DealFile:
    """A table as it stands in the file, and what its columns seem to mean."""

    encoding: str
    """`utf-8`, `utf-16`, `utf-32` or `windows-1252` (which holds Latin-1)."""
    delimiter: str
    header: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @property
    def mapping(self) -> dict[int, Field]:
        """The guessed meaning of each column that has one, by its index from 0."""
        return {column.index: column.field for column in self.columns if column.field is not None}


def open_deals(
    source: bytes | Path | BinaryIO, *, megabytes: int = LIMIT_MEGABYTES, rows: int = LIMIT_ROWS
) -> DealFile:
    """The table in the file, never reading more than the limit.

    Errors: DealFileRefused, one class for each reason, with a sentence that says what to do.
    """
    raw = _limited(source, megabytes)
    text, encoding = _decoded(raw)
    first_line = 1
    delimiter = ""
    if told := re.match(r"sep=(.)\r?\n", text):  # what Excel writes and reads
        text, first_line, delimiter = text[told.end() :], 2, told[1]
    if not text.strip():
        raise EmptyFile
    delimiter = delimiter or _sniffed_delimiter(text)
    if text.count("\n") + text.count("\r") > _LINES_A_ROW * 2 * (rows + 1):
        raise TooManyRows(rows)
    records = _records(text, delimiter, first_line=first_line)
    header = _header(next(records))
    found: list[Row] = []
    for row in records:
        found.append(row)
        if len(found) > rows:
            raise TooManyRows(rows)
    if not found:
        raise OnlyHeader
    return DealFile(
        encoding=encoding,
        delimiter=delimiter,
        header=header,
        columns=guess_columns(header, [row.cells for row in found[:200]]),
        rows=tuple(found),
    )


def _limited(source: bytes | Path | BinaryIO, megabytes: int) -> bytes:
    limit = megabytes * 1024 * 1024
    if isinstance(source, bytes):
        raw = source
    elif isinstance(source, Path):
        with source.open("rb") as file:
            raw = file.read(limit + 1)
    else:
        raw = b""
        while len(raw) <= limit and (more := source.read(limit + 1 - len(raw))):
            raw += more
    if len(raw) > limit:
        raise FileTooLarge(megabytes)
    if not raw.strip():
        raise EmptyFile
    return raw


_SPREADSHEETS = (b"PK\x03\x04", b"PK\x05\x06", b"\xd0\xcf\x11\xe0", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!")
_NO_TABLES = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"{\\rtf", b"<", b"\x7fELF")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def _decoded(raw: bytes) -> tuple[str, str]:
    if raw.startswith(_SPREADSHEETS):
        raise SpreadsheetFile
    if raw.startswith(_NO_TABLES):
        raise NotATable
    text, encoding = _text_of(raw)
    # One NUL in a cell is that row's problem; one in every hundred letters is no text at all.
    strange = len(_CONTROLS.findall(text[:100_000]))
    if strange > 4 and strange * 100 > len(text[:100_000]):
        raise NotATable
    return text, encoding


def _text_of(raw: bytes) -> tuple[str, str]:
    for marks, name in (
        ((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff"), "utf-32"),
        ((b"\xff\xfe", b"\xfe\xff"), "utf-16"),
    ):
        if raw.startswith(marks):
            try:
                return raw.decode(name), name
            except UnicodeDecodeError as broken:
                raise Undecodable(raw[: broken.start].decode(name, "replace").count("\n") + 1) from broken
    try:
        return raw.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        # A UTF-8 file with a few broken bytes stays one: they become lone surrogates, which refuse their cell only.
        damaged = raw.decode("utf-8", "surrogateescape")
        readable = raw.decode("utf-8", "ignore")
        broken_bytes = len(damaged) - len(readable)
        sound = len(readable) - len(readable.encode("ascii", "ignore"))
        if raw.startswith(b"\xef\xbb\xbf") or sound > 2 * broken_bytes:
            return damaged.removeprefix("\ufeff"), "utf-8"
    try:
        return raw.decode("windows-1252"), "windows-1252"
    except UnicodeDecodeError as broken:
        raise Undecodable(raw.count(b"\n", 0, broken.start) + 1) from broken


def _sniffed_delimiter(text: str) -> str:
    """The delimiter by which most of the first lines have as many cells as the header."""
    start = text[:64_000]
    best: tuple[float, int, str] = (0, 0, "")
    for delimiter in _DELIMITERS:
        counts = [len(row.cells) for row, _ in zip(_records(start, delimiter), range(40), strict=False)]
        if len(start) < len(text) and 1 < len(counts) < 40:
            counts.pop()  # cut off in the middle
        if counts and counts[0] > 1:
            best = max(best, (counts.count(counts[0]) / len(counts), counts[0], delimiter))
    if not best[2]:
        raise NotATable
    return best[2]


def _header(first: Row) -> tuple[str, ...]:
    cells = [shown(cell) for cell in first.cells]
    while cells and not cells[-1]:
        cells.pop()
    if len(cells) < 2 or len(cells) > _LIMIT_COLUMNS or first.unclosed_quote:
        raise NotATable
    if any(EMAIL_LOOK.fullmatch(cell) or DATE_LOOK.fullmatch(cell) for cell in cells):
        raise NoHeader
    return tuple(cells)


class _EndlessRecord(Exception):
    """A record is longer than any real one."""


class _Lines:
    """The text's physical lines, from which some can be put back.

    Lazy: 20 MB of line ends must not become 20 million strings.
    """

    def __init__(self, text: str, first_line: int) -> None:
        self._text = io.StringIO(text, newline="")
        self._put_back: deque[str] = deque()
        self.number = first_line
        """Of the line that comes next."""

    def next(self) -> str:
        """The next line with its end; empty at the end of the text."""
        line = self._put_back.popleft() if self._put_back else self._text.readline()
        self.number += bool(line)
        return line

    def put_back(self, lines: Sequence[str]) -> None:
        self._put_back.extendleft(reversed(lines))
        self.number -= len(lines)


def _records(text: str, delimiter: str, *, first_line: int = 1) -> Iterator[Row]:
    """The records that aren't blank, header first. An unclosed quotation mark costs its own line, not the whole file."""
    lines = _Lines(text, first_line)
    expected = 0
    second_tries = 0
    while True:
        start = lines.number
        cells, taken, closed = _one_record(lines, delimiter)
        if not taken:
            return
        if (
            len(taken) > 1
            and expected
            and not (closed and _width(cells, expected) == expected and _strict(taken, delimiter))
        ):
            again = _next_sound_line(taken, delimiter, expected)
            if again is None and not closed:
                again = 1
            if again is not None:
                lines.put_back(taken[again:])
                cells, closed = taken[0].split(delimiter), False
                second_tries += 1
                if second_tries > _SECOND_TRIES:
                    raise QuotesBroken
        if any(cell.strip() for cell in cells):
            width = _width(cells, expected)
            yield Row(start, tuple(cells[:width]), unclosed_quote=not closed)
            expected = expected or len(_trimmed(cells))


def _one_record(lines: _Lines, delimiter: str) -> tuple[list[str], list[str], bool]:
    """The cells of the next record, the lines it took, and whether its quotation marks were all closed."""
    taken: list[str] = []
    ended = False

    def feed() -> Iterator[str]:
        nonlocal ended
        letters = 0
        while line := lines.next():
            taken.append(line)
            letters += len(line)
            if len(taken) > _RECORD_LINES or letters > _RECORD_LETTERS:
                raise _EndlessRecord
            yield line
        ended = True

    try:
        cells = next(csv.reader(feed(), delimiter=delimiter), [])
    except (_EndlessRecord, csv.Error):  # csv.Error: a cell longer than the csv module holds
        return [taken[0][:1000]], taken, False
    return cells, taken, not ended


def _strict(taken: Sequence[str], delimiter: str) -> bool:
    """Whether the quotation marks stand where they may; if not, one of them may have swallowed the next record."""
    try:
        next(csv.reader(taken, delimiter=delimiter, strict=True))
    except csv.Error:
        return False
    return True


def _next_sound_line(taken: Sequence[str], delimiter: str, expected: int) -> int | None:
    """The first of the later lines that a whole record starts in; there the file is sound again."""
    for index in range(1, len(taken)):
        rest = _Lines("".join(taken[index:]), 1)
        cells, _, closed = _one_record(rest, delimiter)
        if closed and _width(cells, expected) == expected:
            return index
    return None


def _trimmed(cells: Sequence[str]) -> Sequence[str]:
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


def _width(cells: Sequence[str], expected: int) -> int:
    """How many cells the record has; empty ones past the header's last don't count."""
    return expected if expected and len(cells) > expected >= len(_trimmed(cells)) else len(cells)

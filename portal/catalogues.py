"""Compiling the catalogues: every language's area files (`locale/pt_BR/<area>.po`) become its one `messages.mo`.
The wheel's build, `dev.py` and the tests all call this, so what people read is never older than what is written.
"""

import io
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

# A fixed date in the header: the same words always compile to the same bytes.
_HEADER_DATE = datetime(2000, 1, 1, tzinfo=UTC)


_PLURAL_FORMS = {"pt_BR": "nplurals=2; plural=(n > 1);"}
"""As our files are written. CLDR, and Babel with it, knows a third form for pt_BR ("2 milhões *de* clientes"); under its
rule every number but 0 and 1 asks for a form that nobody wrote, and people read English."""


class ClashingTranslations(ValueError):
    """Two area files translate the same sentence differently; only one of them could win."""


def entries(po_file: Path) -> Iterator[Message]:
    """The sentences of one area file, without its header, in the file's order."""
    with po_file.open("rb") as source:
        catalogue = read_po(source, locale=po_file.parent.name, abort_invalid=True)
    return (message for message in catalogue if message.id)


def merged_catalogue(folder: Path) -> Catalog:
    """All area files of one language (a folder such as `locale/pt_BR`) as one catalogue.

    Raises ClashingTranslations where two files disagree. The same translation in two files is fine.
    """
    # Our own header, not the first file's: the plural rule comes from the language, not from who wrote first.
    merged = Catalog(locale=folder.name, creation_date=_HEADER_DATE, revision_date=_HEADER_DATE, fuzzy=False)
    if forms := _PLURAL_FORMS.get(folder.name):
        merged.mime_headers = [("Plural-Forms", forms)]
    taken_from: dict[tuple[str | None, str], tuple[Path, object]] = {}
    for po_file in sorted(folder.glob("*.po")):
        for message in entries(po_file):
            singular = message.id if isinstance(message.id, str) else message.id[0]
            key = (message.context, singular)
            other_file, other_words = taken_from.setdefault(key, (po_file, message.string))
            if other_words != message.string:
                raise ClashingTranslations(f"{po_file} and {other_file} translate {singular!r} differently")
            merged.add(message.id, message.string, flags=message.flags, context=message.context)
    return merged


def compile_catalogues(locale: Path) -> list[Path]:
    """Compile every language under `locale` and give the `messages.mo` files written."""
    compiled = []
    for folder in sorted({po_file.parent for po_file in locale.glob("*/*.po")}):
        content = io.BytesIO()
        write_mo(content, merged_catalogue(folder))
        target = folder / "LC_MESSAGES" / "messages.mo"
        _replace(target, content.getvalue())
        compiled.append(target)
    return compiled


def _replace(target: Path, content: bytes) -> None:
    # A rename, because a running server or another test process may be reading the old file.
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=target.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(draft).chmod(0o644)
    Path(draft).replace(target)

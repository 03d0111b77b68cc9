"""A thread as both sides' pages show it: what both need to show it, read its form, and give out its files."""

from typing import Any

from pydantic import BaseModel

from portal import words
from portal.deps import Ask
from portal.errors import N_
from portal.forms import Filled, Sentence, empty_form, read_form
from portal.links import new_nonce
from portal.media import KINDS_TAKEN, Harmless, MediaRefused, read_file
from portal.messages.queries import ThreadPage
from portal.messages.rules import MOST_FILES
from portal.text import Paragraphs

ROOM_FOR_FILES_MEGABYTES = 52


class MessageForm(BaseModel):
    """What is written, and a key that makes a form sent twice one message."""

    text: Paragraphs = ""
    key: str = ""


def empty_message() -> Filled[Any]:
    return empty_form({"key": new_nonce()})


def read_message(ask: Ask) -> tuple[Filled[MessageForm], list[Harmless]]:
    """The form with its files looked at. What was typed is kept; files have to be chosen again, as browsers want it."""
    filled = read_form(MessageForm, ask.form)
    sent = [upload for name, upload in ask.files.items() if name.partition("#")[0] == "files"]
    files: list[Harmless] = []
    if len(sent) > MOST_FILES:
        return _again(filled, N_("Please choose at most %(most)s files for one message."), most=MOST_FILES), []
    for upload in sent:
        try:
            files.append(read_file(upload))
        except MediaRefused as refused:
            why = words.translate(ask.locale, refused.message, **refused.values)
            return _again(filled, N_("%(name)s: %(why)s"), name=upload.name[:100], why=why), []
    if filled.value is not None and not filled.value.text and not files:
        filled = filled.with_error("text", N_("Please write something, or choose a file."))
    return filled, files


def _again(filled: Filled[MessageForm], message: str, **values: object) -> Filled[MessageForm]:
    return Filled(None, filled.typed, {**filled.errors, "files": Sentence(message, values)}, filled.lists)


def form_key(filled: MessageForm, by: str) -> str:
    """A form's own key under its sender's name, so that nobody can use up another's."""
    known = filled.key if filled.key.isalnum() and len(filled.key) == 32 else new_nonce()
    return f"form:{by}:{known}"


def shown(page: ThreadPage, *, base: str, is_staff: bool, reader_id: int) -> dict[str, Any]:
    """What the thread's template needs. `base`: the address that the thread's own addresses begin with."""
    return {
        "thread": page,
        "base": base,
        "reads_as_staff": is_staff,
        "reader_id": reader_id,
        "kinds_taken": KINDS_TAKEN,
        "most_files": MOST_FILES,
        "previous_at": None,
    }


def number(asked: str) -> int:
    """A message's id in a query; 0 for anything else."""
    return int(asked) if asked.isascii() and asked.isdigit() and len(asked) <= 18 else 0

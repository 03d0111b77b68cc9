"""Rules that no compiler checks: what the repository's files may say, and that every word for people is translated."""

import re
from collections.abc import Iterator
from functools import cache
from gettext import NullTranslations
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract

from portal.catalogues import ClashingTranslations, compile_catalogues, entries, merged_catalogue
from portal.places import LOCALE, PACKAGE, TEMPLATES
from portal.words import translations

ROOT = Path(__file__).resolve().parent.parent
LEFT_BY_TOOLS = (
    "__pycache__",
    "node_modules",
    "htmlcov",
    "build",
    "dist",
    "var",
    "test-results",
    "LC_MESSAGES",
    "uv.lock",
)


def house_files() -> Iterator[Path]:
    """Every file that belongs to the repository; no git needed, so an unpacked archive is checked too."""
    waiting = [ROOT]
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            hidden = path.name.startswith(".") and path.name not in (".ci", ".gitignore", ".github")
            if hidden or path.name in LEFT_BY_TOOLS or path.name.endswith(".egg-info"):
                continue
            if path.is_dir():
                waiting.append(path)
            else:
                yield path


def words_of(path: Path) -> str | None:
    """The file's text; None for a picture or a font. Customers' exports among the test data keep their own encoding."""
    content = path.read_bytes()
    return None if b"\0" in content else content.decode("utf-8", "replace" if path.suffix == ".csv" else "strict")


# Locks


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt", "requirements-oidc.txt"])
def test_a_lock_names_no_place_to_fetch_from(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert [word for word in ("://", "find-links", "index", " @ ", "-e ") if word in text] == []


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt", "requirements-oidc.txt"])
def test_a_lock_pins_every_package_by_version_and_hash(lock: str) -> None:
    pins = re.split(r"\n(?=\S)", (ROOT / lock).read_text().replace("\\\n", " ").strip())
    loose = [pin.split()[0] for pin in pins if not re.match(r"[a-z0-9.\[\]-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", pin)]
    assert loose == []


def test_the_development_lock_never_pins_a_package_of_the_runtime_lock_differently() -> None:
    def pins(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))

    runtime, development = pins("requirements.txt"), pins("requirements-dev.txt")
    assert {name: (runtime[name], development[name]) for name in runtime.keys() & development.keys()} == {
        name: (runtime[name], runtime[name]) for name in runtime.keys() & development.keys()
    }


# Every file

# Put together from pieces, so that this file does not name them itself.
MACHINE_PATHS = re.compile(r"(?<![\w.:-])/(?:" + "|".join(("work", "tmp/wt", "root")) + r")(?![\w-])")
HOSTS = {
    "pypi": "org",
    "pythonhosted": "org",
    "npmjs": "(org|com)",
    "unpkg": "com",
    "jsdelivr": "net",
    "cdnjs": "cloudflare",
}
PACKAGE_HOSTS = re.compile("|".join(rf"{name}\.{end}" for name, end in HOSTS.items()))


@pytest.mark.parametrize("wrong", [MACHINE_PATHS, PACKAGE_HOSTS], ids=["paths of one machine", "hosts of packages"])
def test_no_file_names(wrong: re.Pattern[str]) -> None:
    said = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path in house_files()
        for number, line in enumerate((words_of(path) or "").splitlines(), 1)
        if wrong.search(line)
    ]
    assert said == []


def test_the_guard_against_paths_of_one_machine_sees_them_and_only_them() -> None:
    named = [
        before + "/" + after for before, after in (("see ", "work/notes"), ('"', "root/.config"), ("", "tmp/wt/x"))
    ]
    fine = ["portal/worker.py", "/workshops", ":root {", "/staff/work", "a/root"]
    assert [line for line in [*named, *fine] if MACHINE_PATHS.search(line)] == named


# Pages: the content policy allows no inline script or style, and htmx's own evaluation dies under it


class Complaint(NamedTuple):
    line: int
    what: str


class _Policy(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.complaints: list[Complaint] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style":
            self._complain("<style>")
        if tag == "script" and "src" not in given:
            self._complain("<script> without src")
        for name, value in given.items():
            if name == "style" or name.startswith("on"):
                self._complain(f"{name}=")
            if name.startswith(("hx-on", "data-hx-on", "hx-live")):
                self._complain(f"{name}= is evaluated")
            if name.startswith("hx-") and (value or "").lstrip().startswith(("js:", "javascript:")):
                self._complain(f"{name}={value!r} is evaluated")
            if name.startswith("hx-trigger") and "[" in (value or ""):
                self._complain(f"{name}={value!r} has a filter, which is evaluated")
            if name in ("href", "src", "action", "formaction") and (value or "").lstrip().lower().startswith(
                "javascript:"
            ):
                self._complain(f"{name}=javascript:")

    def _complain(self, what: str) -> None:
        self.complaints.append(Complaint(self.getpos()[0], what))


def policy_complaints(template: str) -> list[Complaint]:
    def silent(found: re.Match[str]) -> str:
        # A word for an expression, blanks for a statement or a comment, and the line numbers stay.
        return ("x" if found[0].startswith("{{") else " ") + "\n" * found[0].count("\n")

    parser = _Policy()
    parser.feed(re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", silent, template, flags=re.DOTALL))
    parser.close()
    return parser.complaints


def test_no_page_has_anything_that_the_content_policy_blocks() -> None:
    pages = [page for page in sorted(TEMPLATES.rglob("*.html")) if page.relative_to(TEMPLATES).parts[0] != "mail"]
    said = [
        f"{page.relative_to(ROOT)}:{complaint.line}: {complaint.what}"
        for page in pages
        for complaint in policy_complaints(page.read_text(encoding="utf-8"))
    ]
    assert said == []


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ('<p {% if x > 1 %}class="a"{% endif %} style="color: red">', "style="),
        ("<a\n  onclick='go()'>", "onclick="),
        ("<style>p {}</style>", "<style>"),
        ('<script type="module">1</script>', "<script> without src"),
        ("<button hx-on:click='x'>", "hx-on:click= is evaluated"),
        ("<button hx-vals='js:{a: 1}'>", "hx-vals='js:{a: 1}' is evaluated"),
        ("<i hx-trigger='click[ctrlKey]'>", "hx-trigger='click[ctrlKey]' has a filter, which is evaluated"),
        ('<a href="javascript:void(0)">', "href=javascript:"),
    ],
)
def test_the_guard_sees(template: str, what: str) -> None:
    assert [complaint.what for complaint in policy_complaints(template)] == [what]


def test_the_guard_leaves_alone_what_is_allowed() -> None:
    allowed = """{# style="" #}{% set only = '<b style="">' %}<script src="{{ static('app.js') }}" defer></script>
    <p class="{{ 'on' if x }}" hx-get="/a" hx-trigger="change from:body" title="on=1">style=""</p>"""
    assert policy_complaints(allowed) == []


# Words for people

KEYWORDS = {**DEFAULT_KEYWORDS, "_": None, "N_": None}
JINJA = {"trimmed": "true", "silent": "false", "newstyle_gettext": "true", "extensions": "jinja2.ext.do"}
NAMED_PLACES = re.compile(r"%%|%\((\w+)\)[a-z]|%[sd]|\{(\w*)\}")


class Said(NamedTuple):
    """A sentence for people: its context, its singular and, where it counts something, its plural."""

    context: str | None
    singular: str
    plural: str | None


def said_in(path: Path) -> Iterator[Said]:
    """What one file asks to have translated."""
    python = path.suffix == ".py"
    with path.open("rb") as source:
        method, options = ("python", {}) if python else ("jinja2.ext:babel_extract", JINJA)
        for _line, found, _comments, context in extract(method, source, keywords=KEYWORDS, options=options):
            singular, plural = (found, None) if isinstance(found, str) else (found[0], found[1])
            yield Said(context, singular, plural)


@cache
def house_sentences() -> dict[Said, str]:
    """Every sentence for people in code and templates, with a place where it is said."""
    files = [*PACKAGE.rglob("*.py"), *(path for path in TEMPLATES.rglob("*") if path.suffix in (".html", ".txt"))]
    return {said: str(path.relative_to(ROOT)) for path in sorted(files) for said in said_in(path)}


def key(message: Message) -> Said:
    singular, plural = (message.id, None) if isinstance(message.id, str) else message.id
    return Said(message.context, singular, plural)


def translations_of(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string)


def places_in(sentence: str) -> list[str]:
    return sorted(found[0] for found in NAMED_PLACES.finditer(sentence) if found[0] != "%%")


LANGUAGES = sorted({path.parent for path in LOCALE.glob("*/*.po")})
AREAS = sorted(LOCALE.glob("*/*.po"))


def name_of(path: Path) -> str:
    return path.relative_to(LOCALE).as_posix()


def test_brazilian_portuguese_is_among_the_languages() -> None:
    assert "pt_BR" in [folder.name for folder in LANGUAGES]


@pytest.mark.parametrize("area", AREAS, ids=name_of)
def test_every_entry_is_translated_and_none_is_a_guess(area: Path) -> None:
    empty = [key(message).singular for message in entries(area) if not all(translations_of(message))]
    guessed = [key(message).singular for message in entries(area) if message.fuzzy]
    assert (empty, guessed) == ([], [])


@pytest.mark.parametrize("folder", LANGUAGES, ids=name_of)
def test_every_sentence_for_people_has_a_translation(folder: Path) -> None:
    translated = {key(message) for message in merged_catalogue(folder) if message.id}
    assert {said: place for said, place in house_sentences().items() if said not in translated} == {}


@pytest.mark.parametrize("folder", LANGUAGES, ids=name_of)
def test_whatever_is_counted_is_said_in_the_language(folder: Path) -> None:
    """Every plural rule has its form: a rule with a form that nobody wrote lets people read English."""
    language = translations(folder.name.replace("_", "-"))
    counted = [message for message in merged_catalogue(folder) if message.id and not isinstance(message.id, str)]
    english = [
        (message.id[0], n)
        for message in counted
        for n in (0, 1, 2, 5, 1_000_000)
        if _counted(language, message, n) not in translations_of(message)
    ]
    assert counted
    assert english == []


def _counted(language: NullTranslations, message: Message, n: int) -> str:
    if message.context:
        return language.npgettext(message.context, message.id[0], message.id[1], n)
    return language.ngettext(message.id[0], message.id[1], n)


@pytest.mark.parametrize("area", AREAS, ids=name_of)
def test_no_translation_is_of_a_sentence_that_nobody_says(area: Path) -> None:
    said = house_sentences()
    assert [key(message).singular for message in entries(area) if key(message) not in said] == []


@pytest.mark.parametrize("area", AREAS, ids=name_of)
def test_translations_keep_the_places_that_values_go_into(area: Path) -> None:
    assert [wrong for message in entries(area) for wrong in misplaced(message)] == []


def misplaced(message: Message) -> list[str]:
    """The translations whose places differ from the original's.

    A counted sentence keeps the plural's; only its first form may do without the number, as the English singular may.
    """
    _context, singular, plural = key(message)
    allowed = [places_in(singular)] if plural is None else [places_in(plural)]
    first_too = allowed if plural is None else [places_in(singular), places_in(plural)]
    return [
        form
        for number, form in enumerate(translations_of(message))
        if places_in(form) not in (first_too if number == 0 else allowed)
    ]


@pytest.mark.parametrize(
    ("ours", "theirs", "wrong"),
    [
        ("Hello, %(name)s", "Olá, %(nome)s", ["Olá, %(nome)s"]),
        ("Hello, %(name)s", "%(name)s, olá", []),
        ("100%% of {count}", "100%% de {count}", []),
        (("One visit", "%(n)s visits"), ("Uma visita", "%(n)s visitas"), []),
        (("One visit", "%(n)s visits"), ("Uma visita", "Visitas"), ["Visitas"]),
    ],
)
def test_a_lost_place_is_seen(ours: str, theirs: str, wrong: list[str]) -> None:
    assert misplaced(Message(ours, theirs)) == wrong


def test_sentences_are_found_in_code_and_templates(tmp_path: Path) -> None:
    code, page = tmp_path / "code.py", tmp_path / "page.html"
    code.write_text('N_("Later")\nngettext("%(n)s day", "%(n)s days", 2)\npgettext("month", "May")\n', encoding="utf-8")
    page.write_text(
        "{{ _('Hi') }}{% trans n=2 %}\n  {{ n }} visit\n{% pluralize %}\n {{ n }}\n visits {% endtrans %}{% do x %}",
        encoding="utf-8",
    )
    assert list(said_in(code)) == [
        Said(None, "Later", None),
        Said(None, "%(n)s day", "%(n)s days"),
        Said("month", "May", None),
    ]
    assert list(said_in(page)) == [Said(None, "Hi", None), Said(None, "%(n)s visit", "%(n)s visits")]


def test_the_areas_of_a_language_become_one_catalogue_and_must_not_clash(tmp_path: Path) -> None:
    folder = tmp_path / "pt_BR"
    folder.mkdir()
    (folder / "a.po").write_text('msgid "Hi"\nmsgstr "Oi"\n', encoding="utf-8")
    (folder / "b.po").write_text('msgid "Hi"\nmsgstr "Oi"\n\nmsgid "Bye"\nmsgstr "Tchau"\n', encoding="utf-8")
    assert compile_catalogues(tmp_path) == [folder / "LC_MESSAGES" / "messages.mo"]
    first = (folder / "LC_MESSAGES" / "messages.mo").read_bytes()
    compile_catalogues(tmp_path)
    assert (folder / "LC_MESSAGES" / "messages.mo").read_bytes() == first
    (folder / "b.po").write_text('msgid "Hi"\nmsgstr "Olá"\n', encoding="utf-8")
    with pytest.raises(ClashingTranslations, match="differently"):
        compile_catalogues(tmp_path)

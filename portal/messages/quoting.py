"""What somebody wrote in a mail, without what they answered to and without their signature: pure rules over lines.

Mail programs mark what they quote in a dozen ways, in the language of their owner; each rule names whose it is. Where in
doubt a line stays: too much is a nuisance, too little is lost (and the whole mail is kept beside the message).
"""

import re
from html.parser import HTMLParser
from typing import NamedTuple


class Split(NamedTuple):
    """A mail's text in two: what was written now, and whether more was there."""

    text: str
    is_shortened: bool


_WROTE = re.compile(
    # Gmail, Apple Mail, Thunderbird: a line that ends in "wrote:", possibly wrapped; so in every language we meet.
    r"^\W*(On|Am|Em|El|Le|Il|Op|A|No dia|Dia)\b.{4,250}\b(wrote|schrieb.*|escreveu|escribió|a écrit|ha scritto|schreef)\s?:\s*$",
    re.IGNORECASE | re.DOTALL,
)
_GMAIL_OLD = re.compile(r"^\W*\d{4}[-/.]\d\d?[-/.]\d\d?.{4,200}<[^>]+@[^>]+>\s?:?\s*$", re.DOTALL)
_NAMED = re.compile(
    r"^\W*.{2,80}<[^>\s]+@[^>\s]+>\s+(escreveu|wrote)(\s+(em|on|no dia)\b.{0,80})?\s?:\s*$", re.DOTALL | re.IGNORECASE
)
_ORIGINAL = re.compile(
    # Outlook: a bar and a title; "Mensagem original" in Portuguese.
    r"^\s*[-_]{2,}\s*(original message|mensagem original|mensagem encaminhada|forwarded message|ursprüngliche nachricht|"
    r"mensaje original|message d.origine)\s*[-_]{2,}\s*$",
    re.IGNORECASE,
)
_BAR = re.compile(r"^\s*_{10,}\s*$")
_FROM = re.compile(r"^\s*\*?(From|De|Von|Da)\s?:\*?\s?\S", re.IGNORECASE)
_HEADER = re.compile(
    r"^\s*\*?(Sent|Date|To|Cc|Subject|Enviada?( em)?|Enviado( em)?|Data|Para|Assunto|Gesendet|An|Betreff|Envoyé|À|Objet|"
    r"Enviado el|Asunto|Reply-To|Responder a)\s?:\*?",
    re.IGNORECASE,
)
_PHONE = re.compile(
    r"^\s*(Sent from (my|Outlook|Mail|Yahoo|Samsung|Gmail)\b.*|Get Outlook for \w+.*|Enviad[oa] (do|de|a partir d[oe]|via|pelo) .{2,60}|"
    r"Obter o Outlook para \w+.*|Baixe o Outlook para .*|Von meinem .{2,30} gesendet)\.?\s*(<https?://\S+>)?$",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(r"^-- ?$")
_OUR_LINE = re.compile(r"^\W*(reply above this line|responda acima desta linha)\W*$", re.IGNORECASE)


def without_history(whole: str) -> Split:
    """What was written now. An answer written between the quoted lines keeps them: it would make no sense alone."""
    lines = whole.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept = _below_a_quotation(lines) or lines[: _where_history_begins(lines)]
    kept = _without_signature(_without_quoted_end(kept))
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in kept)).strip()
    return Split(text, " ".join(text.split()) != " ".join(whole.split()))


def _is_quoted(line: str) -> bool:
    return line.lstrip().startswith(">")


def _where_history_begins(lines: list[str]) -> int:
    """The first line that introduces what was answered to; the number of lines where there is none."""
    for n, line in enumerate(lines):
        if _ORIGINAL.match(line) or _OUR_LINE.match(line):
            return n
        if _BAR.match(line) and any(_FROM.match(following) for following in lines[n + 1 : n + 3]):
            return n
        if _FROM.match(line) and sum(bool(_HEADER.match(following)) for following in lines[n + 1 : n + 7]) >= 2:
            return n
        if _introduces(lines, n) and _goes_on_quoted(lines, n):
            return n
    return len(lines)


def _introduces(lines: list[str], n: int) -> int:
    """How many lines from here say who wrote when (programs wrap it over up to three); 0 if they don't."""
    if not lines[n].strip() or _is_quoted(lines[n]):
        return 0
    for count in (1, 2, 3):
        if count > 1 and (n + count > len(lines) or not lines[n + count - 1].strip()):
            return 0
        said = " ".join(lines[n : n + count])
        if _WROTE.match(said) or _GMAIL_OLD.match(said) or _NAMED.match(said):
            return count
    return 0


def _goes_on_quoted(lines: list[str], n: int) -> bool:
    """Whether nothing of their own follows the introduction: all is quoted, or (as Outlook and Apple do from HTML) unmarked.

    Words between or beneath quoted lines are an answer point by point, which stays whole.
    """
    rest = lines[n + _introduces(lines, n) :]
    quoted = [i for i, line in enumerate(rest) if _is_quoted(line)]
    return not quoted or not _own_words(rest[quoted[0] :])


def _own_words(lines: list[str]) -> list[str]:
    """What isn't quoted, up to a signature."""
    own = []
    for line in lines:
        if _SIGNATURE.match(line):
            break
        if line.strip() and not _is_quoted(line) and not _PHONE.match(line):
            own.append(line)
    return own


def _below_a_quotation(lines: list[str]) -> list[str]:
    """The answer of somebody who quotes first and writes beneath; empty where the mail isn't like that."""
    start = next((n for n, line in enumerate(lines) if line.strip()), len(lines))
    if start < len(lines):
        start += _introduces(lines, start)
    rest = lines[start:]
    marks = "".join("q" if _is_quoted(line) else "w" for line in rest if line.strip())
    if not re.fullmatch("q+w+", marks):
        return []
    last = max(i for i, line in enumerate(rest) if _is_quoted(line))
    return rest[last + 1 :] if _own_words(rest[last + 1 :]) else []


def _without_quoted_end(lines: list[str]) -> list[str]:
    """Quoted lines at the very end answer nothing."""
    kept = list(lines)
    while kept and (not kept[-1].strip() or _is_quoted(kept[-1])):
        kept.pop()
    return kept


def _without_signature(lines: list[str]) -> list[str]:
    """Up to the line `-- ` (RFC 3676, 4.3), without what telephones write beneath; never all of it."""
    for n, line in enumerate(lines):
        if _SIGNATURE.match(line) and any(one.strip() for one in lines[:n]):
            lines = lines[:n]
            break
    kept = list(lines)
    while kept and (not kept[-1].strip() or _PHONE.match(kept[-1])):
        kept.pop()
    return kept


# HTML


_BLOCKS = frozenset(
    {
        "p",
        "div",
        "br",
        "li",
        "tr",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "blockquote",
        "pre",
        "table",
        "ul",
        "ol",
        "hr",
        "section",
    }
)
_SILENT = frozenset({"script", "style", "head", "title", "noscript", "template", "svg", "object", "iframe"})
_VOID = frozenset(
    {"br", "hr", "img", "meta", "link", "input", "area", "base", "col", "embed", "source", "wbr", "track"}
)
_QUOTES = ("gmail_quote", "gmail_attr", "yahoo_quoted", "moz-cite-prefix", "protonmail_quote", "zmail_extra")
_QUOTE_IDS = ("divrplyfwdmsg", "appendonsend", "mail-editor-reference-message-container", "x_divrplyfwdmsg")


class _Text(HTMLParser):
    """The words of a page; quoted parts as lines with `>`, so that the rules for text find them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0
        self._open: list[tuple[str, bool]] = []
        self._quoted = 0
        self._rest_is_quoted = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: (value or "").lower() for name, value in attrs}
        if tag in _SILENT:
            self._silent += 1
        if tag in _BLOCKS:
            self._line()
        quotes = tag == "blockquote" or any(name in given.get("class", "") for name in _QUOTES)
        if given.get("id", "") in _QUOTE_IDS:
            self._rest_is_quoted = True  # Outlook's mark: all that follows is what was answered to
        if tag not in _VOID:
            self._open.append((tag, quotes))
            self._quoted += quotes
        if tag == "li":
            self.parts.append("- ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT and self._silent:
            self._silent -= 1
        if tag not in {name for name, _ in self._open}:
            return
        while self._open:
            name, quotes = self._open.pop()
            if quotes:
                self._line()
                self._quoted -= 1
            if name == tag:
                break
        if tag in _BLOCKS:
            self._line()

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        words = re.sub(r"[ \t\r\n\f]+", " ", data).replace("\xa0", " ").replace("\u200b", "")
        if (
            (self._quoted or self._rest_is_quoted)
            and words.strip()
            and (not self.parts or self.parts[-1].endswith("\n"))
        ):
            self.parts.append("> ")
        self.parts.append(words)

    def _line(self) -> None:
        if not self._silent:
            self.parts.append("\n")


def text_of_html(html: str) -> str:
    """The words of an HTML mail as plain text. Nothing of its markup is kept, so nothing of it can act."""
    parser = _Text()
    parser.feed(html[:2_000_000])
    parser.close()
    lines = [" ".join(line.split()) for line in "".join(parser.parts).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()

"""Markdown as HTML that is safe to show: no HTML of the writer's own, only the tags that reading needs, pictures and files only
from our own media, and nothing that loads from another host before somebody presses it.

Beside plain Markdown (and tables): a link to one of our files is a card with its kind and size; a video is a block
that shows its picture, and plays where it lives once it is pressed:

    :::video https://videos.example/first-steps
    title: First steps
    length: 3:20
    poster: /media/…/first-steps.webp

    What is said in it, in Markdown.
    :::
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from html import escape
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token
from markupsafe import Markup

from portal import words
from portal.errors import N_

_TAGS = {
    "p", "br", "hr", "h2", "h3", "h4", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "img",
    "table", "thead", "tbody", "tr", "th", "td", "figure", "details", "summary", "div", "span", "b", "small",
}  # fmt: skip
_ATTRIBUTES = {
    "a": {"href", "title", "rel", "target", "download"},
    "img": {"src", "alt", "title", "width", "height", "loading"},
    "ol": {"start"},
    "th": {"scope"},
}
_CLASSES = {"a": {"out", "file", "facade"}, "figure": {"video"}, "span": {"play", "vh"}, "div": {"transcript"}}
_SCHEMES = {"http", "https", "mailto"}

_OURS = re.compile(r"/media/(?P<address>[0-9a-f]{40})/(?P<name>[^/#?\s]+)(?:#(?P<more>[0-9x]{1,20}))?$")
"""What we keep; after the #, what `snippet` noted: a picture's `width x height` in pixels, a file's bytes."""


class Problem(NamedTuple):
    """What keeps a text from being shown as its writer means it: a msgid and what fills its places."""

    message: str
    values: Mapping[str, object] = {}


class Part(NamedTuple):
    """A stretch of a text from one heading of the second level to the next; the first one may lack a heading."""

    title: str
    html: Markup


def as_plain(text: str) -> str:
    """The words of the text alone, as they are read; for searching."""
    return "\n".join(_said(token) for token in _reader.parse(text) if token.type in _SPEAKING)


_SPEAKING = ("inline", "fence", "code_block", "video")


def _said(token: Token) -> str:
    if token.type == "video":
        inside = _of_transcripts.parse(token.meta["transcript"])
        return "\n".join([token.meta["title"], *(_said(each) for each in inside if each.type in _SPEAKING)])
    if token.type != "inline":
        return token.content.strip()
    # A line's end inside a paragraph is a space; a picture is what it is called.
    breaks = ("softbreak", "hardbreak")
    return "".join(" " if part.type in breaks else part.content for part in token.children or ())


def as_html(text: str, locale: str = "en") -> Markup:
    """The text as HTML. Headings begin at the second level: the page has the first."""
    return Markup("").join(part.html for part in parts(text, locale))


@lru_cache(maxsize=512)
def parts(text: str, locale: str = "en") -> tuple[Part, ...]:
    """The text as HTML in its parts, so that a page can tell how far somebody has read."""
    tokens = _reader.parse(text)
    starts = [
        n for n, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2" and not token.level
    ]
    bounds = [0, *(n for n in starts if n), len(tokens)]
    env = {"locale": locale}
    found = []
    for start, end in pairwise(bounds):
        title = _plain(tokens[start + 1]) if start in starts else ""
        found.append(Part(title, _cleaned(_reader.renderer.render(tokens[start:end], _reader.options, env))))
    return tuple(found)


def _cleaned(html: str) -> Markup:
    made = nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        allowed_classes=_CLASSES,
        url_schemes=_SCHEMES,
        link_rel=None,  # the renderer sets it, on links that lead elsewhere only
    )
    return Markup(made)  # noqa: S704 - what nh3 let through


def snippet(name: str, path: str, *, size: int, width: int | None, height: int | None) -> str:
    """What a writer puts into a text to show a picture or offer a file that we keep."""
    label = re.sub(r"[\[\]\\]", "", name.rpartition(".")[0] or name)
    return f"![{label}]({path}#{width}x{height})" if width else f"[{label}]({path}#{size})"


def media_in(text: str) -> set[str]:
    """The addresses of all that we keep that a text shows or offers."""
    return {found["address"] for found in re.finditer(r"/media/(?P<address>[0-9a-f]{40})/", text)}


# What is wrong with a text

_ELSEWHERE = N_("The picture “%(alt)s” is at another host, so it would not be shown. Please upload it here.")
_NO_ALT = N_("A picture has no description. Say in the square brackets what it shows.")
_NO_TITLE = N_("A video has no title. Add a line such as “title: First steps”.")
_NO_ADDRESS = N_("A video needs its address, such as https://videos.example/first-steps.")
_NO_POSTER = N_("The video “%(title)s” needs a poster: a picture that you uploaded here.")
_NO_TRANSCRIPT = N_("The video “%(title)s” needs a transcript: what is said in it, before the closing :::.")
_NO_END = N_("The video “%(title)s” never ends. Add a line with ::: after its transcript.")


def problems(text: str) -> list[Problem]:
    """What a writer has to mend, in the order of the text."""
    return list(_problems(_reader.parse(text)))


def _problems(tokens: Sequence[Token]) -> Iterator[Problem]:
    for token in tokens:
        if token.type == "image":
            alt = _plain(token)
            if not _OURS.match(str(token.attrGet("src"))):
                yield Problem(_ELSEWHERE, {"alt": alt})
            elif not alt:
                yield Problem(_NO_ALT)
        elif token.type == "video":
            yield from _problems_of_video(token.meta)
        yield from _problems(token.children or ())


def _problems_of_video(video: Mapping[str, Any]) -> Iterator[Problem]:
    title = {"title": video["title"] or video["url"]}
    if not video["host"]:
        yield Problem(_NO_ADDRESS)
    if not video["title"]:
        yield Problem(_NO_TITLE)
    if not _OURS.match(video["poster"]):
        yield Problem(_NO_POSTER, title)
    if not video["ends"]:
        yield Problem(_NO_END, title)
    elif not video["transcript"]:
        yield Problem(_NO_TRANSCRIPT, title)
    else:
        yield from _problems(_of_transcripts.parse(video["transcript"]))


# Reading

_OPENS = re.compile(r":::video\b\s*(\S*)\s*$")
_FIELD = re.compile(r"(title|length|poster)\s*:\s*(.*)$")


def _read_video(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A block rule of markdown-it: from `:::video` to `:::`."""

    def line(number: int) -> str:
        return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]

    opened = _OPENS.match(line(start))
    if opened is None:
        return False
    if silent:
        return True
    close = next((n for n in range(start + 1, end) if line(n).strip() == ":::"), None)
    lines = [state.src[state.bMarks[n] : state.eMarks[n]] for n in range(start + 1, end if close is None else close)]
    known = {"title": "", "length": "", "poster": ""}
    while lines and (field := _FIELD.match(lines[0].strip())):
        known[field[1]] = field[2].strip()
        lines.pop(0)
    url = opened[1]
    token = state.push("video", "figure", 0)
    token.map = [start, end if close is None else close + 1]
    token.meta = known | {
        "url": url,
        "host": _host(url),
        "transcript": "\n".join(lines).strip(),
        "ends": close is not None,
    }
    state.line = end if close is None else close + 1
    return True


def _host(url: str) -> str:
    """The host of a web address; empty for what is none."""
    try:
        split = urlsplit(url)
    except ValueError:
        return ""
    return split.hostname or "" if split.scheme in ("http", "https") else ""


def _plain(token: Token) -> str:
    return "".join(child.content for child in token.children or ()) or token.content


# Rendering


class _Renderer(RendererHTML):
    """markdown-it's own, but for pictures, links and videos."""

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        ours = _OURS.match(str(token.attrGet("src")))
        alt = _plain(token)
        return _img(ours, alt) if ours else escape(alt)

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        href = str(tokens[idx].attrGet("href"))
        title = tokens[idx].attrGet("title")
        told = f' title="{escape(str(title))}"' if title else ""
        if _OURS.match(href):
            return f'<a href="{escape(href.partition("#")[0])}" class="file" download=""{told}>'
        if _host(href):
            return f'<a href="{escape(href)}" class="out" rel="noopener nofollow"{told}>'
        return f'<a href="{escape(href)}"{told}>'

    def link_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        opening = next(token for token in reversed(tokens[:idx]) if token.type == "link_open")
        ours = _OURS.match(str(opening.attrGet("href")))
        if ours is None:
            return "</a>"
        kind = unquote(ours["name"]).rpartition(".")[2].upper()
        size = words.file_size(int(ours["more"]), env["locale"]) if (ours["more"] or "").isdigit() else ""
        return f"<small> {escape(' · '.join(filter(None, (kind, size))))}</small></a>"

    def video(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        video, locale = tokens[idx].meta, env["locale"]
        if not video["host"]:
            return f"<p>{escape(video['title'])}</p>"
        poster = _OURS.match(video["poster"])
        where = words.translate(locale, _PLAYS_AT, host=video["host"])
        told = " · ".join(filter(None, (video["length"], where)))
        transcript = ""
        if video["transcript"]:
            inside = _of_transcripts.renderer.render(_of_transcripts.parse(video["transcript"]), options, env)
            summary = escape(words.translate(locale, _TRANSCRIPT))
            transcript = f'<details><summary>{summary}</summary><div class="transcript">{inside}</div></details>'
        return (
            f'<figure class="video"><a class="facade" href="{escape(video["url"])}" target="_blank"'
            f' rel="noopener noreferrer nofollow">{_img(poster, "") if poster else ""}<span class="play"></span>'
            f"<b>{escape(video['title'])}</b><small>{escape(told)}</small></a>{transcript}</figure>\n"
        )

    def th_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return '<th scope="col">'


_PLAYS_AT = N_("Plays at %(host)s in a new tab. Nothing loads from there before you press.")
_TRANSCRIPT = N_("Read what is said in it")


def _img(ours: re.Match[str], alt: str) -> str:
    path = escape(ours[0].partition("#")[0])
    width, _, height = (ours["more"] or "").partition("x")
    sides = f' width="{width}" height="{height}"' if width and height else ""
    return f'<img src="{path}" alt="{escape(alt)}"{sides} loading="lazy">'


def _made() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable(["table", "strikethrough"])


_reader = _made()
_of_transcripts = _made()
"""Without videos: one within another's transcript, and so on, would go as deep as its writer likes."""
_reader.block.ruler.before("fence", "video", _read_video, {"alt": ["paragraph", "reference", "blockquote", "list"]})

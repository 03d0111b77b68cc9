"""Markdown as HTML that is safe to show: no HTML of the writer's own, and only the tags that tutorials need."""

from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

_TAGS = {
    "p", "br", "hr", "h2", "h3", "h4", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "img",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
_ATTRIBUTES = {"a": {"href", "title"}, "img": {"src", "alt", "title"}, "ol": {"start"}}
_SCHEMES = {"http", "https", "mailto"}

_reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def as_plain(text: str) -> str:
    """The words of the text alone, as they are read; for searching."""
    return "\n".join(_said(token) for token in _reader.parse(text) if token.type in ("inline", "fence", "code_block"))


def _said(token: Token) -> str:
    if token.type != "inline":
        return token.content.strip()
    # A line's end inside a paragraph is a space; a picture is what it is called.
    breaks = ("softbreak", "hardbreak")
    return "".join(" " if part.type in breaks else part.content for part in token.children or ())


@lru_cache(maxsize=256)
def as_html(text: str) -> Markup:
    """The text as HTML. Headings begin at the second level: the page has the first."""
    made = nh3.clean(
        _reader.render(text), tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=_SCHEMES, link_rel="noopener nofollow"
    )
    return Markup(made)  # noqa: S704 - what nh3 let through

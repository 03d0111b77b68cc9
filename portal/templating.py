"""One Jinja environment a language, for pages and mails alike: autoescaped (all but mails' plain text), strict, translated, dates in the reader's zone."""

import hashlib
import re
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context, select_autoescape
from jinja2.runtime import Context
from markupsafe import Markup

from portal import kit, words
from portal.clock import zone
from portal.places import STATIC, TEMPLATES


@lru_cache(maxsize=512)
def static(path: str) -> str:
    """The address of a static file with its content's hash, so that it can be cached for ever."""
    digest = hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:12]
    return f"/static/{path}?v={digest}"


_ADDRESS = re.compile(r"(https?://[^\s<>\"']{1,500}|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5})")


def linked(text: str) -> Markup:
    """People's words with their links to be clicked; everything else in them stays words."""
    made = Markup("")
    at = 0
    for found in _ADDRESS.finditer(text):
        address = found[0].rstrip(".,;:!?)]}\u201d\u2019*_")
        if address.count("(") > address.count(")") and found[0][len(address) : len(address) + 1] == ")":
            address += ")"
        href = address if address.startswith("http") else f"mailto:{address}"
        made += text[at : found.start()]
        made += Markup('<a href="{}" rel="nofollow noopener noreferrer">{}</a>').format(href, address)
        at = found.start() + len(address)
    return made + text[at:]


@lru_cache(maxsize=8)
def environment(locale: str) -> Environment:
    """The environment of `en` or `pt-BR`. Pages hand in `zone` (the reader's) for the date filters."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(enabled_extensions=(), disabled_extensions=("txt",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_translations(words.translations(locale), newstyle=True)  # type: ignore[attr-defined]
    made.globals.update(static=static, locale=locale, initials=words.initials)

    def reader_zone(context: Context) -> str:
        return str(context.get("zone", "UTC"))

    @pass_context
    def day(context: Context, value: date | datetime, *, year: bool = False) -> str:
        if isinstance(value, datetime):
            return words.day_in(value, reader_zone(context), locale, year=year)
        return words.day(value, locale, year=year)

    @pass_context
    def short_day(context: Context, value: date | datetime) -> str:
        if isinstance(value, datetime):
            value = value.astimezone(zone(reader_zone(context))).date()
        return words.short_day(value, locale)

    @pass_context
    def day_time(context: Context, value: datetime) -> str:
        return words.day_hour_in(value, reader_zone(context), locale)

    @pass_context
    def time(context: Context, value: datetime) -> str:
        return words.hour_in(value, reader_zone(context), locale)

    @pass_context
    def weekday(context: Context, value: datetime) -> str:
        return words.part(value.astimezone(zone(reader_zone(context))).date(), "EEE", locale)

    @pass_context
    def month(context: Context, value: datetime) -> str:
        return words.part(value.astimezone(zone(reader_zone(context))).date(), "MMM", locale).rstrip(".")

    @pass_context
    def day_number(context: Context, value: datetime) -> str:
        return words.part(value.astimezone(zone(reader_zone(context))).date(), "d", locale)

    def money(amount: Decimal, currency: str) -> str:
        return words.money(amount, currency, locale)

    def round_money(amount: Decimal, currency: str) -> str:
        return words.round_money(amount, currency, locale)

    def number(value: int | float | Decimal) -> str:
        return words.number(value, locale)

    def file_size(value: int) -> str:
        return words.file_size(value, locale)

    def percent(share: float, decimals: int = 0) -> str:
        return words.percent(share, locale, decimals=decimals)

    def translated(message: str, **values: object) -> str:
        return words.translate(locale, message, **values)

    made.filters.update(
        linked=linked,
        day=day,
        short_day=short_day,
        day_time=day_time,
        time=time,
        weekday=weekday,
        month=month,
        day_number=day_number,
        money=money,
        round_money=round_money,
        number=number,
        percent=percent,
        file_size=file_size,
        spoken_phone=words.spoken_phone,
        translated=translated,
    )
    kit.install(made)
    return made


def render(template: str, locale: str, values: dict[str, Any]) -> str:
    """A whole template as text."""
    return environment(locale).get_template(template).render(values)


def render_block(template: str, block: str, locale: str, values: dict[str, Any]) -> str:
    """One named block of a page, as htmx asks for it. The file's top-level imports aren't seen inside it: import there."""
    found = environment(locale).get_template(template)
    return "".join(found.blocks[block](found.new_context(values)))

"""Catalogues: English is the message itself, pt-BR is complete; dates, numbers and money in the reader's language."""

import gettext
import io
from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache

import phonenumbers
from babel import Locale
from babel.dates import format_date, format_time
from babel.messages.mofile import write_mo
from babel.numbers import format_currency, format_decimal, format_percent

from portal.catalogues import merged_catalogue
from portal.clock import zone
from portal.places import LOCALE

LOCALES = ("en", "pt-BR")


def _babel(locale: str) -> str:
    return locale.replace("-", "_")


@lru_cache(maxsize=8)
def translations(locale: str) -> gettext.NullTranslations:
    """The language's messages: compiled (in a wheel), else read from the catalogues themselves (in a checkout)."""
    if locale == "en":
        return gettext.NullTranslations()
    areas = LOCALE / _babel(locale)
    compiled = areas / "LC_MESSAGES" / "messages.mo"
    if compiled.exists() and not any(p.stat().st_mtime > compiled.stat().st_mtime for p in areas.glob("*.po")):
        with compiled.open("rb") as file:
            return gettext.GNUTranslations(file)
    made = io.BytesIO()
    write_mo(made, merged_catalogue(areas))
    made.seek(0)
    return gettext.GNUTranslations(made)


def translate(locale: str, message: str, **values: object) -> str:
    """The sentence in that language, with its places filled."""
    text = translations(locale).gettext(message)
    return text % values if values else text


def best_locale(wanted: Iterable[str]) -> str:
    """The first language we have among those asked for (`pt`, `pt-PT` and `pt_BR` read pt-BR); else English."""
    for tag in wanted:
        language = tag.replace("_", "-").split("-")[0].strip().lower()
        if language in ("pt", "en"):
            return "pt-BR" if language == "pt" else "en"
    return "en"


def accepted_locales(header: str) -> list[str]:
    """The tags of an Accept-Language header, most wanted first."""
    ranked = []
    for part in header[:500].split(","):
        tag, _, q = part.partition(";q=")
        try:
            ranked.append((-float(q or 1), tag.strip()))
        except ValueError:
            continue
    return [tag for _, tag in sorted(ranked, key=lambda pair: pair[0]) if tag]


@lru_cache(maxsize=4096)
def day(value: date, locale: str, *, year: bool = False) -> str:
    """`Tue 23 June` · `ter., 23 de junho`; with the year where it matters."""
    pattern = {"en": "EEE d MMMM", "pt-BR": "EEE, d 'de' MMMM"}[locale] + (
        {"en": " y", "pt-BR": " 'de' y"}[locale] if year else ""
    )
    return format_date(value, pattern, locale=_babel(locale))


@lru_cache(maxsize=4096)
def short_day(value: date, locale: str) -> str:
    """`23 June` · `23 de junho`."""
    return format_date(value, {"en": "d MMMM", "pt-BR": "d 'de' MMMM"}[locale], locale=_babel(locale))


@lru_cache(maxsize=4096)
def part(value: date, pattern: str, locale: str) -> str:
    """A part of a date by its CLDR pattern: `EEE` gives `Tue` · `ter.`."""
    return format_date(value, pattern, locale=_babel(locale))


@lru_cache(maxsize=4096)
def hour(value: time, locale: str) -> str:
    """`14:30` · `14h30`."""
    return format_time(value, {"en": "HH:mm", "pt-BR": "HH'h'mm"}[locale], locale=_babel(locale))


def day_in(moment: datetime, zone_name: str, locale: str, *, year: bool = False) -> str:
    return day(moment.astimezone(zone(zone_name)).date(), locale, year=year)


def hour_in(moment: datetime, zone_name: str, locale: str) -> str:
    local = moment.astimezone(zone(zone_name))
    return hour(local.time().replace(second=0, microsecond=0), locale)


def day_hour_in(moment: datetime, zone_name: str, locale: str) -> str:
    """`Tue 23 June, 10:00` · `ter., 23 de junho, 10h00`."""
    return f"{day_in(moment, zone_name, locale)}, {hour_in(moment, zone_name, locale)}"


def spoken_phone(phone: str) -> str:
    """A number as people write it: `+55 11 98765-4321`; what is no number stays as it is."""
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return phone
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def number(value: int | float | Decimal, locale: str) -> str:
    return format_decimal(value, locale=_babel(locale))


def file_size(size: int, locale: str) -> str:
    """Of a file of so many bytes: `120 KB`, `1.4 MB` · `1,4 MB`."""
    if size < 1024 * 1024:
        return f"{max(1, round(size / 1024))} KB"
    return f"{number(round(size / 1024 / 1024, 1), locale)} MB"


@lru_cache(maxsize=4096)
def percent(share: float, locale: str, *, decimals: int = 0) -> str:
    return format_percent(share, "#,##0" + ("." + "0" * decimals if decimals else "") + "%", locale=_babel(locale))


@lru_cache(maxsize=4096)
def money(amount: Decimal, currency: str, locale: str) -> str:
    """`R$ 1.240,00` · `£99.00`; without a currency the plain number."""
    if not currency:
        return format_decimal(amount, "#,##0.00", locale=_babel(locale))
    return format_currency(amount, currency, locale=_babel(locale))


@lru_cache(maxsize=4096)
def round_money(amount: Decimal, currency: str, locale: str) -> str:
    """The same without cents where there are none, for narrow places: `R$ 1.240` · `$99`."""
    if not currency or amount != amount.to_integral_value():
        return money(amount, currency, locale)
    pattern = "¤\u00a0#,##0" if locale == "pt-BR" else "¤#,##0"
    return format_currency(amount, currency, pattern, locale=_babel(locale), currency_digits=False)


def initials(name: str) -> str:
    """Two letters in place of a portrait: of the first word and the last."""
    parts = name.split()
    return (parts[0][:1] + (parts[-1][:1] if len(parts) > 1 else "")).upper() if parts else "?"


def language_name(locale: str) -> str:
    """The language's name in itself: `English`, `Português (Brasil)`."""
    return {"en": "English", "pt-BR": "Português (Brasil)"}.get(locale) or str(
        Locale.parse(_babel(locale)).display_name
    )

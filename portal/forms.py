"""What people type into forms: checked by a Pydantic model, kept as typed, each error a sentence beside its field."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, get_origin

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, StringConstraints, ValidationError
from starlette.datastructures import ImmutableMultiDict

from portal import clock, words
from portal.accounts.rules import normalised_email
from portal.errors import N_
from portal.text import clean_line

FormFields = ImmutableMultiDict[str, str]

BIGGEST = 2**53
"""Whole numbers beyond this are no numbers that people mean, and overflow SQLite at 2^63."""


def _email(value: str) -> str:
    try:
        validate_email(value, check_deliverability=False, test_environment=True)
    except EmailNotValidError as wrong:
        raise ValueError(N_("Please enter an email address, such as maria@company.example.")) from wrong
    return normalised_email(value)


def _zone(value: str) -> str:
    try:
        clock.zone(value)
    except ValueError as unknown:
        raise ValueError(N_("Please choose one from the list.")) from unknown
    return value


Email = Annotated[str, AfterValidator(clean_line), StringConstraints(max_length=254), AfterValidator(_email)]
"""An address, as we store it."""
Zone = Annotated[str, AfterValidator(clean_line), StringConstraints(max_length=64), AfterValidator(_zone)]
"""An IANA time zone's name."""

Model = TypeVar("Model", bound=BaseModel)


class Sentence(NamedTuple):
    """A msgid and what fills its places."""

    message: str
    values: Mapping[str, object] = {}

    def in_(self, locale: str) -> str:
        return words.translate(locale, self.message, **self.values)


class Names:
    """Values by field name for templates: `form.typed.name`. What is not there is the empty text."""

    def __init__(self, by_name: Mapping[str, str]) -> None:
        self._by_name = dict(by_name)

    def __getattr__(self, name: str) -> str:
        return self._by_name.get(name, "")

    def __getitem__(self, name: str) -> str:
        return self._by_name.get(name, "")

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)


class ShownForm(NamedTuple):
    """A form as a template sees it: what was typed, and the errors in the reader's language."""

    typed: Names
    errors: Names
    lists: Mapping[str, tuple[str, ...]]

    def typed_list(self, name: str) -> tuple[str, ...]:
        """Every value of a field that can come several times (checkboxes)."""
        return self.lists.get(name, ())


@dataclass(frozen=True)
class Filled(Generic[Model]):
    """A form that came back: its value if all is well, else the errors by field; what was typed, either way."""

    value: Model | None
    typed: Mapping[str, str]
    errors: Mapping[str, Sentence]
    lists: Mapping[str, tuple[str, ...]]

    def with_error(self, field: str, message: str, **values: object) -> "Filled[Model]":
        """The same form with an error that only our rules could find. `message` is a msgid."""
        return replace(self, value=None, errors={**self.errors, field: Sentence(message, values)})

    def shown(self, locale: str) -> ShownForm:
        return ShownForm(
            Names(self.typed), Names({field: error.in_(locale) for field, error in self.errors.items()}), self.lists
        )


def read_form(model: type[Model], form: FormFields) -> Filled[Model]:
    """The form as that model. Fields that it doesn't have are ignored; an empty input counts as not sent."""
    given: dict[str, Any] = {}
    typed: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for name, comes_often in _fields_of(model):
        sent = form.getlist(name)
        if sent:
            typed[name], lists[name] = sent[-1], tuple(sent)
        if comes_often:
            given[name] = [value for value in sent if value.strip()]
        elif sent and sent[-1].strip():
            given[name] = sent[-1]
    try:
        value = model.model_validate(given)
    except ValidationError as wrong:
        errors = {str(error["loc"][0]) if error["loc"] else "": _sentence(dict(error)) for error in wrong.errors()}
        return Filled(None, typed, errors, lists)
    errors = _what_pydantic_lets_pass(value, typed)
    return Filled(None if errors else value, typed, errors, lists)


@cache
def _fields_of(model: type[BaseModel]) -> tuple[tuple[str, bool], ...]:
    """Their names, and whether they may come several times."""
    return tuple((name, get_origin(field.annotation) is list) for name, field in model.model_fields.items())


def empty_form(typed: Mapping[str, object] | None = None) -> Filled[BaseModel]:
    """A form to show first, with what is known already. None and absent are the empty text."""
    known = {name: _as_typed(value) for name, value in (typed or {}).items()}
    lists = {
        name: tuple(map(_as_typed, value)) if isinstance(value, (list, tuple, set)) else (_as_typed(value),)
        for name, value in (typed or {}).items()
    }
    return Filled(None, known, {}, lists)


def _as_typed(value: object) -> str:
    if value is None or value is False:
        return ""
    return "on" if value is True else str(value)


def _what_pydantic_lets_pass(value: BaseModel, typed: Mapping[str, str]) -> dict[str, Sentence]:
    """`20260101` and `1e9` are dates to Pydantic (seconds since 1970), and integers have no end."""
    wrong = {}
    for name, read in value:
        if isinstance(read, date) and name in typed and not re.match(r"\s*\d{4}-\d\d-\d\d", typed[name]):
            wrong[name] = Sentence(_PLAIN["date_from_datetime_parsing"])
        elif isinstance(read, int) and abs(read) > BIGGEST:
            wrong[name] = Sentence(_PLAIN["int_parsing_size"])
    return wrong


_MISSING = N_("Please fill this in.")
_NOT_A_NUMBER = N_("Please enter a number.")
_NOT_A_WHOLE_NUMBER = N_("Please enter a whole number.")
_NOT_A_DATE = N_("Please enter a date.")
_NOT_A_TIME = N_("Please enter a time.")
_CHOOSE = N_("Please choose one from the list.")
_TOO_BIG = N_("That number is too large.")
_UNREADABLE = N_("We couldn’t read this. Please check it.")

_PLAIN = {
    "missing": _MISSING,
    "int_parsing": _NOT_A_WHOLE_NUMBER,
    "int_from_float": _NOT_A_WHOLE_NUMBER,
    "int_type": _NOT_A_WHOLE_NUMBER,
    "int_parsing_size": _TOO_BIG,
    "float_parsing": _NOT_A_NUMBER,
    "decimal_parsing": _NOT_A_NUMBER,
    "decimal_type": _NOT_A_NUMBER,
    "finite_number": _NOT_A_NUMBER,
    "decimal_max_digits": _TOO_BIG,
    "decimal_whole_digits": _TOO_BIG,
    "date_parsing": _NOT_A_DATE,
    "date_type": _NOT_A_DATE,
    "date_from_datetime_parsing": _NOT_A_DATE,
    "date_from_datetime_inexact": _NOT_A_DATE,
    "datetime_parsing": _NOT_A_DATE,
    "datetime_from_date_parsing": _NOT_A_DATE,
    "datetime_type": _NOT_A_DATE,
    "time_parsing": _NOT_A_TIME,
    "time_type": _NOT_A_TIME,
    "enum": _CHOOSE,
    "literal_error": _CHOOSE,
    "bool_parsing": _CHOOSE,
}

_WITH_LIMIT = {
    "string_too_long": (N_("Please shorten this to %(limit)s characters."), "max_length"),
    "string_too_short": (N_("Please write at least %(limit)s characters."), "min_length"),
    "too_long": (N_("Please choose at most %(limit)s."), "max_length"),
    "too_short": (N_("Please choose at least %(limit)s."), "min_length"),
    "greater_than_equal": (N_("Please enter %(limit)s or more."), "ge"),
    "less_than_equal": (N_("Please enter %(limit)s or less."), "le"),
    "greater_than": (N_("Please enter more than %(limit)s."), "gt"),
    "less_than": (N_("Please enter less than %(limit)s."), "lt"),
    "decimal_max_places": (N_("Please enter at most %(limit)s decimal places."), "decimal_places"),
}


def _sentence(error: dict[str, Any]) -> Sentence:
    """One of Pydantic's errors for people. A validator's own ValueError is a msgid already."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in ("too_long", "too_short") and isinstance(error["input"], str):
        kind = f"string_{kind}"  # a length checked after a validator of ours goes by this name
    if kind in _WITH_LIMIT:
        message, limit = _WITH_LIMIT[kind]
        if kind in ("string_too_short", "too_short") and context.get(limit) == 1:
            return Sentence(_MISSING)
        return Sentence(message, {"limit": context.get(limit)})
    if kind == "value_error":
        return Sentence(str(context["error"]))
    return Sentence(_PLAIN.get(kind, _UNREADABLE))

"""What people type: kept, checked, and answered in sentences."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import pytest
from pydantic import BaseModel, Field, field_validator

from portal.errors import N_
from portal.forms import Email, FormFields, Zone, empty_form, read_form
from portal.text import Line, Paragraphs, RequiredLine


class Colour(StrEnum):
    RED = "red"


class Everything(BaseModel):
    name: RequiredLine = "-"
    note: Paragraphs = ""
    count: Annotated[int, Field(ge=0, le=10)] = 0
    id: int = 0
    amount: Annotated[Decimal, Field(max_digits=14, decimal_places=2)] = Decimal(0)
    on: date = date(2026, 1, 1)
    colour: Colour = Colour.RED
    email: Email = "-"
    zone: Zone = "UTC"
    agree: bool = False
    colours: list[Colour] = []
    odd: Line = ""

    @field_validator("odd")
    @classmethod
    def _odd(cls, value: str) -> str:
        if value == "even":
            raise ValueError(N_("Please sign in"))
        return value


@pytest.mark.parametrize(
    ("field", "typed", "sentence"),
    [
        ("name", "x" * 201, "Encurte para no máximo 200 caracteres."),
        ("name", "a\x00b", "Remova os caracteres de controle invisíveis."),
        ("name", "a\u202eb", "Remova os caracteres de controle invisíveis."),
        ("name", "\ud800", "Remova os caracteres de controle invisíveis."),
        ("count", "eleven", "Digite um número inteiro."),
        ("count", "1.5", "Digite um número inteiro."),
        ("count", "11", "Digite 10 ou menos."),
        ("count", "-1", "Digite 0 ou mais."),
        ("id", str(2**63), "Esse número é grande demais."),
        ("id", "9" * 5000, "Esse número é grande demais."),
        ("amount", "abc", "Digite um número."),
        ("amount", "NaN", "Digite um número."),
        ("amount", "Infinity", "Digite um número."),
        ("amount", "1.234", "Use no máximo 2 casas decimais."),
        ("amount", "9" * 20, "Esse número é grande demais."),
        ("on", "yesterday", "Digite uma data."),
        ("on", "1767225600", "Digite uma data."),
        ("on", "2026-02-30", "Digite uma data."),
        ("colour", "blue", "Escolha uma opção da lista."),
        ("email", "maria@", "Digite um e-mail, como maria@empresa.example."),
        ("email", "Maria <maria@lumen.example>", "Digite um e-mail, como maria@empresa.example."),
        ("zone", "Mars/Olympus", "Escolha uma opção da lista."),
        ("zone", "../../etc/passwd", "Escolha uma opção da lista."),
        ("agree", "perhaps", "Escolha uma opção da lista."),
        ("colours", "blue", "Escolha uma opção da lista."),
        ("odd", "even", "Entre para continuar"),
    ],
)
def test_what_is_wrong_is_said_in_the_readers_language(field: str, typed: str, sentence: str) -> None:
    filled = read_form(Everything, FormFields([(field, typed)]))
    assert filled.value is None
    shown = filled.shown("pt-BR")
    assert (getattr(shown.errors, field), getattr(shown.typed, field)) == (sentence, typed)
    assert len(shown.errors) == 1


class Needed(BaseModel):
    name: RequiredLine
    count: int
    agree: bool = False


@pytest.mark.parametrize("typed", [None, "", "  "])
def test_what_is_missing_is_asked_for(typed: str | None) -> None:
    fields = [] if typed is None else [("name", typed), ("count", typed)]
    shown = read_form(Needed, FormFields(fields)).shown("en")
    assert (shown.errors.name, shown.errors.count) == ("Please fill this in.", "Please fill this in.")


def test_a_good_form_is_its_model() -> None:
    fields = [("name", " Ana\u00a0 Reis "), ("count", "3"), ("agree", "on"), ("other", "ignored")]
    filled = read_form(Needed, FormFields(fields))
    assert filled.value == Needed(name="Ana Reis", count=3, agree=True)
    assert not filled.shown("en").errors


def test_many_boxes_are_a_list() -> None:
    filled = read_form(Everything, FormFields([("colours", "red"), ("colours", "red"), ("colours", "")]))
    assert filled.value is not None and filled.value.colours == [Colour.RED, Colour.RED]
    assert filled.shown("en").typed_list("colours") == ("red", "red", "")


def test_rules_can_add_an_error_of_their_own() -> None:
    filled = read_form(Needed, FormFields([("name", "Ana"), ("count", "3")]))
    wrong = filled.with_error("count", N_("Please enter %(limit)s or less."), limit=2)
    assert wrong.value is None
    assert wrong.shown("en").errors.count == "Please enter 2 or less."
    assert wrong.shown("en").typed.name == "Ana"


def test_an_empty_form_shows_what_is_known() -> None:
    shown = empty_form({"name": "Ana", "count": None, "agree": True, "colours": [Colour.RED]}).shown("en")
    assert (shown.typed.name, shown.typed.count, shown.typed.agree, shown.typed.nothing) == ("Ana", "", "on", "")
    assert shown.typed_list("colours") == ("red",)

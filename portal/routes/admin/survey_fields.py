"""The survey editor's fields: a survey as the form shows it, and what was typed as a survey. What is typed may be unfinished;
only what can't be kept at all is wrong here, and `sketch_rules.missing` says what is to be done before it can be asked."""

from dataclasses import dataclass, field, replace
from typing import Any

from portal import links
from portal.errors import N_
from portal.forms import Filled, FormFields, Sentence
from portal.surveys.rules import (
    MOST_OPTIONS,
    MOST_QUESTIONS,
    Option,
    Question,
    QuestionKind,
    ShowHow,
    ShowIf,
    SurveyForm,
    Then,
    Thresholds,
    Verdict,
    Wording,
)
from portal.surveys.sketch_rules import FOLLOWS
from portal.text import clean, clean_line

ENDS = {"en": "en", "pt": "pt-BR"}
"""The ends of the fields' names, and the language of each."""
CHOOSES = (QuestionKind.CHOICE, QuestionKind.CHOICES)
SCALES = (QuestionKind.CSAT, QuestionKind.NPS, QuestionKind.RATING)
SPARE_ROWS = 2
FEWEST_ROWS = 4


def typed_of(form: SurveyForm) -> dict[str, object]:
    """The editor's fields as a survey fills them."""
    typed: dict[str, object] = {
        "minutes": form.minutes,
        "closes_after_days": form.closes_after_days,
        "is_anonymous": "1" if form.is_anonymous else "",
        **vars(form.thresholds),
        **{f"does_{verdict}": list(form.does.get(verdict, ())) for verdict in Verdict},
    }
    _put(typed, "name", form.name)
    _put(typed, "intro", form.intro)
    _put(typed, "thanks", form.thanks)
    for n, question in enumerate(form.questions):
        at = f"q{n}"
        typed |= {f"{at}_key": question.key, f"{at}_kind": question.kind, f"{at}_range": question.high}
        typed[f"{at}_if"] = told(question.show_if)
        _put(typed, f"{at}_text", question.text)
        _put(typed, f"{at}_hint", question.hint)
        _put(typed, f"{at}_low", question.low_label)
        _put(typed, f"{at}_high", question.high_label)
        for said, wording in question.after.items():
            _put(typed, f"{at}_after_{said}", wording)
        for m, option in enumerate(question.options):
            typed[f"{at}_option{m}_key"] = option.key
            _put(typed, f"{at}_option{m}", option.text)
    return typed


def _put(typed: dict[str, object], name: str, wording: Wording) -> None:
    typed |= {f"{name}_en": wording.en, f"{name}_pt": wording.pt}


def told(condition: ShowIf | None) -> str:
    """A condition as the value of its field: `csat:at_most:2`."""
    if condition is None:
        return ""
    value = str(condition.value) if isinstance(condition.value, int) else ",".join(condition.value)
    return f"{condition.question}:{condition.how}:{value}"


def read_condition(value: str) -> ShowIf | None:
    """The way back; None for no condition, or what is none."""
    question, _, rest = value.partition(":")
    how, _, wanted = rest.partition(":")
    if not question or how not in set(ShowHow):
        return None
    if how in (ShowHow.AT_MOST, ShowHow.AT_LEAST):
        return ShowIf(question, ShowHow(how), int(wanted)) if wanted.isascii() and wanted.isdigit() else None
    return ShowIf(question, ShowHow(how), tuple(key for key in wanted.split(",") if key))


def option_rows(question: Question) -> list[str]:
    """The keys of a choice's rows: its options, and spare ones to write further options into."""
    rows = min(MOST_OPTIONS, max(FEWEST_ROWS, len(question.options) + SPARE_ROWS))
    spare = rows - len(question.options)
    return [*(option.key for option in question.options), *(links.new_nonce()[:8] for _ in range(spare))]


@dataclass
class Typed:
    """What came, field by field, and what is wrong with it."""

    sent: FormFields
    errors: dict[str, Sentence] = field(default_factory=dict)

    def line(self, name: str, most: int = 300) -> str:
        return self._text(name, most, clean_line(self._clean(name)))

    def words(self, name: str, most: int = 600) -> str:
        return self._text(name, most, self._clean(name))

    def _clean(self, name: str) -> str:
        try:
            return clean(self.sent.get(name, ""))
        except ValueError as wrong:
            self.errors[name] = Sentence(str(wrong))
            return ""

    def _text(self, name: str, most: int, value: str) -> str:
        if len(value) > most:
            self.errors[name] = Sentence(N_("Please shorten this to %(limit)s characters."), {"limit": most})
        return value[:most]

    def both(self, name: str, most: int = 300) -> Wording:
        return Wording(self.line(f"{name}_en", most), self.line(f"{name}_pt", most))

    def number(self, name: str, low: int, high: int, usual: int) -> int:
        value = self.sent.get(name, "").strip()
        if not value:
            return usual
        if not (value.isascii() and value.isdigit() and len(value) < 6 and low <= int(value) <= high):
            message = N_("Please enter a whole number from %(low)s to %(high)s.")
            self.errors[name] = Sentence(message, {"low": low, "high": high})
            return usual
        return int(value)


def read_survey(before: SurveyForm, sent: FormFields) -> tuple[SurveyForm, Filled[Any]]:
    """What was typed as a survey, and the form to show again. Its key and purpose are `before`'s."""
    came = Typed(sent)
    usual = Thresholds()
    thresholds = Thresholds(
        csat_bad=came.number("csat_bad", 1, 5, usual.csat_bad),
        csat_good=came.number("csat_good", 1, 5, usual.csat_good),
        nps_bad=came.number("nps_bad", 0, 10, usual.nps_bad),
        nps_good=came.number("nps_good", 0, 10, usual.nps_good),
        nps_promoter=came.number("nps_promoter", 0, 10, usual.nps_promoter),
    )
    form = replace(
        before,
        name=came.both("name", 200),
        intro=Wording(came.words("intro_en"), came.words("intro_pt")),
        thanks=Wording(came.words("thanks_en"), came.words("thanks_pt")),
        minutes=came.number("minutes", 1, 30, 1),
        closes_after_days=came.number("closes_after_days", 1, 90, before.closes_after_days),
        is_anonymous=sent.get("is_anonymous") == "1",
        thresholds=thresholds,
        does={v: tuple(t for t in Then if t in sent.getlist(f"does_{v}")) for v in Verdict},
        questions=tuple(_questions(came)),
    )
    lists = {name: tuple(sent.getlist(name)) for name in sent}
    typed = {name: values[-1] for name, values in lists.items() if values}
    return form, Filled(None, typed, came.errors, lists)


def _questions(came: Typed) -> list[Question]:
    found = []
    for n in range(MOST_QUESTIONS):
        at = f"q{n}"
        kind, key = came.sent.get(f"{at}_kind", ""), came.line(f"{at}_key", 40)
        if kind not in set(QuestionKind) or not key.replace("_", "").isalnum():
            continue
        found.append(_question(came, at, key, QuestionKind(kind)))
    return found


def _question(came: Typed, at: str, key: str, kind: QuestionKind) -> Question:
    question = Question(
        key,
        kind,
        came.both(f"{at}_text"),
        came.both(f"{at}_hint"),
        show_if=read_condition(came.sent.get(f"{at}_if", "")[:300]),
    )
    if kind in SCALES:
        question = replace(question, low_label=came.both(f"{at}_low", 60), high_label=came.both(f"{at}_high", 60))
    if kind is QuestionKind.RATING:
        question = replace(question, high=10 if came.sent.get(f"{at}_range") == "10" else 5)
    if kind is QuestionKind.TEXT:
        after = {said: came.both(f"{at}_after_{said}") for said in FOLLOWS}
        question = replace(question, after={said: words for said, words in after.items() if words.en or words.pt})
    if kind in CHOOSES:
        question = replace(question, options=_options(came, at))
    return question


def _options(came: Typed, at: str) -> tuple[Option, ...]:
    """The rows that have words in either language."""
    found: dict[str, Option] = {}
    for m in range(MOST_OPTIONS):
        key, words = came.line(f"{at}_option{m}_key", 20), came.both(f"{at}_option{m}", 120)
        if key.isalnum() and key not in found and (words.en or words.pt):
            found[key] = Option(key, words)
    return tuple(found.values())

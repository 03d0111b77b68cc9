"""Writing a survey: what is missing before it can be asked, what changes against the one that is asked now, and how answers
that are in would have been judged. Pure functions."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from portal.accounts.rules import folded
from portal.errors import N_
from portal.journeys.rules import Outcome
from portal.surveys import rules
from portal.surveys.rules import (
    MOST_QUESTIONS,
    OWN_FIELDS,
    RANGES,
    Answers,
    Does,
    Question,
    QuestionKind,
    ShowHow,
    SurveyForm,
    SurveyPurpose,
    Then,
    Thresholds,
    Verdict,
    Wording,
)

ADDABLE: dict[str, str] = {
    "csat": N_("Satisfaction, 1 to 5 (CSAT)"),
    "nps": N_("Recommendation, 0 to 10 (NPS)"),
    "rating": N_("A rating"),
    "choice": N_("A choice: one of several"),
    "choices": N_("Several choices"),
    "text": N_("Their own words"),
    "yes_no": N_("Yes or no"),
    "wants_help": N_("Would they like help?"),
}
"""What can be added, in the order in which it is offered. Asking for help is a yes-or-no that counts as dissatisfied."""
MAY_DO: dict[Verdict, tuple[Then, ...]] = {
    Verdict.DISSATISFIED: (Then.FLAG, Then.TELL_CONSULTANT),
    Verdict.NEUTRAL: (Then.ASK_WHAT_IS_MISSING, Then.TELL_CONSULTANT),
    Verdict.SATISFIED: (Then.TELL_CONSULTANT,),
    Verdict.PROMOTER: (Then.REFERRAL_PROMPT, Then.TELL_CONSULTANT),
}
NEEDS_NUMBER = (ShowHow.AT_MOST, ShowHow.AT_LEAST)


class Missing(NamedTuple):
    """Something that keeps a survey from being asked: a sentence with its places, and the part of the page it is about."""

    place: str
    message: str
    values: Mapping[str, object] = {}


class Change(NamedTuple):
    """One thing that differs: what (a msgid), of which question (0: of the whole), then and now."""

    what: str
    number: int
    language: str
    before: str
    after: str


def key_for(name: str, taken: Iterable[str]) -> str:
    """The key of a new survey, from its name: `after_the_training`; numbered where it is taken."""
    base = re.sub(r"[^a-z0-9]+", "_", folded(name)).strip("_")[:40] or "survey"
    known, key, number = set(taken), base, 2
    while key in known:
        key, number = f"{base}_{number}", number + 1
    return key


# What is missing


def missing(form: SurveyForm) -> list[Missing]:
    """All that is to be done before it can be asked; empty: nothing."""
    found = [*_words_missing(form), *_structure(form), *_thresholds(form.thresholds)]
    return found


def languages_missing(form: SurveyForm) -> list[str]:
    """The languages in which words are missing that the other one has, or that have to be there."""
    lacks = {"en": False, "pt-BR": False}
    for _place, words, is_needed in _wordings(form):
        needed = is_needed or bool(words.en or words.pt)
        lacks["en"] |= needed and not words.en
        lacks["pt-BR"] |= needed and not words.pt
    return [language for language, does in lacks.items() if does]


def _wordings(form: SurveyForm) -> list[tuple[str, Wording, bool]]:
    """Every wording with its place on the page, and whether there has to be one."""
    found: list[tuple[str, Wording, bool]] = [
        ("name", form.name, True),
        ("intro", form.intro, False),
        ("thanks", form.thanks, False),
    ]
    for n, question in enumerate(form.questions):
        at = f"q{n}"
        found.append((f"{at}_text", question.text, True))
        found.append((f"{at}_hint", question.hint, False))
        found += [(f"{at}_after_{said}", words, False) for said, words in question.after.items()]
        found += [(f"{at}_low", question.low_label, False), (f"{at}_high", question.high_label, False)]
        found += [(f"{at}_option{m}", option.text, True) for m, option in enumerate(question.options)]
    return found


def _words_missing(form: SurveyForm) -> list[Missing]:
    found = []
    for place, words, is_needed in _wordings(form):
        if not is_needed and not words.en and not words.pt:
            continue
        number = int(place[1]) + 1 if re.match(r"q\d_", place) else 0
        told: dict[str, object] = {"number": number}
        for language, end, text in (("English", "en", words.en), ("Português", "pt", words.pt)):
            if not text:
                message = N_("Question %(number)s: the %(language)s words are missing.")
                if not number:
                    message = N_("The %(language)s words are missing.")
                found.append(Missing(f"{place}_{end}", message, {**told, "language": language}))
    return found


def _structure(form: SurveyForm) -> list[Missing]:
    found: list[Missing] = []
    if not form.questions:
        found.append(Missing("questions", N_("It asks nothing yet: add a question.")))
    if len(form.questions) > MOST_QUESTIONS:
        found.append(
            Missing("questions", N_("At most %(most)s questions: people leave longer ones."), {"most": MOST_QUESTIONS})
        )
    kinds = [question.kind for question in form.questions]
    scores = [n for n, kind in enumerate(kinds) if kind in RANGES]
    if scores and scores[0] != 0:
        found.append(Missing(f"q{scores[0]}", N_("The score comes first.")))
    if form.purpose is SurveyPurpose.FOLLOW_UP and not scores:
        found.append(Missing("questions", N_("A follow-up survey asks for a score: the plan goes on by it.")))
    if form.purpose is SurveyPurpose.FOLLOW_UP and form.is_anonymous:
        found.append(Missing("is_anonymous", N_("A follow-up survey can’t be anonymous: somebody has to be called.")))
    earlier: dict[str, Question] = {}
    for n, question in enumerate(form.questions):
        found += _of_question(n, question, earlier)
        earlier[question.key] = question
    return found


def _of_question(n: int, question: Question, earlier: Mapping[str, Question]) -> list[Missing]:
    found: list[Missing] = []
    number: dict[str, object] = {"number": n + 1}
    if question.kind in (QuestionKind.CHOICE, QuestionKind.CHOICES) and len(question.options) < 2:
        found.append(
            Missing(f"q{n}_option0_en", N_("Question %(number)s: a choice needs two options or more."), number)
        )
    if question.key in earlier:
        found.append(Missing(f"q{n}_text_en", N_("Question %(number)s is there twice."), number))
    if question.kind in RANGES and question.show_if is not None:
        found.append(Missing(f"q{n}_if", N_("Question %(number)s: a score is always asked."), number))
    elif question.show_if is not None and not _is_possible(question, earlier):
        found.append(
            Missing(f"q{n}_if", N_("Question %(number)s: its condition doesn’t fit an earlier question."), number)
        )
    return found


def _is_possible(question: Question, earlier: Mapping[str, Question]) -> bool:
    """Whether the condition is about an earlier question, and an answer that it can have."""
    condition = question.show_if
    on = earlier.get(condition.question) if condition is not None else None
    if condition is None or on is None:
        return False
    match condition.how:
        case ShowHow.ANSWERED:
            return True
        case ShowHow.ONE_OF:
            known = {"yes", "no"} if on.kind is QuestionKind.YES_NO else {option.key for option in on.options}
            return isinstance(condition.value, tuple) and bool(condition.value) and set(condition.value) <= known
        case ShowHow.AT_MOST | ShowHow.AT_LEAST:
            is_number = isinstance(condition.value, int)
            return on.range is not None and is_number and on.range[0] <= int(str(condition.value)) <= on.range[1]


def _thresholds(told: Thresholds) -> list[Missing]:
    found = []
    if not 1 <= told.csat_bad < told.csat_good <= 5:
        found.append(Missing("csat_bad", N_("CSAT: unhappy has to be below happy, both from 1 to 5.")))
    if not 0 <= told.nps_bad < told.nps_good <= told.nps_promoter <= 10:
        found.append(
            Missing("nps_bad", N_("NPS: unhappy has to be below happy, and happy not above promoter, from 0 to 10."))
        )
    return found


# Changing it


def new_question(what: str, form: SurveyForm, *, nonce: str) -> Question | None:
    """A question of one of the `ADDABLE` kinds, still without words; None where it can't be added (once more).

    `nonce` tells it from every other question that there ever was in this survey."""
    if what not in ADDABLE or len(form.questions) >= MOST_QUESTIONS:
        return None
    kind = QuestionKind.YES_NO if what == "wants_help" else QuestionKind(what)
    taken = {question.key for question in form.questions}
    key = f"q_{nonce[:8]}"
    if kind in RANGES or what == "wants_help":
        key = OWN_FIELDS[kind]
    elif kind is QuestionKind.TEXT and OWN_FIELDS[kind] not in taken:
        key = OWN_FIELDS[kind]  # the first of them is the comment that is searched, tagged and quoted
    if key in taken:
        return None
    return Question(key, kind, _USUAL.get(what, Wording("", "")))


_USUAL = {
    "csat": Wording("How satisfied are you with {vendor}?", "O quanto você está satisfeito com {vendor}?"),
    "nps": Wording(
        "How likely are you to recommend {vendor} to a friend or colleague?",
        "Qual é a chance de você recomendar {vendor} a um amigo ou colega?",
    ),
    "wants_help": Wording("Would you like someone to help you?", "Você gostaria que alguém te ajudasse?"),
}


def with_question(form: SurveyForm, question: Question) -> SurveyForm:
    """A score goes in front of what is no score, everything else to the end."""
    scores = [q for q in form.questions if q.kind in RANGES]
    others = [q for q in form.questions if q.kind not in RANGES]
    if question.kind in RANGES:
        return replace(form, questions=(*scores, question, *others))
    return replace(form, questions=(*form.questions, question))


def without(form: SurveyForm, place: int) -> SurveyForm:
    return replace(form, questions=tuple(q for n, q in enumerate(form.questions) if n != place))


def moved(form: SurveyForm, place: int, by: int) -> SurveyForm:
    """A question one place up or down; beyond the ends nothing moves."""
    questions, to = list(form.questions), place + by
    if 0 <= place < len(questions) and 0 <= to < len(questions):
        questions[place], questions[to] = questions[to], questions[place]
    return replace(form, questions=tuple(questions))


def settled_does(form: SurveyForm) -> Does:
    """What its outcomes can set going: a follow-up always flags (invariant 5), an anonymous one does nothing."""
    if form.is_anonymous:
        return {verdict: () for verdict in Verdict}
    kept = {v: tuple(t for t in MAY_DO[v] if t in form.does.get(v, ())) for v in Verdict}
    if form.purpose is SurveyPurpose.FOLLOW_UP and Then.FLAG not in kept[Verdict.DISSATISFIED]:
        kept[Verdict.DISSATISFIED] = (Then.FLAG, *kept[Verdict.DISSATISFIED])
    return kept


# What a new version changes

WHAT: dict[str, str] = {
    "name": N_("Name"),
    "intro": N_("Words before the questions"),
    "thanks": N_("Words after the answer"),
    "minutes": N_("Minutes it takes"),
    "closes_after_days": N_("Days it is open"),
    "is_anonymous": N_("Anonymous"),
    "text": N_("Question"),
    "hint": N_("Line below"),
    "kind": N_("Kind of question"),
    "low": N_("Lowest end"),
    "high": N_("Highest end"),
    "range": N_("Highest number"),
    "option": N_("Options"),
    "if": N_("Shown only if"),
    "after_dissatisfied": N_("Words for the unhappy"),
    "after_neutral": N_("Words for the neutral"),
    "after_satisfied": N_("Words for the satisfied"),
    "csat_bad": N_("CSAT: unhappy up to"),
    "csat_good": N_("CSAT: happy from"),
    "nps_bad": N_("NPS: unhappy up to"),
    "nps_good": N_("NPS: happy from"),
    "nps_promoter": N_("NPS: promoter from"),
    "does_dissatisfied": N_("When unhappy"),
    "does_neutral": N_("When neutral"),
    "does_satisfied": N_("When satisfied"),
    "does_promoter": N_("When a promoter"),
}


def changes(before: SurveyForm, after: SurveyForm) -> list[Change]:
    """What differs, in the order of the page. A question is the same one as long as its key is."""
    old, new = _lines(before), _lines(after)
    numbers = {q.key: n for n, q in enumerate(before.questions, 1)} | {
        q.key: n for n, q in enumerate(after.questions, 1)
    }
    found = []
    for line in [*new, *(line for line in old if line not in new)]:
        then, now = old.get(line, ""), new.get(line, "")
        if then != now:
            what, of, language = line
            found.append(Change(WHAT[what], numbers.get(of, 0), language, then, now))
    orders = [[q.key for q in form.questions] for form in (before, after)]
    if sorted(orders[0]) == sorted(orders[1]) and orders[0] != orders[1]:
        by_key = {q.key: q.text.en or q.text.pt for q in after.questions}
        told = [" → ".join(by_key[key] for key in order) for order in orders]
        found.append(Change(N_("Order of the questions"), 0, "", *told))
    return found


Line = tuple[str, str, str]
"""What, of which question (its key), in which language."""


def _lines(form: SurveyForm) -> dict[Line, str]:
    found: dict[Line, str] = {}

    def words(what: str, of: str, wording: Wording) -> None:
        for language, text in (("en", wording.en), ("pt-BR", wording.pt)):
            if text:
                found[what, of, language] = text

    words("name", "", form.name)
    words("intro", "", form.intro)
    words("thanks", "", form.thanks)
    found["minutes", "", ""] = str(form.minutes)
    found["closes_after_days", "", ""] = str(form.closes_after_days)
    found["is_anonymous", "", ""] = "✓" if form.is_anonymous else "–"
    for question in form.questions:
        words("text", question.key, question.text)
        words("hint", question.key, question.hint)
        words("low", question.key, question.low_label)
        words("high", question.key, question.high_label)
        for said, wording in question.after.items():
            words(f"after_{said}", question.key, wording)
        if question.kind is QuestionKind.RATING:
            found["range", question.key, ""] = str(question.high)
        words(
            "option",
            question.key,
            Wording(
                " · ".join(option.text.en for option in question.options),
                " · ".join(option.text.pt for option in question.options),
            ),
        )
        if question.show_if is not None:
            found["if", question.key, ""] = _told(form, question)
    for name, value in vars(form.thresholds).items():
        found[name, "", ""] = str(value)
    for verdict in Verdict:
        found[f"does_{verdict}", "", ""] = ", ".join(form.does.get(verdict, ()))
    return found


def _told(form: SurveyForm, question: Question) -> str:
    condition = question.show_if
    assert condition is not None  # noqa: S101 - asked only where there is one
    number = next((n for n, q in enumerate(form.questions, 1) if q.key == condition.question), "?")
    sign = {ShowHow.AT_MOST: "≤", ShowHow.AT_LEAST: "≥", ShowHow.ONE_OF: "=", ShowHow.ANSWERED: "✓"}[condition.how]
    value = "" if condition.how is ShowHow.ANSWERED else condition.value
    return f"{number} {sign} {' / '.join(value) if isinstance(value, tuple) else value}".strip()


# How answers that are in would be judged

Scores = tuple[int | None, int | None, bool | None]
"""CSAT, NPS, whether they asked for help."""


class Judged(NamedTuple):
    """How many answers say what, by the thresholds that they came under and by the new ones."""

    verdict: Verdict
    before: int
    after: int


def judged(counts: Mapping[Scores, int], before: Thresholds, after: Thresholds) -> list[Judged]:
    """The answers of the last quarter under both; promoters are among the satisfied as well."""
    sums: list[Counter[str]] = []
    for thresholds in (before, after):
        said: Counter[str] = Counter()
        for (csat, nps, wants_help), n in counts.items():
            answers = Answers(csat, nps, "", wants_help)
            outcome = rules.outcome(answers, thresholds)
            if outcome is not None:
                said[Verdict(outcome.value)] += n
            if rules.is_promoter(answers, thresholds):
                said[Verdict.PROMOTER] += n
        sums.append(said)
    return [Judged(verdict, sums[0][verdict], sums[1][verdict]) for verdict in Verdict]


FOLLOWS = (Outcome.DISSATISFIED, Outcome.NEUTRAL, Outcome.SATISFIED)
"""What the words of an open question can follow."""

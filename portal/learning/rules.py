"""What there is to read and for whom, how far somebody got, what is recommended to them, and what a change changed. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import SequenceMatcher
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

from portal.accounts.rules import Language, folded


class Kind(StrEnum):
    """What there is to read."""

    TUTORIAL = "tutorial"
    EXAMPLE = "example"
    """Who uses it how, and what they achieved."""
    NEWS = "news"
    """What a release brought."""


class Audience(StrEnum):
    """For whom at an account something is written."""

    EVERYONE = "everyone"
    PRIMARY = "primary"
    """The person who signed and decides."""
    COLLEAGUES = "colleagues"
    """Those who join them."""


class Reader(NamedTuple):
    """Somebody who reads."""

    contact_id: int
    account_id: int
    language: str
    is_primary: bool
    plan: str | None = None
    """Of their account; None: whoever asks the database looks it up there."""

    @property
    def audience(self) -> Audience:
        return Audience.PRIMARY if self.is_primary else Audience.COLLEAGUES


def is_for(plans: Sequence[str], audience: Audience, *, plan: str, own: Audience) -> bool:
    """Whether it is for somebody of that plan and place; no plans: for all of them. Plans are compared as people write them."""
    return audience in (Audience.EVERYONE, own) and (not plans or folded(plan) in map(folded, plans))


def compared(plans: Iterable[str]) -> list[str]:
    """Plans as `is_for` compares them, each once."""
    return list(dict.fromkeys(map(folded, plans)))


class State(StrEnum):
    """How far one person got with one lesson."""

    NEW = "new"
    OPEN = "open"
    DONE = "done"


@dataclass(frozen=True)
class Written:
    """A tutorial in one language as its file has it: front matter between two lines of `---`, then Markdown."""

    slug: str
    language: str
    stage_key: str
    position: int
    minutes: int
    title: str
    summary: str
    body: str

    @property
    def fingerprint(self) -> str:
        """Changes whenever the words do."""
        return sha256("\0".join((self.title, self.summary, self.body)).encode()).hexdigest()


_FIELDS = {"title", "summary", "stage", "position", "minutes"}
WHEREVER = ""
"""The stage of what is for the whole road."""


def read_tutorial(name: str, text: str) -> Written:
    """The tutorial in a file `<slug>.<language>.md`.

    Errors: ValueError with the file's name where the front matter lacks a field or has one too many.
    """
    slug, _, language = name.removesuffix(".md").rpartition(".")
    opening, found, rest = text.partition("---\n")
    head, closed, body = rest.partition("\n---\n")
    if opening or not found or not closed:
        raise ValueError(f"{name}: it starts with front matter between two lines of ---")
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in head.splitlines())}
    if set(fields) != _FIELDS:
        raise ValueError(f"{name}: its front matter has {', '.join(sorted(_FIELDS))}")
    return Written(
        slug,
        language,
        fields["stage"],
        int(fields["position"]),
        int(fields["minutes"]),
        fields["title"],
        fields["summary"],
        body.strip() + "\n",
    )


class Lesson(NamedTuple):
    """A tutorial in somebody's list."""

    slug: str
    stage_key: str
    position: int
    minutes: int
    title: str
    summary: str
    started_at: datetime | None
    finished_at: datetime | None
    kind: Kind = Kind.TUTORIAL
    language: str = ""
    """The one it is written in: the reader's own, or the other where there is no translation."""
    part: int = 0
    """The furthest part that they read, from 1; 0: none yet."""
    happened_on: date | None = None
    who: str = ""
    achieved: str = ""
    is_unread: bool = False
    """News that came since this person looked last."""

    @property
    def path(self) -> str:
        return f"/learn/{self.slug}"

    @property
    def state(self) -> State:
        if self.finished_at is not None:
            return State.DONE
        return State.OPEN if self.started_at is not None else State.NEW


class Count(NamedTuple):
    """How many there are of something to read for one person, and how far they got."""

    all: int = 0
    finished: int = 0


ON_SHELF = 4
"""How many lessons of a stage the list of all stages shows: few enough to see the whole road on a phone."""
ON_SHELF_HERE = 10
"""The same of the stage where the customer is."""


class Shelf(NamedTuple):
    """A stage with its first lessons and how many it has; `name` as customers read it. `is_here`: where the customer is now."""

    key: str
    name: str
    is_here: bool
    lessons: list[Lesson]
    counted: Count

    @property
    def finished(self) -> int:
        return self.counted.finished

    @property
    def all(self) -> int:
        return self.counted.all

    @property
    def path(self) -> str:
        """Of all its lessons."""
        return f"/learn/stages/{self.key or ANY_STAGE}"


ANY_STAGE = "any"
"""What stands in the address for the whole road."""


def shelves(
    stages: Sequence[tuple[str, str]],
    lessons: Sequence[Lesson],
    *,
    here: str,
    counts: Mapping[str, Count] | None = None,
) -> list[Shelf]:
    """Lessons by stage: where the customer is first, then the road from its start; stages without lessons are left out.

    `stages` are pairs of key and name in the order of the road. A lesson for no stage of this road is not shown, and who
    is on no road (`here` is "") is nowhere, not at what is for the whole road.
    `counts` by stage, where `lessons` are not all there are.
    """
    by_stage: dict[str, list[Lesson]] = {}
    for lesson in sorted(lessons, key=lambda each: (each.position, each.slug)):
        if lesson.kind is Kind.TUTORIAL:
            by_stage.setdefault(lesson.stage_key, []).append(lesson)
    counted = {
        key: Count(len(those), sum(each.state is State.DONE for each in those)) for key, those in by_stage.items()
    } | dict(counts or {})
    found = [
        Shelf(key, name, key == here != WHEREVER, by_stage[key], counted[key])
        for key, name in stages
        if key in by_stage
    ]
    return sorted(found, key=lambda shelf: not shelf.is_here)


AROUND_BEFORE, AROUND = 3, 10


def around(lessons: Sequence[Lesson], slug: str) -> list[Lesson]:
    """Of a stage's lessons in their order: this one with those around it, more of them after it; all if they are few."""
    here = next((place for place, lesson in enumerate(lessons) if lesson.slug == slug), 0)
    first = max(0, min(here - AROUND_BEFORE, len(lessons) - AROUND))
    return list(lessons[first : first + AROUND])


def newest_first(news: Lesson) -> tuple[int, str]:
    """Sorts news."""
    return (-(news.happened_on.toordinal() if news.happened_on else 0), news.slug)


def next_lesson(road: Sequence[Lesson], slug: str) -> Lesson | None:
    """The first unfinished lesson after this one on the road, else the first unfinished one before it; None: all read."""
    here = next((place for place, lesson in enumerate(road) if lesson.slug == slug), -1)
    around = [*road[here + 1 :], *road[: max(here, 0)]]
    return next((lesson for lesson in around if lesson.state is not State.DONE), None)


# What is recommended


class Why(StrEnum):
    """Why a lesson is recommended."""

    BEGUN = "begun"
    HERE = "here"
    EARLIER = "earlier"
    AHEAD = "ahead"


class Recommended(NamedTuple):
    """A lesson for where somebody stands; `stage_name` is that of the lesson's stage."""

    lesson: Lesson
    why: Why
    stage_name: str


MOST_RECOMMENDED = 3


def recommended(stages: Sequence[tuple[str, str]], lessons: Sequence[Lesson], *, here: str) -> list[Recommended]:
    """At most three lessons: begun ones first, then those of the stage, then what was left out before it, then one ahead.

    `stages` as in `shelves`. A look ahead is offered only where nothing else is left to read.
    """
    places = {key: place for place, (key, _name) in enumerate(stages)}
    names = dict(stages)
    now = places.get(here, -1)
    ranked: list[tuple[int, int, int, str, Recommended]] = []
    for lesson in lessons:
        place = places.get(lesson.stage_key, now if lesson.stage_key == WHEREVER else None)
        if lesson.kind is not Kind.TUTORIAL or lesson.state is State.DONE or place is None:
            continue
        if lesson.state is State.OPEN:
            why, rank = Why.BEGUN, 0
        elif place == now:
            why, rank = Why.HERE, 1
        elif place < now:
            why, rank = Why.EARLIER, 2
        else:
            why, rank = Why.AHEAD, 3
        # What was left out last is nearest to what is done now.
        nearness = -place if why is Why.EARLIER else place
        name = names.get(lesson.stage_key, "")
        ranked.append((rank, nearness, lesson.position, lesson.slug, Recommended(lesson, why, name)))
    found = [one[-1] for one in sorted(ranked)]
    at_hand = [one for one in found if one.why is not Why.AHEAD]
    return at_hand[:MOST_RECOMMENDED] if at_hand else found[:1]


# What staff write


@dataclass(frozen=True)
class Text:
    """The words in one language. `who` and `achieved` are an example's."""

    title: str
    summary: str = ""
    body: str = ""
    who: str = ""
    achieved: str = ""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the words do; of a tutorial the same as of its file (`Written`)."""
        more = (self.who, self.achieved) if self.who or self.achieved else ()
        return sha256("\0".join((self.title, self.summary, self.body, *more)).encode()).hexdigest()


@dataclass(frozen=True)
class Draft:
    """All of one tutorial, example or news as its writer has it, both languages; what a version keeps."""

    kind: Kind
    stage_key: str
    position: int
    minutes: int
    audience: Audience
    plans: tuple[str, ...]
    happened_on: date | None
    texts: Mapping[Language, Text]

    @property
    def title(self) -> str:
        """In English if there is one."""
        return next((self.texts[each].title for each in Language if each in self.texts), "")

    def as_json(self) -> dict[str, Any]:
        texts = {str(language): vars(text) for language, text in self.texts.items()}
        on = self.happened_on.isoformat() if self.happened_on else None
        return {**vars(self), "plans": list(self.plans), "happened_on": on, "texts": texts}

    @staticmethod
    def from_json(kept: Mapping[str, Any]) -> "Draft":
        return Draft(
            Kind(kept["kind"]),
            kept["stage_key"],
            kept["position"],
            kept["minutes"],
            Audience(kept["audience"]),
            tuple(kept["plans"]),
            date.fromisoformat(kept["happened_on"]) if kept["happened_on"] else None,
            {Language(language): Text(**text) for language, text in kept["texts"].items()},
        )


TAKEN_SLUGS = frozenset({"news", "examples", "stages"})
"""Addresses below /learn that are pages of their own."""


SLUGS_TO_TRY = 50


def slugs_for(title: str, *, last: int) -> list[str]:
    """Addresses of the title's words, the best first, so that one of a few is free however many have the same title.

    `last`: the highest number that any of them has; an address behind it is rarely taken.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", folded(title)).strip("-")[:60].strip("-") or "lesson"
    numbers = [*range(2, SLUGS_TO_TRY), *range(max(last + 1, SLUGS_TO_TRY), max(last + 1, SLUGS_TO_TRY) + SLUGS_TO_TRY)]
    return [slug for slug in (plain, *(f"{plain}-{number}" for number in numbers)) if slug not in TAKEN_SLUGS]


class Line(NamedTuple):
    """A line of a comparison: `sign` is "+" (new), "-" (gone), " " (stayed) or "…" (lines that stayed are left out)."""

    sign: str
    text: str


class Change(NamedTuple):
    """What changed at one place; `field` as in `Text` or `Draft`, `language` empty for what both have in common."""

    field: str
    language: str
    lines: list[Line]


CONTEXT_LINES = 2


def changes(before: Draft, after: Draft) -> list[Change]:
    """What differs, place by place; nothing where they are the same."""
    found = []
    for field in ("kind", "stage_key", "position", "minutes", "audience", "plans", "happened_on"):
        old, new = (_plain(getattr(draft, field)) for draft in (before, after))
        if old != new:
            found.append(Change(field, "", _compared(old, new)))
    for language in Language:
        texts = [draft.texts.get(language, Text("")) for draft in (before, after)]
        for field in vars(texts[0]):
            old, new = (getattr(text, field) for text in texts)
            if old != new:
                found.append(Change(field, str(language), _compared(old, new)))
    return found


def _plain(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else "" if value is None else str(value)


def _compared(old: str, new: str) -> list[Line]:
    return list(_compare(old.splitlines(), new.splitlines()))


def _compare(old: Sequence[str], new: Sequence[str]) -> Iterator[Line]:
    groups = list(SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(CONTEXT_LINES))
    for number, group in enumerate(groups):
        if number or group[0][1] > 0:
            yield Line("…", "")
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                yield from (Line(" ", line) for line in old[old_from:old_to])
                continue
            yield from (Line("-", line) for line in old[old_from:old_to])
            yield from (Line("+", line) for line in new[new_from:new_to])
    if groups and groups[-1][-1][2] < len(old):
        yield Line("…", "")

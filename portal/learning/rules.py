"""What a shipped tutorial's file says, how far somebody got, and which lesson comes next. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple


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

    @property
    def path(self) -> str:
        return f"/learn/{self.slug}"

    @property
    def state(self) -> State:
        if self.finished_at is not None:
            return State.DONE
        return State.OPEN if self.started_at is not None else State.NEW


class Shelf(NamedTuple):
    """A stage with its lessons; `name` as customers read it. `is_here`: the stage where the customer is now."""

    key: str
    name: str
    is_here: bool
    lessons: list[Lesson]

    @property
    def finished(self) -> int:
        return sum(lesson.state is State.DONE for lesson in self.lessons)


def shelves(stages: Sequence[tuple[str, str]], lessons: Sequence[Lesson], *, here: str) -> list[Shelf]:
    """Lessons by stage: where the customer is first, then the road from its start; stages without lessons are left out.

    `stages` are pairs of key and name in the order of the road. A lesson for no stage of this road is not shown.
    """
    by_stage: dict[str, list[Lesson]] = {}
    for lesson in sorted(lessons, key=lambda each: (each.position, each.slug)):
        by_stage.setdefault(lesson.stage_key, []).append(lesson)
    found = [Shelf(key, name, key == here, by_stage[key]) for key, name in stages if key in by_stage]
    return sorted(found, key=lambda shelf: not shelf.is_here)


def next_lesson(road: Sequence[Lesson], slug: str) -> Lesson | None:
    """The first unfinished lesson after this one on the road, else the first unfinished one before it; None: all read."""
    here = next((place for place, lesson in enumerate(road) if lesson.slug == slug), -1)
    around = [*road[here + 1 :], *road[: max(here, 0)]]
    return next((lesson for lesson in around if lesson.state is not State.DONE), None)

"""Refusals people can read: named errors with a sentence and a status. Wrong input is not one; it is returned beside the value."""

from collections.abc import Mapping
from typing import Any


def N_(message: str) -> str:
    """Marks an English sentence for the catalogues; it is translated where it is shown."""
    return message


class Refused(Exception):
    """Something a person asked for that the rules don't allow. `message` is a msgid with %(name)s places for `values`."""

    status = 409
    problems: Mapping[str, str] = {}
    """By field, where a refusal is about some of them (422)."""

    def __init__(self, message: str, **values: Any) -> None:
        super().__init__(message)
        self.message = message
        self.values = values

    def __str__(self) -> str:
        return self.message % self.values if self.values else self.message


class Invalid(Refused):
    """Wrong input that only our rules could find, for callers without a form (the API). `problems`: field and sentence."""

    status = 422

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(next(iter(problems.values())))
        self.problems = problems


class NotFound(Refused):
    """There is nothing there, or nothing that this person may know of."""

    status = 404

    def __init__(self, message: str = N_("It may have moved, or the link is incomplete.")) -> None:
        super().__init__(message)


class NotAllowed(Refused):
    """The person is known, and may not do this."""

    status = 403

    def __init__(self, message: str = N_("You don't have permission to do that. Ask an administrator.")) -> None:
        super().__init__(message)

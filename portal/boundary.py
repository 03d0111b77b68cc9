"""The row boundary: the one place that catches everything. One row's crash is told and put aside; the queue goes on."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError

log = logging.getLogger("portal.worker")

T = TypeVar("T")


@dataclass(frozen=True)
class Crash:
    """What a row's work died of, in a line to keep on the row."""

    words: str


def attempted(name: str, work: Callable[[], T]) -> T | Crash:
    """What the work gives, or its crash; the trace goes to the log under `name`.

    Raises what says that the database is away: that is no row's fault, and the row must stay as it was.
    """
    try:
        return work()
    except (OperationalError, InterfaceError):
        raise
    except Exception as crash:
        log.exception("put aside: %s", name)
        return Crash(f"{type(crash).__name__}: {crash}"[:500])

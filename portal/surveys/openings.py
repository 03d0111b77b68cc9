"""Which scores of a mail were opened when: a bounded memory of one web process, so that a GET changes nothing that lasts.

It is evidence at best: another process has its own, and a restart forgets. What it can't see, the form's own seal and
the deliberate control still catch (`rules.machine_signs`).
"""

import threading
from collections import OrderedDict, deque
from datetime import datetime, timedelta

from portal.surveys.rules import BURST_SECONDS

MOST_INVITATIONS = 4000
MOST_EACH = 24


class Openings:
    """The last openings of the invitations that were opened last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[int, deque[tuple[datetime, str]]] = OrderedDict()

    def note(self, invitation_id: int, score: str, at: datetime) -> None:
        """Somebody or something opened the link of that score (`nps=7`)."""
        with self._lock:
            seen = self._seen.setdefault(invitation_id, deque(maxlen=MOST_EACH))
            seen.append((at, score))
            self._seen.move_to_end(invitation_id)
            if len(self._seen) > MOST_INVITATIONS:
                self._seen.popitem(last=False)

    def scores_around(self, invitation_id: int, at: datetime) -> int:
        """How many different scores were opened within a few seconds of that moment."""
        burst = timedelta(seconds=BURST_SECONDS)
        with self._lock:
            return len({score for when, score in self._seen.get(invitation_id, ()) if abs(when - at) <= burst})

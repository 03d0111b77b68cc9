"""Logs: one JSON line each, to the standard error."""

import json
import logging
from datetime import UTC, datetime
from typing import Any


class JsonLines(logging.Formatter):
    """A record as one line; a message that is JSON already (a request's line) is taken in as it is."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"at": at, "level": record.levelname.lower(), "from": record.name}
        message = record.getMessage()
        line |= _parts(message)
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _parts(message: str) -> dict[str, Any]:
    try:
        parts = json.loads(message)
    except ValueError:
        parts = None
    return parts if isinstance(parts, dict) else {"message": message}


def start_logging(level: int = logging.INFO) -> None:
    """From now on this process logs so."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)

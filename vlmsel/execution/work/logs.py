"""Structured logs: one JSON object a line, with the cell where there is one."""

import json
import logging
from datetime import UTC, datetime

from vlmsel.execution.plan.run_options import LogLevel
from vlmsel.redaction import redact

EXTRAS = ("cell", "seconds")


class JsonLines(logging.Formatter):
    """A log record as one line of JSON.

    Time (UTC), level, logger, message, and `cell` and `seconds` if given.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        line |= {name: getattr(record, name) for name in EXTRAS if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(line)


def log_json_lines(level: LogLevel = "warning") -> None:
    """Send this package's records to stderr as JSON lines; a second call only sets the level.

    At `warning` there is a line for each failure, at `info` one for each cell.
    """
    logger = logging.getLogger("vlmsel")
    if not logs_json_lines():
        handler = logging.StreamHandler()
        handler.setFormatter(JsonLines())
        logger.addHandler(handler)
    logger.setLevel(level.upper())
    logger.propagate = False


def logs_json_lines() -> bool:
    """Tell whether this package's records are written as JSON lines already."""
    handlers = logging.getLogger("vlmsel").handlers
    return any(isinstance(handler.formatter, JsonLines) for handler in handlers)

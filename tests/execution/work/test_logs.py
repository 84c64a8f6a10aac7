import json
import logging

import pytest

from vlmsel.execution.work.logs import JsonLines, log_json_lines


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("vlmsel.x", logging.WARNING, "f.py", 1, message, args, None)
    made.__dict__.update(extra)
    return made


def test_a_record_is_one_line_of_json_with_its_cell() -> None:
    line = JsonLines().format(record("lost\n%s", "here", cell="a on cars (00)", seconds=1.5))
    assert "\n" not in line
    fields = json.loads(line)
    assert fields["time"].endswith("+00:00")
    del fields["time"]
    assert fields == {
        "level": "warning",
        "logger": "vlmsel.x",
        "message": "lost\nhere",
        "cell": "a on cars (00)",
        "seconds": 1.5,
    }


def test_a_record_without_a_cell_has_no_such_field() -> None:
    assert "cell" not in json.loads(JsonLines().format(record("hello")))


def test_logging_is_set_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("vlmsel")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", True)
    before = logger.level
    log_json_lines()
    log_json_lines()
    assert len(logger.handlers) == 1
    logger.setLevel(before)

import logging

import pytest

from vlmsel.zoo.output_silence import quiet_open_clip


def record(path: str) -> logging.LogRecord:
    return logging.LogRecord("root", logging.WARNING, path, 1, "chatter", None, None)


def test_only_open_clips_own_records_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    root = logging.getLogger()
    with quiet_open_clip():
        root.handle(record("/site-packages/open_clip/factory.py"))
        root.handle(record("/home/user/script.py"))
    assert [r.pathname for r in caplog.records] == ["/home/user/script.py"]


def test_the_root_logger_is_left_as_it_was() -> None:
    root = logging.getLogger()
    before = (list(root.handlers), list(root.filters))

    def chatter() -> None:
        with quiet_open_clip():
            logging.warning("would install a handler on an unconfigured root")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        chatter()
    assert (list(root.handlers), list(root.filters)) == before

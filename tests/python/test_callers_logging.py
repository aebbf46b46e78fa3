"""The caller's own logging gets what it is set to show; debug lines are for the log file."""

import logging

import pytest

from conversion.core.journal import FILE, LOG, journal


@pytest.fixture
def root(monkeypatch):
    """The root logger with one handler that keeps every message, as after `basicConfig`."""

    class Kept(logging.Handler):
        said = []

        def emit(self, record):
            self.said.append(record.getMessage())

    logger = logging.getLogger()
    monkeypatch.setattr(logger, "handlers", [Kept()])
    monkeypatch.setattr(logger, "level", logging.WARNING)
    monkeypatch.setattr(LOG, "handlers", [])
    monkeypatch.setattr(LOG, "propagate", True)
    monkeypatch.setattr(LOG, "level", logging.NOTSET)
    Kept.said.clear()
    return logger


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        (logging.WARNING, ["warned"]),
        (logging.INFO, ["building", "warned"]),
        (logging.DEBUG, ["measured", "building", "warned"]),
    ],
    ids=["warning", "info", "debug"],
)
def test_the_callers_logging_hears_what_it_asked_for(root, tmp_path, level, heard):
    root.setLevel(level)
    with journal(tmp_path):
        LOG.debug("measured")
        LOG.info("building")
        LOG.warning("warned")
    assert root.handlers[0].said == heard
    written = (tmp_path / FILE).read_text()
    assert all(word in written for word in ("measured", "building", "warned"))


def test_afterwards_everything_is_as_it_was(root):
    before = list(LOG.handlers), LOG.level, LOG.propagate
    with journal(None):
        assert LOG.level == logging.DEBUG
    assert (LOG.handlers, LOG.level, LOG.propagate) == before

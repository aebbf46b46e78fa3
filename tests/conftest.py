"""What the tests of several folders share."""

from contextlib import nullcontext

import pytest

from conversion import session


@pytest.fixture
def one_process(monkeypatch, reference):
    """Every call asks the session's Keras process instead of starting one, which takes seconds."""
    monkeypatch.setattr(session, "Reference", lambda custom=(): nullcontext(reference))

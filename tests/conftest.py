"""What the tests of several folders share."""

from contextlib import nullcontext

import pytest

from conversion import session
from conversion.core.artifact import Store
from conversion.readers import read_spec
from conversion.subjects import Subject
from conversion.workspace import Workspace


@pytest.fixture
def one_process(monkeypatch, reference):
    """Every call asks the session's Keras process instead of starting one, which takes seconds."""
    monkeypatch.setattr(session, "Reference", lambda custom=(): nullcontext(reference))


@pytest.fixture
def opened(reference, tmp_path):
    """A model file as a workspace of its own."""

    def opened(path, external=None):
        subject, store = Subject("mine", path, read_spec(path)), Store(tmp_path / "store")
        return Workspace(subject, reference, store, external=external or {})

    return opened

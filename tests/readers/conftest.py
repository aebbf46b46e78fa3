"""Where the files of these tests are written."""

import pytest


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.h5"

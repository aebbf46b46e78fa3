"""What every refusal of a model file has in common."""

import pytest

from conversion.core.errors import UserError
from conversion.readers import read_spec
from conversion.readers.schema import LAYERS


def refusal(path):
    """The one sentence; it names the file."""
    with pytest.raises(UserError) as caught:
        read_spec(path)
    sentence = str(caught.value)
    assert sentence.isprintable()
    assert path.name in sentence
    assert len(sentence.replace(", ".join(sorted(LAYERS)), "")) < 600
    return sentence


def case(change, *words, id):  # noqa: A002
    """A way to break a file, and what its refusal says."""
    return pytest.param(change, words, id=id)

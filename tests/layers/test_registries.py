"""The reader, the truth and the PyTorch builder know the same layers, and each is tested."""

from pathlib import Path

import pytest

from conversion.proof import truth
from conversion.readers import activations, schema
from conversion.readers.older_versions import OLDER

COMPUTED = set(schema.LAYERS) - {"InputLayer"}


def test_truth_knows_the_layers_of_the_reader():
    # Softmax has no entry of its own there: it is an activation without a layer.
    assert set(truth.LAYERS) | {"Softmax"} == COMPUTED


def test_truth_knows_the_activations_of_the_reader():
    assert set(truth.ACTIVATIONS) == {*activations.ACTIVATIONS, *OLDER.values()}


def test_pytorch_knows_the_layers_of_the_reader():
    from conversion.backends import torch_layers

    # GELU is an activation of the reader's, and a layer only by tanh, as an injected fault has it.
    assert set(torch_layers.LAYERS) == COMPUTED | {"GELU"}


def test_pytorch_knows_the_activations_of_the_reader():
    from conversion.backends import torch_layers

    known = {*torch_layers.ACTIVATIONS, "linear"}
    assert known == {*activations.ACTIVATIONS, *OLDER.values()}


@pytest.mark.parametrize("kind", sorted(COMPUTED))
def test_layer_is_compared_with_keras(kind):
    here = Path(__file__)
    texts = [path.read_text() for path in here.parent.glob("test_*.py") if path != here]
    assert any(f'"{kind}"' in text for text in texts)

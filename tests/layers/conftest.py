"""Small models built and saved by Keras, and the check that all routes compute what it does."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import reject
from tools.keras_models import save_model

from conversion.core.spec import Spec
from conversion.proof import truth
from conversion.proof.metrics.compare import NoPower, compare
from conversion.proof.metrics.views import VIEWS
from conversion.readers import read_spec
from conversion.reference import KerasModel

# Both sides round, each element being a sum of a few dozen terms that do not cancel: over 7,448
# comparisons the rms of the difference was at most 4.2 times 2^-24 of the output's rms. The
# mildest fault that must be seen, BatchNormalization's eps 1e-5 for 1e-3, stands at 4,000 times.
LIMIT = 16 * 2.0**-24


@dataclass(frozen=True)
class Small:
    spec: Spec
    keras: KerasModel


@pytest.fixture(scope="session")
def small(reference, tmp_path_factory):
    folder = tmp_path_factory.mktemp("layers")

    def build(config, seed=0, ending=".h5"):
        path = folder / f"small{ending}"
        save_model(reference, path, config, seed=seed)
        spec = read_spec(path)
        return Small(spec, reference.model(path, spec))

    return build


@pytest.fixture(scope="session")
def agree(small, by_torch):
    """Builds a model and compares every layer: Keras, the float64 truth, the PyTorch module."""

    def check(config, *inputs, seed=0, limit=LIMIT, ending=".h5"):
        model = small(config, seed, ending)
        spec, named = model.spec, dict(zip(model.spec.inputs, inputs, strict=True))
        layers = [layer.name for layer in spec.layers if layer.kind != "InputLayer"]
        keras = model.keras.layer_outputs(named, layers)
        for name in layers:
            assert fits(keras[name].shape[1:], spec.layer(name).shape), name
        tapped = replace(spec, outputs=tuple(layers))
        exact = truth.evaluate(spec, named).layers
        close(tapped, keras, {name: exact[name] for name in layers}, np.float64, limit)
        close(tapped, keras, by_torch(tapped, inputs), np.float32, limit)

    return check


@pytest.fixture(scope="session")
def by_torch():
    import torch

    from conversion.backends import torch_module

    def run(spec, inputs):
        module = torch_module.from_spec(spec)
        results = torch_module.run(module, [torch.from_numpy(each) for each in inputs])
        return {name: value.numpy() for name, value in zip(spec.outputs, results, strict=True)}

    return run


def fits(shape, stated):
    pairs = zip(shape, stated, strict=False)
    return len(shape) == len(stated) and all(s in (None, n) for n, s in pairs)


def close(spec, keras, candidate, dtype, limit):
    views = {name: VIEWS["softmax"] for name in spec.outputs if spec.head(name) == "softmax"}
    try:
        differences = compare(keras, candidate, views, dtype)
    except NoPower:  # a ReLU whose inputs are all negative
        reject()
    for found in differences:
        assert found.rms <= limit * found.level, (found.output, found.rms / found.level)

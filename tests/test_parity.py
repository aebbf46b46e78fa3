"""Do ONNX and PyTorch give Keras's logits?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from conversion import truth
from conversion.checks.compare import VIEWS, compare
from conversion.checks.limits import POOLED

pytestmark = pytest.mark.parity

CONVERTED = ("onnx-fp32", "torch-fp32", "torch-via-onnx-fp32", "litert-fp32")


def test_parity(case, check, judge):
    judge(check.measure(case))


def images(shape):
    """Any uint8 images: noise, flat extremes, and everything that hypothesis shrinks towards."""
    noise = arrays(np.uint8, shape)
    extremes = st.sampled_from((0, 1, 127, 128, 254, 255)).map(
        lambda value: np.full(shape, value, np.uint8)
    )
    return st.one_of(noise, extremes)


@pytest.mark.artifacts(*CONVERTED)
# No database: examples of one model's shapes mean nothing to another's.
@settings(max_examples=15, database=None)
@given(drawn=st.data())
def test_any_image_in_any_batch_gives_keras_outputs(case, drawn):
    spec = case.workspace.spec
    size = drawn.draw(st.integers(1, 9), label="batch")
    shapes = {name: (size, *spec.layer(name).shape) for name in spec.inputs}
    inputs = {
        name: drawn.draw(images(shape), label=name).astype(np.float32)
        for name, shape in shapes.items()
    }
    # Beside a few real images, so that flat drawings do not make the outputs flat.
    real = {name: array[:4] for name, array in case.workspace.parity_inputs.items()}
    both = {name: np.concatenate([inputs[name], real[name]]) for name in inputs}
    views = {name: VIEWS[head] for name, head in case.heads.items()}
    exact = truth.evaluate(spec, both, keep=spec.outputs).layers
    keras = compare(exact, case.workspace.keras.outputs(both), views, np.float32)
    found = compare(exact, case.workspace.runner(case.name).run(both), views, np.float32)
    for pooled, ours, theirs in zip(case.noise, keras, found, strict=True):
        # A drawn image may have larger logits, and rounding, than the images behind the noise.
        assert theirs.rms <= POOLED.value * max(pooled.rms, ours.rms)


@pytest.mark.artifacts("keras-fp32")
def test_keras_logits_are_what_its_probabilities_say(case):
    inputs = {name: array[:50] for name, array in case.workspace.parity_inputs.items()}
    logits = case.workspace.keras.logits(inputs)
    exact = truth.evaluate(case.workspace.spec, inputs, keep=()).logits
    for noise, difference in zip(case.noise, compare(exact, logits, dtype=np.float32), strict=True):
        # Uncentred logits carry the common part that softmax takes away, so twice the noise.
        assert difference.rms <= 2 * POOLED.value * noise.rms


@pytest.mark.artifacts("keras-fp32")
def test_every_layer_of_keras_lies_within_its_rounding_of_the_truth(case):
    spec = case.workspace.spec
    inputs = {name: array[:40] for name, array in case.workspace.parity_inputs.items()}
    names = [layer.name for layer in spec.layers if layer.kind != "InputLayer"]
    keras = case.workspace.keras.layer_outputs(inputs, names)
    exact = truth.evaluate(spec, inputs).layers
    differences = compare({name: exact[name] for name in names}, keras, dtype=np.float32)
    # 29 layers of float32 rounding reach 8.4e-7 of the spread; a wrong layer starts at 1e-4.
    assert {d.output: d.rms / d.spread for d in differences if d.rms > 1e-5 * d.spread} == {}

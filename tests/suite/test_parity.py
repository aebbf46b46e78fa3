"""Do ONNX and PyTorch give Keras's logits?"""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from conversion.proof import truth
from conversion.proof.metrics.compare import VIEWS, compare
from conversion.proof.metrics.limits import POOLED

pytestmark = pytest.mark.parity

CONVERTED = ("onnx-fp32", "torch-fp32", "torch-via-onnx-fp32", "litert-fp32")


def test_parity(case, check, judge):
    judge(check.measure(case))


def noise(random, shape):
    return random.randint(0, 256, shape)


def flat(random, shape):
    return np.broadcast_to(random.randint(0, 256, (shape[0], *[1] * (len(shape) - 1))), shape)


def extremes(random, shape):
    return random.choice((0, 1, 127, 128, 254, 255), shape)


KINDS = {each.__name__: each for each in (noise, flat, extremes)}


@pytest.mark.artifacts(*CONVERTED)
# No database: examples of one model's shapes mean nothing to another's. No shrinking: the error of
# a wrong artifact is as large in every image, and what is said of it is in the numbers drawn.
@settings(max_examples=15, database=None, deadline=None, phases=(Phase.generate,))
@given(batch=st.integers(1, 9), kind=st.sampled_from(sorted(KINDS)), seed=st.integers(0, 2**32 - 1))
def test_any_image_in_any_batch_gives_keras_outputs(case, batch, kind, seed):
    spec, random = case.workspace.spec, np.random.RandomState(seed)
    inputs = {
        name: KINDS[kind](random, (batch, *spec.layer(name).shape)).astype(np.float32)
        for name in spec.inputs
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
        times = theirs.rms / max(pooled.rms, ours.rms)
        if times > POOLED.value:
            pytest.fail(
                f"fail: {case.name} on {case.workspace.subject.name}: output '{theirs.output}' is "
                f"{times:.4g} x Keras's noise away from the truth (must be <= {POOLED.value:g}) on "
                f"{batch} synthetic images ({kind}, seed {seed})",
                pytrace=False,
            )


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

"""Do ONNX and PyTorch give Keras's logits?"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from conversion.backends import BACKENDS
from conversion.backends import CONVERTED as EVERY
from conversion.proof import truth
from conversion.proof.metrics.compare import VIEWS, compare
from conversion.proof.metrics.limits import POOLED

pytestmark = pytest.mark.parity

CONVERTED = [name for name in EVERY if BACKENDS[name].is_float]
DRAWINGS = 15


def test_parity(case, check, judge):
    judge(check.measure(case))


def noise(random, shape):
    return random.randint(0, 256, shape)


def flat(random, shape):
    return np.broadcast_to(random.randint(0, 256, (shape[0], *[1] * (len(shape) - 1))), shape)


def extremes(random, shape):
    return random.choice((0, 1, 127, 128, 254, 255), shape)


KINDS = {each.__name__: each for each in (noise, flat, extremes)}


@dataclass(frozen=True, eq=False)
class Drawn:
    """One batch of synthetic images beside a few real ones, and what it must give.

    Beside real ones, so that flat drawings do not make the outputs flat.
    """

    words: str
    inputs: dict
    exact: dict
    keras: tuple


@pytest.fixture(scope="session")
def drawings():
    """Batches of one to nine images by ``--seed``, judged once a subject for all its artifacts."""

    @cache
    def drawn(workspace):
        random = np.random.RandomState(workspace.seed)
        return [draw(workspace, random) for _ in range(DRAWINGS)]

    return lambda case: drawn(case.workspace)


def draw(workspace, random):
    spec, kind, batch = workspace.spec, random.choice(sorted(KINDS)), random.randint(1, 10)
    inputs = {}
    for name in spec.inputs:
        made = KINDS[kind](random, (batch, *spec.layer(name).shape)).astype(np.float32)
        inputs[name] = np.concatenate([made, workspace.parity_inputs[name][:4]])
    exact = truth.evaluate(spec, inputs, keep=spec.outputs).layers
    views = views_of(spec)
    keras = compare(exact, workspace.keras.outputs(inputs), views, np.float32)
    return Drawn(f"{batch} synthetic images ({kind})", inputs, exact, keras)


def views_of(spec):
    return {name: VIEWS[spec.head(name)] for name in spec.outputs}


@pytest.mark.artifacts(*CONVERTED)
def test_any_image_in_any_batch_gives_keras_outputs(case, drawings):
    spec = case.workspace.spec
    for number, drawn in enumerate(drawings(case)):
        outputs = case.workspace.runner(case.name).run(drawn.inputs)
        found = compare(drawn.exact, outputs, views_of(spec), np.float32)
        for pooled, ours, theirs in zip(case.noise, drawn.keras, found, strict=True):
            # A drawn image may have larger logits, and rounding, than the images behind the noise.
            times = theirs.rms / max(pooled.rms, ours.rms)
            if times > POOLED.value:
                pytest.fail(
                    f"fail: {case.name} on {case.workspace.subject.name}: output "
                    f"'{theirs.output}' is {times:.4g} x Keras's noise away from the truth (must "
                    f"be <= {POOLED.value:g}) on {drawn.words}, batch {number} of --seed "
                    f"{case.workspace.seed}",
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

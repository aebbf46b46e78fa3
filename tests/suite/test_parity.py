"""Do ONNX and PyTorch give Keras's logits?"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from conversion.backends import BACKENDS, REFERENCE
from conversion.backends import CONVERTED as EVERY
from conversion.proof import truth
from conversion.proof.metrics.compare import compare
from conversion.proof.metrics.difference import Difference
from conversion.proof.metrics.limits import POOLED
from conversion.proof.metrics.views import VIEWS

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
        return list(judged(workspace, draw(workspace)))

    return lambda case: drawn(case.workspace)


def draw(workspace):
    """Batches as words and inputs."""
    random, spec = np.random.RandomState(workspace.seed), workspace.spec
    for _ in range(DRAWINGS):
        kind, batch, inputs = random.choice(sorted(KINDS)), random.randint(1, 10), {}
        for name in spec.inputs:
            made = KINDS[kind](random, (batch, *spec.layer(name).shape)).astype(np.float32)
            inputs[name] = np.concatenate([made, workspace.parity_inputs[name][:4]])
        yield f"{batch} synthetic images ({kind})", inputs


def judged(workspace, batches):
    """Batches with the truth's and Keras's outputs, which are kept: Keras need not run again."""
    words, inputs = zip(*batches, strict=True)
    whole = {name: np.concatenate([each[name] for each in inputs]) for name in inputs[0]}
    spec, batch = workspace.spec, workspace.streaming.batch
    exact = truth.evaluate(spec, whole, keep=spec.outputs, chunk=batch).layers
    keras, start = workspace.runs.outputs(REFERENCE, whole).arrays, 0
    for said, given in zip(words, inputs, strict=True):
        part = slice(start, start := start + len(next(iter(given.values()))))
        wanted, ours = ({name: a[part] for name, a in each.items()} for each in (exact, keras))
        yield Drawn(said, given, wanted, compare(wanted, ours, views_of(spec), np.float32))


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


@pytest.mark.artifacts(REFERENCE)
def test_keras_logits_are_what_its_probabilities_say(case):
    exact, keras = case.workspace.layers.logits
    for noise, difference in zip(case.noise, compare(exact, keras, dtype=np.float32), strict=True):
        # Uncentred logits carry the common part that softmax takes away, so twice the noise.
        assert difference.rms <= 2 * POOLED.value * noise.rms


@pytest.mark.artifacts(REFERENCE)
def test_every_layer_of_keras_lies_within_its_rounding_of_the_truth(case):
    noise = case.workspace.layers.noise
    shares = {name: d.rms / d.spread for name, d in noise.items() if isinstance(d, Difference)}
    # 29 layers of float32 rounding reach 8.4e-7 of the spread; a wrong layer starts at 1e-4.
    assert {name: share for name, share in shares.items() if share > 1e-5} == {}

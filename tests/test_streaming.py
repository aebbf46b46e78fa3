"""However images are cut into chunks the numbers are the same, and memory follows the budget."""

import tracemalloc
from dataclasses import asdict, replace
from math import prod
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conversion
from conversion.core import environment
from conversion.core.artifact import Store
from conversion.core.errors import UserError
from conversion.core.running import Running
from conversion.core.spec import Layer, Spec
from conversion.proof import truth
from conversion.proof.metrics.compare import Comparison, NoPower
from conversion.proof.metrics.sqnr import Sqnr
from conversion.proof.metrics.views import VIEWS
from conversion.proof.taps.by_values import EIGHT_BITS
from conversion.proof.taps.network import Computed, Network
from conversion.proof.taps.opened import Exposed, align
from conversion.proof.truth import blas
from conversion.reference import KerasModel
from conversion.subjects import Subject
from conversion.subjects.dataset import Dataset
from conversion.workspace.budget import BYTES_FOUND, PROBES, streaming

GB = 10**9


def conv(name, read, shape, filters, padding="same"):
    kernel = np.random.RandomState(0).normal(0, 0.2, (3, 3, shape[-1], filters)).astype(np.float32)
    config = {"filters": filters, "kernel_size": (3, 3), "use_bias": False}
    config |= {"padding": padding, "strides": (1, 1), "activation": "relu"}
    return Layer(name, "Conv2D", config, (read,), {"kernel": kernel}, (*shape[:2], filters))


def chain(size=12, depth=3, channels=4, outputs=None):
    """An image and convolutions one after another."""
    layers = [Layer("image", "InputLayer", {}, (), {}, (size, size, 3))]
    for index in range(depth):
        layers.append(conv(f"conv{index}", layers[-1].name, layers[-1].shape, channels))
    names = outputs or (layers[-1].name,)
    return Spec("chain", tuple(layers), ("image",), tuple(names), "", "3")


def costs(spec, memory, test=None):
    return streaming(Subject(spec.name, None, spec, test), memory)


def images(count, size=12):
    drawn = np.random.RandomState(1).uniform(0, 1, (count, size, size, 3))
    return {"image": drawn.astype(np.float32)}


CUTS = st.lists(st.integers(1, 39), max_size=6, unique=True).map(sorted)


@settings(max_examples=40)
@given(CUTS, st.floats(-1e3, 1e3), st.integers(0, 9))
def test_a_difference_is_the_same_for_any_chunks(cuts, offset, seed):
    random = np.random.default_rng(seed)
    exact = random.normal(offset, 1, (40, 3, 5))
    found = (exact + random.normal(0, 1e-3, exact.shape)).astype(np.float32)
    whole, parts = (Comparison("y", dtype=np.float32) for _ in range(2))
    whole.add(exact, found)
    for ours, theirs in zip(np.split(exact, cuts), np.split(found, cuts), strict=True):
        parts.add(ours, theirs)
    for name, value in asdict(parts.difference()).items():
        if name != "output":
            assert value == pytest.approx(asdict(whole.difference())[name], rel=1e-9), name


def test_the_spread_is_that_over_the_images_whatever_the_chunks():
    values = np.random.RandomState(0).normal(7, 2, (30, 4, 6))
    each = Comparison("y")
    for part in np.split(values, [1, 2, 11]):
        each.add(part, part + 1)
    assert each.difference().spread == pytest.approx(np.sqrt(values.var(axis=0).mean()), rel=1e-12)
    assert each.difference().level == pytest.approx(np.sqrt((values**2).mean()), rel=1e-12)


def test_what_is_flat_in_every_chunk_but_not_between_them_has_power():
    each = Comparison("y")
    for level in (1.0, 2.0):
        each.add(np.full((3, 2), level), np.full((3, 2), level))
    assert each.difference().spread == pytest.approx(0.5)


def test_what_is_flat_over_all_chunks_has_none():
    each = Comparison("y")
    for _ in range(2):
        each.add(np.ones((3, 2)), np.ones((3, 2)))
    with pytest.raises(NoPower, match="hardly varies"):
        each.difference()


def test_a_channel_of_few_values_has_a_part_of_the_pooled_noise():
    """A channel that Keras happened to round to nothing gives an artifact no infinite error."""
    noise = np.tile([[0.0, 2.0]], (16, 1))
    few, many = (Comparison("y") for _ in range(2))
    values = np.random.RandomState(0).normal(0, 1, (16, 2))
    few.add(values, values + noise)
    for _ in range(20):
        many.add(values, values + noise)
    pooled = np.sqrt(2)
    assert few.difference().channel_noise[0] == pytest.approx(pooled * np.sqrt(4 / 16 - 4 / 200))
    assert many.difference().channel_noise[0] < 1e-6
    assert many.difference().channel_noise[1] == pytest.approx(2)


def test_a_channel_counts_the_values_that_can_show_an_error():
    """Probabilities under the floor and what a ReLU cut are held where no rounding can show."""
    chances = np.array([[1, 1e-35, 0], [0.5, 0.5, 1e-40], [0.9, 0.1, 0.1]])
    each = Comparison("p", VIEWS["softmax"])
    each.add(chances, chances)
    assert each.difference().showing.tolist() == [3, 2, 1]
    cut = Comparison("r")
    cut.add(np.array([[0.0, 2], [0, 4]]), np.zeros((2, 2)))
    assert cut.difference().showing.tolist() == [0, 2]


def test_a_ratio_of_noise_is_the_same_for_any_chunks():
    signal = np.random.RandomState(0).normal(0, 1, (20, 5))
    parts = Sqnr()
    for part in np.split(signal, [3, 4, 17]):
        parts.add(part, part * 1.01)
    assert parts.decibels == pytest.approx(40, abs=1e-6)  # a hundredth of the amplitude


@pytest.mark.parametrize("chunk", [1, 3, 7, 50])
def test_the_truth_is_the_same_for_any_chunk(chunk):
    spec, given_images = chain(), images(7)
    whole = truth.evaluate(spec, given_images, chunk=7).layers
    parts = truth.evaluate(spec, given_images, chunk=chunk).layers
    for name, value in whole.items():
        assert parts[name] == pytest.approx(value, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("room", [64, 5_000, 10**9], ids=["a row", "some rows", "all"])
def test_a_convolution_is_the_same_however_little_is_unrolled(room, monkeypatch):
    from conversion.proof.truth import windows

    spec, given_images = chain(), images(5)
    whole = truth.evaluate(spec, given_images).layers["conv2"]
    monkeypatch.setattr(windows, "UNROLLED", room)
    parts = truth.evaluate(spec, given_images).layers["conv2"]
    assert parts == pytest.approx(whole, rel=1e-12, abs=1e-14)


def test_memory_does_not_grow_with_depth():
    shallow, deep = (peak_of(chain(size=64, depth=depth, channels=16)) for depth in (4, 24))
    assert deep < 1.3 * shallow


def test_memory_does_not_grow_with_images():
    spec = chain(size=64, depth=4, channels=16)
    assert peak_of(spec, 48) < 1.3 * peak_of(spec, 8)


def peak_of(spec, count=8):
    """Bytes at most while a spec is evaluated for its outputs' sums."""
    spec = replace(spec, outputs=())
    given_images = images(count, 64)
    tracemalloc.start()
    truth.evaluate(spec, given_images, keep=[], given={}, chunk=8)
    for start in range(0, count, 8):
        part = {name: array[start : start + 8] for name, array in given_images.items()}
        for _ in truth.walk(spec, part, [layer.name for layer in spec.layers]):
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    ("size", "layers", "least", "most"),
    [(12, 200, 200, 1000), (128, 147, 147, 735), (1024, 16, 16, 16)],
    ids=["small", "medium", "large"],
)
def test_fewer_images_are_looked_at_where_one_has_many_values(size, layers, least, most):
    found = costs(chain(size, depth=20), 16 * GB)
    assert (found.layer_images, found.least_images, found.most_images) == (layers, least, most)


def test_one_value_of_a_channel_in_an_image_needs_200_images_however_dear():
    spec = chain(1024, depth=20)
    pooled = Layer("pooled", "GlobalAveragePooling2D", {}, ("conv19",), {}, (4,))
    found = costs(replace(spec, layers=(*spec.layers, pooled), outputs=("pooled",)), 16 * GB)
    assert (found.layer_images, found.least_images, found.most_images) == (16, 200, 200)


def test_a_size_that_is_open_counts_as_that_of_the_images():
    fixed = costs(chain(64), GB)
    opened = [replace(each, shape=(None, None, each.shape[-1])) for each in chain(64).layers]
    spec = replace(chain(64), layers=tuple(opened))
    assert costs(spec, GB, Dataset(images(1, 64)["image"], None)) == fixed


def test_a_chunk_follows_from_the_budget():
    spec = chain(256, depth=10)
    chunks = [costs(spec, memory).chunk for memory in (GB // 4, GB, 4 * GB)]
    assert chunks == sorted(chunks)
    assert chunks[0] < chunks[-1]


def test_looking_for_layers_takes_what_the_budget_counts_for_it():
    spec = chain(48, depth=60)  # so deep that one layer's own arithmetic counts little
    network = Network(
        tuple(Computed(each.name, each.kind.lower(), each.inputs) for each in spec.layers),
        spec.inputs,
        spec.outputs,
    )
    random = np.random.RandomState(2)

    def look(inputs, names):  # as eight bits do: no layer is the truth's
        exact = truth.evaluate(spec, inputs, names).layers
        return {
            name: (value * random.uniform(0.97, 1.03, value.shape)).astype(np.float32)
            for name, value in exact.items()
        }

    probes, least = images(PROBES, 48), 12
    values = sum(prod(each.shape) for each in spec.layers) * PROBES
    tracemalloc.start()
    found = align(spec, Exposed(network, look, look), probes, rounded=EIGHT_BITS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert all(each.tensor == name for name, each in found.matches.items())
    assert least * values < peak < BYTES_FOUND * values


def test_a_budget_that_holds_no_image_is_refused_with_one_that_would_do():
    spec = chain(512, depth=10)
    with pytest.raises(UserError, match=r"0.1 GB do not: (\d\.\d) GB would") as caught:
        costs(spec, GB // 10)
    enough = float(str(caught.value).split("not: ")[1].split()[0])
    assert costs(spec, int(enough * GB)).chunk >= 1


def test_a_model_for_a_larger_machine_says_what_this_one_has(monkeypatch):
    monkeypatch.setattr(environment, "memory", lambda: GB // 2)
    with pytest.raises(UserError, match=r"\d\.\d GB would, and this machine has 0\.5\.$"):
        costs(chain(512, depth=20), GB // 10)


def test_too_small_a_budget_is_said_before_anything_is_made(reference, tmp_path):
    with pytest.raises(UserError, match="Expected --memory to hold the layers of one image"):
        conversion.verify("embedded", store=Store(tmp_path), running=Running(memory=0.001))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("memory", [0.0, -1.0, float("nan"), float("inf")])
def test_a_budget_is_a_number_above_0(memory):
    with pytest.raises(UserError, match="--memory in GB above 0"):
        Running(memory=memory)


def test_a_budget_is_in_gigabytes_and_at_most_four_unasked():
    assert Running(memory=1.5).budget == 1_500_000_000
    assert 0 < Running().budget <= 4_000_000_000


def test_products_are_on_one_thread_inside_and_as_before_outside():
    counts = [count for count, _ in blas._switches()]
    before = [count() for count in counts]
    with blas.one_thread():
        assert [count() for count in counts] == [1] * len(counts)
    assert [count() for count in counts] == before


@pytest.fixture
def streamed(workspaces, tmp_path):
    """The embedded model within so little memory that its layers come in chunks."""
    good = workspaces("embedded")
    made = {name: good.artifact(name) for name in ("keras-fp32", "onnx-fp32", "onnx-int8")}
    few = good.subject.test.subset(np.arange(40))
    subject = replace(good.subject, test=few)
    return [
        replace(good.injected(Store(tmp_path), made, subject), memory=int(memory * GB))
        for memory in (0.1, 4)
    ]


@pytest.mark.slow
def test_a_model_in_chunks_is_judged_as_in_one(streamed):
    from conversion.proof.checks.case import Case
    from conversion.proof.checks.int8.quantized_layers import layer_sqnr
    from conversion.proof.checks.layers import layer_error

    chunked, whole = streamed
    assert chunked.streaming.chunk < 20 < whole.streaming.chunk
    for check, name in ((layer_error, "onnx-fp32"), (layer_sqnr, "onnx-int8")):
        ours, theirs = (check(Case(each, name)) for each in (chunked, whole))
        assert [m.verdict for m in ours] == [m.verdict for m in theirs]
        assert [m.n for m in ours] == [m.n for m in theirs]
        # Keras's own rounding depends on how many images it is given at once.
        values = [m.value for m in theirs]
        assert [m.value for m in ours] == pytest.approx(values, rel=0.1)


def test_what_keras_gives_is_kept_for_the_next_run(streamed):
    chunked, _ = streamed
    inputs = {name: array[:5] for name, array in chunked.parity_inputs.items()}
    first, logits = chunked.layers.noise, chunked.layers.logits
    outputs = chunked.runs.outputs("keras-fp32", inputs)
    nobody = SimpleNamespace(model=lambda path, spec: KerasModel(None, path, spec))
    again = replace(chunked, reference=nobody)
    found = again.layers.noise
    assert found.keys() == first.keys()
    assert [each.rms for each in found.values()] == [each.rms for each in first.values()]
    for one, other in zip(again.layers.logits, logits, strict=True):
        assert {n: a.tobytes() for n, a in one.items()} == {
            n: a.tobytes() for n, a in other.items()
        }
    assert again.runs.outputs("keras-fp32", inputs).digest == outputs.digest

"""Every weight that a float graph holds is the spec's: bit by bit, or folded within rounding."""

from dataclasses import replace

import numpy as np
import pytest
from conversion.plugin.options import subjects
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversion.backends import Capability
from conversion.core.quantity import About
from conversion.core.spec import Layer, Spec
from conversion.proof.checks.case import Case
from conversion.proof.checks.weights import file_weights
from conversion.proof.metrics.folding import identity, roundings, scaled
from conversion.proof.metrics.layers import LayerError
from conversion.proof.metrics.weights import Held, Settled, compared, weights
from conversion.proof.taps import arithmetic
from conversion.proof.taps.matches import Match
from conversion.proof.taps.network import Computed, Constant, Network
from conversion.proof.taps.weights_by_content import locate

f32 = np.float32
ABOUT = About("synthetic", "onnx-fp32")
KERNELS = (*(f"conv2d{end}" for end in ("", *(f"_{i}" for i in range(1, 9)))), "dense")
NORMS = tuple(f"batch_normalization{end}" for end in ("", *(f"_{i}" for i in range(1, 7))))


def pytest_generate_tests(metafunc):
    if "subject" in metafunc.fixturenames:
        metafunc.parametrize("subject", subjects(metafunc.config))


# how far apart


@pytest.mark.parametrize(
    ("found", "wanted", "terms", "distance"),
    [
        (1.0 + 2.0**-23, 1.0, 1.0, 1.0),
        (1.0 + 2.0**-24, 1.0, 1.0, 0.5),
        (2.0 - 2.0**-22, 2.0, 2.0, 1.0),
        (2.0**-22, 0.0, 4.0, 0.5),  # the terms cancel; 4 has a last place of 2^-21
        (np.nan, 1.0, 1.0, np.inf),
        (np.inf, 1.0, 1.0, np.inf),
        (0.0, 0.0, 0.0, 0.0),
        (1e-3, 0.0, 0.0, 1e-3 / 2.0**-149),
    ],
)
def test_roundings_are_units_in_the_last_place(found, wanted, terms, distance):
    assert roundings(np.array(found), np.array(wanted), np.array(terms)) == pytest.approx(distance)


@pytest.mark.parametrize(
    "composed",
    [
        lambda steps: arithmetic.forwards(steps[0], steps[1:]),
        lambda steps: arithmetic.backwards(steps),
    ],
    ids=["forwards", "backwards"],
)
def test_operations_are_composed_in_their_order(composed):
    two = np.array([1.0, 1.0])
    found = composed([scaled(3.0 * two), identity(-2.0 * two), scaled(0.5)])[-1]
    assert found.factor.tolist() == [1.5, 1.5]
    assert found.offset.tolist() == [-1.0, -1.0]
    assert found.terms.tolist() == [1.0, 1.0]


# measurements


def spec_of(*names):
    """A model of dense layers with a kernel of two elements each."""
    layers = [
        Layer(name, "Dense", {}, (), {"kernel": np.array([[1], [2]], f32)}, (1,)) for name in names
    ]
    return Spec("net", tuple(layers), names[:1], names[-1:], "0" * 64, "3")


def held(layer, found, wanted, terms=None):
    return Held(layer, f"the kernel of {layer}", np.asarray(found), np.asarray(wanted), terms)


def test_the_first_layer_of_the_spec_is_named():
    wrong = [held(n, f32([1, 2]), f32([1, 3])) for n in ("b", "a")]
    (found,) = compared(ABOUT, spec_of("a", "b"), wrong)
    assert (found.verdict, found.layer, found.value) == ("fail", "a", 2)
    assert found.reason == (
        "1 of 2 values of the kernel of a differ, the first at 1 is 2, expected 3; and 1 more"
    )


@pytest.mark.parametrize(
    ("found", "wanted", "verdict"),
    [
        (f32([1.0]), f32([1.0]), "pass"),
        (f32([np.nextafter(f32(1), f32(2))]), f32([1.0]), "fail"),
        (np.array([1.0]), f32([1.0]), "fail"),
        (f32([[1.0]]), f32([1.0]), "fail"),
        (f32([np.nan]), f32([1.0]), "fail"),
        (f32([-0.0]), f32([0.0]), "fail"),
    ],
    ids=["same", "one ulp", "float64", "another shape", "nan", "minus zero"],
)
def test_what_must_be_equal_is_compared_bit_by_bit(found, wanted, verdict):
    (measured,) = compared(ABOUT, spec_of("a"), [held("a", found, wanted)])
    assert measured.verdict == verdict


@pytest.mark.parametrize(("off", "verdict"), [(6, "pass"), (7, "fail")])
def test_what_is_folded_may_be_six_roundings_off(off, verdict):
    found = held("a", 1.0 + off * 2.0**-23, 1.0, np.array(1.0))
    (measured,) = compared(ABOUT, spec_of("a"), [found])
    assert (measured.name, measured.verdict, measured.value) == ("weights_folded", verdict, off)


def of_layer(spec, name, found=None):
    """A weight of a layer, found as it is or as something else."""
    kernel = spec.layer(name).weights["kernel"]
    return Held(
        name, f"the kernel of {name}", kernel if found is None else found, kernel, None, (kernel,)
    )


def shares(measured):
    return {row["how"]: row["share"] for row in measured.rows}


def test_the_share_of_the_weights_that_were_compared_is_stated():
    spec = spec_of("a", "b", "c", "d")
    folded = replace(of_layer(spec, "b"), terms=np.ones((2, 1)))
    by_behaviour = Settled(of_layer(spec, "c"), LayerError("c", 1.0, 1.0, 1.0), unseen=1)
    *_, seen = weights(ABOUT, spec, [of_layer(spec, "a"), folded], [by_behaviour])
    assert shares(seen) == {"exactly": 0.25, "by rule": 0.25, "by behaviour": 0.125}
    assert (seen.verdict, seen.value) == ("undecided", 0.625)


def test_a_weight_that_was_not_found_and_cannot_be_seen_is_no_pass():
    spec = spec_of("a", "b")
    *_, seen = weights(ABOUT, spec, [of_layer(spec, "a")], [Settled(of_layer(spec, "b"), None)])
    assert (seen.verdict, seen.value, seen.reason) == ("undecided", 0.5, FEW)


def test_a_layer_that_does_what_it_should_has_its_weights_whatever_they_look_like():
    spec = spec_of("a")
    other = of_layer(spec, "a", f32([[7], [8]]))
    behaves, seen = weights(ABOUT, spec, [], [Settled(other, LayerError("a", 1.5, 1.5, 1.5))])
    assert (behaves.name, behaves.verdict, behaves.value) == ("weights_by_behaviour", "pass", 1.5)
    assert (seen.verdict, seen.value) == ("pass", 1.0)


def test_a_layer_that_does_something_else_has_other_weights():
    spec = spec_of("a")
    other = of_layer(spec, "a", f32([[7], [8]]))
    equal, behaves, _ = weights(
        ABOUT, spec, [], [Settled(other, LayerError("a", 50.0, 50.0, 50.0))]
    )
    assert (equal.verdict, equal.value, equal.layer) == ("fail", 1, "a")
    assert (behaves.verdict, behaves.value, behaves.layer) == ("fail", 50.0, "a")


# real files


@pytest.mark.parametrize("name", ["onnx-fp32", "torch-via-onnx-fp32"])
def test_every_weight_of_a_good_file_is_found(workspaces, subject, name):
    case = Case(workspaces(subject), name)
    equal, folded, seen = case.backend.capability(Capability.STORED_WEIGHTS)(case)
    assert (seen.value, shares(seen)["by behaviour"]) == (1, 0)
    assert (equal.verdict, equal.n, equal.reason) == ("pass", 20, "")  # ten kernels, ten biases
    assert (folded.verdict, folded.n) == ("pass", 14)  # seven factors, seven offsets
    assert folded.value <= 2.5


@pytest.fixture(scope="module")
def good(workspaces):
    """The embedded subject."""
    workspace = workspaces("embedded")
    assert {m.verdict for m in file_weights(Case(workspace, "onnx-fp32"))} == {"pass"}
    return workspace


@pytest.fixture
def measure(good, tmp_path):
    """Measures an external file: a changed copy of a good one, or any graph."""
    import onnx

    def measured(change, source="onnx-fp32"):
        model = onnx.load(good.artifact(source).path)
        path = tmp_path / "other.onnx"
        onnx.save(change(model) or model, path)
        other = replace(good, external={"onnx-fp32": path})
        return file_weights(Case(other, "onnx-fp32"))

    return measured


def initializers(model):
    from onnx import numpy_helper

    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def write(model, name, value):
    from onnx import numpy_helper

    tensor = next(t for t in model.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(value), name))


def named(model, array):
    """The initializer that holds just these values."""
    hits = [n for n, a in initializers(model).items() if a.tobytes() == array.tobytes()]
    assert len(hits) == 1
    return hits[0]


def stored(spec, layer, role="kernel"):
    array = spec.layer(layer).weights[role]
    return np.ascontiguousarray(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array)


def edited(spec, layer, change, role="kernel"):
    def edit(model):
        array = stored(spec, layer, role)
        write(model, named(model, array), change(array.copy()))

    return edit


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(KERNELS), st.sampled_from(["kernel", "bias"]), st.floats(0, 1))
def test_one_weight_off_by_one_ulp_is_seen_and_named(good, measure, layer, role, where):
    def change(array):
        index = int(where * (array.size - 1))
        array.reshape(-1)[index] = np.nextafter(array.reshape(-1)[index], f32(9))
        return array

    equal, folded, _ = measure(edited(good.spec, layer, change, role))
    assert (equal.verdict, equal.layer, equal.value) == ("fail", layer, 1)
    assert f"1 of {stored(good.spec, layer, role).size} values of the {role}" in equal.reason
    assert folded.verdict == "pass"


CHANGES = {
    "through float16": lambda k: k.astype(np.float16).astype(f32),
    "height and width swapped": lambda k: k.transpose(0, 1, 3, 2),
    "turned by half": lambda k: k[:, :, ::-1, ::-1],
    "in and out swapped": lambda k: k.transpose(1, 0, 2, 3),
    "rolled by a pixel": lambda k: np.roll(k, 1, axis=3),
    "one channel zeroed": lambda k: k * (np.arange(len(k)) != 5)[:, None, None, None].astype(f32),
    "stored in float64": lambda k: k.astype(np.float64),
    "not a number": lambda k: np.where(k == k.max(), f32(np.nan), k),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", CHANGES)
def test_a_kernel_that_was_changed_is_seen_and_named(good, measure, name):
    equal = measure(edited(good.spec, "conv2d_7", CHANGES[name]))[0]
    assert (equal.verdict, equal.layer) == ("fail", "conv2d_7")


def test_twins_that_were_swapped_are_seen_and_the_first_is_named(good, measure):
    def change(model):
        names = [named(model, stored(good.spec, n)) for n in ("conv2d_1", "conv2d_2")]
        one, two = (initializers(model)[n] for n in names)
        write(model, names[0], two)
        write(model, names[1], one)

    equal = measure(change)[0]
    assert (equal.verdict, equal.layer, equal.value) == ("fail", "conv2d_1", 2)


@pytest.mark.parametrize("layer", ["conv2d_8", "dense"])
def test_a_bias_that_was_lost_is_seen_and_named(good, measure, layer):
    def change(model):
        bias = named(model, stored(good.spec, layer, "bias"))
        for node in model.graph.node:
            if bias in node.input and node.op_type == "Conv":
                node.input.remove(bias)
            elif bias in node.input:  # a sum of its own, as tf2onnx writes it for a dense layer
                write(model, bias, np.zeros(10, f32))

    equal = measure(change)[0]
    assert (equal.verdict, equal.layer) == ("fail", layer)


def norm_constants(model, spec, layer):
    """Names of a BatchNormalization's factor and offset, by their values, and their terms."""
    w = {role: array.astype(np.float64) for role, array in spec.layer(layer).weights.items()}
    factor = w["gamma"] / np.sqrt(w["moving_variance"] + spec.layer(layer).config["epsilon"])
    wanted = factor, w["beta"] - w["moving_mean"] * factor
    found = {n: a for n, a in initializers(model).items() if a.shape == (1, len(factor), 1, 1)}
    names = [
        min(found, key=lambda n: np.abs(found[n].reshape(-1) - value).max()) for value in wanted
    ]
    return names, (np.abs(factor), np.abs(w["beta"]) + np.abs(w["moving_mean"] * factor))


@pytest.mark.one_in(4)
@pytest.mark.parametrize("layer", NORMS)
@pytest.mark.parametrize(("index", "role"), [(0, "factor"), (1, "offset")])
def test_one_constant_of_a_norm_off_by_a_millionth_of_its_terms_is_seen_and_named(
    good, measure, layer, index, role
):
    def change(model):
        names, terms = norm_constants(model, good.spec, layer)
        value = initializers(model)[names[index]].copy()
        value.reshape(-1)[3] += f32(1e-6 * terms[index][3])
        write(model, names[index], value)

    equal, folded, _ = measure(change)
    assert equal.verdict == "pass"
    assert (folded.verdict, folded.layer) == ("fail", layer)
    assert f"1 of {stored(good.spec, layer, 'beta').size} values of the {role} of" in folded.reason
    assert "the first at 3 is" in folded.reason


def test_a_wrong_epsilon_is_seen_and_named(good, measure):
    def change(model):
        layer = good.spec.layer("batch_normalization_3")
        (name, _), _ = norm_constants(model, good.spec, layer.name)
        w = layer.weights
        wrong = w["gamma"] / np.sqrt(w["moving_variance"] + f32(1e-5))
        write(model, name, wrong.reshape(1, -1, 1, 1))

    folded = measure(change)[1]
    assert (folded.verdict, folded.layer) == ("fail", "batch_normalization_3")
    assert folded.value > 1000


def test_a_graph_with_folded_norms_is_accounted_for_too(measure):
    equal, folded, _ = measure(lambda model: None, "onnx-prepared")
    assert (equal.verdict, equal.n) == ("pass", 6)  # two shortcuts and the dense layer
    assert (folded.verdict, folded.n) == ("pass", 14)


@pytest.mark.parametrize(
    ("shape", "layer"),
    [((64, 64, 3, 3), "batch_normalization_6"), ((32, 16, 3, 3), "batch_normalization_3")],
)
def test_a_folded_weight_off_by_one_percent_is_seen_at_the_end_of_its_group(measure, shape, layer):
    def change(model):
        name = next(n for n, a in initializers(model).items() if a.shape == shape)
        value = initializers(model)[name].copy()
        value[3, 2, 1, 0] *= f32(1.01)
        write(model, name, value)

    folded = measure(change, "onnx-prepared")[1]
    assert (folded.verdict, folded.layer) == ("fail", layer)
    assert "at (3, 2, 1, 0)" in folded.reason


def test_a_kernel_that_is_computed_in_the_graph_is_compared_all_the_same(good, measure):
    def change(model):
        import onnx

        kernel = named(model, stored(good.spec, "conv2d_4"))
        node = next(n for n in model.graph.node if kernel in n.input)
        doubled = onnx.helper.make_node("Add", [kernel, kernel], ["twice"])
        index = list(model.graph.node).index(node)
        node.input[1] = "twice"
        model.graph.node.insert(index, doubled)

    equal = measure(change)[0]
    assert (equal.verdict, equal.layer) == ("fail", "conv2d_4")


@pytest.mark.slow
def test_another_model_under_the_right_name_is_seen(good, workspaces, measure):
    import onnx

    other = workspaces("mlperf-tiny").artifact("onnx-fp32").path
    equal, folded, *_ = measure(lambda model: onnx.load(other))
    assert (equal.verdict, equal.layer) == ("fail", "conv2d")
    assert equal.value > 1
    assert (folded.verdict, folded.layer) == ("fail", "batch_normalization")


# an operator for the norm, as other converters write it


def layer_of(name, kind, reads, shape, roles, **config):
    return Layer(name, kind, config, reads, roles, shape)


def with_norm(**changed):
    """A spec and a graph with a convolution and a BatchNormalization operator."""
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.RandomState(0)
    kernel = random.normal(size=(3, 3, 2, 4)).astype(f32)
    roles = ("gamma", "beta", "moving_mean", "moving_variance")
    norm = {role: random.uniform(0.5, 2.0, 4).astype(f32) for role in roles}
    spec = Spec(
        "net",
        (
            layer_of("x", "InputLayer", (), (8, 8, 2), {}),
            layer_of("c", "Conv2D", ("x",), (8, 8, 4), {"kernel": kernel}, padding="same"),
            layer_of("n", "BatchNormalization", ("c",), (8, 8, 4), norm, epsilon=1e-3),
        ),
        ("x",),
        ("n",),
        "0" * 64,
        "3",
    )
    stored_ = {"kernel": kernel.transpose(3, 2, 0, 1), **norm, **changed}
    eps = float(stored_.pop("epsilon", 1e-3))
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["a"], pads=[1] * 4),
        helper.make_node("BatchNormalization", ["a", *roles], ["y"], epsilon=eps),
    ]
    ends = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", c, 8, 8])]
        for n, c in (("x", 2), ("y", 4))
    ]
    arrays = [numpy_helper.from_array(np.ascontiguousarray(v), n) for n, v in stored_.items()]
    return spec, helper.make_model(helper.make_graph(nodes, "net", *ends, arrays))


FEW = "too few weights are seen; 50.00% exactly"
PLACES = (("x", "x"), ("c", "a"), ("n", "y"))


def measured_norm(**changed):
    from conversion.proof.taps.onnx_tensors import network_of

    spec, model = with_norm(**changed)
    network = network_of(model)
    whole = {name: Match(name, tensor, None, (8, 8, 4), 0.0, (name,)) for name, tensor in PLACES}
    located = locate(spec, network, whole)
    assert not located.missing
    (found,) = compared(ABOUT, spec, [*located.held, *located.placed])
    return found


def test_the_statistics_of_a_norm_operator_are_compared_bit_by_bit():
    found = measured_norm()
    # kernel, the bias that neither has, four statistics and epsilon
    assert (found.name, found.verdict, found.n) == ("weights_equal_spec", "pass", 7)


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("gamma", "the gamma of n"),
        ("beta", "the beta of n"),
        ("moving_mean", "the mean of n"),
        ("moving_variance", "the variance of n"),
        ("epsilon", "the epsilon of n"),
    ],
)
def test_a_wrong_statistic_of_a_norm_operator_is_seen(role, words):
    found = measured_norm(**{role: 1e-5 if role == "epsilon" else f32([1, 2, 3, 4])})
    assert (found.verdict, found.layer) == ("fail", "n")
    assert words in found.reason


def test_a_difference_and_a_quotient_are_read_as_what_they_are():
    from onnx import TensorProto, helper, numpy_helper

    from conversion.proof.taps.onnx_tensors import network_of

    nodes = [
        helper.make_node("Sub", ["x", "s"], ["a"]),
        helper.make_node("Div", ["a", "d"], ["y"]),
    ]
    ends = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", 3])] for n in ("x", "y")]
    arrays = [numpy_helper.from_array(f32([v]), n) for n, v in (("s", 2.0), ("d", 4.0))]
    network = network_of(helper.make_model(helper.make_graph(nodes, "net", *ends, arrays)))
    steps = [arithmetic.of_operator(each) for each in network.tensors[1:]]
    found = arithmetic.backwards(steps)[-1]
    assert (float(found.factor), float(found.offset)) == (0.25, -0.5)  # (x - 2) / 4


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("slope", [0.0, 0.25])
def test_slopes_are_found_with_either_sign_zeros_too(sign, slope):
    """TensorFlow's converter stores what it subtracts: -0 for a slope of 0."""
    alpha = np.full((1, 1, 5), slope, f32)
    layers = (
        layer_of("x", "InputLayer", (), (4, 4, 5), {}),
        layer_of("p", "PReLU", ("x",), (4, 4, 5), {"alpha": alpha}, shared_axes=[1, 2]),
    )
    spec = Spec("net", layers, ("x",), ("p",), "0" * 64, "3")
    constant = Constant("slopes", "B", lambda: (sign * alpha)[None], (1, 1, 1, 5))
    tensors = (Computed("x"), Computed("y", "mul", ("x",), False, (constant,)))
    network = Network(tensors, ("x",), ("y",))
    places = (("x", "x"), ("p", "y"))
    whole = {name: Match(name, tensor, None, (4, 4, 5), 0.0, (name,)) for name, tensor in places}
    (found,) = compared(ABOUT, spec, locate(spec, network, whole).held)
    assert (found.name, found.verdict, found.n) == ("weights_equal_spec", "pass", 1)

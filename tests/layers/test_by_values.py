"""Layers are found by their values alone: folded, turned, behind an error, and the one at fault."""

from dataclasses import replace

import numpy as np
import pytest

from conversion.core.spec import Layer, Spec
from conversion.proof import truth
from conversion.proof.metrics.int8 import Steps
from conversion.proof.taps.by_values import EIGHT_BITS, match
from conversion.proof.taps.network import Computed, Network

RANDOM = np.random.default_rng(3)
SAME = {"strides": (1, 1), "padding": "same", "dilation_rate": (1, 1), "groups": 1}


def drawn(*shape, mean=0.0):
    return RANDOM.normal(mean, 0.5, shape).astype(np.float32)


def layer(kind, name, reads, shape, weights=(), **config):
    return Layer(name, kind, config, tuple(reads.split()), dict(weights), shape)


def conv(name, reads, channels, filters):
    weights = {"kernel": drawn(3, 3, channels, filters), "bias": drawn(filters)}
    settings = {**SAME, "kernel_size": (3, 3), "filters": filters, "activation": "linear"}
    return layer("Conv2D", name, reads, (6, 5, filters), weights, **settings)


def norm(name, reads, channels):
    roles = {"gamma": 1.0, "beta": 0.0, "moving_mean": 0.0, "moving_variance": 3.0}
    weights = {role: np.abs(drawn(channels, mean=mean)) for role, mean in roles.items()}
    settings = {"axis": -1, "epsilon": 1e-3}
    return layer("BatchNormalization", name, reads, (6, 5, channels), weights, **settings)


def relu(name, reads, channels=4):
    return layer("Activation", name, reads, (6, 5, channels), activation="relu")


LAYERS = (
    layer("InputLayer", "x", "", (6, 5, 3)),
    layer("Rescaling", "scaled", "x", (6, 5, 3), scale=1 / 255, offset=0.0),
    conv("a", "scaled", 3, 4),
    norm("a_norm", "a", 4),
    relu("a_relu", "a_norm"),
    conv("b", "a_relu", 4, 4),
    norm("b_norm", "b", 4),
    layer("Add", "sum", "a_relu b_norm", (6, 5, 4)),
    relu("sum_relu", "sum"),
    layer("Dropout", "dropped", "sum_relu", (6, 5, 4), rate=0.5),
    layer("Flatten", "flat", "dropped", (120,)),
    layer(
        *("Dense", "y", "flat", (7,), {"kernel": drawn(120, 7), "bias": drawn(7)}),
        activation="softmax",
        units=7,
    ),
)
SPEC = Spec("small", LAYERS, ("x",), ("y",), "", "3")
IMAGES = {"x": np.random.default_rng(5).uniform(0, 255, (4, 6, 5, 3)).astype(np.float32)}
EXACT = truth.evaluate(SPEC, IMAGES).layers
LIMIT = 1e-5
"""Rounding to float32 is at 1e-7; the mildest fault here at 1e-3."""


def changed(name, **changes):
    """A spec in which one layer is another."""
    layers = (replace(each, **changes) if each.name == name else each for each in LAYERS)
    return replace(SPEC, layers=tuple(layers))


def beside(behind, made):
    """A spec with another layer, read by all that read the one before it."""
    layers = list[Layer]()
    for each in LAYERS:
        inputs = tuple(made.name if name == behind else name for name in each.inputs)
        layers.append(replace(each, inputs=inputs))
        layers += [made] if each.name == behind else []
    return replace(SPEC, layers=tuple(layers))


def file_of(spec, hidden=(), first=True, noise=0.0):
    """What a spec computes as the tensors of a file, some of them hidden: names say nothing."""
    exact = truth.evaluate(spec, IMAGES).layers
    tensors, values, names = list[Computed](), {}, {}
    for index, each in enumerate(spec.layers):
        reads = dict.fromkeys(name for source in each.inputs for name in names[source])
        if each.name in hidden:
            names[each.name] = tuple(reads)
            continue
        names[each.name] = (f"t{index}",)
        moves = each.kind in ("Flatten", "Dropout")
        tensors.append(Computed(f"t{index}", each.kind.lower(), tuple(reads), moves))
        value = exact[each.name] + noise * exact[each.name].std() * drawn(*exact[each.name].shape)
        if value.ndim == 4 and first and each.inputs:
            value = np.moveaxis(value, -1, 1)
        values[f"t{index}"] = value.astype(np.float32)
    ends = tuple(names[name][0] for name in spec.outputs)
    return Network(tuple(tensors), (names["x"][0],), ends), values


def found_in(spec, hidden=(), **settings):
    return match(SPEC, EXACT, *file_of(spec, hidden, **settings))


def seen(matches):
    return {name: each.tensor for name, each in matches.items() if each.tensor}


def at_fault(matches, limit=LIMIT):
    return [name for name, each in matches.items() if each.tensor and each.error > limit]


def hidden(matches):
    return {name: each.group[-1] for name, each in matches.items() if not each.tensor}


@pytest.mark.parametrize("first", [True, False], ids=["channels first", "channels last"])
def test_every_layer_is_found_in_either_layout(first):
    matches = found_in(SPEC, first=first)
    tensors = {each.name: f"t{index}" for index, each in enumerate(LAYERS)}
    tensors["sum_relu"] = tensors["dropped"] = tensors["flat"]  # the last that holds its values
    assert seen(matches) == tensors
    assert at_fault(matches) == []


@pytest.mark.parametrize(
    ("fused", "groups"),
    [
        (["a", "b"], {"a": "a_norm", "b": "b_norm"}),
        (["a", "a_norm", "b"], {"a": "a_relu", "a_norm": "a_relu", "b": "b_norm"}),
        (["scaled"], {"scaled": "a"}),
        (["scaled", "a", "sum"], {"scaled": "a_norm", "a": "a_norm", "sum": "sum_relu"}),
    ],
    ids=["norms", "norms and activations", "a factor into the next kernel", "several"],
)
def test_what_is_nowhere_is_fused_with_what_follows(fused, groups):
    matches = found_in(SPEC, fused)
    assert hidden(matches) == groups
    assert at_fault(matches) == []
    assert matches[groups[fused[0]]].group[: len(fused)][0] == fused[0]


@pytest.mark.parametrize(
    ("hidden", "group"), [((), ("lifted",)), (("lifted",), ("lifted", "a_relu"))]
)
def test_a_tensor_of_two_layers_in_a_row_is_the_second_ones(hidden, group):
    """A ReLU of what lies above 0 on these few images changes none of it; it may on others."""
    lifted = layer("Rescaling", "lifted", "a_norm", (6, 5, 4), scale=1.0, offset=99.0)
    spec = beside("a_norm", lifted)
    found = match(spec, truth.evaluate(spec, IMAGES).layers, *file_of(spec, hidden))
    assert found["lifted"].group == group
    assert bool(found["lifted"].tensor) is not bool(hidden)
    assert found["a_relu"].tensor not in ("", found["lifted"].tensor)


@pytest.mark.parametrize(
    ("reads", "end"),
    [(("t4", "before"), "chosen"), (("t4",), "t4")],
    ids=["a choice inside it", "what the next layer begins with"],
)
def test_a_layer_ends_with_its_last_operator_and_no_later(reads, end):
    """Of a choice between two branches these few images may take one alone."""
    network, values = file_of(SPEC)
    tensors = list[Computed]()
    for each in network.tensors:
        turned = tuple("chosen" if name == "t4" else name for name in each.reads)
        if each.name == "t4":
            tensors += [
                Computed("before", "neg", each.reads),
                replace(each, reads=("before",)),
                Computed("chosen", "where", reads),
            ]
        else:
            tensors.append(replace(each, reads=turned))
    values = {**values, "chosen": values["t4"], "before": -values["t3"]}
    found = match(SPEC, EXACT, replace(network, tensors=tuple(tensors)), values)
    assert found["a_relu"].tensor == end
    assert found["b"].tensor == "t5"


@pytest.mark.parametrize("fused", [(), ("b",)], ids=["", "what follows is fused"])
@pytest.mark.parametrize("moved", [False, True], ids=["read at once", "moved first"])
def test_a_ceiling_that_no_image_reaches_here_is_still_the_layers(moved, fused):
    kept = layer("Dropout", "kept", "a_relu", (6, 5, 4), rate=0.5)
    given = beside("a_relu", kept) if moved else SPEC
    network, values = file_of(given, fused)
    tensors = list[Computed]()
    for each in network.tensors:
        turned = tuple("cut" if name == "t4" else name for name in each.reads)
        if each.name == "t4":
            tensors += [each, Computed("cut", "clamp", ("t4",))]
        else:
            tensors.append(replace(each, reads=turned))
    capped = [
        replace(e, config={**e.config, "max_value": 99.0}) if e.name == "a_relu" else e
        for e in given.layers
    ]
    spec, values = replace(SPEC, layers=tuple(capped)), {**values, "cut": values["t4"]}
    exact = truth.evaluate(spec, IMAGES).layers
    found = match(spec, exact, replace(network, tensors=tuple(tensors)), values)
    assert found["a_relu"].tensor == ("t5" if moved else "cut")
    assert found["b_norm"].tensor == ("t7" if moved else "t6")


def test_a_factor_is_not_taken_for_the_layer():
    """The input correlates with its rescaled copy; the error tells them apart."""
    matches = found_in(SPEC, ["scaled"])
    assert matches["x"].tensor == "t0"
    assert not matches["scaled"].tensor


FAULTS = {
    "kernel rolled": (
        changed(
            "b", weights={**LAYERS[5].weights, "kernel": np.roll(LAYERS[5].weights["kernel"], 1, 0)}
        ),
        "b",
    ),
    "one weight": (
        changed("a", weights={**LAYERS[2].weights, "bias": LAYERS[2].weights["bias"] * 1.01}),
        "a",
    ),
    "epsilon": (changed("b_norm", config={"axis": -1, "epsilon": 1.0}), "b_norm"),
    "another activation": (changed("a_relu", config={"activation": "tanh"}), "a_relu"),
    "branch alone": (changed("sum", kind="Dropout", inputs=("b_norm",)), "sum"),
    "wrong shortcut": (changed("sum", inputs=("a_norm", "b_norm")), "sum"),
    "kernel of the last layer": (
        changed("y", weights={**LAYERS[-1].weights, "kernel": LAYERS[-1].weights["kernel"][::-1]}),
        "y",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("fused", [(), ("a", "b")], ids=["as it is", "norms folded"])
def test_behind_an_error_every_layer_is_found_and_the_one_at_fault_alone_is_wrong(name, fused):
    wrong, culprit = FAULTS[name]
    matches = found_in(wrong, fused)
    shown = {"a": "a_norm", "b": "b_norm"}.get(culprit, culprit) if culprit in fused else culprit
    assert at_fault(matches) == [shown]
    assert set(hidden(matches)) == set(fused)


def test_a_layer_that_is_left_out_is_the_one_at_fault():
    without = changed("a_relu", kind="Dropout", config={"rate": 0.5})
    matches = found_in(without, ["a_relu"])
    assert at_fault(matches) == ["a_relu"]
    assert matches["a_relu"].tensor == matches["a_norm"].tensor


def test_a_convolution_between_two_relus_is_not_taken_for_left_out():
    """A ReLU of what the first ReLU gave is that itself, which stands in the file as well."""
    layers = (
        *LAYERS[:3],
        relu("a_relu", "a"),
        layer("Dropout", "kept", "a_relu", (6, 5, 4), rate=0.5),
        conv("b", "kept", 4, 4),
        relu("b_relu", "b"),
        conv("c", "b_relu", 4, 4),
    )
    spec = replace(SPEC, layers=layers, outputs=("c",))
    exact = truth.evaluate(spec, IMAGES).layers
    network, values = file_of(spec, hidden=["a", "b"])
    values["t6"] *= np.float32(1 + 1e-6)  # the second ReLU's, rounded
    matches = match(spec, exact, network, values)
    assert hidden(matches) == {"a": "a_relu", "b": "b_relu"}
    assert at_fault(matches) == []


@pytest.mark.parametrize(
    ("behind", "kind", "settings"),
    [
        ("b_norm", "ReLU", {}),
        ("a_relu", "Rescaling", {"scale": 1.01, "offset": 0.0}),
        ("x", "Rescaling", {"scale": 2.0, "offset": 1.0}),
    ],
)
def test_what_stands_behind_a_layer_is_its_own_fault(behind, kind, settings):
    shape = SPEC.layer(behind).shape
    matches = found_in(beside(behind, layer(kind, "more", behind, shape, **settings)))
    assert at_fault(matches) == [behind]
    assert matches[behind].note == f"followed by an operation of no layer ({kind.lower()})"


def test_a_layer_that_gives_no_numbers_is_found():
    broken = {**LAYERS[6].weights, "moving_variance": -np.ones(4, np.float32)}
    with np.errstate(invalid="ignore"):
        matches = found_in(changed("b_norm", weights=broken))
    assert at_fault(matches)[0] == "b_norm"


@pytest.mark.parametrize(("coarse", "there"), [(1.6, True), (12.0, False)])
def test_a_layer_in_steps_as_coarse_as_itself_is_found_by_them(coarse, there):
    """Steps of 1.6 standard deviations leave 4 in 10 of the values other than 0; 12 leave none."""
    network, values = file_of(SPEC, ["b"])
    size = coarse * EXACT["b_norm"].std()
    tensors = [
        replace(each, steps=Steps(np.float32(size), np.array(0, np.int8)))
        if each.name == "t6"
        else each
        for each in network.tensors
    ]
    values["t6"] = (np.rint(values["t6"] / size) * size).astype(np.float32)
    found = match(SPEC, EXACT, replace(network, tensors=tuple(tensors)), values, EIGHT_BITS)
    assert bool(found["b_norm"].tensor) is there
    assert found["sum"].tensor == "t7"


def test_layers_of_eight_bits_are_found_in_their_noise():
    matches = match(SPEC, EXACT, *file_of(SPEC, ["a", "b"], noise=0.04), EIGHT_BITS)
    assert hidden(matches) == {"a": "a_norm", "b": "b_norm"}
    assert at_fault(matches, EIGHT_BITS) == []


@pytest.mark.parametrize("between", [False, True], ids=["at once", "behind a dropout"])
@pytest.mark.parametrize(
    ("moved", "fused"), [(True, {"a": "a_norm"}), (False, {})], ids=["moved forward", "missing"]
)
def test_of_eight_bits_a_bias_that_moved_forward_is_told_from_one_that_is_missing(
    moved, fused, between
):
    """Both change the layer by 8 %, more than its integers explain; what follows tells."""
    shift = np.float32(0.08 * EXACT["a"].std())
    bias, mean = LAYERS[2].weights["bias"], LAYERS[3].weights["moving_mean"]
    spec = changed("a", weights={**LAYERS[2].weights, "bias": bias - shift})
    if moved:
        norm_weights = {**LAYERS[3].weights, "moving_mean": mean - shift}
        layers = (
            replace(e, weights=norm_weights) if e.name == "a_norm" else e for e in spec.layers
        )
        spec = replace(spec, layers=tuple(layers))
    network, values = file_of(spec, noise=0.01)
    steps = Steps(np.float32(EXACT["a"].std() / 30), np.array(0, np.int8))
    network = replace(network, tensors=tuple(replace(e, steps=steps) for e in network.tensors))
    kept = layer("Dropout", "kept", "a", (6, 5, 4), rate=0.5)
    wanted = beside("a", kept) if between else SPEC
    exact = truth.evaluate(wanted, IMAGES).layers
    matches = match(wanted, exact, network, values, EIGHT_BITS)
    assert hidden(matches) == fused | ({"kept": "a_norm"} if moved and between else {})
    assert at_fault(matches, 0.05) == ([] if moved else ["a"])

"""Every layer is found in the files, whatever the names, the order and the folding."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_configs import functional, images, layer, sequential
from layer_strategies import seeds
from test_chains import END, LINKS

from conversion.core.artifact import Artifact
from conversion.proof import truth
from conversion.proof.metrics.compare import Incomparable, NoPower, compare

LIMIT = 64 * 2.0**-24
"""Of a layer's rms: float32 rounding through up to seven layers; another layer's output is at 1."""


@pytest.fixture(scope="session")
def onnx_taps(tmp_path_factory):
    """Opens a small model's ONNX file, perhaps changed, with every tensor in view."""

    def taps(model, change=lambda graph: graph):
        import onnx

        from conversion.proof.taps.opened import open_onnx

        content, _ = model.keras.to_onnx(15)
        path = tmp_path_factory.mktemp("taps") / "small.onnx"
        path.write_bytes(change(onnx.load_from_string(content)).SerializeToString())
        return open_onnx(Artifact("onnx-fp32", path, "", {}), model.spec, 1, {})

    return taps


def wrong(model, exposed, inputs):
    """The layers whose tensor is not their output, or that are seen nowhere."""
    from conversion.proof.taps.opened import align

    named = dict(zip(model.spec.inputs, inputs, strict=True))
    exact = truth.evaluate(model.spec, named).layers
    taps = align(model.spec, exposed, named, exact)
    bad = []
    for name, value in taps.layers(named).layers.items():
        try:
            (apart,) = compare({name: exact[name]}, {name: value}, dtype=np.float32)
        except NoPower:  # a ReLU whose inputs are all negative
            continue
        except Incomparable as why:
            bad.append((name, str(why)))
            continue
        if apart.rms > LIMIT * apart.level:
            bad.append((name, apart.rms / apart.level))
    seen = taps.seen
    return bad + [(n, each.group) for n, each in taps.matches.items() if each.group[-1] not in seen]


@settings(max_examples=15)
@given(
    st.lists(st.sampled_from(sorted(LINKS)), min_size=2, max_size=6),
    seeds,
    st.sampled_from(sorted(END)),
)
def test_every_layer_of_a_chain_is_found_in_its_onnx_file(small, onnx_taps, names, seed, end):
    made = [layer(LINKS[n][0], f"{n}_{i}", **LINKS[n][1]) for i, n in enumerate(names)]
    if END[end]:
        made.append(layer(END[end][0], "end", **END[end][1]))
    model = small(sequential([6, 5, 3], *made), seed)
    assert wrong(model, onnx_taps(model), [images([6, 5, 3], seed)]) == []


def conv(name, **settings):
    same = {"filters": 4, "kernel_size": [3, 3], "padding": "same", **settings}
    return layer("Conv2D", name, **same)


BRANCHES = {
    "twins": functional(
        {"x": [6, 5, 4]},
        [
            (conv("a"), ["x"]),
            (conv("b"), ["x"]),
            (layer("MaxPooling2D", "pooled", pool_size=2), ["a"]),
            (layer("AveragePooling2D", "mean", pool_size=2), ["b"]),
            (layer("Add", "sum"), ["pooled", "mean"]),
        ],
        ["sum"],
    ),
    "three to add": functional(
        {"x": [6, 5, 4]},
        [
            (conv("a", kernel_size=[1, 1]), ["x"]),
            (conv("b"), ["x"]),
            (layer("Add", "sum"), ["a", "x", "b"]),
            (layer("Activation", "end", activation="relu"), ["sum"]),
        ],
        ["end"],
    ),
    "residual": functional(
        {"x": [6, 5, 4]},
        [
            (conv("a"), ["x"]),
            (layer("BatchNormalization", "norm"), ["a"]),
            (layer("Activation", "relu", activation="relu"), ["norm"]),
            (conv("b"), ["relu"]),
            (layer("Add", "sum"), ["relu", "b"]),
            (layer("Concatenate", "both", axis=-1), ["sum", "a"]),
        ],
        ["both"],
    ),
    "two outputs": functional(
        {"x": [6, 5, 4], "y": [6, 5, 4]},
        [
            (conv("a"), ["x"]),
            (layer("Multiply", "product"), ["a", "y"]),
            (layer("GlobalAveragePooling2D", "mean"), ["product"]),
            (layer("Dense", "end", units=3, activation="softmax"), ["mean"]),
        ],
        ["end", "a"],
    ),
}


@pytest.mark.parametrize("config", BRANCHES.values(), ids=BRANCHES)
def test_branches_are_told_apart_by_what_follows_them(small, onnx_taps, config):
    model = small(config)
    inputs = [images([6, 5, 4], seed) for seed, _ in enumerate(model.spec.inputs)]
    assert wrong(model, onnx_taps(model), inputs) == []


def renamed(graph):
    """Every tensor and node under a name that says nothing."""
    ends = {value.name for value in (*graph.graph.input, *graph.graph.output)}
    names, count = {name: name for name in ends}, itertools.count()
    for node in graph.graph.node:
        node.name = f"n{next(count)}"
        for side in (node.input, node.output):
            side[:] = [names.setdefault(n, f"t{next(count)}") if n else n for n in side]
    for tensor in graph.graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    del graph.graph.value_info[:]
    return graph


def reordered(graph):
    """The nodes in another order that is still topological: always the last one that is ready."""
    known = {t.name for t in (*graph.graph.initializer, *graph.graph.input)} | {""}
    left, ordered = list(graph.graph.node), []
    while left:
        node = next(n for n in reversed(left) if known.issuperset(n.input))
        left.remove(node)
        ordered.append(node)
        known |= set(node.output)
    del graph.graph.node[:]
    graph.graph.node.extend(ordered)
    return graph


@pytest.mark.parametrize("change", [renamed, reordered], ids=["renamed", "reordered"])
@pytest.mark.parametrize("config", BRANCHES.values(), ids=BRANCHES)
def test_neither_names_nor_order_say_anything(small, onnx_taps, config, change):
    model = small(config)
    inputs = [images([6, 5, 4], seed) for seed, _ in enumerate(model.spec.inputs)]
    assert wrong(model, onnx_taps(model, change), inputs) == []


GROUPS = {
    "onnx-fp32": [],
    "onnx-int8": [
        "conv2d+batch_normalization+activation",
        "conv2d_1+batch_normalization_1+activation_1",
        "conv2d_2+batch_normalization_2",
        "add+activation_2",
        "conv2d_3+batch_normalization_3+activation_3",
        "conv2d_4+batch_normalization_4",
        "add_1+activation_4",
        "conv2d_6+batch_normalization_5+activation_5",
        "conv2d_7+batch_normalization_6",
        "add_2+activation_6",
    ],
    "torch-fp32": [],
}
GROUPS["torch-int8"] = GROUPS["onnx-int8"]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", GROUPS)
def test_what_is_folded_or_fused_is_named_as_a_group(workspaces, name):
    from conversion.proof.checks.case import Case

    taps = Case(workspaces("embedded"), name).taps
    groups = ["+".join(each.group) for each in taps.seen.values() if len(each.group) > 1]
    assert groups == GROUPS[name]


def test_layers_of_a_module_that_was_written_by_hand_are_found(workspaces):
    """Nothing is known of its classes, and half of it is function calls."""
    import torch
    from tools.resnet8 import ResNet8

    from conversion.proof.taps.opened import align, open_module

    workspace, model = workspaces("embedded"), ResNet8().eval()
    state = torch.load(workspace.artifact("torch-fp32").path, weights_only=True)["state_dict"]
    model.load_state_dict(state)
    inputs, exact = workspace.layers.probes
    probe = {name: array[:1] for name, array in inputs.items()}
    taps = align(workspace.spec, open_module(model, workspace.spec, 1, probe), inputs, exact)
    assert list(taps.seen) == [layer.name for layer in workspace.spec.layers]
    assert [each.layer for each in taps.matches.values() if each.error > 1e-5] == []


def test_a_tensor_that_does_not_hold_one_image_behind_the_other_is_no_layer():
    from conversion.proof.taps.opened import one_by_one

    pixels = np.random.default_rng(0).normal(size=(4, 3, 5, 2)).astype(np.float32)

    def look(inputs, names):
        (given,) = inputs.values()
        made = {
            "as it is": given,
            "every row alone": given.reshape(-1, 5, 2),
            "channels before images": given.transpose(3, 0, 1, 2),
            "its sizes": np.array(given.shape[1:]),
        }
        return {name: made[name] for name in names}

    names = ["as it is", "every row alone", "channels before images", "its sizes"]
    found = one_by_one(look, names, {"image": pixels})
    assert list(found) == names[:2]
    for value in found.values():
        np.testing.assert_array_equal(value.reshape(pixels.shape), pixels)

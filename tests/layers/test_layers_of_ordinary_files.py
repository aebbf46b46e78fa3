"""Correct files whose converter merged, folded or rewrote layers: every layer is found or fused."""

from dataclasses import replace

import pytest
from keras_configs import functional, images, layer, sequential
from test_taps import onnx_taps, wrong  # noqa: F401

from conversion.backends import Capability
from conversion.core.artifact import Artifact, Store
from conversion.core.environment import processor
from conversion.core.errors import UserError
from conversion.core.measurement import Verdict
from conversion.proof.checks.case import Case
from conversion.proof.checks.layers import layer_error
from conversion.proof.checks.weights import file_weights
from conversion.proof.taps.opened import align
from conversion.proof.taps.weights_by_content import locate
from conversion.subjects import find, mlperf_tiny
from conversion.workspace import Workspace

ORDER = {"filters": 4, "kernel_size": [3, 3], "padding": "same"}


def conv(name, **settings):
    return layer("Conv2D", name, **{**ORDER, **settings})


MODELS = {
    "a permute of equal sides, left out before a maximum over both": functional(
        {"x": [8, 8, 3]},
        [
            (conv("a", activation="relu"), ["x"]),
            (layer("Permute", "turned", dims=[2, 1, 3]), ["a"]),
            (layer("GlobalMaxPooling2D", "most"), ["turned"]),
            (layer("Dense", "kind", units=3, activation="softmax"), ["most"]),
        ],
        ["kind"],
    ),
    "two heads, each its own average of one tensor": functional(
        {"x": [8, 6, 3]},
        [
            (conv("a", activation="relu"), ["x"]),
            (layer("GlobalAveragePooling2D", "one"), ["a"]),
            (layer("GlobalAveragePooling2D", "two"), ["a"]),
            (layer("Dense", "box", units=4), ["one"]),
            (layer("Dense", "kind", units=3, activation="softmax"), ["two"]),
        ],
        ["box", "kind"],
    ),
    "concatenations in a row, of branches alike": functional(
        {"x": [8, 6, 3]},
        [
            *((conv(name, activation="relu"), ["x"]) for name in "abc"),
            (layer("Concatenate", "inner"), ["a", "b"]),
            (layer("Concatenate", "outer"), ["inner", "c"]),
            (conv("end"), ["outer"]),
        ],
        ["end"],
    ),
    "a factor in front of a convolution": sequential(
        [8, 6, 3],
        layer("Rescaling", "scaled", scale=1 / 255, offset=0.0),
        conv("a", activation="relu"),
        conv("end"),
    ),
    "a gate of hard sigmoid": functional(
        {"x": [8, 6, 4]},
        [
            (conv("gate", kernel_size=1, activation="hard_sigmoid"), ["x"]),
            (layer("Multiply", "gated"), ["x", "gate"]),
            (conv("end"), ["gated"]),
        ],
        ["end"],
    ),
    "sums and a mean of the same": functional(
        {"x": [8, 6, 3]},
        [
            (conv("a"), ["x"]),
            (conv("b"), ["x"]),
            (layer("Add", "sum"), ["a", "b"]),
            (layer("Subtract", "difference"), ["a", "b"]),
            (layer("Average", "mean"), ["a", "b"]),
            (layer("Concatenate", "all"), ["sum", "difference", "mean"]),
            (conv("end"), ["all"]),
        ],
        ["end"],
    ),
    "two larger in a row": sequential(
        [8, 6, 3],
        conv("a"),
        layer("UpSampling2D", "twice", size=2),
        layer("UpSampling2D", "again", size=2),
        conv("end"),
    ),
    "a convolution without padding behind a larger image": sequential(
        [4, 3, 3],
        conv("a"),
        layer("UpSampling2D", "twice", size=[2, 3]),
        conv("between", padding="valid", activation="relu"),
        layer("UpSampling2D", "again", size=2),
        conv("end", strides=2),
    ),
    "slopes by channel": sequential(
        [8, 6, 3], conv("a"), layer("PReLU", "bent", shared_axes=[1, 2]), conv("end")
    ),
    "a factor and an offset in front of a convolution without padding": sequential(
        [8, 6, 3],
        layer("Rescaling", "scaled", scale=1 / 127.5, offset=-1.0),
        conv("a", padding="valid", activation="relu"),
        conv("end"),
    ),
    "an exact GELU, of which 1 is a constant": sequential(
        [8, 6, 3],
        layer("Flatten", "flat"),
        layer("Dense", "first", units=7, activation="gelu"),
        layer("Dense", "end", units=4),
    ),
    "a normalization between two dense layers, behind a ReLU": sequential(
        [8, 6, 3],
        layer("Flatten", "flat"),
        layer("Dense", "first", units=7, activation="relu"),
        layer("BatchNormalization", "norm"),
        layer("Dense", "end", units=4),
    ),
    "a normalization of the channels that a dense layer is reshaped to": sequential(
        [6],
        layer("Dense", "first", units=24),
        layer("Reshape", "image", target_shape=[2, 3, 4]),
        layer("BatchNormalization", "norm"),
        layer("Conv2DTranspose", "end", filters=3, kernel_size=3, strides=2, padding="same"),
    ),
    "pixels scaled, normalized and padded": sequential(
        [8, 6, 3],
        layer("Rescaling", "scaled", scale=1 / 255, offset=0.0),
        layer("BatchNormalization", "norm"),
        layer("ZeroPadding2D", "around", padding=1),
        conv("a", padding="valid", strides=2),
        layer("BatchNormalization", "after"),
        layer("ReLU", "end"),
    ),
}

REWRITTEN = ("an exact GELU, of which 1 is a constant",)
"""Models whose ONNX file our own backend rewrites: tf2onnx writes an operator that ONNX has not."""


@pytest.fixture(scope="session")
def litert_taps(tmp_path_factory):
    """Opens a small model's LiteRT file with every tensor in view."""
    pytest.importorskip("ai_edge_litert")

    def taps(model):
        from conversion.proof.taps.opened import open_litert

        path = tmp_path_factory.mktemp("taps") / "small.tflite"
        path.write_bytes(model.keras.to_litert()[0])
        return open_litert(Artifact("litert-fp32", path, "", {}), model.spec, 1, {})

    return taps


def inputs_of(model):
    (shape,) = (model.spec.layer(name).shape for name in model.spec.inputs)
    return [images(list(shape), mean=100.0, spread=60.0)]


def unlike(spec, exposed, inputs):
    """What is odd about the weights of a good file, in words; nothing should be."""
    named = dict(zip(spec.inputs, inputs, strict=True))
    found = locate(spec, exposed.network, align(spec, exposed, named).matches)
    covered = {id(array) for held in found.held for array in held.covers}
    return [
        *(f"not found: {name}" for name in found.missing),
        *(f"not recognised: {held.what}" for held in found.placed),
        *(held.sentence() for held in found.held if held.differing().any()),
        *(
            f"not covered: {role} of {each.name}"
            for each in spec.layers
            for role, array in each.weights.items()
            if id(array) not in covered
        ),
    ]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", [name for name in MODELS if name not in REWRITTEN])
def test_every_layer_and_weight_of_the_onnx_file_is_found(small, onnx_taps, name):  # noqa: F811
    model = small(MODELS[name])
    exposed = onnx_taps(model)
    assert wrong(model, exposed, inputs_of(model)) == []
    assert unlike(model.spec, exposed, inputs_of(model)) == []


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", MODELS)
def test_every_layer_and_weight_of_the_litert_file_is_found(small, litert_taps, name):
    model = small(MODELS[name])
    exposed = litert_taps(model)
    assert wrong(model, exposed, inputs_of(model)) == []
    assert unlike(model.spec, exposed, inputs_of(model)) == []


def test_another_kernel_behind_a_flattened_normalization_is_said(small, onnx_taps):  # noqa: F811
    model = small(
        sequential(
            [4, 3, 2],
            layer("BatchNormalization", "norm"),
            layer("Flatten", "flat"),
            layer("Dense", "end", units=5),
        )
    )
    exposed, end = onnx_taps(model), model.spec.layer("end")
    other = replace(end, weights={**end.weights, "kernel": end.weights["kernel"][::-1]})
    layers = (other if each is end else each for each in model.spec.layers)
    spec = replace(model.spec, layers=tuple(layers))
    assert unlike(spec, exposed, inputs_of(model))[0] == "not recognised: the kernel of end"


FILES = {
    "inception.keras": ("onnx-fp32",),
    "tutorial.keras": ("onnx-fp32", "litert-fp32"),
    "multi.keras": ("onnx-fp32", "litert-fp32"),
    "reshape.keras": ("litert-fp32",),
    "leaky.h5": ("onnx-fp32", "litert-fp32"),
    "gelu_dense.keras": ("onnx-fp32", "litert-fp32"),
    "se.keras": ("onnx-fp32", "litert-fp32"),
    "t3.keras": ("onnx-fp32",),
    "avgsame.keras": ("onnx-fp32",),
    "mobile.keras": ("onnx-fp32", "torch-fp32", "torch-via-onnx-fp32", "litert-fp32"),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", FILES)
def test_the_layers_and_weights_of_a_published_kind_of_file_pass(reference, tmp_path, name):
    path = mlperf_tiny.folder() / "cases" / name
    if not path.is_file():
        pytest.skip(f"no {name} in {path.parent}")
    workspace = Workspace(find(str(path)), reference, Store(tmp_path), threads=1)
    cases = [Case(workspace, each) for each in FILES[name]]
    measured = [
        m
        for case in cases
        for m in (*layer_error(case), *case.backend.capability(Capability.STORED_WEIGHTS)(case))
    ]
    assert [m.explain() for m in measured if m.verdict is not Verdict.PASS] == []


IN_BLOCKS = "its own layout of channels in blocks"
OTHERS = {
    IN_BLOCKS: ("base.h5", "base_ortopt.onnx", "", ""),
    "channels in the other order": ("base.h5", "base_bgr.onnx", "b1", "RGB and BGR"),
    "another slope": ("leaky.h5", "leaky_default.onnx", "lr", "its slope is 0.01, not"),
    "other coordinates": ("resize.keras", "resize_asym.onnx", "up", "transformed by asymmetric"),
}
"""What a file made by others is like: the model, the file, the layer at fault, and what is said."""


WIDE = bool((processor().instructions or {}).get("avx512f"))
"""Whether ONNX Runtime lays channels in blocks of 16 here, as that file has them; else of 8."""


def of_others(reference, store, name):
    """A case of a file that others made, skipped where it is not at hand."""
    model, file, *_ = OTHERS[name]
    folder = mlperf_tiny.folder() / "cases"
    if not (folder / file).is_file():
        pytest.skip(f"no {file} in {folder}")
    external, subject = {"onnx-fp32": folder / file}, find(str(folder / model))
    workspace = Workspace(subject, reference, Store(store), external=external, threads=1)
    return Case(workspace, "onnx-fp32")


@pytest.mark.skipif(WIDE, reason="the file is for this CPU")
def test_a_file_laid_out_for_another_cpu_is_refused_with_the_way_on(reference, tmp_path):
    with pytest.raises(UserError, match=r"layout optimised for another CPU.*ORT_ENABLE_EXTENDED"):
        layer_error(of_others(reference, tmp_path, IN_BLOCKS))


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", OTHERS)
def test_a_file_of_others_is_judged_by_what_it_does(reference, tmp_path, name):
    if name == IN_BLOCKS and not WIDE:
        pytest.skip("the file is for a CPU with AVX-512")
    _, _, at_fault, words = OTHERS[name]
    case = of_others(reference, tmp_path, name)
    measured = [*layer_error(case), *file_weights(case)]
    wrong = [m for m in measured if m.verdict is not Verdict.PASS]
    assert bool(wrong) is bool(at_fault)
    if at_fault:
        assert (wrong[0].layer, words in wrong[0].reason) == (at_fault, True), wrong[0].reason

"""LiteRT files of every kind of layer: the right file passes, a wrong parameter is seen."""

import all_kinds
import nested_kinds
import numpy as np
import pytest
from all_kinds import MODELS, call
from small_models import functional

from conversion.backends import missing
from conversion.core.artifact import Artifact, Store
from conversion.core.digest import of_file
from conversion.core.measurement import Verdict
from conversion.core.settings import LitertScheme
from conversion.proof.checks.case import Case
from conversion.proof.checks.int8.quantized import quantized_parameters
from conversion.proof.checks.int8.ranges import litert_ranges
from conversion.proof.checks.structure import litert_integer_weights
from conversion.proof.checks.weights import file_weights

INT8, FLOAT = "litert-int8", "litert-fp32"
ALL = {**MODELS, **nested_kinds.MODELS}
DAILY = ("Conv2DTranspose", "branches", "dilated", "LayerNormalization", "sum of three")
CUT = {
    "activation celu": {"ranges"},
    "AdaptiveAveragePooling1D": {"ranges"},
    "AdaptiveAveragePooling2D": {"ranges"},
}
"""Models of which the converter cuts off what an activation or a pooling reads, and what is red for
it, which is right: `litert_choice.py` and `litert_adaptive_pooling.py` in
`tests/converter_faults`."""
IN_FLOAT = ("LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization")
"""Models of which no kernel is left in eight bits: a rule leaves such layers in float."""
MERGED = ("activation hard_sigmoid", "dense, norm")
"""Models of which the converter merges the weights of every layer with arithmetic around them."""


def daily(names):
    return [pytest.param(n, marks=() if n in DAILY else pytest.mark.slow) for n in names]


@pytest.fixture(autouse=True)
def installed():
    if reason := missing(INT8):
        pytest.skip(reason)


@pytest.fixture(scope="session")
def made(reference, tmp_path_factory):
    """A workspace by the name of its model, each made once."""
    known = {}

    def build(name):
        if name not in known:
            folder, config = tmp_path_factory.mktemp("kind"), nested_kinds.MODELS.get(name)
            known[name] = all_kinds.workspace(reference, folder, name, config)
        return known[name]

    return build


def failed(measured):
    return {m.name: m.explain() for m in measured if m.verdict is Verdict.FAIL}


def odd(measured):
    """What fails or is undecided."""
    return {m.name: m.explain() for m in measured if m.verdict in ("fail", "undecided")}


@pytest.mark.parametrize("name", daily(ALL))
def test_a_right_int8_file_passes(made, name):
    assert odd(all_kinds.judged(made(name), INT8)).keys() == CUT.get(name, set())


@pytest.mark.slow
def test_a_range_is_named_that_cuts_off_what_more_than_a_minimum_reads(reference, tmp_path):
    """The converter's fault: `tests/converter_faults/litert_minimum.py`."""
    calls = [
        all_kinds.conv("a", "x"),
        all_kinds.call("Rescaling", "b", "a", scale=0.1, offset=-60.0),
        all_kinds.call("Minimum", "m", "a", "b"),
        *(all_kinds.conv(name, read) for name, read in (("c", "a"), ("d", "m"))),
        all_kinds.call("Add", "y", "c", "d"),
    ]
    workspace = all_kinds.workspace(
        reference, tmp_path, "cut", all_kinds.functional((6, 6, 3), calls, ["y"])
    )
    (found,) = litert_ranges(Case(workspace, INT8))
    assert (found.verdict, found.layer) == (Verdict.FAIL, "a")


STEPPED = {
    "dilated, norm, relu": [
        call("Conv2D", "a", "x", filters=5, kernel_size=[3, 3], dilation_rate=[2, 2]),
        call("BatchNormalization", "n", "a"),
        call("ReLU", "r", "n"),
        call("Conv2D", "y", "r", filters=4, kernel_size=[2, 2]),
    ],
    "dense, relu": [
        call("Reshape", "f", "x", target_shape=[36, 3]),
        call("Dense", "a", "f", units=7, activation="relu"),
        call("Dense", "b", "a", units=6, activation="hard_sigmoid"),
        call("Dense", "y", "b", units=5),
    ],
    "volumes, norm, relu": [
        call("Reshape", "f", "x", target_shape=[6, 6, 3, 1]),
        call("Conv3D", "a", "f", filters=4, kernel_size=[3, 3, 2]),
        call("BatchNormalization", "n", "a"),
        call("ReLU", "r", "n"),
        call("Conv3DTranspose", "b", "r", filters=3, kernel_size=[3, 3, 1]),
        call("GlobalAveragePooling3D", "g", "b"),
        call("Dense", "y", "g", units=5),
    ],
}
"""Models whose biases or shifts LiteRT adds in a step of their own, with the activation in it: no
tensor of theirs holds the sum."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if "dense" in n else pytest.mark.slow) for n in STEPPED]
)
def test_a_right_int8_file_passes_where_a_bias_is_a_step_of_its_own(reference, tmp_path, name):
    described = functional((6, 6, 3), STEPPED[name], ["y"])
    workspace = all_kinds.workspace(reference, tmp_path, name, described)
    assert odd(all_kinds.judged(workspace, INT8)) == {}


@pytest.mark.parametrize("kind", ["LayerNormalization", "UnitNormalization"])
def test_a_chosen_layer_is_in_float_where_an_activation_became_part_of_it(
    reference, tmp_path, kind
):
    calls = [
        call("Conv2D", "a", "x", filters=5, kernel_size=[3, 3]),
        call(kind, "n", "a"),
        call("ReLU", "r", "n"),
        call("Conv2D", "y", "r", filters=4, kernel_size=[2, 2]),
    ]
    described, chosen = functional((6, 6, 3), calls, ["y"]), LitertScheme(float_layers=("n",))
    workspace = all_kinds.workspace(reference, tmp_path, "m", described, litert=chosen)
    assert workspace.artifact(INT8).provenance["warnings"] == []
    assert odd(all_kinds.judged(workspace, INT8)) == {}


@pytest.mark.parametrize("name", daily(ALL))
def test_a_right_float_file_passes(made, name):
    assert failed(all_kinds.judged(made(name), FLOAT, ("structure", "parity"))) == {}


def kernels(model):
    """The stored kernels of a file, each with its tensor."""
    from conversion.backends.litert_file import TYPES, stored

    for operation in model.subgraphs[0].operators:
        for index in operation.inputs:
            tensor = model.subgraphs[0].tensors[index]
            kept = index >= 0 and len(tensor.shape) > 1 and stored(model, tensor)
            if kept and TYPES[tensor.type] in ("INT8", "FLOAT32"):
                yield tensor


def put(model, tensor, array):
    model.buffers[tensor.buffer].data = np.frombuffer(array.tobytes(), np.uint8)


def every_kernel_off(model):
    """One element of every kernel another one."""
    for tensor in kernels(model):
        whole = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.int8).copy()
        whole[len(whole) // 2] += 2 if whole[len(whole) // 2] < 60 else -2
        put(model, tensor, whole)


def every_scale_doubled(model):
    for tensor in kernels(model):
        tensor.quantization.scale = np.asarray(tensor.quantization.scale) * 2


def every_zero_point_off(model):
    for tensor in kernels(model):
        tensor.quantization.zeroPoint = np.asarray(tensor.quantization.zeroPoint) + 1


FAULTS = {
    "quantized_weights": every_kernel_off,
    "quantized_scales": every_scale_doubled,
    "quantized_zero_points": every_zero_point_off,
}


def changed(workspace, tmp_path, change, name=INT8):
    """The case of a file with something changed in it."""
    from conversion.backends.litert_file import load, packed

    good, path = workspace.artifact(name), tmp_path / "changed.tflite"
    model = load(good.path)
    change(model)
    path.write_bytes(packed(model))
    wrong = Artifact(name, path, of_file(path), good.provenance)
    return Case(workspace.injected(Store(tmp_path / "store"), {name: wrong}), name)


@pytest.mark.parametrize("part", FAULTS)
@pytest.mark.parametrize("name", daily(n for n in ALL if n not in (*MERGED, *IN_FLOAT)))
def test_a_wrong_parameter_is_seen(made, tmp_path, name, part):
    assert part in failed(quantized_parameters(changed(made(name), tmp_path, FAULTS[part])))


@pytest.mark.parametrize("name", daily(n for n in ALL if n not in MERGED))
def test_a_wrong_float_weight_is_seen(made, tmp_path, name):
    def change(model):
        tensor = next(kernels(model))
        real = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float32).copy()
        real[len(real) // 2] *= 1.01
        put(model, tensor, real)

    assert failed(file_weights(changed(made(name), tmp_path, change, FLOAT)))


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) for n in MERGED])
def test_layers_with_merged_weights_are_judged_by_what_they_give_and_said(made, name):
    found = {m.name: m for m in quantized_parameters(Case(made(name), INT8))}
    assert {m.verdict for m in found.values()} <= {Verdict.PASS, Verdict.SKIPPED}
    assert "judged by what they give: " in found["quantized_weights"].reason
    assert "by behaviour" in found["quantized_weights_seen"].reason


@pytest.mark.parametrize("name", daily(("Conv2DTranspose", "dilated", "LayerNormalization", "ELU")))
def test_a_file_in_float_is_no_int8_file(made, tmp_path, name):
    """Of a layer with an operator in float no other layer may be in float too."""
    workspace = made(name)
    float_file = workspace.artifact(FLOAT)
    wrong = Artifact(INT8, float_file.path, float_file.digest, float_file.provenance)
    case = Case(workspace.injected(Store(tmp_path), {INT8: wrong}), INT8)
    assert set(failed(litert_integer_weights(case))) == {"eight_bit_weights", "float_operators"}
    assert "quantized_unchecked" in failed(quantized_parameters(case))

"""16-bit sums of pairs of products: the bound, the emulation, and real instructions beside it."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def matrix_model(kernel, activations=np.uint8):
    """One QLinearMatMul with scales that keep its sums within eight bits."""
    from onnx import TensorProto, helper, numpy_helper

    kinds = {np.uint8: TensorProto.UINT8, np.int8: TensorProto.INT8}
    constants = {
        "xs": np.float32(1),
        "xz": activations(3),
        "w": kernel,
        "ws": np.float32(1),
        "wz": kernel.dtype.type(0),
        "ys": np.float32(500),
        "yz": activations(7),
    }
    node = helper.make_node("QLinearMatMul", ["x", *constants], ["y"])
    stored = [numpy_helper.from_array(np.array(a), name) for name, a in constants.items()]
    ports = [
        helper.make_tensor_value_info(name, kinds[activations], [None, size])
        for name, size in (("x", kernel.shape[0]), ("y", kernel.shape[1]))
    ]
    graph = helper.make_graph([node], "it", ports[:1], ports[1:], stored)
    opsets = [helper.make_opsetid("", 15)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def conv_model(kernel, per_channel=True, **attributes):
    """One QLinearConv with a bias."""
    from onnx import TensorProto, helper, numpy_helper

    count = len(kernel)
    random = np.random.RandomState(5)
    scales = random.uniform(0.5, 2, count) if per_channel else np.array(1.0)
    constants = {
        "xs": np.float32(0.02),
        "xz": np.uint8(113),
        "w": kernel,
        "ws": scales.astype(np.float32),
        "wz": np.zeros(scales.shape, np.int8),
        "ys": np.float32(11),
        "yz": np.uint8(100),
        "b": random.randint(-9999, 9999, count).astype(np.int32),
    }
    node = helper.make_node("QLinearConv", ["x", *constants], ["y"], **attributes)
    stored = [numpy_helper.from_array(np.array(a), name) for name, a in constants.items()]
    ports = [helper.make_tensor_value_info(n, TensorProto.UINT8, [None] * 4) for n in "xy"]
    graph = helper.make_graph([node], "it", ports[:1], ports[1:], stored)
    opsets = [helper.make_opsetid("", 15)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def in_pairs(values, kernel):
    """The same sums in plain Python: products of two neighbours, clipped to 16 bits."""
    found = np.zeros((len(values), kernel.shape[1]), np.int64)
    for row, column in np.ndindex(found.shape):
        products = [int(a) * int(w) for a, w in zip(values[row], kernel[:, column], strict=True)]
        pairs = [sum(products[i : i + 2]) for i in range(0, len(products), 2)]
        found[row, column] = sum(max(-32768, min(32767, pair)) for pair in pairs)
    return found


def drawn(shape, low, high, seed=0):
    kind = np.uint8 if low >= 0 else np.int8
    return np.random.RandomState(seed).randint(low, high, shape).astype(kind)


def only(model):
    from conversion.proof.saturating import products

    (found,) = products(model)
    return found


@given(
    depth=st.integers(1, 9),
    width=st.integers(1, 3),
    low=st.integers(0, 255),
    seed=st.integers(0, 9),
)
@settings(max_examples=40)
def test_sums_are_those_of_plain_python(depth, width, low, seed):
    from conversion.proof.saturating import sums, unrolled

    kernel, values = drawn((depth, width), -128, 128, seed), drawn((4, depth), low, 256, seed)
    product = only(matrix_model(kernel))
    exact, lost, count = sums(product, unrolled(product, values, 0))
    assert np.array_equal(exact[0].T, values.astype(int) @ kernel.astype(int))
    assert np.array_equal((exact - lost)[0].T, in_pairs(values, kernel))
    assert (count > 0) is bool(lost.any())


@pytest.mark.parametrize(
    ("weights", "worst", "any_order", "risky"),
    [
        ([127, 127], 64770 / 32767, 64770 / 32767, 1),
        ([-128, -128], 65280 / 32768, 65280 / 32768, 1),
        ([127, 0, 0, 127], 32385 / 32767, 64770 / 32767, 0),
        ([127, -127, 1, 0], 32385 / 32767, 32640 / 32767, 0),
        ([64, 64, 64, 64], 32640 / 32767, 32640 / 32767, 0),
        ([100, 29, 28], 32895 / 32767, 32895 / 32767, 1),
        ([127], 0.0, 32385 / 32767, 0),
    ],
)
def test_the_bound_is_the_worst_pair_of_neighbours(weights, worst, any_order, risky):
    from conversion.proof.saturating import bound

    found = bound(only(matrix_model(np.array(weights, np.int8)[:, None])))
    assert (found.worst, found.any_order, found.risky) == pytest.approx((worst, any_order, risky))


def test_kernels_that_do_not_saturate_are_left_out():
    from conversion.proof.saturating import products

    signed = drawn((4, 2), -128, 128)
    assert products(matrix_model(signed, np.int8)) == []
    assert products(matrix_model(drawn((4, 2), 0, 255))) == []
    assert products(conv_model(drawn((4, 1, 3, 3), -128, 128), group=4)) == []
    assert len(products(conv_model(drawn((4, 2, 3, 3), -128, 128), group=2))) == 1


CONVS = {
    "plain": ((8, 3, 3, 3), {}),
    "strided": ((8, 3, 3, 3), {"strides": [2, 1], "pads": [0, 0, 1, 1]}),
    "dilated": ((16, 4, 3, 3), {"dilations": [2, 1], "pads": [2, 1, 2, 1]}),
    "grouped": ((6, 2, 3, 3), {"group": 3, "pads": [1, 1, 1, 1]}),
    "pointwise": ((16, 8, 1, 1), {"strides": [2, 2]}),
    "same upper": ((8, 3, 4, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same lower": ((8, 3, 4, 4), {"auto_pad": "SAME_LOWER"}),
}


@pytest.mark.parametrize("per_channel", [True, False], ids=["channel", "tensor"])
@pytest.mark.parametrize("name", CONVS)
def test_without_saturation_the_emulation_gives_the_bits_of_onnx_runtime(name, per_channel):
    from conversion.proof.emulation import emulate

    shape, attributes = CONVS[name]
    small = drawn(shape, -60, 60)  # no pair can saturate, whatever the CPU
    model = conv_model(small, per_channel, **attributes)
    groups = attributes.get("group", 1)
    values = drawn((3, shape[1] * groups, 9, 11), 0, 256, 2)
    (node,) = emulate(model, {"x": values}).nodes
    assert node.faithful
    assert np.array_equal(node.exact, node.wrong)
    assert len(np.unique(node.exact)) > 50


def test_padding_counts_as_the_zero_point_it_is_filled_with():
    from conversion.proof.saturating import unrolled

    product = only(conv_model(drawn((2, 1, 3, 3), -9, 9), pads=[1, 1, 1, 1]))
    columns = unrolled(product, np.full((1, 1, 1, 1), 9, np.uint8), 113)
    assert columns[0, :, 0].tolist() == [113, 113, 113, 113, 9, 113, 113, 113, 113]


def test_a_kernel_is_read_channels_last():
    product = only(conv_model(np.arange(8, dtype=np.int8).reshape(1, 2, 2, 2)))
    assert product.kernel[0, :, 0].tolist() == [0, 4, 1, 5, 2, 6, 3, 7]


def test_saturation_moves_on_through_the_network():
    """Two products in a row: what the second one reads is already wrong."""
    from conversion.proof.emulation import emulate

    model = matrix_model(np.array([[127, 1], [127, 1]], np.int8))
    again = matrix_model(np.array([[1], [1]], np.int8)).graph
    for tensor in again.initializer:
        tensor.name += "2"
        if tensor.name == "ys2":
            tensor.CopyFrom(type(tensor)(name="ys2", data_type=1, float_data=[1.0]))
    (node,) = again.node
    node.input[:] = ["y", *(f"{name}2" for name in node.input[1:])]
    node.output[0] = "z"
    model.graph.node.append(node)
    model.graph.initializer.extend(again.initializer)
    model.graph.output[0].CopyFrom(again.output[0])
    model.graph.output[0].name = "z"
    found = emulate(model, {"x": np.array([[255, 255], [1, 2]], np.uint8)})
    first, second = found.nodes
    assert (first.saturated, first.changed) == (1, 1)
    assert (second.saturated, second.changed) == (0, 0)
    assert found.exact[0].tolist() != found.wrong[0].tolist()
    assert found.exact[0][1].tolist() == found.wrong[0][1].tolist()


INSTRUCTIONS = """
import numpy as np, torch
torch.backends.quantized.engine = "onednn"
random = np.random.RandomState(0)
values = random.randint(100, 256, (64, 64)).astype(np.uint8)
kernel = random.randint(-127, 128, (16, 64)).astype(np.int8)
packed = torch.ops.onednn.qlinear_prepack(torch.from_numpy(kernel), [64, 64])
ones, zeros = torch.ones(16), torch.zeros(16, dtype=torch.int64)
found = torch.ops.onednn.qlinear_pointwise(
    torch.from_numpy(values), 1.0, 0, packed, ones, zeros, None, 1.0, 0, torch.float32,
    "none", [], "",
)
np.savez("found.npz", values=values, kernel=kernel, found=found.numpy())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="instructions of x86")
@pytest.mark.parametrize("isa", ["AVX2", "AVX512_CORE"])
def test_the_sums_are_those_of_real_instructions(isa, tmp_path):
    """oneDNN keeps to an older instruction set where it is told to, in a process of its own."""
    from conversion.proof.saturating import sums, unrolled

    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa}
    command = [sys.executable, "-W", "ignore", "-c", INSTRUCTIONS]
    subprocess.run(command, check=True, cwd=tmp_path, env=environment)
    with np.load(tmp_path / "found.npz", allow_pickle=False) as content:
        values, kernel, found = (content[name] for name in ("values", "kernel", "found"))
    product = only(matrix_model(np.ascontiguousarray(kernel.T)))
    exact, lost, count = sums(product, unrolled(product, values, 0))
    assert count > 1000
    assert np.array_equal((exact - lost)[0].T, found)

"""Steps of an int8 ONNX graph are found in the float graph that it was made from."""

import numpy as np
import pytest

BRANCHES = ("a", "b", "c")


def node(*parts):
    from onnx import helper

    return helper.make_node(*parts)


def graph(nodes, constants):
    from onnx import TensorProto, helper, numpy_helper

    from conversion.proof.checks.int8.quantized_graph import Laid

    port = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 2, 3, 3]) for n in ("x", "y"))
    stored = [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()]
    read, given = port
    return Laid(helper.make_model(helper.make_graph(nodes, "g", [read], [given], stored)))


def float_graph():
    """Three convolutions of the input, each with a ReLU, and their sum."""
    nodes = []
    for name in BRANCHES:
        nodes.append(node("Conv", ["x", f"k_{name}"], [name], name))
        nodes.append(node("Relu", [name], [f"{name}_relu"], f"{name}_relu"))
    nodes.append(node("Sum", [f"{name}_relu" for name in BRANCHES], ["y"], "y"))
    return graph(nodes, {f"k_{n}": np.ones((2, 2, 1, 1), np.float32) for n in BRANCHES})


def int8_graph():
    """The same in QOperator format, where the range of a convolution stands for its ReLU."""
    pair = ["s", "z"]
    nodes = [node("QuantizeLinear", ["x", *pair], ["x_8"], "x_8")]
    for name in BRANCHES:
        reads = ["x_8", *pair, f"k_{name}", *pair, *pair]
        nodes.append(node("QLinearConv", reads, [f"{name}_8"], f"{name}_8"))
        nodes.append(node("DequantizeLinear", [f"{name}_8", *pair], [f"{name}_real"]))
    nodes.append(node("Sum", [f"{name}_real" for name in BRANCHES], ["y"], "y"))
    constants = {f"k_{name}": np.ones((2, 2, 1, 1), np.int8) for name in BRANCHES}
    return graph(nodes, {**constants, "s": np.float32(0.5), "z": np.int8(-128)})


def apart(one, other):
    """A branch is far from its own values before the ReLU, and nearer to another's."""
    branch = one.removesuffix("_8")
    return {f"{branch}_relu": 0.01, branch: 1.3}.get(other, 1.0)


@pytest.mark.parametrize("name", BRANCHES)
def test_a_branch_is_known_by_what_its_left_out_relu_gives(name):
    from conversion.proof.checks.int8.quantized_twins import Twins

    found = Twins(int8_graph(), float_graph(), apart).of(f"{name}_8")
    assert found is not None
    assert found.name == name

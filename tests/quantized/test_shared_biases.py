"""A layer that is called twice has a bias for each call before ONNX Runtime quantizes it."""

import numpy as np
import pytest


@pytest.fixture
def shared():
    """Two convolutions, one after another, with the weights of one layer."""
    from onnx import TensorProto, helper, numpy_helper

    kernel = np.ones((2, 2, 1, 1), np.float32)
    stored = [
        numpy_helper.from_array(kernel, "k"),
        numpy_helper.from_array(kernel[:, 0, 0, 0], "b"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "k", "b"], ["y"]),
        helper.make_node("Conv", ["y", "k", "b"], ["z"]),
    ]
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 2, 3, 3]) for n in "xz"]
    return helper.make_model(helper.make_graph(nodes, "g", ports[:1], ports[1:], stored))


def test_every_call_gets_its_own_bias_and_the_kernel_stays_one(shared):
    from conversion.quantization.onnx_prepared import own_biases

    assert own_biases(shared) == 1
    first, second = (list(node.input) for node in shared.graph.node)
    assert first[1] == second[1] == "k"
    assert (first[2], second[2]) == ("b", "b/z")
    raw = {each.name: each.raw_data for each in shared.graph.initializer}
    assert raw["b"] == raw["b/z"]


def test_a_network_without_shared_layers_stays_as_it_is(shared):
    from conversion.quantization.onnx_prepared import own_biases

    del shared.graph.node[1]
    before = shared.SerializeToString()
    assert own_biases(shared) == 0
    assert shared.SerializeToString() == before

"""A dense layer whose result is added to another tensor is multiplied in integers."""

import numpy as np
import pytest


def gemm(added, **settings):
    """``x @ kernel + added``, as ONNX Runtime fuses a dense layer with the sum behind it."""
    from onnx import TensorProto, helper, numpy_helper

    kernel = np.random.RandomState(0).normal(0, 1, (4, 4)).astype(np.float32)
    stored = [
        numpy_helper.from_array(kernel, "kernel"),
        numpy_helper.from_array(kernel[0], "bias"),
    ]
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 4]) for n in ("x", "y")]
    node = helper.make_node("Gemm", ["x", "kernel", added], ["y"], "fused", **settings)
    graph = helper.make_graph([node], "residual", ports[:1], ports[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def taken_out(model):
    from conversion.quantization.onnx_prepared import sums_apart

    return sums_apart(model)


def run(model):
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": np.arange(12, dtype=np.float32).reshape(3, 4)})[0]


def test_a_computed_sum_is_taken_out_of_the_product():
    import onnx

    model, whole = gemm("x"), gemm("x")
    assert taken_out(model) == 1
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["MatMul", "Add"]
    assert run(model) == pytest.approx(run(whole), rel=1e-6)


def test_a_stored_bias_and_a_scaled_sum_stay():
    assert taken_out(gemm("bias")) == 0
    assert taken_out(gemm("x", beta=0.5)) == 0
    assert taken_out(gemm("x", transB=1)) == 0

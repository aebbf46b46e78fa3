"""ONNX Runtime's QLinearSoftmax over one value: 1 is 256 steps of 1/256, and is stored as 0.

ONNX and its runtime, and nothing of the package: run it as it is. It says how far the result lies
from 1 over one value, and over two of which one is sure.
"""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper


def softmax(values):
    constants = [
        helper.make_tensor("scale", TensorProto.FLOAT, [], [0.1]),
        helper.make_tensor("zero", TensorProto.UINT8, [], [128]),
        helper.make_tensor("end_scale", TensorProto.FLOAT, [], [1 / 256]),
        helper.make_tensor("end_zero", TensorProto.UINT8, [], [0]),
    ]
    node = helper.make_node(
        "QLinearSoftmax",
        ["x", "scale", "zero", "end_scale", "end_zero"],
        ["y"],
        domain="com.microsoft",
        axis=-1,
        opset=13,
    )
    ends = [
        helper.make_tensor_value_info(name, TensorProto.UINT8, [1, len(values)]) for name in "xy"
    ]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], constants)
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {"x": np.array([values], np.uint8)})
    return found[0] / 256


for words, values in (("one value", [140]), ("two values", [255, 0])):
    print(f"{words}: off by {1 - softmax(values)[0]:.3g}")

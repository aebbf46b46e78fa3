"""Files that hang, stop or crash what reads them end in one sentence."""

import pytest

from conversion.core import guarded
from conversion.core.errors import Crashed, RunFailed, UserError
from conversion.report import inspection


def saved(path, nodes, **more):
    import onnx
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    opsets = more.pop("opset_imports", [helper.make_opsetid("", 13)])
    graph = helper.make_graph(nodes, "g", [value], [result], **more)
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def endless(path):
    """A loop of 2**62 turns."""
    from onnx import TensorProto, helper

    names = ("turn", "goes", "held"), ("goes_on", "given")
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["goes"], ["goes_on"]),
            helper.make_node("Identity", ["held"], ["given"]),
        ],
        "body",
        [
            helper.make_tensor_value_info(names[0][0], TensorProto.INT64, []),
            helper.make_tensor_value_info(names[0][1], TensorProto.BOOL, []),
            helper.make_tensor_value_info(names[0][2], TensorProto.FLOAT, [1]),
        ],
        [
            helper.make_tensor_value_info(names[1][0], TensorProto.BOOL, []),
            helper.make_tensor_value_info(names[1][1], TensorProto.FLOAT, [1]),
        ],
    )
    turns = helper.make_tensor("turns", TensorProto.INT64, [], [2**62])
    goes = helper.make_tensor("goes0", TensorProto.BOOL, [], [True])
    loop = helper.make_node("Loop", ["turns", "goes0", "x"], ["l"], body=body)
    once = helper.make_node("MatMul", ["l", "l"], ["y"])
    return saved(path, [loop, once], initializer=[turns, goes])


def test_a_file_that_never_ends_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(guarded, "OPENING", 5.0)
    with pytest.raises(Crashed, match=r"endless\.onnx is not done within 5 s\.$"):
        inspection.inspect(endless(tmp_path / "endless.onnx"))


def node(kind):
    from onnx import helper

    return helper.make_node(kind, ["x"], ["y"])


def test_a_node_without_its_input_is_refused(tmp_path):
    path = saved(tmp_path / "m.onnx", [node("MatMul")])
    with pytest.raises(RunFailed, match=r"m\.onnx stops .*IndexError"):
        inspection.inspect(path)


def test_a_file_without_an_opset_is_refused(tmp_path):
    path = saved(tmp_path / "m.onnx", [node("Relu")], opset_imports=[])
    with pytest.raises(UserError, match=r"m\.onnx"):
        inspection.inspect(path)

"""An artifact may be more than one file: all of them make its digest, and all are handed over."""

import numpy as np
import pytest

from conversion.backends import backend
from conversion.core.artifact import artifact_of
from conversion.session import export


@pytest.fixture
def external(tmp_path):
    """An ONNX file whose one kernel lies in ``weights/kernel.data``."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kernel = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(3, 4), "kernel")
    node = helper.make_node("MatMul", ["x", "kernel"], ["y"])
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
        for name, size in (("x", 3), ("y", 4))
    ]
    graph = helper.make_graph([node], "net", ends[:1], ends[1:], [kernel])
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 15)])
    (tmp_path / "weights").mkdir()
    onnx.save_model(
        model,
        tmp_path / "net.onnx",
        save_as_external_data=True,
        location="weights/kernel.data",
        size_threshold=0,
    )
    return tmp_path / "net.onnx"


def read(path):
    beside = backend("onnx-fp32").files_beside(path)
    return artifact_of("onnx-fp32", path, beside, {}, external=True)


def test_external_data_is_found_without_being_read(external):
    (external.parent / "weights" / "kernel.data").write_bytes(b"")
    assert read(external).beside == (external.parent / "weights" / "kernel.data",)


def test_a_change_of_the_external_data_is_another_artifact(external):
    before = read(external)
    data = external.parent / "weights" / "kernel.data"
    data.write_bytes(data.read_bytes()[:-4] + np.float32(1.0).tobytes())
    assert read(external).digest != before.digest


def test_the_size_is_that_of_all_files(external):
    data = external.parent / "weights" / "kernel.data"
    assert read(external).size == external.stat().st_size + data.stat().st_size


def test_exported_it_still_opens(external, tmp_path):
    import onnx
    from onnx import numpy_helper

    out = tmp_path / "out"
    made = export({"onnx-fp32": read(external)}, out)["onnx-fp32"]
    assert made.path == out / "onnx-fp32.onnx"
    assert made.beside == (out / "weights" / "kernel.data",)
    (kernel,) = onnx.load(made.path).graph.initializer
    assert numpy_helper.to_array(kernel).ravel().tolist() == list(range(12))


def test_one_file_has_the_digest_of_its_bytes(tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"abc")
    # sha256sum of "abc"
    wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert artifact_of("onnx-fp32", path, (), {}).digest == wanted


def test_what_is_run_of_it_has_the_weights_that_lie_beside_it(external):
    from onnx import numpy_helper

    from conversion.backends.onnx_deployed import deployed

    given = {"x": np.ones((2, 3), np.float32)}
    run = deployed(external, given, runs=1)
    (kernel,) = run.model.graph.initializer
    assert np.array_equal(numpy_helper.to_array(kernel).ravel(), np.arange(12))
    assert run.seconds

"""An external file that does not fit the model gives exit code 2 and one line."""

from pathlib import Path

import pytest

IMAGES = ["N", 32, 32, 3]


def graph(shape=IMAGES, dtype="FLOAT", outputs=1, depth=10):
    """A graph that repeats the mean of each channel to as many numbers as are wanted."""
    from onnx import TensorProto, helper

    kind = getattr(TensorProto, dtype)
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Concat", ["mean"] * 4, ["twelve"], axis=1),
        helper.make_node("Slice", ["twelve", "start", "end", "axis"], ["y0"]),
        *(helper.make_node("Identity", ["y0"], [f"y{number}"]) for number in range(1, outputs)),
    ]
    sizes = {"start": 0, "end": depth, "axis": 1}
    constants = [helper.make_tensor(n, TensorProto.INT64, [1], [v]) for n, v in sizes.items()]
    ends = [helper.make_tensor_value_info(f"y{n}", kind, None) for n in range(outputs)]
    start = [helper.make_tensor_value_info("x", kind, shape)]
    made = helper.make_graph(nodes, "g", start, ends, constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def saved(**changes):
    return lambda path: path.write_bytes(graph(**changes).SerializeToString())


def other_kind(path):
    import torch

    torch.save({"conversion": 1, "kind": "torch-int8", "provenance": {}}, path)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        pytest.param("onnx-fp32", saved(outputs=2), "['y0', 'y1']", id="two-outputs"),
        pytest.param("onnx-fp32", saved(depth=9), "(2, 9)", id="nine-classes"),
        pytest.param("onnx-fp32", saved(shape=["N", 32, 32, 1]), "(2, 32, 32, 3)", id="grey"),
        pytest.param("onnx-fp32", Path.touch, "made.file", id="onnx-empty"),
        pytest.param(
            "onnx-fp32", lambda path: path.write_bytes(b"\xff" * 99), "made.file", id="onnx-garbage"
        ),
        pytest.param("torch-fp32", other_kind, "'torch-int8'", id="another-kind"),
        pytest.param("torch-fp32", Path.touch, "made.file", id="torch-empty"),
    ],
)
def test_file_that_does_not_fit_is_refused(refused, mine, images, name, make, words):
    make(mine.with_name("made.file"))
    choice = ("--backends", name, "--artifact", f"{name}=made.file")
    said = refused("evaluate", mine, "--data", images(), *choice)
    assert words in said
    assert "made.file" in said


def test_file_that_fits_is_counted_as_it_is(run, mine, images, no_worker):
    saved()(mine.with_name("made.file"))
    choice = ("--backends", "onnx-fp32", "--artifact", "onnx-fp32=made.file")
    code, out, _ = run("evaluate", mine, "--data", images(), *choice)
    assert code == 0
    assert out.startswith("onnx-fp32  ")
    assert " of 32 " in out  # a fifth of the forty images is held out for calibration

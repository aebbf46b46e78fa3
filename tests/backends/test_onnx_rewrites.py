"""What tf2onnx writes and cannot stay is written otherwise, and computes the same."""

import math

import numpy as np
import pytest


def rewrite(made, grouped=False):
    from conversion.backends import onnx_rewrites

    return onnx_rewrites.rewrite(made, grouped)


def node(*words, **settings):
    from onnx import helper

    return helper.make_node(*words, **settings)


def model(nodes, shape=("batch", 2, 4, 4), constants=()):
    from onnx import TensorProto, helper, numpy_helper

    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, size)
        for name, size in (("x", shape), ("y", None))
    ]
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants]
    graph = helper.make_graph(nodes, "small", ports[:1], ports[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


def run(made, values):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": values})[0]


X = np.linspace(-3, 3, 32, dtype=np.float32).reshape(1, 2, 4, 4)


@pytest.mark.parametrize(
    ("operator", "function"), [("Erfc", math.erfc), ("Expm1", math.expm1)], ids=["erfc", "expm1"]
)
def test_an_operator_that_onnx_does_not_have_is_made_of_those_that_it_has(operator, function):
    made = model([node(operator, ["x"], ["y"], "it")])
    (said,) = rewrite(made)
    assert operator in said
    assert run(made, X) == pytest.approx(np.vectorize(function)(X), rel=1e-5, abs=5e-7)


PADS = ("pads", np.array([0, 0, 1, 1, 0, 0, 1, 1]))


def padded_pool(before=()):
    source = before[-1].output[0] if before else "x"
    pool = node("MaxPool", ["p"], ["y"], "pool", kernel_shape=[3, 3], strides=[2, 2])
    return model([*before, node("Pad", [source, "pads"], ["p"], "pad"), pool], constants=[PADS])


def test_a_padding_of_zero_stays_zero_in_front_of_a_max_pool():
    made = padded_pool()
    assert len(rewrite(made)) == 1
    negative = -np.abs(X) - 1
    assert run(made, negative)[0, 0, 0, 0] == 0.0  # a corner window reaches into the padding


def test_where_no_value_is_negative_nothing_is_rewritten():
    assert rewrite(padded_pool([node("Relu", ["x"], ["r"])])) == []


def test_paddings_that_the_runtime_would_compute_are_stated():
    kernel = np.ones((2, 1, 3, 3), np.float32)
    conv = node("Conv", ["x", "k"], ["y"], "conv", group=2, strides=[2, 2], auto_pad="SAME_UPPER")
    made, plain = (model([conv], ("batch", 2, 4, 4), [("k", kernel)]) for _ in range(2))
    assert len(rewrite(made)) == 1
    from onnx import helper

    attributes = {a.name: helper.get_attribute_value(a) for a in made.graph.node[0].attribute}
    assert attributes["pads"] == [0, 0, 1, 1]
    assert "auto_pad" not in attributes
    assert run(made, X).tobytes() == run(plain, X).tobytes()


BEFORE = {
    "computed sizes": [("Shape", ["x"], ["s"]), ("Reshape", ["x", "s"], ["r"])],
    "an unknown operator": [("Erfc", ["x"], ["r"])],
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
def test_paddings_are_stated_behind(before):
    conv = node("Conv", ["r", "k"], ["y"], "conv", group=2, auto_pad="SAME_UPPER")
    nodes = [node(*words, "it") for words in before]
    made = model([*nodes, conv], constants=[("k", np.ones((2, 1, 3, 3), np.float32))])
    assert "paddings of grouped convolutions stated" in rewrite(made)[-1]
    assert [a.name for a in made.graph.node[-1].attribute] == ["group", "pads"]


@pytest.mark.parametrize(("channels", "groups"), [(1, 2), (2, 1)], ids=["grouped", "of one group"])
def test_groups_are_counted_behind_sizes_that_are_computed(channels, groups):
    before = [node(*words, "it") for words in BEFORE["computed sizes"]]
    conv = node("Conv", ["r", "k"], ["y"], "conv", group=1)
    kernel = np.ones((2, channels, 3, 3), np.float32)
    made = model([*before, conv], constants=[("k", kernel)])
    assert len(rewrite(made, grouped=True)) == (groups > 1)
    assert [a.i for a in made.graph.node[-1].attribute if a.name == "group"] == [groups]


def test_a_graph_without_any_of_it_stays_as_it_is():
    made = model([node("Relu", ["x"], ["y"])])
    before = made.SerializeToString()
    assert rewrite(made) == []
    assert made.SerializeToString() == before


def resize(before, after):
    from onnx import helper

    scales = np.array([1, 1, after / before, after / before], np.float32)
    made = model(
        [helper.make_node("Resize", ["x", "", "s"], ["y"], "it", mode="linear")],
        ("batch", 2, before, before),
        [("s", scales)],
    )
    rewrite(made)
    return made


@pytest.mark.parametrize("before", [1, 3, 6, 7, 12, 31])
def test_a_resized_image_has_the_size_that_was_asked(before):
    values = np.zeros((1, 2, before, before), np.float32)
    sizes = list(range(1, 40))
    assert [run(resize(before, after), values).shape[-1] for after in sizes] == sizes
    assert [inferred(resize(before, after)) for after in sizes] == sizes


def inferred(made):
    """The width that ONNX's own rules give the output."""
    from onnx import shape_inference

    found = shape_inference.infer_shapes(made, strict_mode=True, data_prop=True)
    return found.graph.output[0].type.tensor_type.shape.dim[3].dim_value


MOST = 40
AS_TF2ONNX_WRITES_IT = {
    "mode": "nearest",
    "nearest_mode": "floor",
    "coordinate_transformation_mode": "tf_half_pixel_for_nn",
}


@pytest.fixture(scope="module")
def rows_of_keras(reference):
    return reference.call("tools.keras_jobs:resized_rows", {"most": MOST}).arrays


@pytest.mark.parametrize("before", range(1, MOST + 1))
def test_the_nearest_row_is_the_one_that_keras_takes(rows_of_keras, before):
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    sizes, names = range(1, MOST + 1), [f"y{after}" for after in range(1, MOST + 1)]
    graph = helper.make_graph(
        [
            helper.make_node(
                "Resize", ["x", "", f"s{n}"], [f"y{n}"], f"r{n}", **AS_TF2ONNX_WRITES_IT
            )
            for n in sizes
        ],
        "resized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, before, 1])],
        [helper.make_tensor_value_info(each, TensorProto.FLOAT, None) for each in names],
        [
            numpy_helper.from_array(np.array([1, 1, n / before, 1], np.float32), f"s{n}")
            for n in sizes
        ],
    )
    opset = [helper.make_opsetid("", 15)]
    made = helper.make_model(graph, opset_imports=opset, ir_version=8)
    rewrite(made)
    kept = {each.name for each in made.graph.node if each.op_type == "Resize"}
    assert kept == {f"r{n}" for n in sizes if n % before == 0}  # whole factors
    session = onnxruntime.InferenceSession(
        made.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    rows = np.arange(before, dtype=np.float32).reshape(1, 1, before, 1)
    for after, found in zip(sizes, session.run(names, {"x": rows}), strict=True):
        assert found.ravel().tolist() == rows_of_keras[f"{before} to {after}"].tolist()


def test_both_axes_are_resized_to_the_nearest():
    made = model(
        [node("Resize", ["x", "", "s"], ["y"], "it", **AS_TF2ONNX_WRITES_IT)],
        constants=[("s", np.array([1, 1, 0.75, 1.25], np.float32))],
    )
    (said,) = rewrite(made)
    assert "nearest" in said
    assert "s" not in {each.name for each in made.graph.initializer}
    # of four rows the three at 2/3, 2 and 10/3; of four columns the five at 0.4, 1.2, 2, 2.8, 3.6
    assert run(made, X).tolist() == X[:, :, [0, 2, 3]][..., [0, 1, 2, 2, 3]].tolist()


def test_without_the_rewriting_a_row_would_be_lost():
    from onnx import numpy_helper

    made = resize(6, 7)
    tensor = made.graph.initializer[0]
    tensor.CopyFrom(numpy_helper.from_array(np.array([1, 1, 7 / 6, 7 / 6], np.float32), "s"))
    assert inferred(made) == 6


def test_a_scale_that_float32_holds_exactly_stays():
    from onnx import numpy_helper

    made = resize(4, 6)
    assert numpy_helper.to_array(made.graph.initializer[0]).tolist() == [1, 1, 1.5, 1.5]


KERNEL_3 = np.arange(1, 19, dtype=np.float32).reshape(2, 1, 3, 3)


@pytest.mark.parametrize(
    ("stride", "pads"), [(4, [0, 0, -1, -1]), (5, [-1, -1, -1, -1])], ids=["one end", "both ends"]
)
def test_what_a_kernel_smaller_than_its_stride_leaves_open_lies_behind_it(stride, pads):
    settings = {"strides": [stride] * 2, "kernel_shape": [3, 3], "pads": pads}
    made = model(
        [node("ConvTranspose", ["x", "k"], ["y"], **settings)], constants=[("k", KERNEL_3)]
    )
    assert len(rewrite(made)) == 1
    found = run(made, X)
    assert found.shape == (1, 1, 4 * stride, 4 * stride)
    painted = np.zeros((4, stride, 4, stride))
    painted[:, :3, :, :3] = np.einsum("cij,cab->iajb", X[0], KERNEL_3[:, 0])
    assert found[0, 0] == pytest.approx(painted.reshape(4 * stride, -1), rel=1e-5)


MANY = (np.random.default_rng(0).normal(size=(3, 60, 50, 8)) + 0.5).astype(np.float32)


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[1, 2, 3], [-1, 1, 2], [2, 1]], ids=str)
@pytest.mark.parametrize("shape", [("batch", 60, 50, 8), ("batch", "high", "wide", 8)], ids=str)
def test_a_mean_of_many_values_is_taken_axis_by_axis(axes, keepdims, shape):
    made = model([node("ReduceMean", ["x"], ["y"], axes=axes, keepdims=keepdims)], shape)
    before = run(made, MANY)
    assert rewrite(made) == ["means of many values taken axis by axis, which loses fewer digits"]
    exact = MANY.astype(np.float64).mean(axis=tuple(axes), keepdims=bool(keepdims))
    after = run(made, MANY)
    assert after.shape == before.shape == exact.shape
    assert np.abs(after - exact).max() <= np.abs(before - exact).max()
    assert np.abs(after - exact).max() < 1e-7


def test_axes_that_are_an_input_are_taken_one_by_one_too():
    from onnx import helper

    made = model([node("ReduceMean", ["x", "axes"], ["y"])], MANY.shape, [("axes", [1, 2, 3])])
    del made.opset_import[:]
    made.opset_import.append(helper.make_opsetid("", 18))
    assert rewrite(made)
    exact = MANY.astype(np.float64).mean(axis=(1, 2, 3), keepdims=True)
    assert np.abs(run(made, MANY) - exact).max() < 1e-7


def test_a_mean_of_one_axis_or_of_few_values_stays():
    made = model(
        [
            node("ReduceMean", ["x"], ["few"], axes=[2, 3]),
            node("ReduceMean", ["few"], ["y"], axes=[1]),
        ]
    )
    assert rewrite(made) == []

"""ONNX ranges are those of the images, and the int8 file is made of the ranges and nothing else."""

import itertools
import json

import numpy as np
import pytest
from small_models import artifact

from conversion.core.errors import UserError
from conversion.core.settings import OnnxScheme, Settings

METHODS = ("minmax", "entropy", "percentile")
TYPES = (("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8"))


def with_ranges(ingredients, folder):
    from conversion.quantization import onnx_ranges

    path = folder / "ranges.json"
    notes = onnx_ranges.build(ingredients, path)
    ingredients.artifacts["onnx-ranges"] = artifact("onnx-ranges", path, **notes)
    return ingredients


def quantized(ingredients, folder, name="int8.onnx"):
    from conversion.quantization import onnx_static

    onnx_static.build(ingredients, folder / name)
    return folder / name


def every_tensor(path, images):
    """The graph's tensors over all images at once, by a session that fuses nothing."""
    import onnx
    import onnxruntime

    model = onnx.load(path)
    known = {value.name for value in model.graph.output}
    for node in model.graph.node:
        for name in set(node.output) - known:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feed = session.get_inputs()[0].name
    names = [port.name for port in session.get_outputs()]
    found = dict(zip(names, session.run(names, {feed: images}), strict=True))
    return {**found, feed: images}


def constants(path):
    import onnx
    from onnx import numpy_helper

    return {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


def calibration_images(workspace):
    return np.load(workspace.artifact("calibration").path).astype(np.float32)


def test_ranges_found_batch_by_batch_are_those_of_all_images_at_once(embedded):
    recorded = embedded.artifact("onnx-ranges").provenance["ranges"]
    images = calibration_images(embedded)
    assert len(images) == 120
    tensors = every_tensor(embedded.artifact("onnx-prepared").path, images)
    assert len(recorded) >= 20
    for name, (low, high) in recorded.items():
        # 1e-5: a batch of another size may sum in another order
        assert low == pytest.approx(tensors[name].min(), rel=1e-5, abs=1e-5), name
        assert high == pytest.approx(tensors[name].max(), rel=1e-5, abs=1e-5), name


def at_once(path, method, images, folder):
    """Ranges of ONNX Runtime's own calibrator, handed all images in one batch."""
    from contextlib import redirect_stdout

    from onnxruntime.quantization.calibrate import create_calibrator

    from conversion.quantization.onnx_ranges import METHODS, _Once

    calibrator = create_calibrator(
        path, augmented_model_path=str(folder / "once.onnx"), calibrate_method=METHODS[method]
    )
    with redirect_stdout(None):
        calibrator.collect_data(_Once({"x": images}))
        found = calibrator.compute_data()
    return {
        name: [np.asarray(end).item() for end in data.range_value] for name, data in found.items()
    }


@pytest.mark.parametrize("count", [1, 49, 50, 51, 101])
@pytest.mark.parametrize("method", METHODS)
def test_ranges_do_not_depend_on_how_the_images_are_fed(graph, tmp_path, method, count):
    # Brighter from image to image: what comes first says little of what follows.
    images = np.random.RandomState(2).rand(count, 3, 4, 4).astype(np.float32)
    images *= np.linspace(1, 5, count, dtype=np.float32)[:, None, None, None]
    ingredients = with_ranges(graph(images=images, onnx=OnnxScheme(method=method)), tmp_path)
    found = ingredients.artifacts["onnx-ranges"].provenance["ranges"]
    wanted = at_once(ingredients.artifacts["onnx-prepared"].path, method, images, tmp_path)
    assert set(found) == set(wanted)
    for name, (low, high) in wanted.items():
        # Percentiles fall on one of 2,048 edges, which one batch places by another formula.
        reach = 1.01 * high / 2048 if method == "percentile" else 1e-6 * (high - low)
        assert found[name] == pytest.approx([low, high], rel=0, abs=reach), name


def test_every_float_tensor_that_is_quantized_has_a_range(embedded):
    recorded = set(embedded.artifact("onnx-ranges").provenance["ranges"])
    tensors = every_tensor(
        embedded.artifact("onnx-prepared").path, calibration_images(embedded)[:1]
    )
    assert recorded == {name for name, value in tensors.items() if value.dtype == np.float32}


@pytest.mark.parametrize("at", [0, 49, 50, 99, 100, 119])
def test_one_bright_image_counts_wherever_it_stands(graph, tmp_path, at):
    images = np.random.RandomState(0).rand(120, 3, 4, 4).astype(np.float32)
    images[at] *= 100
    ingredients = with_ranges(graph(images=images), tmp_path)
    low, high = ingredients.artifacts["onnx-ranges"].provenance["ranges"]["x"]
    assert (low, high) == (images.min(), images[at].max())


@pytest.mark.parametrize("method", METHODS)
def test_a_smaller_last_batch_is_taken_by_every_method(graph, tmp_path, method):
    ingredients = with_ranges(graph(onnx=OnnxScheme(method=method)), tmp_path)
    tensors = every_tensor(
        ingredients.artifacts["onnx-prepared"].path,
        np.load(ingredients.artifacts["calibration"].path),
    )
    found = ingredients.artifacts["onnx-ranges"].provenance["ranges"]
    assert set(found) >= {"x", "a", "y"}
    for name, (low, high) in found.items():
        reach = np.abs(tensors[name]).max()
        assert -reach * 1.001 <= low < high <= reach * 1.001
        assert high - low >= 0.5 * (tensors[name].max() - tensors[name].min())


def test_percentile_leaves_the_rarest_values_out(graph, tmp_path):
    images = np.random.RandomState(0).normal(size=(120, 3, 4, 4)).astype(np.float32)
    images[3, 1, 2, 2] = 5.0
    images[117, 0, 1, 1] = 6.0
    ingredients = with_ranges(graph(images=images, onnx=OnnxScheme(method="percentile")), tmp_path)
    low, high = ingredients.artifacts["onnx-ranges"].provenance["ranges"]["x"]
    assert 5.0 < high < 6.0  # 0.001 % of 5,760 values is less than one, within one bin of 2,048
    assert images.min() <= low < 0


def test_the_provenance_of_ranges_names_graph_calibration_and_method(graph, tmp_path):
    ingredients = with_ranges(graph(), tmp_path)
    found = ingredients.artifacts["onnx-ranges"].provenance
    assert found["onnx"] == ingredients.artifacts["onnx-prepared"].digest
    assert found["calibration"] == ingredients.artifacts["calibration"].provenance["content"]
    assert found["route"] == "ONNX Runtime minmax calibration"


SCHEMES = [
    OnnxScheme(activations, weights, per_channel, form)
    for (activations, weights), per_channel, form in itertools.product(
        TYPES, (True, False), ("qoperator", "qdq")
    )
]


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.label)
def test_every_scheme_gives_what_it_says(graph, tmp_path, scheme):
    import onnx
    import onnxruntime

    path = quantized(with_ranges(graph(onnx=scheme), tmp_path), tmp_path)
    model, stored = onnx.load(path), constants(path)
    operators = {node.op_type for node in model.graph.node}
    assert ("QLinearConv" in operators) is (scheme.format == "qoperator")
    assert ("DequantizeLinear" in operators and "Conv" in operators) is (scheme.format == "qdq")
    kernel, matrix = stored["kernel_quantized"], stored["matrix_quantized"]
    forced = scheme.per_channel and scheme.format == "qoperator"
    assert kernel.dtype == ("int8" if forced else scheme.weights)
    assert (matrix.dtype, kernel.shape) == (scheme.weights, (5, 3, 3, 3))
    stated = {entry.key: entry.value for entry in model.metadata_props}["conversion.route"]
    assert ("kernels of convolutions in int8" in stated) is (kernel.dtype != scheme.weights)
    assert stored["kernel_scale"].size == (5 if scheme.per_channel else 1)
    assert stored["x_zero_point"].dtype == np.dtype(scheme.activations)
    images = np.random.RandomState(0).rand(120, 3, 4, 4).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(["y"], {"x": images})
    exact = every_tensor(tmp_path / "prepared.onnx", images)["y"]
    # 0.7 to 1.0 % measured over the twelve schemes
    assert np.sqrt(((found - exact) ** 2).mean()) <= 0.03 * exact.std()


def test_scale_and_zero_point_of_an_activation_come_from_its_range(graph, tmp_path):
    ingredients = with_ranges(graph(), tmp_path)
    stored = constants(quantized(ingredients, tmp_path))
    low, high = ingredients.artifacts["onnx-ranges"].provenance["ranges"]["y"]
    assert stored["y_scale"] == pytest.approx((high - low) / 255, rel=1e-6)
    assert stored["y_zero_point"] == round(-low / ((high - low) / 255))


def test_the_file_is_made_of_the_recorded_ranges(graph, tmp_path):
    ingredients = with_ranges(graph(), tmp_path)
    before = constants(quantized(ingredients, tmp_path))
    path = ingredients.artifacts["onnx-ranges"].path
    recorded = json.loads(path.read_text())
    recorded["data"]["x"]["highest"]["data"] *= 2
    path.write_text(json.dumps(recorded))
    after = constants(quantized(ingredients, tmp_path))
    low, high = ingredients.artifacts["onnx-ranges"].provenance["ranges"]["x"]
    assert before["x_scale"] == pytest.approx((high - min(low, 0)) / 255, rel=1e-6)
    assert after["x_scale"] == pytest.approx(2 * before["x_scale"], rel=1e-6)
    assert after["y_scale"] == before["y_scale"]


def test_ranges_of_another_method_are_not_taken(graph, tmp_path):
    ingredients = with_ranges(graph(), tmp_path)
    other = graph(onnx=OnnxScheme(method="entropy"))
    other.artifacts["onnx-ranges"] = ingredients.artifacts["onnx-ranges"]
    with pytest.raises(ValueError, match=r"produced with CalibrationMethod\.MinMax"):
        quantized(other, tmp_path)


def test_quantizing_twice_gives_the_same_bytes(graph, tmp_path):
    ingredients = with_ranges(graph(), tmp_path)
    one, other = (quantized(ingredients, tmp_path, name) for name in ("one.onnx", "other.onnx"))
    assert one.read_bytes() == other.read_bytes()


def test_per_channel_needs_opset_13(graph, tmp_path):
    ingredients = with_ranges(graph(opset=12), tmp_path)
    with pytest.raises(
        UserError, match=r"Per-channel quantization needs opset 13 or later; the ONNX file has 12"
    ):
        quantized(ingredients, tmp_path)
    assert not (tmp_path / "int8.onnx").exists()


@pytest.mark.parametrize(("opset", "per_channel"), [(12, False), (13, True)])
def test_per_tensor_does_not_need_it_and_13_is_enough(graph, tmp_path, opset, per_channel):
    scheme = OnnxScheme(per_channel=per_channel)
    assert quantized(with_ranges(graph(opset, onnx=scheme), tmp_path), tmp_path).exists()


def test_the_file_states_its_source_scheme_and_calibration(graph, tmp_path):
    import onnx

    from conversion.quantization import onnx_static

    ingredients = with_ranges(graph(), tmp_path)
    path = quantized(ingredients, tmp_path)
    stated = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert onnx_static.stated_source(path) == ingredients.spec.digest
    assert stated["conversion.route"].endswith("uint8-int7-channel-qoperator-minmax")
    content = ingredients.artifacts["calibration"].provenance["content"]
    assert stated["conversion.calibration"] == content
    assert stated["conversion.ranges"] == ingredients.artifacts["onnx-ranges"].digest


def test_int8_activations_with_uint8_weights_are_refused():
    with pytest.raises(UserError, match="got int8/uint8, for which ONNX Runtime has no kernels"):
        OnnxScheme(activations="int8", weights="uint8")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"activations": "int4"}, "activations to be one of uint8, int8; got 'int4'"),
        ({"weights": "float16"}, "weights to be one of uint8, int8; got 'float16'"),
        ({"format": "qlinear"}, "format to be one of qoperator, qdq; got 'qlinear'"),
        ({"method": "mean"}, "method to be one of minmax, entropy, percentile; got 'mean'"),
    ],
    ids=["activations", "weights", "format", "method"],
)
def test_a_scheme_that_does_not_exist_is_refused(wrong, sentence):
    with pytest.raises(UserError, match=sentence):
        OnnxScheme(**wrong)


@pytest.mark.parametrize("opset", [12, 27, 0, -1])
def test_an_opset_out_of_range_is_refused(opset):
    with pytest.raises(UserError, match=f"an opset from 13 to 26; got {opset}"):
        Settings(opset=opset)


def test_settings_are_handed_out_in_parts_as_plain_values():
    chosen = Settings(onnx=OnnxScheme(method="entropy"))
    assert chosen.part("onnx.method") == "entropy"
    assert chosen.part("opset") == 15
    assert chosen.part("calibration") == {"count": 1000, "seed": None, "part": 0}
    assert chosen.seeded(0).part("calibration") == {"count": 1000, "seed": 0, "part": 0}
    assert json.loads(json.dumps(chosen.part("onnx")))["format"] == "qoperator"


def kinds(path):
    import onnx

    return [node.op_type for node in onnx.load(path).graph.node]


@pytest.mark.parametrize("format_", ["qoperator", "qdq"])
@pytest.mark.parametrize(
    ("layers", "kernels"),
    [((), 0), (("first",), 1), (("last",), 1), (("first", "last"), 2)],
    ids=["none", "first", "last", "both"],
)
def test_layers_that_are_chosen_are_left_in_float(graph, tmp_path, format_, layers, kernels):
    scheme = OnnxScheme(format=format_, float_layers=layers)
    path = quantized(with_ranges(graph(onnx=scheme), tmp_path), tmp_path)
    floats = [value for value in constants(path).values() if value.dtype == np.float32]
    assert sum(value.ndim > 1 for value in floats) == kernels
    if format_ == "qoperator":
        assert ("Conv" in kinds(path)) == ("first" in layers)
        assert ("MatMul" in kinds(path)) == ("last" in layers)


def test_a_layer_without_nodes_is_said_and_changes_nothing(graph, tmp_path):
    from conversion.quantization.onnx_static import build

    paths, said = [tmp_path / "all.onnx", tmp_path / "but-one.onnx"], []
    for path, layers in zip(paths, [(), ("middle",)], strict=True):
        ingredients = with_ranges(graph(onnx=OnnxScheme(float_layers=layers)), tmp_path)
        said.append(build(ingredients, path)["warnings"])
    assert kinds(paths[0]) == kinds(paths[1])
    assert said[0] == []
    assert [line.split()[0] for line in said[1]] == ["'middle'"]


def test_the_layers_of_the_embedded_model_are_found_by_topology(embedded):
    places = json.loads(embedded.artifact("onnx-places").path.read_text())
    kernels = [layer.name for layer in embedded.spec.layers if "kernel" in layer.weights]
    assert set(kernels) <= set(places)
    nodes = [node for found in places.values() for node in found]
    assert len(nodes) == len(set(nodes))

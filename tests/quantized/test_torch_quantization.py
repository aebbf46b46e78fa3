"""PyTorch int8: every layer survives it, and a file keeps its ranges, engine and bits."""

import json

import more_models
import numpy as np
import pytest
from small_models import Int8, functional

from conversion.core.errors import UserError
from conversion.core.settings import TorchScheme
from conversion.readers import schema, schema_applications, schema_elementwise

LIMIT = 0.1
"""Of the outputs' spread; 0.9 to 7.2 % measured over these models, 2 % for most: eight bits are one
part in 255 of a range that is 4 to 8 times the spread, and layers add theirs up."""


def conv(name, *reads, **settings):
    usual = {"filters": 4, "kernel_size": [3, 3], "padding": "same"}
    return ("Conv2D", name, list(reads), {**usual, **settings})


def layer(kind, name, *reads, **settings):
    return (kind, name, list(reads), settings)


A, B = conv("a", "x"), conv("b", "x")
FLAT = layer("Flatten", "f", "x")

MODELS = {
    **more_models.MODELS,
    "conv": [conv("y", "x")],
    "conv, norm, relu": [A, layer("BatchNormalization", "n", "a"), layer("ReLU", "y", "n")],
    "conv, relu6": [A, layer("ReLU", "y", "a", max_value=6.0)],
    "wide conv, relu6": [
        layer("Rescaling", "w", "x", scale=100.0, offset=0.0),
        conv("a", "w"),
        layer("ReLU", "r", "a", max_value=6.0),
        conv("y", "r"),
    ],
    "conv, relu with a threshold": [
        A,
        layer("ReLU", "r", "a", max_value=4.0, threshold=0.5),
        conv("y", "r"),
    ],
    "conv, activation": [A, layer("Activation", "r", "a", activation="relu"), conv("y", "r")],
    "strided": [conv("y", "x", strides=[2, 2])],
    "dilated": [conv("y", "x", dilation_rate=[2, 2])],
    "even kernel": [conv("y", "x", kernel_size=[2, 2])],
    "groups": [A, conv("y", "a", groups=2)],
    "depthwise": [layer("DepthwiseConv2D", "y", "x", kernel_size=[3, 3], padding="same")],
    "dense, softmax": [
        FLAT,
        layer("Dense", "a", "f", units=7, activation="relu"),
        layer("Dense", "y", "a", units=5, activation="softmax"),
    ],
    "dense, norm": [
        FLAT,
        layer("Dense", "a", "f", units=7),
        layer("BatchNormalization", "n", "a"),
        layer("Dense", "y", "n", units=5),
    ],
    "dense on images": [layer("Dense", "y", "x", units=5)],
    "norm first": [layer("BatchNormalization", "n", "x"), conv("y", "n")],
    "relu first": [layer("ReLU", "r", "x"), conv("y", "r")],
    "leaky relu between": [A, layer("LeakyReLU", "l", "a", negative_slope=0.3), conv("y", "l")],
    "leaky relu inside": [conv("a", "x", activation="leaky_relu"), conv("y", "a")],
    "sigmoid between": [conv("a", "x", activation="sigmoid"), conv("y", "a")],
    "sigmoid at the end": [A, conv("y", "a", activation="sigmoid")],
    "tanh between": [conv("a", "x", activation="tanh"), conv("y", "a")],
    "softmax between": [
        FLAT,
        layer("Dense", "a", "f", units=5),
        layer("Softmax", "s", "a"),
        layer("Dense", "y", "s", units=4),
    ],
    "maximum": [A, layer("MaxPooling2D", "y", "a", pool_size=[2, 2])],
    "maximum, same": [
        A,
        layer("MaxPooling2D", "y", "a", pool_size=[3, 3], strides=[2, 2], padding="same"),
    ],
    "average": [A, layer("AveragePooling2D", "y", "a", pool_size=[2, 2])],
    "average, same": [
        A,
        layer("AveragePooling2D", "p", "a", pool_size=[3, 3], strides=[2, 2], padding="same"),
        conv("y", "p"),
    ],
    "global average": [
        A,
        layer("GlobalAveragePooling2D", "g", "a"),
        layer("Dense", "y", "g", units=3),
    ],
    "global maximum": [A, layer("GlobalMaxPooling2D", "g", "a"), layer("Dense", "y", "g", units=3)],
    "sum": [A, B, layer("Add", "y", "a", "b")],
    "sum, relu": [
        A,
        conv("b", "a"),
        layer("Add", "s", "a", "b"),
        layer("ReLU", "r", "s"),
        conv("y", "r"),
    ],
    "sum read twice": [
        A,
        B,
        layer("Add", "s", "a", "b"),
        layer("ReLU", "r", "s"),
        layer("Add", "y", "s", "r"),
    ],
    "sum of three": [A, B, conv("c", "x"), layer("Add", "y", "a", "b", "c")],
    "sum with itself": [A, layer("Add", "y", "a", "a")],
    "product": [A, B, layer("Multiply", "m", "a", "b"), conv("y", "m")],
    "side by side": [A, layer("Concatenate", "j", "a", "x", axis=-1), conv("y", "j")],
    "reshaped": [
        A,
        layer("Reshape", "r", "a", target_shape=[12, 12]),
        layer("Dense", "y", "r", units=3),
    ],
    "zeros around": [
        A,
        layer("ZeroPadding2D", "p", "a", padding=[[1, 0], [0, 2]]),
        conv("y", "p", padding="valid"),
    ],
    "rescaled": [layer("Rescaling", "r", "x", scale=0.5, offset=1.0), conv("y", "r")],
    "dropout": [A, layer("Dropout", "d", "a", rate=0.5), conv("y", "d")],
    "relu and its conv, both read": [A, layer("ReLU", "r", "a"), layer("Add", "y", "a", "r")],
    "conv before a relu, given out": [A, layer("ReLU", "y", "a")],
    "read on and given out": [A, conv("y", "a")],
    "float, read on and given out": [
        FLAT,
        layer("Dense", "a", "f", units=5, activation="softmax"),
        layer("Dense", "y", "a", units=4),
    ],
}


def outputs_of(name):
    return ["a", "y"] if name.endswith("given out") else ["y"]


def engines():
    import torch

    return [name for name in torch.backends.quantized.supported_engines if name != "none"]


@pytest.fixture
def made(reference, tmp_path):
    """Builds a model and its int8 file."""

    def build(name, scheme=None, seed=0, folder="int8"):
        config = functional((6, 6, 3), MODELS[name], outputs_of(name))
        return Int8(reference, tmp_path / folder, config, scheme, seed)

    return build


def error(exact, found):
    assert (found.shape, found.dtype) == (exact.shape, exact.dtype)
    return np.sqrt(((found - exact) ** 2).mean()) / np.sqrt(exact.var(axis=0).mean())


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", MODELS)
def test_every_layer_survives_int8(made, name):
    model = made(name)
    exact, found = model.keras(), model.run()
    assert list(found) == outputs_of(name)
    for output, value in found.items():
        assert 0 < error(exact[output], value) <= LIMIT


def test_every_layer_that_the_reader_knows_is_among_the_models():
    kinds = {kind for calls in MODELS.values() for kind, *_ in calls}
    # Augmentation is an identity in all its classes: test_elementwise.py has each. Of what Keras's
    # applications bring along, Keras opens a .keras file alone.
    augmenting = {kind for kind in schema_elementwise.TRAINING_ONLY if kind not in kinds}
    elsewhere = {"InputLayer", *augmenting, *schema_applications.LAYERS}
    # PyTorch has no int8 for convolutions along three axes; test_volumes.py has all in float.
    along_three = {kind for kind in schema.LAYERS if "3D" in kind}
    assert kinds == set(schema.LAYERS) - elsewhere - along_three


@pytest.mark.one_in(3)
@pytest.mark.parametrize("engine", ["onednn", "x86", "fbgemm", "qnnpack"])
@pytest.mark.parametrize(
    "name",
    [
        *("conv, relu6", "sum, relu", "maximum, same", "sum of three"),
        *("Conv1D", "SeparableConv1D", "SeparableConv2D", "MaxPooling1D", "AveragePooling1D"),
        *("ZeroPadding1D", "Cropping2D", "Permute", "RepeatVector"),
    ],
)
def test_every_engine_computes_it(made, name, engine):
    if engine not in engines():
        pytest.skip(f"this build of PyTorch has no engine {engine}")
    for per_channel in (True, False):
        model = made(name, TorchScheme(engine, per_channel, "minmax"), folder=str(per_channel))
        assert error(model.keras()["y"], model.run()["y"]) <= LIMIT


@pytest.mark.parametrize("method", ["histogram", "minmax"])
def test_every_observer_gives_ranges(made, method):
    model = made("conv, norm, relu", TorchScheme(method=method))
    ranges = model.ranges()
    assert set(ranges) == {
        "enter.0.activation_post_process",
        "body.a.activation_post_process",
    }
    assert error(model.keras()["y"], model.run()["y"]) <= LIMIT


def test_a_range_by_minmax_is_that_of_the_images(made):
    model = made("conv")
    low, high = min(model.images.min(), 0), model.images.max()
    found = model.ranges()["enter.0.activation_post_process"]
    assert found["scale"] == pytest.approx((high - low) / 255, rel=1e-6)
    assert found["zero_point"] == round(-low / ((high - low) / 255))


@pytest.mark.parametrize(
    ("engine", "reduce_range", "bits"),
    [("onednn", True, 7), ("onednn", False, 8), ("qnnpack", True, 8)],
)
def test_seven_bits_of_a_weight_leave_room_for_the_sum_of_two_products(
    made, engine, reduce_range, bits
):
    if engine not in engines():
        pytest.skip(f"no {engine} in this PyTorch")
    from conversion.backends.torch_file import load
    from conversion.quantization import torch_static

    scheme = TorchScheme(engine, method="minmax", reduce_range=reduce_range)
    path = made("conv", scheme).make("torch-int8", torch_static.build, ".pt").path
    kernel = load(path, "torch-int8")["state_dict"]["body.y.weight"].int_repr().numpy()
    largest = int(abs(kernel.astype(int)).max())
    assert largest in {7: (63,), 8: (127, 128)}[bits]
    assert (2 * 255 * largest < 2**15) is (bits == 7)


def test_the_file_is_made_of_the_recorded_ranges(made):
    from conversion.backends.torch_file import load
    from conversion.quantization import torch_static

    model = made("conv")
    path = model.ingredients.artifacts["torch-ranges"].path
    ranges = model.ranges()
    ranges["body.y.activation_post_process"]["scale"] *= 2
    before = model.run()["y"]
    path.write_text(json.dumps(ranges))
    changed = model.make("torch-int8", torch_static.build, ".pt")
    state = load(changed.path, "torch-int8")["state_dict"]
    assert float(state["body.y.scale"]) == ranges["body.y.activation_post_process"]["scale"]
    assert error(before, model.run()["y"]) > 0


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_ranges_of_another_model_are_refused(made, change):
    from conversion.quantization import torch_static

    model = made("conv")
    ranges = model.ranges()
    if change == "missing":
        del ranges["body.y.activation_post_process"]
    else:
        ranges["body.z.activation_post_process"] = {"scale": 1.0, "zero_point": 0}
    model.ingredients.artifacts["torch-ranges"].path.write_text(json.dumps(ranges))
    with pytest.raises(UserError, match=r"every activation; these differ: body\.[yz]\.act"):
        model.make("torch-int8", torch_static.build, ".pt")


@pytest.mark.parametrize("name", ["sum, relu", "dense, softmax", "sigmoid between"])
def test_the_loaded_file_gives_the_very_bits_of_the_module_that_was_saved(made, name):
    from conversion.backends.torch_file import TorchRunner
    from conversion.backends.torch_fp32 import rebuild
    from conversion.quantization import torch_static
    from conversion.quantization.torch_prepared import engine

    model = made(name)
    chosen = model.ingredients.settings.torch
    float_file = model.ingredients.artifacts["torch-fp32"].path
    with engine(chosen.engine):
        module, _ = torch_static._quantized(rebuild(float_file), chosen, model.ranges())
        saved = TorchRunner(module, ["x"], ["y"], 1).run({"x": model.images})
    assert model.run()["y"].tobytes() == saved["y"].tobytes()


def test_quantizing_twice_gives_the_same_outputs_and_ranges(made):
    one, other = (made("sum, relu", folder=folder) for folder in ("one", "other"))
    assert one.ranges() == other.ranges()
    assert one.run()["y"].tobytes() == other.run()["y"].tobytes()


def test_each_runner_uses_the_engine_of_its_file_whatever_ran_before(made):
    import torch

    names = [name for name in ("onednn", "qnnpack", "fbgemm") if name in engines()]
    runners = {}
    for name in names:
        model = made("sum, relu", TorchScheme(name, method="minmax"), folder=name)
        runners[name] = model.open()
    feed = {"x": model.images}
    first = {name: runners[name].run(feed)["y"].tobytes() for name in names}
    for name in [*reversed(names), *names]:
        torch.backends.quantized.engine = names[0]
        assert runners[name].run(feed)["y"].tobytes() == first[name]
        assert torch.backends.quantized.engine == name


def test_building_leaves_the_engine_as_it_was(made):
    import torch

    torch.backends.quantized.engine = "qnnpack" if "qnnpack" in engines() else engines()[0]
    before = torch.backends.quantized.engine
    made("conv")
    assert torch.backends.quantized.engine == before


def test_an_engine_that_does_not_exist_is_refused():
    with pytest.raises(UserError, match="engine to be one of onednn, x86, fbgemm, qnnpack"):
        TorchScheme("mkldnn")


def test_an_engine_that_this_pytorch_does_not_have_is_refused():
    from conversion.quantization.torch_prepared import engine

    with pytest.raises(UserError, match=r"engine of this PyTorch \(.*\); got 'nonesuch'"):
        engine("nonesuch").__enter__()


def changed(model, change):
    """The int8 file with its content changed, as an artifact."""
    from small_models import artifact

    from conversion.backends.torch_file import load, save

    content = load(model.ingredients.artifacts["torch-int8"].path, "torch-int8")
    content = {key: content[key] for key in ("spec", "scheme", "ranges", "state_dict")}
    change(content)
    path = model.folder / "changed.pt"
    save(path, "torch-int8", content, {})
    return artifact("torch-int8", path)


def drop(part):
    return lambda content: content["state_dict"].pop(part)


def narrower(content):
    """A kernel of 1 x 1 where 3 x 3 belongs, which torch.ao itself would load."""
    kernel = content["state_dict"]["body.y.weight"]
    content["state_dict"]["body.y.weight"] = kernel[:, :, 1:2, 1:2].clone()


def another_layer(content):
    content["state_dict"]["body.z.weight"] = content["state_dict"]["body.y.weight"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (drop("body.y.weight"), r"does not fit the layers: body\.y\.weight \(4, 3, 3, 3\)"),
        (drop("body.y.scale"), r"does not fit the layers: body\.y\.scale"),
        (drop("enter.0.scale"), r"does not fit the layers: enter\.0\.scale"),
        (narrower, r"body\.y\.weight \(4, 3, 1, 1\), body\.y\.weight \(4, 3, 3, 3\)"),
        (another_layer, r"body\.z\.weight"),
        (lambda content: content.pop("scheme"), "Expected spec, scheme, ranges and state_dict"),
        (lambda content: content.pop("state_dict"), "found otherwise: 'state_dict'"),
        (lambda content: content["scheme"].update(bits=4), "unexpected keyword argument 'bits'"),
        (lambda content: content["scheme"].update(engine="cuda"), "engine to be one of"),
        (lambda content: content["ranges"].clear(), "a recorded range for every activation"),
    ],
    ids=[
        "no kernel",
        "no scale",
        "no input scale",
        "kernel of another shape",
        "one layer more",
        "no scheme",
        "no state",
        "unknown setting",
        "unknown engine",
        "no ranges",
    ],
)
def test_a_file_whose_parts_do_not_fit_is_refused(made, change, sentence):
    model = made("conv")
    with pytest.raises(UserError, match=sentence):
        model.open(changed(model, change))


def test_a_file_with_nothing_changed_opens(made):
    model = made("conv")
    found = model.run(changed(model, lambda content: None))
    assert found["y"].tobytes() == model.run()["y"].tobytes()


def test_a_float_file_is_not_taken_for_an_int8_one(made):
    model = made("conv")
    with pytest.raises(UserError, match=r"Expected a torch-int8 file at .*; the file says"):
        model.open(model.ingredients.artifacts["torch-fp32"])


def test_the_provenance_names_engine_groups_calibration_and_source(made):
    from conversion.quantization import torch_static

    model = made("conv, norm, relu")
    found = model.ingredients.artifacts["torch-int8"]
    assert found.provenance["route"] == "torch.ao eager mode, onednn-int7-channel-minmax"
    assert found.provenance["fused"] == [["a", "n", "y"]]
    content = model.ingredients.artifacts["calibration"].provenance["content"]
    assert found.provenance["calibration"] == content
    assert torch_static.stated_source(found.path) == model.ingredients.spec.digest


FUSED = {
    "conv, activation": [["a", "r"]],
    "conv, relu6": [["a", "y"]],
    "wide conv, relu6": [["a", "r"]],
    "dense, softmax": [["a", "a_relu"]],
    "dense, norm": [],
    "sum, relu": [["s", "r"]],
    "sum read twice": [],
    "read on and given out": [],
    "relu and its conv, both read": [],
    "conv before a relu, given out": [],
}


@pytest.mark.parametrize("name", FUSED)
def test_only_what_nobody_else_reads_is_fused(made, name):
    assert made(name).ingredients.artifacts["torch-int8"].provenance["fused"] == FUSED[name]


def test_every_kernel_is_stored_in_eight_bits(made):
    from conversion.quantization import torch_static

    model = made("dense, softmax")
    path = model.ingredients.artifacts["torch-int8"].path
    assert torch_static.eight_bit_elements(path) == 108 * 7 + 7 * 5


def test_the_embedded_network_in_int8_keeps_its_answers(embedded):
    images = embedded.test.images[:100].astype(np.float32)
    exact, found = (
        embedded.runner(name).run({embedded.spec.inputs[0]: images})[embedded.spec.outputs[0]]
        for name in ("torch-fp32", "torch-int8")
    )
    assert (exact.argmax(axis=1) == found.argmax(axis=1)).mean() >= 0.9  # 0.97 or more of 10,000

"""A refused Lambda is answered with the standard layer that probably does the same."""

import base64
import json
import marshal

import legacy_files as files
import pytest
from refused_files import refusal

from conversion.readers.lambda_hints import hint

tf = K = keras = None  # only names: no function below is called


def stored(function):
    """A function as Keras 2 stores it."""
    return [base64.b64encode(marshal.dumps(function.__code__)).decode(), None, None]


FUNCTIONS = {
    "pixels": (lambda x: x / 255.0, "Rescaling"),
    "pixels-whole": (lambda x: x / 255, "Rescaling"),
    "centred": (lambda x: x / 127.5 - 1.0, "Rescaling"),
    "resize": (lambda x: tf.image.resize(x, (96, 96)), "Resizing"),
    "resize-of-pixels": (lambda x: tf.image.resize(x / 255.0, (96, 96)), "Resizing"),
    "mean": (lambda x: K.mean(x, axis=[1, 2]), "GlobalAveragePooling2D"),
    "reduce-mean": (lambda x: tf.reduce_mean(x, [1, 2]), "GlobalAveragePooling2D"),
    "normalize": (lambda x: K.l2_normalize(x, axis=-1), "UnitNormalization"),
    "permute": (lambda x: K.permute_dimensions(x, (0, 3, 1, 2)), "Permute"),
    "reshape": (lambda x: tf.reshape(x, (-1, 4)), "Reshape"),
    "squeeze": (lambda x: tf.squeeze(x, 1), "Reshape"),
    "relu6": (lambda x: tf.nn.relu6(x), "ReLU(max_value=6)"),
    "relu": (lambda x: K.relu(x), "ReLU"),
    "swish": (lambda x: tf.nn.swish(x), "Activation('silu')"),
    "softmax": (lambda x: keras.activations.softmax(x), "Softmax"),
    "concat": (lambda x: tf.concat(x, axis=-1), "Concatenate"),
    "pad": (lambda x: tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), "ZeroPadding2D"),
}


@pytest.mark.parametrize(("function", "layer"), FUNCTIONS.values(), ids=list(FUNCTIONS))
def test_a_function_is_told_by_the_names_and_numbers_in_it(function, layer):
    assert hint("Lambda", {"function": stored(function)}).startswith(layer)


def test_what_names_nothing_known_has_no_hint():
    assert hint("Lambda", {"function": stored(lambda x: x[:, 1:])}) == ""


@pytest.mark.parametrize(
    ("function", "layer"),
    [("math.truediv", "Rescaling"), ("nn.relu6", "ReLU(max_value=6)"), ("math.add", "Add")],
)
def test_an_operation_of_keras_2_is_told_by_its_function(function, layer):
    assert hint("TFOpLambda", {"name": "it", "function": function}).startswith(layer)


def test_a_layer_may_be_told_by_its_own_name():
    assert hint("Lambda", {"name": "resize"}) == "Resizing or UpSampling2D"


@pytest.mark.parametrize("settings", [None, 3, {}, {"function": "x" * 400}, {"a": ["\ud800"]}])
def test_any_settings_are_looked_at_without_harm(settings):
    assert hint("Lambda", settings) == ""


def test_the_refusal_names_the_layer(path):
    config = files.functional(files.small())
    layer = next(each for each in config["config"]["layers"] if each["name"] == "flatten")
    layer["class_name"] = "Lambda"
    layer["config"]["function"] = stored(FUNCTIONS["pixels"][0])
    said = refusal(files.write(path, files.small(), json.loads(json.dumps(config))))
    assert "layer 'flatten' uses 'Lambda'" in said
    assert "--replace 'flatten=Rescaling(scale=1/255)'" in said

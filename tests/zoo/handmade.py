"""Small models, as Keras describes them, of the layers that no family of applications has."""

IMAGE = (16, 16, 3)
PIXELS = {"scale": 1 / 127.5, "offset": -1.0}
SAME = {"padding": "same"}
FIRST = {"data_format": "channels_first"}


def call(kind, name, *reads, **settings):
    """A layer and the layers that it reads; each is a name, or a name and which call of it."""
    entry = {"module": "keras.layers", "class_name": kind, "config": {"name": name, **settings}}
    return {**entry, "name": name, "inbound_nodes": [_node(reads)] if reads else []}


def _node(reads):
    found = [_tensor(each) for each in reads]
    return {"args": [found if len(found) > 1 else found[0]], "kwargs": {}}


def _tensor(read):
    name, at = (read, 0) if isinstance(read, str) else read
    config = {"shape": [None], "dtype": "float32", "keras_history": [name, at, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


def given(name, shape):
    return call("InputLayer", name, batch_shape=[None, *shape], dtype="float32")


def model(inputs, layers, outputs, name="model", calls=()):
    """A functional model; `calls` are what it reads where it stands inside another."""
    config = {
        "name": name,
        "layers": [*(given(each, shape) for each, shape in inputs.items()), *layers],
        "input_layers": [[each, 0, 0] for each in inputs],
        "output_layers": [[each, 0, 0] for each in outputs],
    }
    whole = {"module": "keras.src.models.functional", "class_name": "Functional", "config": config}
    return {**whole, "name": name, "inbound_nodes": [_node([each]) for each in calls]}


def chain(before, *layers):
    """Layers of which each reads the one before it: triples of kind, name and settings."""
    made = []
    for kind, name, settings in layers:
        made.append(call(kind, name, before, **settings))
        before = name
    return made


def conv(name, read, filters=12, size=3, **settings):
    chosen = {"filters": filters, "kernel_size": [size, size], **SAME, **settings}
    return call("Conv2D", name, read, **chosen)


def answers(read, classes, activation="softmax", name="answers"):
    return call("Dense", name, read, units=classes, activation=activation)


def sequence():
    layers = chain(
        "x",
        ("Conv1D", "causal", {"filters": 16, "kernel_size": 3, "padding": "causal"}),
        ("BatchNormalization", "norm", {}),
        ("ReLU", "relu", {}),
        ("DepthwiseConv1D", "depthwise", {"kernel_size": 3, "depth_multiplier": 2, **SAME}),
        ("SeparableConv1D", "separable", {"filters": 16, "kernel_size": 3}),
        ("LeakyReLU", "leaky", {"negative_slope": 0.3}),
        ("MaxPooling1D", "maximum", {"pool_size": 2}),
        ("SpatialDropout1D", "dropout", {"rate": 0.2}),
        ("ZeroPadding1D", "pad", {"padding": [1, 2]}),
        ("Conv1D", "strided", {"filters": 16, "kernel_size": 3, "strides": 2, "groups": 2}),
        ("AveragePooling1D", "average", {"pool_size": 2, "strides": 1, **SAME}),
        ("UpSampling1D", "larger", {"size": 2}),
        ("Cropping1D", "crop", {"cropping": [1, 0]}),
        ("Conv1DTranspose", "transposed", {"filters": 12, "kernel_size": 3, "strides": 2}),
    )
    layers += [
        call("GlobalAveragePooling1D", "mean", "transposed", keepdims=True),
        call("GlobalMaxPooling1D", "most", "transposed", keepdims=True),
        call("Concatenate", "both", "mean", "most", axis=-1),
        call("Flatten", "flat", "both"),
        answers("flat", 5),
    ]
    return model({"x": (32, 6)}, layers, ["answers"])


def autoencoder():
    half = {"kernel_size": [3, 3], "strides": [2, 2], **SAME}
    layers = chain(
        "x",
        ("Rescaling", "scaled", PIXELS),
        ("Conv2D", "down", {"filters": 16, **half}),
        ("PReLU", "prelu", {"shared_axes": [1, 2]}),
        ("Conv2D", "deep", {"filters": 24, **half}),
        ("ELU", "elu", {"alpha": 0.5}),
        ("Conv2DTranspose", "up", {"filters": 16, **half}),
        ("BatchNormalization", "norm", {}),
        ("ReLU", "relu", {"max_value": 6.0}),
        ("Conv2DTranspose", "whole", {"filters": 8, "kernel_size": [2, 2], "strides": [2, 2]}),
        ("LeakyReLU", "leaky", {"negative_slope": 0.2}),
    )
    return model(
        {"x": IMAGE}, [*layers, conv("image", "leaky", 3, activation="sigmoid")], ["image"]
    )


def mixer():
    layers = [
        call("Rescaling", "scaled", "x", **PIXELS),
        conv("patches", "scaled", 24, 4, strides=[4, 4], padding="valid"),
        call("Reshape", "tokens", "patches", target_shape=[16, 24]),
        call("LayerNormalization", "norm", "tokens"),
        call("Permute", "turned", "norm", dims=[2, 1]),
        call("Dense", "across", "turned", units=16, activation="gelu"),
        call("Permute", "back", "across", dims=[2, 1]),
        call("Add", "mixed", "tokens", "back"),
        call("Dense", "queries", "mixed", units=8),
        call("Dense", "keys", "mixed", units=8),
        call("Dot", "alike", "queries", "keys", axes=[2, 2], normalize=True),
        call("Softmax", "weights", "alike", axis=-1),
        call("Dot", "attended", "weights", "mixed", axes=[2, 1]),
        call("Add", "summed", "mixed", "attended"),
        call("GlobalAveragePooling1D", "mean", "summed"),
        call("RepeatVector", "repeated", "mean", n=3),
        call("Flatten", "flat", "repeated"),
        answers("flat", 7),
    ]
    return model({"x": IMAGE}, layers, ["answers"])


def normalised():
    statistics = {"mean": [120.0, 110.0, 100.0], "variance": [3600.0, 4900.0, 4000.0]}
    layers = chain(
        "x",
        ("Normalization", "norm", {"axis": -1, **statistics}),
        ("RandomFlip", "flip", {"mode": "horizontal"}),
        ("RandomRotation", "rotation", {"factor": 0.1}),
        ("RandomZoom", "zoom", {"height_factor": 0.1}),
        ("RandomTranslation", "shift", {"height_factor": 0.1, "width_factor": 0.1}),
        ("RandomContrast", "contrast", {"factor": 0.2}),
        ("RandomBrightness", "light", {"factor": 0.2}),
        ("GaussianNoise", "noise", {"stddev": 0.1}),
        ("Conv2D", "first", {"filters": 16, "kernel_size": [3, 3]}),
        ("GroupNormalization", "groups", {"groups": 4}),
        ("Activation", "silu", {"activation": "silu"}),
        ("AlphaDropout", "alpha", {"rate": 0.1}),
        ("Conv2D", "second", {"filters": 16, "kernel_size": [3, 3], "strides": [2, 2]}),
        ("LayerNormalization", "layer", {}),
        ("SpatialDropout2D", "maps", {"rate": 0.1}),
        ("ReLU", "relu", {"negative_slope": 0.1}),
        ("Conv2D", "third", {"filters": 16, "kernel_size": [3, 3]}),
        ("GaussianDropout", "gauss", {"rate": 0.1}),
        ("ActivityRegularization", "held", {"l2": 0.01}),
        ("UnitNormalization", "unit", {}),
        ("RMSNormalization", "rms", {}),
        ("Identity", "same", {}),
        ("Flatten", "flat", {}),
    )
    return model({"x": IMAGE}, [*layers, answers("flat", 6)], ["answers"])


def merged():
    layers = [call("Rescaling", "scaled", "x", **PIXELS)]
    layers += [conv(name, "scaled", 8, activation="relu") for name in "abc"]
    layers += [
        call("Add", "sum", "a", "b", "c"),
        call("Subtract", "difference", "a", "b"),
        call("Multiply", "product", "b", "c"),
        call("Average", "mean", "a", "b", "c"),
        call("Maximum", "most", "a", "c"),
        call("Minimum", "least", "b", "c"),
        call("Concatenate", "all", *("sum", "difference", "product"), *("mean", "most", "least")),
        conv("joined", "all", 24, strides=[2, 2], activation="relu"),
        call("GlobalAveragePooling2D", "pool", "joined"),
        answers("pool", 6),
    ]
    return model({"x": IMAGE}, layers, ["answers"])


def resized():
    layers = chain(
        "x",
        ("Rescaling", "scaled", PIXELS),
        ("ZeroPadding2D", "pad", {"padding": [[1, 0], [0, 2]]}),
        ("Conv2D", "first", {"filters": 12, "kernel_size": [3, 3], "activation": "relu"}),
        ("UpSampling2D", "smooth", {"size": [2, 2], "interpolation": "bilinear"}),
        ("Cropping2D", "crop", {"cropping": [[1, 2], [3, 0]]}),
        ("SeparableConv2D", "second", {"filters": 16, "kernel_size": [3, 3], "strides": [2, 2]}),
        ("UpSampling2D", "blocks", {"size": [2, 1]}),
        ("Resizing", "bilinear", {"height": 11, "width": 9}),
        ("Conv2D", "third", {"filters": 16, "kernel_size": [3, 3], "dilation_rate": [2, 2]}),
        ("Resizing", "nearest", {"height": 8, "width": 8, "interpolation": "nearest"}),
        ("AveragePooling2D", "average", {"pool_size": [3, 3], "strides": [1, 1], **SAME}),
        ("MaxPooling2D", "maximum", {"pool_size": [2, 2]}),
    )
    layers += [
        call("GlobalMaxPooling2D", "most", "maximum", keepdims=True),
        call("Flatten", "flat", "most"),
        answers("flat", 3, "linear", "numbers"),
    ]
    return model({"x": (16, 12, 3)}, layers, ["numbers"])


NAMED = (
    *("celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu"),
    *("hard_tanh", "leaky_relu", "log_sigmoid", "log_softmax", "mish", "relu6", "selu", "sigmoid"),
    *("silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid"),
    *("squareplus", "tanh", "tanh_shrink"),
)
"""Activations of which one model has all."""


def activated():
    layers = [call("Rescaling", "scaled", "x", **PIXELS), conv("first", "scaled", 8)]
    layers += [call("Activation", f"it_{name}", "first", activation=name) for name in NAMED]
    layers += [
        call("Concatenate", "all", *(f"it_{name}" for name in NAMED)),
        conv("joined", "all", 24, strides=[2, 2], activation="relu"),
        call("GlobalAveragePooling2D", "pool", "joined"),
        answers("pool", 6),
    ]
    return model({"x": (12, 12, 3)}, layers, ["answers"])


def channels_first():
    plain = {"use_bias": False, **FIRST}  # Keras adds a bias along the wrong axis at some widths
    layers = chain(
        "x",
        ("Rescaling", "scaled", PIXELS),
        ("Conv2D", "first", {"filters": 12, "kernel_size": [3, 3], **SAME, **plain}),
        ("BatchNormalization", "norm", {"axis": 1}),
        ("ReLU", "relu", {}),
        ("MaxPooling2D", "maximum", {"pool_size": [2, 2], **FIRST}),
        ("ZeroPadding2D", "pad", {"padding": [[0, 1], [1, 0]], **FIRST}),
        ("DepthwiseConv2D", "depthwise", {"kernel_size": [3, 3], **plain}),
        ("Conv2D", "second", {"filters": 16, "kernel_size": [1, 1], **plain}),
        ("BatchNormalization", "norm_2", {"axis": 1}),
        ("ReLU", "relu_2", {}),
        ("GlobalAveragePooling2D", "pool", {"keepdims": True, **FIRST}),
        ("Flatten", "flat", {}),
    )
    return model({"x": (3, 18, 14)}, [*layers, answers("flat", 5)], ["answers"])


def nested():
    """A model inside that reads two images, a shared layer, two inputs and two outputs."""
    inside = [
        call("Rescaling", "scaled", "image", **PIXELS),
        conv("first", "scaled", 12, strides=[2, 2]),
        call("BatchNormalization", "norm", "first"),
        call("ReLU", "relu", "norm"),
        call("GlobalAveragePooling2D", "pool", "relu"),
    ]
    shared = call("Dense", "shared", ("eye", 0), units=12, activation="tanh")
    shared["inbound_nodes"].append(_node([("eye", 1)]))
    layers = [
        model({"image": IMAGE}, inside, ["pool"], "eye", ["left", "right"]),
        shared,
        call("Subtract", "difference", "shared", ("shared", 1)),
        call("Concatenate", "all", "shared", "difference", ("shared", 1)),
        answers("all", 4),
        answers("difference", 1, "sigmoid", "chance"),
    ]
    return model({"left": IMAGE, "right": IMAGE}, layers, ["answers", "chance"])


def numbers(units, activation):
    """A few Dense layers on ten numbers."""
    layers = [
        call("Dense", "first", "x", units=32, activation="relu"),
        call("Dropout", "dropout", "first", rate=0.2),
        call("Dense", "second", "dropout", units=16, activation="relu"),
        answers("second", units, activation, "last"),
    ]
    return model({"x": (10,)}, layers, ["last"])


MODELS = {
    "sequence": sequence(),
    "autoencoder": autoencoder(),
    "mixer": mixer(),
    "normalised": normalised(),
    "merged": merged(),
    "resized": resized(),
    "activated": activated(),
    "channels_first": channels_first(),
    "nested": nested(),
    "dense, softmax": numbers(4, "softmax"),
    "dense, sigmoid": numbers(1, "sigmoid"),
    "dense, linear": numbers(1, "linear"),
}
"""Stable word to a model's description."""


def kinds(described):
    """The classes of layers in a description, those inside nested models too."""
    for layer in described["config"].get("layers", ()):
        if "layers" in layer["config"]:
            yield from kinds(layer)
        else:
            yield layer["class_name"]

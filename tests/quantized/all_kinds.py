"""Small models of every kind of layer, between layers with kernels where that can be."""

from pathlib import Path

import more_models
from small_models import functional, images
from tools.keras_models import save_model

from conversion.core.artifact import Store
from conversion.core.settings import Settings
from conversion.proof.checks import checks
from conversion.proof.checks.case import Case
from conversion.readers import read_spec
from conversion.subjects import Subject
from conversion.subjects.data import Dataset
from conversion.workspace import Workspace


def call(kind, name, *reads, **settings):
    return (kind, name, list(reads), settings)


def conv(name, *reads, **settings):
    usual = {"filters": 4, "kernel_size": [3, 3], "padding": "same"}
    return call("Conv2D", name, *reads, **{**usual, **settings})


def branch(number):
    """Two layers that read `s`, named by a number."""
    first = conv(f"a{number}", "s", kernel_size=[1, 1], activation="relu")
    return [first, conv(f"b{number}", f"a{number}", activation="relu")]


def sequence(*calls):
    """Calls that read `r`, twelve steps of twelve channels, and end in `m`."""
    return [
        conv("a", "x"),
        call("Reshape", "r", "a", target_shape=[12, 12]),
        *calls,
        call("Dense", "y", "m", units=3),
    ]


A, B = conv("a", "x"), conv("b", "x")
NORM = call("BatchNormalization", "n", "a")
FLAT = call("Flatten", "f", "x")
NAMED = (
    *("celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_tanh"),
    *("leaky_relu", "log_sigmoid", "log_softmax", "mish", "relu6", "selu", "sigmoid"),
    *("soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid"),
    *("sparsemax", "squareplus", "swish", "tanh", "tanh_shrink", "hard_silu", "silu"),
)
FIRST = {"data_format": "channels_first"}

MODELS = {
    **more_models.MODELS,
    **{
        f"activation {name}": [A, call("Activation", "m", "a", activation=name), conv("y", "m")]
        for name in NAMED
    },
    "conv": [conv("y", "x")],
    "conv without a bias": [conv("a", "x", use_bias=False), conv("y", "a", use_bias=False)],
    "conv, norm, relu": [A, NORM, call("ReLU", "m", "n"), conv("y", "m")],
    "conv, relu6": [A, call("ReLU", "m", "a", max_value=6.0), conv("y", "m")],
    "relu with a threshold": [
        A,
        call("ReLU", "m", "a", max_value=4.0, threshold=0.5),
        conv("y", "m"),
    ],
    "relu with a slope": [A, call("ReLU", "m", "a", negative_slope=0.25), conv("y", "m")],
    "strided": [conv("a", "x", strides=[2, 2]), conv("y", "a", padding="valid")],
    "dilated": [conv("a", "x", dilation_rate=[2, 2]), conv("y", "a")],
    "groups": [A, conv("m", "a", groups=2), conv("y", "m")],
    "depthwise": [call("DepthwiseConv2D", "a", "x", kernel_size=[3, 3]), conv("y", "a")],
    "depthwise, multiplied": [
        call("DepthwiseConv2D", "a", "x", kernel_size=[3, 3], depth_multiplier=2),
        NORM,
        call("ReLU", "m", "n", max_value=6.0),
        conv("y", "m"),
    ],
    "dense only": [
        FLAT,
        call("Dense", "a", "f", units=7, activation="relu"),
        call("Dense", "y", "a", units=5),
    ],
    "dense without a bias": [
        FLAT,
        call("Dense", "a", "f", units=7, use_bias=False),
        call("Dense", "y", "a", units=5),
    ],
    "dense, norm": [FLAT, call("Dense", "a", "f", units=7), NORM, call("Dense", "y", "n", units=5)],
    "dense on images": [call("Dense", "a", "x", units=5), call("Dense", "y", "a", units=3)],
    "softmax head": [
        A,
        call("GlobalAveragePooling2D", "g", "a"),
        call("Dense", "y", "g", units=3, activation="softmax"),
    ],
    "sigmoid head": [
        A,
        call("Flatten", "f", "a"),
        call("Dense", "y", "f", units=1, activation="sigmoid"),
    ],
    "two outputs": [A, conv("y", "a"), call("Flatten", "f", "a"), call("Dense", "z", "f", units=3)],
    "read on and given out": [A, call("ReLU", "m", "a"), conv("y", "m"), conv("z", "y")],
    "leaky relu": [A, call("LeakyReLU", "m", "a", negative_slope=0.3), conv("y", "m")],
    "softmax layer": [
        FLAT,
        call("Dense", "a", "f", units=5),
        call("Softmax", "m", "a"),
        call("Dense", "y", "m", units=4),
    ],
    "max pooling": [A, call("MaxPooling2D", "m", "a", pool_size=[2, 2]), conv("y", "m")],
    "max pooling, relu": [
        A,
        call("MaxPooling2D", "p", "a", pool_size=[2, 2]),
        call("ReLU", "m", "p"),
        conv("y", "m"),
    ],
    "relu, relu6": [
        A,
        call("ReLU", "r", "a"),
        call("ReLU", "m", "r", max_value=6.0),
        conv("y", "m"),
    ],
    "relu and its conv, both read": [
        A,
        call("ReLU", "r", "a"),
        call("Add", "m", "a", "r"),
        conv("y", "m"),
    ],
    "relu first, both read": [
        call("ReLU", "a", "x"),
        conv("b", "x"),
        conv("c", "a"),
        call("Add", "m", "b", "c"),
        conv("y", "m"),
    ],
    "larger, relu": [
        A,
        call("UpSampling2D", "u", "a", size=[2, 2]),
        call("ReLU", "m", "u"),
        conv("y", "m"),
    ],
    "before a relu, given out": [A, call("ReLU", "m", "a"), conv("y", "m")],
    "max pooling, same": [
        A,
        call("MaxPooling2D", "m", "a", pool_size=[3, 3], strides=[2, 2], padding="same"),
        conv("y", "m"),
    ],
    "average pooling": [A, call("AveragePooling2D", "m", "a", pool_size=[2, 2]), conv("y", "m")],
    "average pooling, same": [
        A,
        call("AveragePooling2D", "m", "a", pool_size=[3, 3], strides=[2, 2], padding="same"),
        conv("y", "m"),
    ],
    "global maximum": [A, call("GlobalMaxPooling2D", "m", "a"), call("Dense", "y", "m", units=3)],
    "global maximum, kept": [
        A,
        call("GlobalMaxPooling2D", "m", "a", keepdims=True),
        conv("y", "m"),
    ],
    "global average, kept": [
        A,
        call("GlobalAveragePooling2D", "m", "a", keepdims=True),
        conv("y", "m"),
    ],
    "sum": [A, B, call("Add", "m", "a", "b"), conv("y", "m")],
    "sum, relu": [
        A,
        conv("b", "a"),
        call("Add", "s", "a", "b"),
        call("ReLU", "m", "s"),
        conv("y", "m"),
    ],
    "sum of three": [A, B, conv("c", "x"), call("Add", "m", "a", "b", "c"), conv("y", "m")],
    "sum with itself": [A, call("Add", "m", "a", "a"), conv("y", "m")],
    "product": [A, B, call("Multiply", "m", "a", "b"), conv("y", "m")],
    "gate": [
        A,
        call("GlobalAveragePooling2D", "g", "a", keepdims=True),
        conv("b", "g", kernel_size=[1, 1], activation="sigmoid"),
        call("Multiply", "m", "a", "b"),
        conv("y", "m"),
    ],
    "side by side": [A, call("Concatenate", "m", "a", "x", axis=-1), conv("y", "m")],
    "side by side, unlike": [
        A,
        call("Rescaling", "b", "x", scale=20.0, offset=0.0),
        call("Concatenate", "m", "a", "b", axis=-1),
        conv("y", "m"),
    ],
    "branches": [
        conv("s", "x", activation="relu"),
        *(each for number in range(4) for each in branch(number)),
        call("Concatenate", "c", "b0", "b1", axis=-1),
        call("Concatenate", "d", "c", "b2", axis=-1),
        call("Concatenate", "m", "d", "b3", axis=-1),
        conv("y", "m"),
    ],
    "branches, one pooled": [
        conv("s", "x", activation="relu"),
        *branch(0),
        call("MaxPooling2D", "p", "s", pool_size=[3, 3], strides=[1, 1], padding="same"),
        call("Concatenate", "m", "b0", "p", axis=-1),
        conv("y", "m"),
    ],
    "branches, one averaged": [
        conv("s", "x", activation="relu"),
        *branch(0),
        call("AveragePooling2D", "p", "s", pool_size=[2, 2], strides=[1, 1], padding="same"),
        call("Concatenate", "m", "b0", "p", axis=-1),
        conv("y", "m"),
    ],
    "one above the other": [A, B, call("Concatenate", "m", "a", "b", axis=1), conv("y", "m")],
    "rescaled": [call("Rescaling", "a", "x", scale=0.5, offset=1.0), conv("y", "a")],
    "norm first": [call("BatchNormalization", "n", "x"), conv("y", "n")],
    "norm after relu": [conv("a", "x", activation="relu"), NORM, conv("y", "n")],
    "minimum of what is read again": [
        A,
        call("Conv2D", "b", "a", filters=4, kernel_size=[3, 3], padding="same"),
        call("Minimum", "m", "a", "b"),
        call("Conv2D", "c", "a", filters=4, kernel_size=[3, 3], padding="same"),
        call("Concatenate", "j", "m", "c", axis=-1),
        conv("y", "j"),
    ],
    "sum beside exponentials": [
        conv("a", "x", activation="silu"),
        conv("b", "x", activation="log_sigmoid"),
        call("Add", "m", "a", "b"),
        conv("y", "m"),
    ],
    "norm after squareplus": [
        conv("a", "x", activation="squareplus"),
        NORM,
        call("GlobalMaxPooling2D", "y", "n"),
    ],
    "dropout": [A, call("Dropout", "m", "a", rate=0.5), conv("y", "m")],
    "zeros around": [A, call("ZeroPadding2D", "m", "a", padding=[[1, 0], [0, 2]]), conv("y", "m")],
    "larger, bilinear": [
        A,
        call("UpSampling2D", "m", "a", size=[2, 2], interpolation="bilinear"),
        conv("y", "m"),
    ],
    "resized, nearest": [
        A,
        call("Resizing", "m", "a", height=9, width=4, interpolation="nearest"),
        conv("y", "m"),
    ],
    "transposed, same": [
        A,
        call(
            "Conv2DTranspose",
            "m",
            "a",
            filters=5,
            kernel_size=[3, 3],
            strides=[2, 2],
            padding="same",
        ),
        conv("y", "m"),
    ],
    "transposed, relu": [
        A,
        call("Conv2DTranspose", "m", "a", filters=5, kernel_size=[2, 2], activation="relu"),
        conv("y", "m"),
    ],
    "transposed, norm": [
        call("Conv2DTranspose", "a", "x", filters=5, kernel_size=[3, 3], use_bias=False),
        NORM,
        conv("y", "n"),
    ],
    "conv 1d, maximum, conv 1d": sequence(
        call("Conv1D", "c", "r", filters=5, kernel_size=3, activation="relu"),
        call("MaxPooling1D", "p", "c", pool_size=2),
        call("Conv1D", "m", "p", filters=4, kernel_size=3),
    ),
    "conv 1d, norm, relu": sequence(
        call("Conv1D", "c", "r", filters=5, kernel_size=3, padding="same"),
        call("BatchNormalization", "n", "c"),
        call("ReLU", "m", "n"),
    ),
    "causal": sequence(
        call("Conv1D", "m", "r", filters=5, kernel_size=3, padding="causal", dilation_rate=2)
    ),
    "transposed 1d, same": sequence(
        call("Conv1DTranspose", "m", "r", filters=5, kernel_size=3, strides=2, padding="same")
    ),
    "dot of sequences": [
        *sequence(call("Conv1D", "m", "r", filters=12, kernel_size=1))[:-1],
        call("Dot", "d", "r", "m", axes=[2, 2]),
        call("Flatten", "f", "d"),
        call("Dense", "y", "f", units=3),
    ],
    "channels first": [
        call("Permute", "r", "x", dims=[3, 1, 2]),
        conv("a", "r", **FIRST),
        conv("b", "a", padding="valid", activation="relu", filters=5, **FIRST),
        call("GlobalAveragePooling2D", "g", "b", **FIRST),
        call("Dense", "y", "g", units=3),
    ],
    "separable, norm": [
        call("SeparableConv2D", "a", "x", filters=5, kernel_size=[3, 3], use_bias=False),
        NORM,
        call("ReLU", "m", "n"),
        conv("y", "m"),
    ],
}
"""Name of the model to its calls."""

OUTPUTS = {
    "before a relu, given out": ["a", "y"],
    "two outputs": ["z", "y"],
    "read on and given out": ["y", "z"],
}


def config(name):
    return functional((6, 6, 3), MODELS[name], OUTPUTS.get(name, ["y"]))


def workspace(reference, folder, name, described=None, count=200, **settings):
    """A small model with 100 images to calibrate on and 200 to judge by."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = save_model(reference, folder / "small.keras", described or config(name))
    words = {"test": images((6, 6, 3), count, 1), "train": images((6, 6, 3), 100, 2)}
    sets = {split: Dataset(values, None, source=split) for split, values in words.items()}
    subject = Subject(name, path, read_spec(path), **sets)
    return Workspace(subject, reference, Store(folder / "store"), Settings(**settings), threads=1)


def judged(workspace, backend, topics=("structure", "quantization")):
    """Every measurement of the topics."""
    case = Case(workspace, backend)
    try:
        return [m for check in checks(backend, topics) for m in check.measure(case)]
    finally:
        workspace.runs.forget(backend)  # or a process stays for each of hundreds of models

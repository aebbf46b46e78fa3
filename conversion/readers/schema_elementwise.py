"""The reader's half of activations, of merges and of what is only there in training."""

from __future__ import annotations

from math import prod

from conversion.core.errors import UserError
from conversion.core.layer_rule import (
    Config,
    Inputs,
    LayerRule,
    with_bias,
)
from conversion.core.spec import Shape
from conversion.readers.activations import ACTIVE
from conversion.readers.axes import axes_of
from conversion.readers.spatial_axes import FORMATS, parted


def _dense(config: Config, inputs: Inputs) -> Shape:
    return (*inputs[0][:-1], config["units"])


def _dense_weights(config: Config, inputs: Inputs) -> dict[str, Shape]:
    return with_bias(config, {"kernel": (inputs[0][-1], config["units"])}, config["units"])


def _dense_cost(config: Config, inputs: Inputs, output: Shape) -> int:
    return prod(size or 1 for size in inputs[0]) * int(config["units"])


def _softmax(config: Config, inputs: Inputs) -> Shape:
    axes_of(config.get("axis", -1), inputs[0])
    return inputs[0]


def _prelu_weights(config: Config, inputs: Inputs) -> dict[str, Shape]:
    shared = axes_of(config.get("shared_axes") or [], inputs[0])
    alpha = tuple(1 if axis in shared else size for axis, size in enumerate(inputs[0]))
    if None in alpha:
        raise UserError(f"its slopes must have a size; it gets {inputs[0]}: share those axes.")
    return {"alpha": alpha}


def broadcast(inputs: Inputs) -> Shape:
    """The shape of a merge: axes are added in front, and a size of 1 is repeated.

    Raises:
        UserError: two sizes differ and neither is 1.
    """
    rank = max(len(shape) for shape in inputs)
    padded = [(*[1] * (rank - len(shape)), *shape) for shape in inputs]
    found: list[int | None] = []
    for sizes in zip(*padded, strict=True):
        others = {size for size in sizes if size != 1}
        if len(others - {None}) > 1:
            raise UserError(f"inputs of shapes that do not fit each other: {list(inputs)}.")
        found.append(None if None in others else others.pop() if others else 1)
    return tuple(found)


def _merge(least: int, most: int | None = None) -> LayerRule:
    def shape(config: Config, inputs: Inputs) -> Shape:
        if len(inputs) < least or (most is not None and len(inputs) > most):
            raise UserError(f"it reads {len(inputs)} inputs; it needs {most or 'more'}.")
        return broadcast(inputs)

    return LayerRule(shape)


def _dot(config: Config, inputs: Inputs) -> Shape:
    axes = config["axes"]
    if len(inputs) != 2:
        raise UserError(f"it reads {len(inputs)} inputs; it needs 2.")
    pair = [axes, axes] if isinstance(axes, int) else list(axes)
    left, right = (axes_of(axis, shape)[0] for axis, shape in zip(pair, inputs, strict=True))
    first, second = list(inputs[0]), list(inputs[1])
    if first.pop(left) != second.pop(right):
        raise UserError(f"axes {axes} of {list(inputs)} have different sizes.")
    return (*first, *second) or (1,)


def _dot_cost(config: Config, inputs: Inputs, output: Shape) -> int:
    axis = config["axes"] if isinstance(config["axes"], int) else config["axes"][0]
    summed = inputs[0][axes_of(axis, inputs[0])[0]] or 1
    return prod(size or 1 for size in output) * summed


def _concatenate(config: Config, inputs: Inputs) -> Shape:
    (axis,) = axes_of(config["axis"], inputs[0])
    if len({(*shape[:axis], *shape[axis + 1 :]) for shape in inputs}) != 1:
        raise UserError(f"inputs whose other axes differ are not supported: {list(inputs)}.")
    sizes = [shape[axis] for shape in inputs]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    return (*inputs[0][:axis], total, *inputs[0][axis + 1 :])


TRAINING_ONLY = (
    *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    *("GaussianDropout", "AlphaDropout"),
    *("GaussianNoise", "ActivityRegularization", "Identity", "RandomFlip", "RandomRotation"),
    *("RandomZoom", "RandomContrast", "RandomBrightness", "RandomTranslation"),
    *("RandomShear", "RandomPerspective", "RandomElasticTransform", "RandomErasing"),
    *("RandomHue", "RandomSaturation", "RandomColorDegeneration", "RandomColorJitter"),
    *("RandomGrayscale", "RandomInvert", "RandomPosterization", "RandomSharpness"),
    *("RandomGaussianBlur", "RandAugment", "AugMix", "CutMix", "MixUp", "Solarization"),
    *("MaxNumBoundingBoxes", "RandomCrop"),
)
"""Layers that give at inference what they get."""


def _uncropped(config: Config, inputs: Inputs) -> Shape:
    """Keras states the cropped shape, and crops in training only."""
    sizes, _ = parted(config, inputs[0], 2)
    wanted = (config["height"], config["width"])
    if tuple(sizes) != wanted:
        raise UserError(
            f"Keras states {wanted} for its output and leaves the images at {tuple(sizes)} when "
            "the model is not trained: take it out of the model, or crop with CenterCrop."
        )
    return inputs[0]


LAYERS: dict[str, LayerRule] = {
    "Dense": LayerRule(
        _dense,
        _dense_weights,
        _dense_cost,
        {**ACTIVE, "quantization_config": (None,)},
        supported=("units", "use_bias"),
    ),
    "Activation": LayerRule(allowed=ACTIVE),
    "ReLU": LayerRule(supported=("max_value", "negative_slope", "threshold")),
    "LeakyReLU": LayerRule(supported=("negative_slope", "alpha")),
    "PReLU": LayerRule(weights=_prelu_weights, supported=("shared_axes",)),
    "ELU": LayerRule(supported=("alpha",)),
    "Softmax": LayerRule(_softmax, supported=("axis",)),
    "Rescaling": LayerRule(supported=("scale", "offset")),
    "Add": _merge(1),
    "Subtract": _merge(2, 2),
    "Multiply": _merge(1),
    "Average": _merge(1),
    "Maximum": _merge(1),
    "Minimum": _merge(1),
    "Concatenate": LayerRule(_concatenate, supported=("axis",)),
    "Dot": LayerRule(_dot, cost=_dot_cost, supported=("axes", "normalize")),
    **{kind: LayerRule() for kind in TRAINING_ONLY},
    "RandomCrop": LayerRule(_uncropped, allowed=FORMATS),
}
"""Layer class to its rule."""

"""Jobs for the Keras process that only tests give it: models to try the suite on.

`Reference.call("tools.keras_jobs:build", ...)` runs `build` there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from conversion.core.channel import Message
from conversion.reference.jobs import import_custom

MEMBERS = {
    "convnext": "ConvNeXtTiny",
    "densenet": "DenseNet121",
    "efficientnet": "EfficientNetB0",
    "efficientnet_v2": "EfficientNetV2B0",
    "inception_resnet_v2": "InceptionResNetV2",
    "inception_v3": "InceptionV3",
    "mobilenet": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3": "MobileNetV3Small",
    "nasnet": "NASNetMobile",
    "resnet": "ResNet50",
    "resnet_v2": "ResNet50V2",
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "xception": "Xception",
}
"""Family, as its module is named, to a small member."""

LEAST = {"inception_resnet_v2": 75, "inception_v3": 75, "xception": 71}
"""The least input of families that do not take 32 pixels."""

RAW = ("densenet", "resnet", "resnet_v2", "vgg16", "vgg19")
"""Families that are settled on pixels as they are, since the suite makes such for their files: it
cannot know that channel means were taken off, or where nothing normalises the first sums."""

CLASSES = 10
FAN_IN = 256
"""Terms of a sum; the rest of a wider kernel is zero. Rounding grows with their number: in VGG19
with all of its 4,608 Keras lies 1.5e-5 of the outputs' spread from the truth, with these 5e-6."""

LEVEL = 1.0
"""Mean of what goes into an activation, in standard deviations: a chain of kinks, in which half of
the units are off, amplifies every rounding."""

SPREAD = 2.0
"""Standard deviation of every logit over the images, about 0, so that the answers differ."""


def families() -> list[str]:
    """The families that this Keras has."""
    return sorted(name for name in MEMBERS if hasattr(keras.applications, name))


def application(values: dict[str, Any], images: np.ndarray) -> keras.Model:
    """A small member of a family whose every layer does something to some images.

    Fresh models give nearly constant outputs, on which anything agrees. So scales, offsets and
    biases are drawn; the statistics of every BatchNormalization are set to those of the images, and
    where there is none each layer is scaled to the same mean and spread; and the last layer is
    scaled until each logit differs from image to image.

    Args:
        values: ``family`` and ``seed``.
        images: ``(N, H, W, 3)`` float32, whole numbers from 0 to 255.
    """
    keras.utils.set_random_seed(values["seed"])
    family = values["family"]
    build = getattr(keras.applications, MEMBERS[family])
    model = build(weights=None, input_shape=images.shape[1:], classes=CLASSES)
    random = np.random.default_rng(values["seed"])
    for layer in model.layers:
        _draw(layer, random)
    given = images.copy()
    if family not in RAW:
        given = getattr(keras.applications, family).preprocess_input(given)
    if any("Normalization" in type(layer).__name__ for layer in model.layers):
        _settle(model, given)
    else:
        _settle_chain(model, given)
    last = next(layer for layer in reversed(model.layers) if hasattr(layer, "kernel"))
    before = keras.Model(model.input, last.input)
    _standardise(last, before(given, training=False), 0.0, SPREAD)
    return model


def _draw(layer: Any, random: np.random.Generator) -> None:
    kind = type(layer).__name__
    for variable in layer.weights:
        shape = variable.shape
        if variable.name == "kernel" and kind != "DepthwiseConv2D":
            variable.assign(_kernel(np.asarray(variable), random))
        elif variable.name == "gamma" or kind == "LayerScale":
            around = float(np.abs(np.asarray(variable)).mean()) or 1.0  # LayerScale's is 1e-6
            variable.assign(max(around, 0.1) * random.uniform(0.5, 1.0, shape))
        elif variable.name == "beta":
            level = LEVEL if kind != "BatchNormalization" or _activated(layer) else 0.0
            variable.assign(random.normal(level, 0.2, shape))
        elif variable.name == "bias":
            variable.assign(random.normal(0.0, 0.1, shape))
        elif variable.name == "alpha":
            variable.assign(random.uniform(0.1, 0.4, shape))
        elif variable.name == "mean":
            variable.assign(random.uniform(0.4, 0.5, shape))
        elif variable.name == "variance":
            variable.assign(random.uniform(0.04, 0.09, shape))
    if kind == "Normalization":
        layer.finalize_state()  # it computes with copies of its statistics


def _kernel(fresh: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A kernel of few terms that answers to differences: what is common to its inputs cancels."""
    ends = tuple(range(fresh.ndim - 1))
    drawn = fresh - fresh.mean(axis=ends, keepdims=True)
    terms = int(np.prod(fresh.shape[:-1]))
    if terms > FAN_IN:
        kept = random.random(fresh.shape) < FAN_IN / terms
        drawn = drawn * kept * np.sqrt(terms / FAN_IN)
    return np.asarray(drawn * np.sqrt(2.0))  # half of what goes in is lost at every ReLU


def _activated(layer: Any) -> bool:
    """Whether nothing but activations reads a layer, if need be through a sum.

    In a sum that goes on as it is, a level would grow from block to block.
    """
    readers = [node.operation for node in layer._outbound_nodes]
    return bool(readers) and all(
        type(each).__name__ in ("Activation", "ReLU")
        or (type(each).__name__ == "Add" and _activated(each))
        for each in readers
    )


def _settle(model: keras.Model, images: Any) -> None:
    """Set the statistics of every BatchNormalization to those of the images, first to last."""
    norms = [each for each in _layers(model) if isinstance(each, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    model(images, training=True)
    for norm in norms:
        norm.momentum = 0.99


def _settle_chain(model: keras.Model, images: np.ndarray) -> None:
    """Scale each layer of a chain, first to last, as a BatchNormalization would its results."""
    value: Any = images
    for layer in model.layers[1:]:
        if hasattr(layer, "kernel"):
            _standardise(layer, value, LEVEL, 1.0)
        value = layer(value)


def _standardise(layer: Any, given: Any, mean: float, deviation: float) -> None:
    """Give every channel of a layer the same mean and deviation before its activation."""
    activation, layer.activation = layer.activation, keras.activations.linear
    found = np.asarray(layer(given), np.float64)
    layer.activation = activation
    ends = tuple(range(found.ndim - 1))
    scale = deviation / np.maximum(found.std(axis=ends), 1e-6)
    layer.kernel.assign(np.asarray(layer.kernel) * scale)
    layer.bias.assign((np.asarray(layer.bias) - found.mean(axis=ends)) * scale + mean)


def described(values: dict[str, Any], inputs: list[np.ndarray]) -> keras.Model:
    """A model by its description, with weights drawn and settled as those of the families.

    Args:
        values: ``config`` and ``seed``.
        inputs: one array an input, in the model's order; without any, nothing is settled.
    """
    keras.utils.set_random_seed(values["seed"])
    model = keras.saving.deserialize_keras_object(values["config"])
    random = np.random.default_rng(values["seed"])
    for layer in _layers(model):
        _draw(layer, random)
    if inputs:
        _settle(model, inputs)
        for output in model.outputs:
            head = output._keras_history.operation
            before = keras.Model(model.inputs, head.input)
            _standardise(head, before(inputs, training=False), 0.0, SPREAD)
    return model


def _layers(model: keras.Model) -> Iterator[Any]:
    """The layers of a model, those inside nested models too."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def application_file(models: dict[str, Any], message: Message) -> tuple[dict[str, Any], Any]:
    """Build a model of `keras.applications`, or one by its description, and save it."""
    values, arrays = dict(message.values), [np.array(each) for each in message.arrays.values()]
    model = application(values, *arrays) if "family" in values else described(values, arrays)
    model.save(values["path"], include_optimizer=False)
    return {"parameters": model.count_params()}, {}


def preprocessed(models: dict[str, Any], message: Message) -> tuple[dict[str, Any], Any]:
    """Images as every family of Keras prepares them, by the family's name."""
    images = message.arrays["images"]
    families = {
        name: module.preprocess_input(images.copy())
        for name, module in vars(keras.applications).items()
        if hasattr(module, "preprocess_input")
    }
    return {}, families


def known_families(models: dict[str, Any], message: Message) -> tuple[dict[str, Any], Any]:
    """The families that this Keras has, and the least input of each."""
    return {"families": {name: LEAST.get(name, 32) for name in families()}}, {}


def resized_rows(models: dict[str, Any], message: Message) -> tuple[dict[str, Any], Any]:
    """The rows that Resizing to the nearest takes, from each number of them to each."""
    every = range(1, message.values["most"] + 1)
    to = {after: keras.layers.Resizing(after, 1, interpolation="nearest") for after in every}
    found = {}
    for before in every:
        rows = np.arange(before, dtype=np.float32).reshape(1, before, 1, 1)
        found |= {f"{before} to {after}": np.ravel(to[after](rows)) for after in every}
    return {}, found


def build(models: dict[str, Any], message: Message) -> tuple[dict[str, Any], Any]:
    """Build a small Sequential or functional model, randomise every weight, and save it.

    The moving statistics and gamma are drawn too, so that no layer is an identity by accident. The
    path's ending is the format: `.h5`, `.keras`, or `.json` with its weights beside it.
    """
    values = message.values
    import_custom(models, message)
    model = keras.saving.deserialize_keras_object(values["config"])
    random = np.random.default_rng(values["seed"])
    for variable in model.variables:
        drawn = random.normal(0.0, 0.5, variable.shape)
        positive = variable.name in ("gamma", "moving_variance", "variance")
        variable.assign(0.5 + np.abs(drawn) if positive else drawn)
    if values["path"].endswith(".json"):
        Path(values["path"]).write_text(model.to_json())
        model.save_weights(f"{values['path'].removesuffix('.json')}.weights.h5")
    else:
        model.save(values["path"], include_optimizer=False)
    return {}, {}


def as_saved(models: dict[str, Any], message: Message) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first output of a file of Keras's own, opened as it is."""
    model = keras.models.load_model(message.values["path"], compile=False)
    (given,) = message.arrays.values()
    return {}, {"output": np.asarray(model(given, training=False))}

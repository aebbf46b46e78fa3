"""Models of `keras.applications` with weights that say something, for trying the suite on them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from conversion.reference.channel import Message

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

CLASSES = 10
SURE = 0.99
ATTEMPTS = 30
SPREAD = 2.0
"""Standard deviation of the logits over images, so that the answers differ."""


def families() -> list[str]:
    """The families that this Keras has."""
    return sorted(name for name in MEMBERS if hasattr(keras.applications, name))


def application(values: dict[str, Any], images: np.ndarray) -> keras.Model:
    """A small member of a family whose every layer does something to some images.

    Fresh models give nearly constant outputs, on which anything agrees. So scales, offsets and
    biases are drawn, the statistics of every BatchNormalization are set to those of the images, and
    the last layer is scaled until the logits differ from image to image.

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
    given = getattr(keras.applications, family).preprocess_input(images.copy())
    _settle(model, given)
    last = next(layer for layer in reversed(model.layers) if hasattr(layer, "kernel"))
    for _ in range(ATTEMPTS):
        scores = np.asarray(model(given, training=False), np.float64)
        logits = np.log(np.maximum(scores, 1e-12))
        spread = float((logits - logits.mean(axis=1, keepdims=True)).std(axis=0).mean())
        if scores.max(axis=1).mean() > SURE:  # all is one class: how far apart cannot be read off
            last.kernel.assign(last.kernel * 0.1)
        elif abs(spread - SPREAD) < 0.2 * SPREAD:
            break
        else:
            last.kernel.assign(last.kernel * (SPREAD / max(spread, 1e-3)))
    return model


def _draw(layer: Any, random: np.random.Generator) -> None:
    for variable in layer.weights:
        shape = variable.shape
        if variable.name == "kernel":
            variable.assign(variable * np.sqrt(2.0))  # half of what goes in is lost at every ReLU
        if variable.name == "gamma" or type(layer).__name__ == "LayerScale":
            around = float(np.abs(np.asarray(variable)).mean()) or 1.0  # LayerScale's is 1e-6
            around = max(around, 0.1)
            variable.assign(around * random.uniform(0.5, 1.0, shape))
        elif variable.name == "beta":  # most units on: a chain of kinks amplifies every rounding
            variable.assign(random.normal(1.0, 0.2, shape))
        elif variable.name == "bias":
            variable.assign(random.normal(0.0, 0.1, shape))
        elif variable.name == "mean":
            variable.assign(random.uniform(0.4, 0.5, shape))
        elif variable.name == "variance":
            variable.assign(random.uniform(0.04, 0.09, shape))


def _settle(model: keras.Model, images: np.ndarray) -> None:
    """Set the statistics of every BatchNormalization to those of the images, first to last."""
    norms = [each for each in model.layers if isinstance(each, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    model(images, training=True)
    for norm in norms:
        norm.momentum = 0.99


def build_application(models: dict[str, Any], message: Message) -> tuple[dict[str, Any], Any]:
    """Build a model of `keras.applications` and save it."""
    model = application(dict(message.values), np.array(message.arrays["images"]))
    model.save(message.values["path"], include_optimizer=False)
    return {"parameters": model.count_params()}, {}


def list_families(models: dict[str, Any], message: Message) -> tuple[dict[str, Any], Any]:
    """The families that this Keras has, and the least input of each."""
    return {"families": {name: LEAST.get(name, 32) for name in families()}}, {}

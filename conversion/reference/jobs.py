"""The jobs of the reference process; the only module that imports TensorFlow."""

from __future__ import annotations

import importlib.metadata
import json
import math
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from conversion.core import digest
from conversion.core.channel import Message
from conversion.core.errors import UserError
from conversion.core.user_code import BUILDER, UserFile, execute
from conversion.readers.replacing import replaced as replaced_layers
from conversion.reference.float64 import Float64Layer
from conversion.reference.network import Network
from conversion.reference.older_activations import with_older_activations
from conversion.reference.packing import is_legacy, weight_names
from conversion.reference.repairs import repaired
from conversion.reference.tracing import sizes_inferred, sizes_kept, traced_plainly
from conversion.reference.unrolled import unrolled

CALL = "StatefulPartitionedCall"
"""What is left where TensorFlow compiled a part by itself, which ONNX cannot say."""

Models = dict[str, Any]
Answer = tuple[dict[str, Any], dict[str, np.ndarray]]


def outputs(models: Models, message: Message) -> Answer:
    """The model's own outputs."""
    model = _open(models, message)
    names = message.values["outputs"]
    return {}, _run(models, message, names, lambda *inputs: model(list(inputs), training=False))


def logits(models: Models, message: Message) -> Answer:
    """The model's outputs before the last activation of each."""
    network = Network(_open(models, message), message)
    names = message.values["outputs"]

    def plain(*inputs: Any) -> list[Any]:
        values = network.values(inputs)
        return [network.plain(name, values) for name in names]

    return {}, _run(models, message, names, plain)


def layer_outputs(models: Models, message: Message) -> Answer:
    """The output of every layer that is asked for."""
    network = Network(_open(models, message), message)
    names = message.values["layers"]
    network.check(names)

    def tapped(*inputs: Any) -> list[Any]:
        values = network.values(inputs)
        return [values[name] for name in names]

    return {}, _run(models, message, names, tapped)


def layer_ranges(models: Models, message: Message) -> Answer:
    """The lowest and highest value of each layer, how many lie beyond its bounds, and of how many.

    A layer may be asked for as it is before its own activation. Only these numbers travel: the
    layers themselves would be gigabytes.
    """
    network = Network(_open(models, message), message)
    asked = message.values["layers"]
    network.check(name for name, _ in asked)

    def extremes(*inputs: Any) -> list[Any]:
        values = network.values(inputs)
        rows = zip(asked, message.values["bounds"], strict=True)
        return [
            _extremes(network.plain(name, values) if before else values[name], bounds)
            for (name, before), bounds in rows
        ]

    # An array of one row a batch for each; the names of layers may repeat.
    found = _run(models, message, [str(index) for index in range(len(asked))], extremes, UNTRACED)
    batches = np.stack([*found.values()])
    low, high = batches[:, :, 0].min(axis=1), batches[:, :, 1].max(axis=1)
    beyond, count = batches[:, :, 2].sum(axis=1), batches[:, :, 3].sum(axis=1)
    return {}, {"ranges": np.stack([low, high, beyond, count], axis=1)}


UNTRACED = 2**22
"""Bytes of images up to which ranges are taken without a trace, which takes as long as some ten
batches of them: 300 of CIFAR-10. Values are traced all the same: a trace rounds otherwise (a
GroupNormalization of single values gives 0 in one and noise without), and that is Keras's noise."""


@tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
def _extremes(value: Any, bounds: tuple[float, float]) -> Any:
    """Lowest, highest, how many lie beyond the bounds, and how many there are, ``(1, 4)``."""
    beyond = tf.zeros((), tf.int64)
    if tuple(bounds) != (-math.inf, math.inf):
        beyond = tf.math.count_nonzero(tf.logical_or(value < bounds[0], value > bounds[1]))
    counts = (beyond, tf.size(value, tf.int64))
    numbers = (tf.reduce_min(value), tf.reduce_max(value), *counts)
    return tf.stack([[tf.cast(number, tf.float64) for number in numbers]])


def in_float64(models: Models, message: Message) -> Answer:
    """The output of one layer, computed in float64."""
    values, arrays = message.values, message.arrays
    rebuilt = f"float64 {values['digest']} {values['layer']} {values['replaced']}"
    if rebuilt not in models:
        models[rebuilt] = Float64Layer(_open(models, message), values["layer"])
    inputs = [arrays[f"input {index}"] for index in range(values["count"])]
    weights = [arrays[f"weight {index}"] for index in range(len(arrays) - len(inputs))]
    return {}, {"output": models[rebuilt].output(weights, inputs)}


def to_onnx(models: Models, message: Message) -> Answer:
    """The model as ONNX, by tf2onnx with an explicit signature and an open batch."""
    import tf2onnx

    model = _open(models, message)
    # tf2onnx reads `output_names`, which a Sequential model of Keras 3 does not have.
    model.output_names = list(message.values["outputs"])
    names = message.values["inputs"]
    signature = tuple(
        tf.TensorSpec(tensor.shape, tensor.dtype, name=name)
        for name, tensor in zip(names, model.inputs, strict=True)
    )
    opset = message.values["opset"]
    with sizes_inferred():
        proto, _ = tf2onnx.convert.from_keras(model, signature, opset)
        compiled = any(node.op_type == CALL for node in proto.graph.node)
        if compiled:
            with traced_plainly():
                proto, _ = tf2onnx.convert.from_keras(model, signature, opset)
    content = np.frombuffer(proto.SerializeToString(), dtype=np.uint8)
    return {"plainly": compiled}, {"onnx": content}


def to_litert(models: Models, message: Message) -> Answer:
    """The model as LiteRT: float32, or int8 throughout where there are images to calibrate on.

    Where it is not to be quantized yet, it is float32 with the ranges beside its tensors.

    The converter asks for the images one by one and keeps ranges only; they are read from their
    file as it does, so that their number costs no memory.
    """
    model, names = unrolled(_open(models, message))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    images = message.values["images"]
    if images is not None:
        stored = np.load(images, mmap_mode="r", allow_pickle=False)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([i[None].astype(np.float32)] for i in stored)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        converter._experimental_calibrate_only = not message.values["quantized"]
        # It warns so at every such conversion: what it misses belongs to its older interface.
        warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected")
    with sizes_kept():
        content = converter.convert()
    return {"unrolled": names}, {"litert": np.frombuffer(content, dtype=np.uint8)}


def quantize_litert(models: Models, message: Message) -> Answer:
    """A calibrated file in int8, but for the operators that give some tensors.

    It is what the converter does with the file by itself, which has no option for it.
    """
    from tensorflow.lite.python.convert import mlir_quantize

    content = mlir_quantize(
        message.arrays["calibrated"].tobytes(),
        input_data_type=tf.int8,
        output_data_type=tf.int8,
        denylisted_nodes=message.values["in_float"],
    )
    return {}, {"litert": np.frombuffer(content, dtype=np.uint8)}


def versions(models: Models, message: Message) -> Answer:
    """Versions of what computes here."""
    packages = ("tensorflow", "keras", "tf2onnx", "onnx", "numpy")
    return {"versions": {name: importlib.metadata.version(name) for name in packages}}, {}


def import_custom(models: Models, message: Message) -> None:
    """Execute the files that the user named, each once, and make their classes known to Keras."""
    for path, sha in message.values["custom"]:
        if sha not in models:
            models[sha] = module = execute(UserFile(Path(path), sha, is_for_keras=True))
            objects = dict(getattr(module, "CUSTOM_OBJECTS", {}))
            for kind, layer in getattr(module, "LAYERS", {}).items():
                if layer.keras is not None:
                    objects[kind] = layer.keras()
            for kind, found in objects.items():  # by the name in legacy files, and in new ones
                keras.saving.get_custom_objects().update({kind: found, f"Custom>{kind}": found})


def build_model(models: Models, message: Message) -> Answer:
    """Save what a user's function returns, with the weights of a file.

    Raises:
        UserError: it returns no model, or one that the weights do not fit.
    """
    keras.utils.clear_session(free_memory=False)  # names of layers begin anew: one file, one model
    import_custom(models, message)
    module, weights = models[message.values["file"]], Path(message.values["weights"])
    ours = f"{BUILDER}() of {Path(module.__file__).name}"
    try:
        model = getattr(module, BUILDER)()
    except Exception as error:
        raise UserError(
            f"Expected {ours} to return a keras.Model; it raises {_said(error)}."
        ) from None
    if not isinstance(model, keras.Model):
        found = type(model).__name__
        raise UserError(f"Expected {ours} to return a keras.Model; it returns {found}.")
    try:
        left = _with_weights(model, weights)
    except Exception as error:
        left = _said(error)
    if left:
        raise UserError(
            f"Expected {ours} to return the model that {weights.name} was saved of; {left}"
        )
    model.save(message.values["target"])
    return {}, {}


def _with_weights(model: Any, weights: Path) -> str:
    """Load weights into a model; what the file has and Keras did not look at, in words."""
    with tempfile.TemporaryDirectory() as folder:
        # Keras tells the format of weights by their name.
        copy = Path(folder) / ("weights.h5" if is_legacy(weights) else "model.weights.h5")
        shutil.copyfile(weights, copy)
        model.load_weights(copy)
        again = Path(folder) / "again.weights.h5"
        model.save_weights(again)
        left = [] if is_legacy(weights) else sorted(weight_names(copy) - weight_names(again))
    return f"the file has '{left[0]}', for which it has no layer." if left else ""


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _open(models: Models, message: Message) -> Any:
    path, expected = Path(message.values["path"]), message.values["digest"]
    weights = None if message.values["weights"] is None else Path(message.values["weights"])
    import_custom(models, message)
    replaced, own = message.values["replaced"], message.values["own"]
    key = digest.of_settings([expected, replaced])
    if key not in models:
        files = [path] if weights is None else [path, weights]
        found = digest.of_parts(*(digest.of_file(file) for file in files))
        if found != expected:
            raise ValueError(f"{path.name} changed after it was read ({found[:12]}).")

        def meant(config: Any) -> Any:
            config = replaced_layers(config, layers=replaced, custom=own)
            return with_older_activations(config, message.values["version"])

        with repaired(path, weights, meant) as file:
            models[key] = _with_statistics(keras.models.load_model(file, compile=False))
    return models[key]


def _with_statistics(model: Any) -> Any:
    """The model, whose every Normalization computes with its weights.

    Keras 3.15 leaves those inside a nested model of a `.h5` file at mean 0 and variance 1.
    """
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return model


def _run(
    models: Models,
    message: Message,
    names: list[str],
    function: Callable[..., Any],
    untraced: int = 0,
) -> dict[str, np.ndarray]:
    """Run a function over the inputs in batches, cast to float32, and gather what it returns.

    It is traced, as by Keras's `predict`, once for all messages that differ in their arrays alone;
    up to so many untraced bytes of images it is run as it is.
    """
    arrays: Mapping[str, np.ndarray] = message.arrays
    inputs = [arrays[name] for name in message.values["inputs"]]
    asked = f"traced {json.dumps(dict(message.values), sort_keys=True)}"
    size = message.values["batch"]
    if sum(each.nbytes for each in inputs) > untraced and asked not in models:
        models[asked] = tf.function(function, reduce_retracing=True)
    run = models.get(asked, function)
    parts: list[list[np.ndarray]] = [[] for _ in names]
    for start in range(0, len(inputs[0]), size):
        batch = [tf.constant(a[start : start + size].astype(np.float32)) for a in inputs]
        results = run(*batch)
        listed = keras.tree.flatten(results)
        for part, result in zip(parts, listed, strict=True):
            part.append(np.asarray(result))
    return {name: np.concatenate(part) for name, part in zip(names, parts, strict=True)}


JOBS: dict[str, Callable[[Models, Message], Answer]] = {
    "build_model": build_model,
    "outputs": outputs,
    "logits": logits,
    "layer_outputs": layer_outputs,
    "layer_ranges": layer_ranges,
    "in_float64": in_float64,
    "to_onnx": to_onnx,
    "to_litert": to_litert,
    "quantize_litert": quantize_litert,
    "versions": versions,
}
"""Job name to what does it."""

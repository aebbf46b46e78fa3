"""What older Keras wrote and today's Keras refuses, changed where no formula can change.

Each entry was seen to be refused by Keras 3.15 and is opened after the change; a value that would
mean something is left as it is, and Keras refuses the file.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conversion.readers.keras_1 import is_keras_1
from conversion.readers.notation import (
    MODELS,
    SAME_CLASS,
    first_calls,
    plain_number,
    references,
)
from conversion.readers.numeric_types import FLOAT32, OTHER_FLOATS, WHOLE, type_of
from conversion.readers.older_versions import restated
from conversion.reference.packing import CONFIG as CONFIG
from conversion.reference.packing import (
    described,
    is_laid_out_otherwise,
    is_legacy,
    is_named_otherwise,
    pack,
)

ANY = object()
"""For a setting that only training reads: it is left out whatever its value."""

FUNCTIONAL = "Functional"

STATISTICS = (
    "Normalization in a model inside: given its statistics, which Keras 3.15 reads from a .h5 file "
    "and does not use"
)

INITIALIZERS = (
    *("Zeros", "Ones", "Constant", "Identity", "Orthogonal", "RandomNormal", "RandomUniform"),
    *("TruncatedNormal", "VarianceScaling", "GlorotNormal", "GlorotUniform", "HeNormal"),
    *("HeUniform", "LecunNormal", "LecunUniform"),
)
_DEPTHWISE = ("DepthwiseConv2D", "DepthwiseConv1D", "SeparableConv2D", "SeparableConv1D")
_TRANSPOSED = ("Conv2DTranspose", "Conv1DTranspose")
_MOVED = ("RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "RandomShear")


@dataclass(frozen=True)
class Repair:
    """A setting that is left out of a file's description before Keras opens it.

    Attributes:
        kinds: the classes that have it.
        key: the setting.
        value: the only value with which it is left out, or `ANY`.
        reason: why the arithmetic cannot change.
    """

    kinds: tuple[str, ...]
    key: str
    value: Any
    reason: str

    def applies(self, kind: Any, config: Mapping[str, Any]) -> bool:
        """Whether an object has the setting with that value."""
        if kind not in self.kinds or self.key not in config:
            return False
        given = config[self.key]
        same = type(given) is type(self.value) and given == self.value
        return self.value is ANY or bool(same)


_PARENT = "Keras 2 wrote the setting of the parent class, whose value 1 it never read"
_TRAINED = "it only matters before and while a model is trained; the weights are in the file"
_NORM = "the default of Keras 2, which changes nothing when a model is not trained"

REPAIRS = (
    Repair((*_DEPTHWISE, *_TRANSPOSED), "groups", 1, _PARENT),
    *(
        Repair(_DEPTHWISE, f"kernel_{part}", ANY, _TRAINED)
        for part in ("initializer", "regularizer", "constraint")
    ),
    Repair(INITIALIZERS, "dtype", ANY, _TRAINED),
    *(Repair((f"SpatialDropout{rank}D",), "trainable", ANY, _TRAINED) for rank in (1, 2, 3)),
    Repair(("BatchNormalization",), "virtual_batch_size", None, _NORM),
    Repair(("BatchNormalization",), "adjustment", None, _NORM),
    Repair(("LSTM", "GRU", "SimpleRNN"), "time_major", False, "Keras 3 knows no other order"),
    Repair(_MOVED, "value_range", ANY, "pixels are moved, and only in training"),
    Repair(("BatchNormalization",), "fused", ANY, "it chooses a kernel for the same formula"),
)
"""Settings that are left out; a new one is one entry."""

Change = Callable[[dict[str, Any]], str]
"""Changes an object with a class name in place; says what it did, nothing where it did nothing."""


def _class(part: dict[str, Any]) -> str:
    """A class that was renamed, or that differs from another one in training only."""
    old = part["class_name"]
    if old not in SAME_CLASS:
        return ""
    part["class_name"] = SAME_CLASS[old]
    if "registered_name" in part:
        part["registered_name"] = None
    return f"{old} read as {SAME_CLASS[old]}: they compute the same when a model is not trained"


def _module(part: dict[str, Any]) -> str:
    """A model's class where Keras 2.13 to 2.15 had it."""
    module = part.get("module")
    if part["class_name"] not in MODELS or not str(module).startswith("keras.src.engine"):
        return ""
    part["module"] = "keras.src.models.functional" if part["class_name"] == FUNCTIONAL else "keras"
    part["registered_name"] = None
    return f"{part['class_name']} taken from {part['module']}, not {module}: the class was moved"


def _policy(part: dict[str, Any]) -> str:
    """A type that is read as float32, or that Keras 2 wrote as an object of another name today."""
    config = part["config"]
    if not isinstance(config, dict) or not config.get("dtype") or "name" not in config:
        return ""
    given, stated = config["dtype"], type_of(config)
    if stated in OTHER_FLOATS or (part["class_name"] == "InputLayer" and stated in WHOLE):
        config["dtype"] = FLOAT32
        return f"{stated} read as float32, in which converted files compute"
    if not isinstance(given, dict) or given.get("class_name") != "Policy":
        return ""
    config["dtype"] = stated
    return f"dtype Policy written as '{stated}': the same type by its name"


def _numbers(part: dict[str, Any]) -> str:
    """Numbers that Keras 2.2 wrote as arrays."""
    config = part["config"]
    arrays = [key for key, value in config.items() if plain_number(value) is not value]
    for key in arrays:
        config[key] = plain_number(config[key])
    return f"{', '.join(arrays)} written as plain numbers of the same value" if arrays else ""


def _bare_list(part: dict[str, Any]) -> str:
    """The list of layers alone, as Keras before 2.2.3 described a Sequential model."""
    if part["class_name"] != "Sequential" or not isinstance(part["config"], list):
        return ""
    part["config"] = {"name": part.get("name", "sequential"), "layers": part["config"]}
    return "the list of layers put where Keras looks for it: the layers are the same"


def _input(part: dict[str, Any]) -> str:
    """A first layer's `batch_input_shape`, whose batch axis Keras 3 takes for one of the image."""
    if part["class_name"] != "Sequential" or not isinstance(part["config"], dict):
        return ""
    layers = part["config"]["layers"]
    first = layers[0]["config"] if layers else {}
    shape = first.pop("batch_input_shape", None) if isinstance(first, dict) else None
    if shape is None:
        return ""
    if layers[0]["class_name"] == "InputLayer":
        first["batch_shape"] = shape
        return ""
    taken = {layer["config"].get("name") for layer in layers if isinstance(layer["config"], dict)}
    name = next(n for n in ("input", "input_of_model", "input_layer_of_model") if n not in taken)
    config = {"name": name, "batch_shape": shape, "dtype": "float32"}
    layers.insert(0, {"class_name": "InputLayer", "config": config})
    return "batch_input_shape of the first layer written as an InputLayer of that shape"


def _open_batch(part: dict[str, Any]) -> str:
    """The batch that a model was trained with, at which converters would fix their files."""
    config = part["config"] if isinstance(part["config"], dict) else {}
    shapes = [config.get(key) for key in ("batch_shape", "batch_input_shape")]
    found = [each for each in shapes if isinstance(each, list) and each and each[0] is not None]
    for each in found:
        each[0] = None
    return "its fixed batch left open: each image is computed alone" if found else ""


def _layers(part: dict[str, Any]) -> list[dict[str, Any]]:
    """The layers of a model's description; none of anything else."""
    config = part["config"]
    is_model = part["class_name"] in MODELS and isinstance(config, dict)
    return list(config.get("layers", [])) if is_model else []


def _stated_again(part: dict[str, Any]) -> str:
    """An input shape that Keras 2 left on layers behind an InputLayer, which Keras 3 refuses."""
    layers = _layers(part)
    listed = [layer for layer in layers if layer["class_name"] != "InputLayer"]
    if len(listed) == len(layers):
        return ""
    kept = [each["config"] for each in listed if isinstance(each["config"], dict)]
    found = [each for each in kept if each.pop("batch_input_shape", None) is not None]
    return "batch_input_shape left out behind the InputLayer, which states it" if found else ""


def _compiled(part: dict[str, Any]) -> str:
    """How a nested model was trained, in classes that Keras 3 may not have."""
    found = [each for each in _layers(part) if each.pop("compile_config", None) is not None]
    return "compile_config of a nested model left out: only training reads it" if found else ""


def _counting(part: dict[str, Any]) -> str:
    """Calls of nested models, which Keras 2 counts from 1 and Keras 3 from 0."""
    config = part["config"]
    if part["class_name"] not in MODELS or not isinstance(config, dict):
        return ""
    if "output_layers" not in config:
        return ""
    changed = False
    nested = {layer["name"]: layer["class_name"] for layer in config["layers"]}
    for name, (reading, ending) in first_calls(config).items():
        wanted = 0 if nested[name] == "Sequential" else 1
        calls = [layer["inbound_nodes"] for layer in config["layers"]]
        for given, surplus in ((calls, reading), (config["output_layers"], ending - wanted)):
            for reference in references(given) if surplus else ():
                if reference[0] == name:
                    reference[1] -= surplus
                    changed = True
    return "calls of nested models counted as Keras 3 does: the same calls" if changed else ""


def _one_end(part: dict[str, Any]) -> str:
    """The one input and output of a model in a Sequential, which older Keras wrote as lists.

    Keras 3 hands such a list of one tensor on to the next layer, which takes it for several.
    """
    if part["class_name"] != "Sequential":
        return ""
    changed = list[str]()
    for layer in _layers(part):
        config = layer["config"]
        if layer["class_name"] not in MODELS or not isinstance(config, dict):
            continue
        for key in ("input_layers", "output_layers"):
            ends = config.get(key)
            if isinstance(ends, list) and len(ends) == 1 and isinstance(ends[0], list):
                config[key] = ends[0]
                changed.append(str(config.get("name")))
    names = ", ".join(dict.fromkeys(changed))
    return f"{names}: its one end written alone, not as a list of one" if changed else ""


def _name(part: dict[str, Any]) -> str:
    """A layer's name with a slash, which Keras 3 refuses."""
    config = part["config"]
    if not isinstance(config, dict) or "/" not in str(config.get("name", "")):
        return ""
    old = config["name"]
    config["name"] = keras_name(old)
    if part.get("name") == old:
        part["name"] = config["name"]
    return f"named '{config['name']}', not '{old}': names enter no arithmetic"


def _names_read(part: dict[str, Any]) -> str:
    """The same names where a model's calls and ends refer to them."""
    config = part["config"]
    if part["class_name"] in MODELS and isinstance(config, dict):
        listed = [config.get(key, []) for key in ("input_layers", "output_layers")]
        listed += [layer.get("inbound_nodes", []) for layer in config.get("layers", [])]
        for reference in references(listed):
            reference[0] = keras_name(reference[0])
    return ""


def _held(part: dict[str, Any]) -> str:
    """A layer that another one holds, which Keras 2 wrote without saying where its class is."""
    config = part["config"]
    if part["class_name"] not in ("Bidirectional", "TimeDistributed"):
        return ""
    listed = [config.get(key) for key in ("layer", "backward_layer")]
    found = [each for each in listed if isinstance(each, dict) and "module" not in each]
    for each in found:
        each |= {"module": "keras.layers", "registered_name": None}
    return "the layer that it holds taken from keras.layers: the same class" if found else ""


def _sheared(part: dict[str, Any]) -> str:
    """The range of a shear, which Keras 3.15 writes from below 0 and then refuses."""
    if part["class_name"] != "RandomShear" or not isinstance(part["config"], dict):
        return ""
    part["config"] |= {"x_factor": 0.0, "y_factor": 0.0}
    return "x_factor and y_factor set to 0: images are sheared in training only"


CHANGES: tuple[Change, ...] = (
    _sheared,
    _held,
    _bare_list,
    _open_batch,
    _input,
    _stated_again,
    _compiled,
    _counting,
    _class,
    _module,
    _policy,
    _numbers,
    _name,
    _names_read,
    _one_end,
)
"""Other changes, from the outside in; a new one is one function."""


MEANT = "hard_sigmoid computed as Keras 2 did, clip(0.2 x + 0.5, 0, 1): Keras 3 has another one"

OF_KERAS_1 = "settings of Keras 1 written by the names of Keras 2: they mean the same"

LAID_OUT = "weights of Keras 2 put where Keras 3 looks for them: every array is the same"


def keras_name(name: str) -> str:
    """A layer's name as Keras 3 knows it after a repair."""
    return name.replace("/", ".")


def repairs(path: Path, version: str = "unknown") -> list[str]:
    """What has to be changed for Keras to open a file, in words; no framework is imported.

    Args:
        path: a model file that the reader has accepted.
        version: of the Keras that wrote it.
    """
    found, made = described(path), list[str]()
    if found is not None:
        config = json.loads(found)
        meant = restated(config, version)
        config, made = _repaired(config)
        if is_legacy(path) and _normalizes_inside(config):
            made.append(STATISTICS)
        made += [f"{name}: {MEANT}" for name in meant]
        made += [OF_KERAS_1] if is_keras_1(version) else []
    return [*made, *([LAID_OUT] if is_laid_out_otherwise(path) else [])]


def _normalizes_inside(config: Any) -> bool:
    """Whether a model inside has a Normalization."""
    outer = config["config"]
    layers = outer if isinstance(outer, list) else outer.get("layers", [])
    inside = [each for each in layers if each.get("class_name") in MODELS]
    return '"class_name": "Normalization"' in json.dumps(inside)


@contextmanager
def repaired(
    path: Path, weights: Path | None = None, replace: Callable[[Any], Any] = lambda config: config
) -> Iterator[Path]:
    """The file as Keras can open it: itself, or a copy with a repaired description.

    Args:
        path: a model file that the reader has accepted.
        weights: the file of its weights, where it has none itself.
        replace: puts layers in place of those of the description, which it is given.
    """
    found = described(path)
    if found is None:
        yield path
        return
    given = json.loads(found)
    config = replace(json.loads(found))
    changed = config != given
    config, made = _repaired(config)
    other = is_named_otherwise(path) or is_laid_out_otherwise(path)
    if not (made or changed or other or weights is not None):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        yield pack(json.dumps(config) if made or changed else found, weights or path, Path(folder))


def _repaired(config: Any) -> tuple[Any, list[str]]:
    """A description with what has to be changed, at any depth, and what that was."""
    made: list[str] = []

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if "class_name" in part and isinstance(part.get("config"), dict | list):
                made.extend(_changes(part))
            part = list(part.values())
        if isinstance(part, list):
            for each in part:
                walk(each)

    walk(config)
    return config, made


def _changes(part: dict[str, Any]) -> Iterator[str]:
    config = part["config"]
    name = config.get("name", part["class_name"]) if isinstance(config, dict) else "the model"
    for change in CHANGES:
        said = change(part)
        if said:
            yield f"{name}: {said}"
    config = part["config"]
    for repair in REPAIRS:
        if isinstance(config, dict) and repair.applies(part["class_name"], config):
            given = config.pop(repair.key)
            shown = given if isinstance(given, int | str) or given is None else "..."
            yield f"{name}: {repair.key}={shown} left out: {repair.reason}"

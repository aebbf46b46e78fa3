"""What a file holds: inputs, outputs, layers or nodes, operators, parameters, cost, provenance."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from conversion.core.channel import Message
from conversion.core.custom_layers import Custom
from conversion.core.errors import MissingDependency
from conversion.core.guarded import one_job
from conversion.core.layer_rule import LayerRule
from conversion.core.spec import Spec
from conversion.readers import read_spec
from conversion.readers.cost import multiply_accumulates
from conversion.readers.schema import LAYERS
from conversion.reading import custom_of, stated


def inspect(path: Path, custom: Custom | None = None) -> dict[str, Any]:
    """Describe a Keras, ONNX, PyTorch or LiteRT file.

    Args:
        path: an `.h5`, `.keras`, `.json`, `.onnx`, `.pt` or `.tflite` file.
        custom: the user's own layers, and those in place of others; none by default.

    Returns:
        Plain values: ``inputs``, ``outputs``, ``operators``, ``parameters``,
        ``multiply_accumulates`` of one image, ``provenance``.

    Raises:
        UserError: the file cannot be read, or is none of these; reading it crashes or does not end.
        MissingDependency: it is a `.tflite` file and the extra that reads it is not installed.
    """
    own = stated(custom or Custom())
    answer = one_job("a whole model file", path, f"{__name__}:described", own)
    return dict(json.loads(answer.values["found"]))


def described(held: Any, message: Message) -> tuple[dict[str, Any], dict[str, Any]]:
    """The job of a child process: what a file holds, in JSON."""
    found = _inspected(Path(message.values["path"]), custom_of(message))
    return {"found": json.dumps(found, default=str)}, {}


def _inspected(path: Path, custom: Custom) -> dict[str, Any]:
    readers = {".onnx": _onnx, ".pt": _torch, ".tflite": _litert}
    read = readers.get(path.suffix.lower())
    return _keras(read_spec(path, custom)) if read is None else read(path)


def render(found: Mapping[str, Any]) -> str:
    """A description as indented lines for a terminal."""
    lines = []
    for key, value in found.items():
        if isinstance(value, Mapping):
            lines.append(f"{key}:")
            lines += [f"  {name}: {_plain(each)}" for name, each in value.items()]
        elif isinstance(value, list):
            lines.append(f"{key}:")
            lines += [f"  {_plain(each)}" for each in value]
        else:
            lines.append(f"{key}: {_plain(value)}")
    return "\n".join(lines)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "  ".join(f"{key}={_plain(each)}" for key, each in value.items())
    return json.dumps(value) if isinstance(value, list) else str(value)


def _keras(spec: Spec) -> dict[str, Any]:
    costs = multiply_accumulates(spec)

    def port(name: str) -> dict[str, Any]:
        return {"name": name, "dtype": "float32", "shape": ["batch", *spec.layer(name).shape]}

    return {
        "format": f"Keras {spec.keras_version}",
        "model": spec.name,
        "sha256": spec.digest,
        "inputs": [port(name) for name in spec.inputs],
        "outputs": [{**port(name), "head": spec.head(name)} for name in spec.outputs],
        "operators": dict(sorted(Counter(layer.kind for layer in spec.layers).items())),
        "parameters": spec.parameters(),
        "multiply_accumulates": sum(costs.values()),
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "shape": list(layer.shape),
                "parameters": sum(int(w.size) for w in layer.weights.values()),
                "multiply_accumulates": costs.get(layer.name, 0),
            }
            for layer in spec.layers
        ],
    }


def _onnx(path: Path) -> dict[str, Any]:
    from conversion.backends import onnx_cost, onnx_file
    from conversion.core import digest

    model = onnx_file.load(path)
    found = onnx_file.census(model)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    return {
        "format": f"ONNX opset {found['opset']}, IR {found['ir_version']}",
        "sha256": digest.of_file(path),
        "inputs": onnx_file.ports(onnx_file.inputs(model)),
        "outputs": onnx_file.ports(model.graph.output),
        "nodes": found["nodes"],
        "initializers": found["initializers"],
        "operators": found["operators"],
        "initializer_dtypes": found["initializer_dtypes"],
        "parameters": found["parameters"],
        "multiply_accumulates": sum(onnx_cost.multiply_accumulates(model).values()),
        "provenance": properties or "none in the file",
    }


def _torch(path: Path) -> dict[str, Any]:
    from conversion.backends import torch_file
    from conversion.core import digest

    kind, content = torch_file.load_any(path)
    described = content.get("spec")
    found: dict[str, Any] = {"format": f"PyTorch, {kind}", "sha256": digest.of_file(path)}
    if described is not None:
        sizes = {entry["name"]: entry["shape"] for entry in described["layers"]}
        kinds = Counter(entry["kind"] for entry in described["layers"])
        for ports in ("inputs", "outputs"):
            found[ports] = [
                {"name": name, "dtype": "float32", "shape": ["batch", *sizes[name]]}
                for name in described[ports]
            ]
        found["operators"] = dict(sorted(kinds.items()))
        found["multiply_accumulates"] = sum(_cost(each, sizes) for each in described["layers"])
        found["layers"] = [
            {"name": each["name"], "kind": each["kind"], "shape": each["shape"]}
            for each in described["layers"]
        ]
    shapes = torch_file.shapes(content.get("state_dict", {}))
    found["parameters"] = sum(map(prod, shapes.values()))
    found["tensors"] = {name: list(shape) for name, shape in shapes.items()}
    found["provenance"] = content["provenance"]
    return found


def _litert(path: Path) -> dict[str, Any]:
    from conversion.backends import missing
    from conversion.core import digest

    if absent := missing("litert-fp32"):
        raise MissingDependency(f"Backend {absent}.")
    from conversion.backends import litert_file

    model = litert_file.load(path)
    graph, found = model.subgraphs[0], litert_file.census(model)
    ports = {
        name: [_tensor(graph.tensors[int(index)]) for index in numbers]
        for name, numbers in (("inputs", graph.inputs), ("outputs", graph.outputs))
    }
    return {
        "format": f"LiteRT, schema {model.version}",
        "sha256": digest.of_file(path),
        **ports,
        **found,
        "provenance": litert_file.stated(model) or "none in the file",
    }


def _tensor(tensor: Any) -> dict[str, Any]:
    """A tensor of a LiteRT file; where its shape may change the signature says where."""
    from conversion.backends.litert_file import TYPES

    shape = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    sizes = ["batch" if size < 0 else int(size) for size in shape]
    return {"name": tensor.name.decode(), "dtype": TYPES[tensor.type].lower(), "shape": sizes}


def _cost(entry: Mapping[str, Any], sizes: Mapping[str, Any]) -> int:
    inputs = [tuple(sizes[name]) for name in entry["inputs"]]
    rule = LAYERS.get(entry["kind"], LayerRule())  # what a user's own layer costs, their file says
    return rule.cost(entry["config"], inputs, tuple(entry["shape"]))

"""Refuses every layer that can carry code, before TensorFlow sees the file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from conversion.core.errors import UserError
from conversion.readers.lambda_hints import hint

CODE_BEARING = frozenset(
    {"Lambda", "__lambda__", "function", "TFOpLambda", "SlicingOpLambda", "__typespec__"}
    | {"ClassMethod", "InstanceMethod", "TensorFlowOpLayer", "TFSMLayer", "TorchModuleWrapper"}
    | {"JaxLayer", "FlaxLayer"}
)
"""Classes that Keras rebuilds from byte code, a dotted path or a program of another framework."""

WAYS_ON = (
    "write it with standard layers, or bring it with --custom FILE.py (docs/custom.md), or bring "
    "its shape alone there and go through ONNX (--backends onnx-fp32,torch-via-onnx-fp32)"
)
"""What can be done about a layer that the suite does not know."""


def refuse_code(config: Any, where: str, custom: Collection[str] = ()) -> None:
    """Refuse a model configuration that names anything which can carry code.

    Args:
        config: the parsed ``model_config`` of a Keras file.
        where: what to call the file in the error.
        custom: layer classes of the user's own, which they named.

    Raises:
        UserError: a class in `CODE_BEARING`, or one from outside Keras, occurs at any depth.
    """
    for found, kind in _classes(config, owner="the model"):
        class_name, module = str(kind["class_name"]), kind.get("module")
        if class_name in CODE_BEARING:
            raise UserError(
                f"{where}: {found} uses '{class_name}', which can carry code; files with code are "
                f"refused: {_way_on(class_name, kind, found)}."
            )
        registered = str(kind.get("registered_name") or class_name)
        foreign = module is not None and str(module).split(".")[0] not in ("keras", "builtins")
        if class_name in custom and registered.split(">")[-1] == class_name:
            continue
        if foreign or ">" in registered + class_name:
            origin = f" from '{module}'" if module is not None else ""
            raise UserError(
                f"{where}: {found} uses the custom class '{registered}'{origin}, which would run "
                f"code that is not in Keras: {WAYS_ON}."
            )


def _way_on(class_name: str, kind: Mapping[str, Any], found: str) -> str:
    """What can be done about a layer with code, by the standard layer that does the same."""
    name = found.removeprefix("layer '").removesuffix("'")
    layer = hint(class_name, kind.get("config"))
    if layer:
        typed = layer if layer.endswith(")") else f"{layer.split()[0]}(...)"
        return (
            f"put a standard layer in its place with --replace '{name}={typed}' (by the names and "
            f"numbers in it, {layer}: see that it computes the same)"
        )
    return (
        "no standard layer is known to compute the same: write it as a class of your own and put "
        f"that in its place with --custom FILE.py --replace '{name}=CLASS(...)' (docs/custom.md)"
    )


def _classes(config: Any, owner: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every nested object with a class name, and the layer that it belongs to."""
    pending: list[tuple[Any, str]] = [(config, owner)]
    while pending:  # a loop, not recursion: a hostile file may be nested 60,000 deep
        value, owner = pending.pop()
        if isinstance(value, Mapping):
            if "class_name" in value:
                inner = value.get("config")
                if isinstance(inner, Mapping) and "name" in inner and "layers" not in inner:
                    owner = f"layer '{inner['name']}'"
                yield owner, value
            pending += [(child, owner) for child in value.values()]
        elif isinstance(value, list):
            pending += [(child, owner) for child in value]

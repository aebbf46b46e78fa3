"""Layers that stand in place of those of a file, by the user's word: `--replace NAME=LAYER(...)`.

The words are read as data: a class name and settings made of numbers, text and lists.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from conversion.core.errors import UserError
from conversion.readers.input_shape import INPUT, SHAPES, fix_input, is_shape
from conversion.readers.notation import MODELS
from conversion.readers.schema import LAYERS

_OPERATIONS = {ast.Add: operator.add, ast.Sub: operator.sub}
_OPERATIONS |= {ast.Mult: operator.mul, ast.Div: operator.truediv}
_WRITTEN = {"Rescaling": {"offset": 0.0}}
"""Settings that Keras reads from a file although they may be left out where the layer is made."""

FORM = "NAME=LAYER(setting=value,...), such as lambda_1=Rescaling(scale=1/127.5,offset=-1)"


def replacement(text: str, custom: Collection[str] = ()) -> tuple[str, dict[str, Any]]:
    """What a user typed, as a layer's name and what stands in its place.

    Args:
        text: as in `FORM`; a value is a number, a product or quotient of numbers, text or a list.
        custom: layer classes of the user's own.

    Returns:
        The name, and ``class_name`` and ``config`` of the new layer, without its name.

    Raises:
        UserError: it has another form, or the layer or a setting does not exist.
    """
    name, _, call = text.partition("=")
    try:
        tree = ast.parse(call.strip(), mode="eval").body
        if not (name and isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name)):
            raise ValueError("no layer with brackets")
        if tree.args or any(each.arg is None for each in tree.keywords):
            raise ValueError("a setting without its name")
        kind = tree.func.id
        given = {str(each.arg): _value(each.value) for each in tree.keywords}
    except (SyntaxError, ValueError, ArithmeticError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise UserError(f"Expected --replace {FORM}; got '{text}' ({reason}).") from None
    if kind == INPUT and set(given) == {"shape"} and is_shape(given["shape"]):
        return name, {"class_name": INPUT, "config": {"batch_shape": [None, *given["shape"]]}}
    if kind in custom:
        return name, {"class_name": kind, "config": given}
    rule = LAYERS.get(kind)
    if rule is None or kind == INPUT:
        raise UserError(
            f"Expected a layer of Keras that is supported (docs/supported.md) or of a --custom "
            f"file in --replace {text}; there is no '{kind}'."
        )
    known = {*rule.supported, *rule.allowed, "dtype", "trainable"}
    if wrong := sorted({*given} - known):
        raise UserError(
            f"Expected settings of {kind} in --replace {text} "
            f"({', '.join(sorted({*rule.supported, *rule.allowed})) or 'it has none'}); "
            f"it has no '{wrong[0]}'."
        )
    defaults = {key: values[0] for key, values in rule.allowed.items() if values[0] is not None}
    defaults = {**_WRITTEN.get(kind, {}), **defaults}
    return name, {"class_name": kind, "config": given | {**defaults, **given}}


def _value(node: ast.AST) -> Any:
    """A literal, or arithmetic of numbers.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        sides = _value(node.left), _value(node.right)
        if all(isinstance(side, int | float) for side in sides):
            return _OPERATIONS[type(node.op)](*sides)
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(each) for each in node.elts]
    try:
        found = ast.literal_eval(node)
    except ValueError:
        found = node
    if found is None or isinstance(found, bool | int | float | str):
        return found
    raise ValueError("a value is a number, text or a list")


def replaced(
    config: Mapping[str, Any], layers: Mapping[str, Mapping[str, Any]], custom: Collection[str] = ()
) -> Mapping[str, Any]:
    """A model's description with other layers in place of some; the file is left as it is.

    Args:
        config: the parsed description; changed in place.
        layers: name to ``class_name`` and ``config`` of what takes the place.
        custom: layer classes of the user's own.

    Raises:
        UserError: not exactly one layer has such a name.
    """
    for name, new in layers.items():
        if new["class_name"] == INPUT:
            fix_input(config, name, new["config"]["batch_shape"])
            continue
        found = [each for each in _layers(config) if each["config"]["name"] == name]
        if len(found) != 1:
            names = ", ".join(dict.fromkeys(each["config"]["name"] for each in _layers(config)))
            raise UserError(
                f"Expected the name of one layer before = in --replace; {len(found)} are named "
                f"'{name}', the model has {names}."
            )
        (old,) = found
        kept = {key: old["config"][key] for key in SHAPES if old["config"].get(key)}
        own = new["class_name"] in custom
        old.pop("build_config", None)
        old |= {
            "class_name": new["class_name"],
            "config": {"name": name, "dtype": "float32", **kept, **new["config"]},
            "module": None if own else "keras.layers",
            "registered_name": f"Custom>{new['class_name']}" if own else None,
        }
    return config


def _layers(config: Any) -> Iterator[dict[str, Any]]:
    """The layers of a model and of the models in it."""
    pending = [config]
    while pending:
        model = pending.pop()
        inner = model.get("config") if isinstance(model, Mapping) else None
        listed = inner.get("layers") if isinstance(inner, Mapping) else inner
        for each in listed if isinstance(listed, list) else ():
            if not isinstance(each, dict):
                continue
            if each.get("class_name") in MODELS:
                pending.append(each)
            elif isinstance(each.get("config"), dict) and "name" in each["config"]:
                yield each

"""A layer that another one holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conversion.core.errors import UserError
from conversion.core.layer_rule import Config, LayerRule


def held(rules: Mapping[str, LayerRule], inner: Mapping[str, Any]) -> tuple[LayerRule, Config]:
    """Rule and settings of a layer that another one holds.

    Args:
        rules: of the classes that it may be of.
        inner: as the outer layer's settings have it, with ``class_name`` and ``config``.

    Raises:
        UserError: it is of another class, or has a setting that is not supported.
    """
    rule = rules.get(inner["class_name"])
    if rule is None:
        raise UserError(f"it holds a {inner['class_name']}, which is not supported there.")
    for setting, values in rule.allowed.items():
        if setting != "activation" and inner["config"].get(setting, values[0]) not in values:
            raise UserError(f"it holds a layer with {setting}={inner['config'][setting]!r}.")
    return rule, inner["config"]

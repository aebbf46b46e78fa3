"""Keras to PyTorch without a detour: the module is built from the spec, TensorFlow stays out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conversion.backends import torch_file
from conversion.backends.backend import Ingredients
from conversion.backends.torch_file import TorchRunner, load, save
from conversion.backends.torch_module import SpecModule, describe, from_spec
from conversion.core.artifact import Artifact, Runner
from conversion.core.custom_layers import Custom
from conversion.core.errors import UserError


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Build the module from the spec and save its state with the spec's description.

    Returns:
        The provenance: route, versions, number of parameters.
    """
    spec = ingredients.spec
    module = from_spec(spec)
    provenance = {
        "source": spec.digest,
        "route": "spec to PyTorch modules, loaded strictly",
        "versions": ingredients.versions,
        "parameters": spec.parameters(),
    }
    content = {"spec": describe(spec), "state_dict": module.state_dict()}
    save(target, "torch-fp32", content, provenance)
    return provenance


def rebuild(path: Path, custom: Custom | None = None) -> SpecModule:
    """The module that a `torch-fp32` file describes, with its weights.

    Args:
        path: the file.
        custom: the user's own layers; none by default.

    Raises:
        UserError: the file is not such a file, or its state does not fit its description.
    """
    content = load(path, "torch-fp32")
    module = SpecModule(content["spec"], custom)
    try:
        module.load_state_dict(content["state_dict"], strict=True)
    except RuntimeError as error:
        sentence = " ".join(str(error).split())
        raise UserError(f"{path.name}: the state does not fit the layers: {sentence}") from None
    return module.eval()


def stated_source(path: Path) -> str | None:
    """The digest of the source file that the artifact itself states."""
    return torch_file.stated_source(path, "torch-fp32")


def open(artifact: Artifact, ingredients: Ingredients, threads: int) -> Runner:
    """Rebuild the module from the file."""
    spec = ingredients.spec
    return TorchRunner(rebuild(artifact.path, spec.custom), spec.inputs, spec.outputs, threads)

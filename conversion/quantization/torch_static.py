"""Static int8 for PyTorch in eager mode, from recorded ranges, kept as a state dict."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.ao import quantization as ao

from conversion.backends import torch_file
from conversion.backends.backend import Ingredients
from conversion.backends.torch_file import (
    TorchRunner,
    load,
    save,
    shapes,
)
from conversion.backends.torch_fp32 import rebuild
from conversion.backends.torch_module import SpecModule
from conversion.core.artifact import Artifact, Runner
from conversion.core.custom_layers import Custom
from conversion.core.errors import UserError
from conversion.core.settings import TorchScheme
from conversion.quantization.coverage import without_effect
from conversion.quantization.torch_prepared import (
    Quantizable,
    engine,
    in_float,
    observers,
    prepare,
)

KIND = "torch-int8"


class RecordedRange(ao.ObserverBase):
    """An observer that has seen everything already: it gives the recorded scale and zero point."""

    def __init__(self, scale: float, zero_point: int, dtype: torch.dtype) -> None:
        super().__init__(dtype=dtype)
        self.scale, self.zero_point = scale, zero_point

    def forward(self, value: Tensor) -> Tensor:
        """Pass the value on."""
        return value

    def calculate_qparams(self, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """The recorded scale and zero point."""
        return torch.tensor([self.scale]), torch.tensor([self.zero_point])


def build(ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """Quantize the float module with the recorded ranges and save its state.

    Returns:
        The provenance: scheme, engine, fused groups, calibration, versions.

    Raises:
        UserError: the model has convolutions along three axes.
    """
    volumes = [e.name for e in ingredients.spec.layers if e.kind in ("Conv3D", "Conv3DTranspose")]
    if volumes:
        raise UserError(
            f"torch-int8 has no integer kernels for convolutions along three axes ({volumes[0]})"
        )
    scheme = ingredients.settings.torch
    source, ranges = ingredients.artifacts["torch-fp32"], ingredients.artifacts["torch-ranges"]
    recorded = json.loads(ranges.path.read_text())
    with engine(scheme.engine):
        body = rebuild(source.path, ingredients.spec.custom)
        module, groups = _quantized(body, scheme, recorded)
        state = module.state_dict()
    fused = [name for group in groups for name in group[1:]]
    layers = {*in_float(module), *(module.body.layer_of[name] for name in fused)}
    provenance = {
        "source": ingredients.spec.digest,
        "route": f"torch.ao eager mode, {scheme.label}",
        "torch": source.digest,
        "ranges": ranges.digest,
        "calibration": ranges.provenance["calibration"],
        "fused": groups,
        "versions": ingredients.versions,
        "warnings": without_effect(scheme.float_layers, layers),
    }
    content = {
        "spec": load(source.path, "torch-fp32")["spec"],
        "scheme": ingredients.settings.part("torch"),
        "ranges": recorded,
        "state_dict": state,
    }
    save(target, KIND, content, provenance)
    return provenance


def stated_source(path: Path) -> str | None:
    """The digest of the source file that the artifact itself states."""
    return torch_file.stated_source(path, KIND)


def rebuild_integer(path: Path, custom: Custom | None = None) -> tuple[Quantizable, str]:
    """The integer module that a `torch-int8` file describes, and its engine.

    Args:
        path: the file.
        custom: the user's own layers; none by default.

    Raises:
        UserError: the file is not such a file, or its state does not fit the skeleton.
    """
    content, name = load(path, KIND), path.name
    try:
        scheme = _scheme(content)
        described, ranges, state = (content[part] for part in ("spec", "ranges", "state_dict"))
    except (KeyError, TypeError) as error:
        raise UserError(
            f"Expected spec, scheme, ranges and state_dict in {name}; found otherwise: {error}."
        ) from None
    with engine(scheme.engine):
        module, _ = _quantized(SpecModule(described, custom), scheme, ranges)
        odd = set(shapes(module.state_dict()).items()) ^ set(shapes(state).items())
        if odd:  # torch.ao loads a kernel of another shape without a word
            parts = ", ".join(f"{part} {shape}" for part, shape in sorted(odd)[:4])
            raise UserError(f"{name}: the state does not fit the layers: {parts}")
        try:
            module.load_state_dict(state, strict=True)
        except (RuntimeError, KeyError) as error:
            sentence = " ".join(str(error).split())
            raise UserError(f"{name}: the state does not fit the layers: {sentence}") from None
    return module, scheme.engine


def open(artifact: Artifact, ingredients: Ingredients, threads: int) -> Runner:
    """Rebuild the skeleton from the file's description and recipe, and load the state into it.

    Raises:
        UserError: the file is not such a file, or its state does not fit the skeleton.
    """
    spec = ingredients.spec
    module, name = rebuild_integer(artifact.path, spec.custom)
    return EngineRunner(TorchRunner(module, spec.inputs, spec.outputs, threads), name)


def stated_scheme(path: Path) -> TorchScheme:
    """The scheme that a `torch-int8` file says it was made by.

    Raises:
        UserError: the file is not such a file, or says nothing that is a scheme.
    """
    try:
        return _scheme(load(path, KIND))
    except (KeyError, TypeError) as error:
        raise UserError(f"Expected a scheme in {path.name}; found otherwise: {error}.") from None


def _scheme(content: Mapping[str, Any]) -> TorchScheme:
    return TorchScheme(**content["scheme"])


def eight_bit_elements(path: Path) -> int:
    """How many elements of kernels are stored in eight bits."""
    stored = load(path, KIND)["state_dict"].values()
    # A dense layer's state is a tuple of weight and bias.
    tensors = [
        part for entry in stored for part in (entry if isinstance(entry, tuple) else (entry,))
    ]
    return sum(t.numel() for t in tensors if isinstance(t, Tensor) and t.dtype == torch.qint8)


class EngineRunner:
    """Runs a quantized module under the engine that its weights are packed for."""

    def __init__(self, runner: TorchRunner, name: str) -> None:
        """Wrap a runner.

        Args:
            runner: runs the module.
            name: the engine of the file; another one reads its packed weights wrongly.
        """
        self._runner, self._name = runner, name

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The module's own outputs."""
        if torch.backends.quantized.engine != self._name:  # global, so looked at each time
            torch.backends.quantized.engine = self._name
        return self._runner.run(inputs)


def _quantized(
    body: SpecModule, scheme: TorchScheme, ranges: Mapping[str, Mapping[str, Any]]
) -> tuple[Quantizable, list[list[str]]]:
    module, groups = prepare(body, scheme)
    found = observers(module)
    if set(found) != set(ranges):
        odd = ", ".join(sorted(set(found) ^ set(ranges))[:4])
        raise UserError(f"Expected a recorded range for every activation; these differ: {odd}.")
    for name, observer in found.items():
        parent, _, attribute = name.rpartition(".")
        range_ = RecordedRange(ranges[name]["scale"], ranges[name]["zero_point"], observer.dtype)
        setattr(module.get_submodule(parent), attribute, range_)
    ao.convert(module, inplace=True)
    return module.eval(), groups

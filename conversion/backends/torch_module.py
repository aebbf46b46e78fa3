"""A PyTorch module made from a spec: the same layers under the same names, in the same order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from conversion.backends.torch_layers import LAYERS, parameters
from conversion.backends.torch_stage import Layout, Stage
from conversion.core.custom_layers import Custom, CustomLayer
from conversion.core.errors import UserError
from conversion.core.spec import Layer, Spec

Described = Mapping[str, Any]
"""A spec without its weights, as plain values: what a `.pt` file carries beside its tensors."""

_TAKEN = {"described", "custom", "steps", "ends", "returns", "layer_of", *vars(nn.Module())}
"""Attributes that a `SpecModule` has from its start, beside those of its class."""


@dataclass(frozen=True)
class Step:
    """One call of the module: which attribute, on which values, giving which value.

    Attributes:
        module: the attribute's name; None for a change of layout.
        reads: names of the values that it reads.
        writes: the name of the value that it gives.
        order: the permutation, for a change of layout.
    """

    module: str | None
    reads: tuple[str, ...]
    writes: str
    order: tuple[int, ...] = ()


@dataclass(frozen=True)
class Known:
    """What is known of a value while the module is built: its layout and its number of axes."""

    layout: Layout
    rank: int


class SpecModule(nn.Module):
    """A model built layer by layer from a spec.

    It takes and gives what Keras does: images as ``(N, H, W, C)`` float32, one tensor an output.
    Inside, images are ``(N, C, H, W)`` in channels-last memory, so the change of layout moves no
    data. Every layer is an attribute under its Keras name; ``state_dict()`` reads like the source
    file's list of weights.
    """

    def __init__(self, described: Described, custom: Custom | None = None) -> None:
        """Build the layers, with weights still at random.

        Args:
            described: what `describe` gives.
            custom: the user's own layers; none by default.

        Raises:
            UserError: a layer is not supported, or two of them would be one attribute.
        """
        super().__init__()
        self.described, self.custom = described, (custom or Custom()).layers
        self.steps: list[Step] = []
        self.ends: dict[str, str] = {}
        self.layer_of: dict[str, str] = {}  # attribute to the layer that it is a stage of
        taken = _attributes(entry["name"] for entry in described["layers"])
        layouts: dict[str, Known] = {}
        shapes = {entry["name"]: entry["shape"] for entry in described["layers"]}
        for entry in described["layers"]:
            name = entry["name"]
            if entry["kind"] == "InputLayer":
                self.ends[name], layouts[name] = name, Known("source", len(shapes[name]) + 1)
                continue
            reads = tuple(self.ends[source] for source in entry["inputs"])
            sizes = [shapes[source] for source in entry["inputs"]]
            stages = _stages(entry, sizes, self.custom.get(entry["kind"]))
            for stage in stages:
                attribute = _free(name, stage.suffix, taken)
                self.layer_of[attribute] = name
                reads = (self._add(stage, attribute, reads, layouts),)
            self.ends[name] = reads[0]
            layouts[reads[0]] = replace(layouts[reads[0]], rank=len(shapes[name]) + 1)
        self.returns = [
            self._laid_out(self.ends[name], "source", layouts) for name in described["outputs"]
        ]

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The model's outputs.

        Args:
            inputs: one tensor an input, ``(N, ...)`` float32 in the source's layout.

        Returns:
            The output, or a tuple of them where the model has several.
        """
        values = self.values(*inputs)
        results = tuple(values[name] for name in self.returns)
        return results[0] if len(results) == 1 else results

    def values(self, *inputs: Tensor) -> dict[str, Tensor]:
        """Every value on the way: its name in `steps` to the tensor, inputs too.

        Args:
            inputs: as `forward` takes them.
        """
        values = dict(zip(self.described["inputs"], inputs, strict=True))
        for step in self.steps:
            read = [values[name] for name in step.reads]
            if step.module is None:
                values[step.writes] = read[0].permute(step.order)
            else:
                values[step.writes] = getattr(self, step.module)(*read)
        return values

    def _add(
        self, stage: Stage, attribute: str, reads: tuple[str, ...], layouts: dict[str, Known]
    ) -> str:
        layout = stage.layout
        if layout == "any":
            first = any(layouts[name].layout == "channels_first" for name in reads)
            layout = "channels_first" if first else "source"
        arranged = tuple(self._laid_out(name, layout, layouts) for name in reads)
        self.add_module(attribute, stage.module)
        self.steps.append(Step(attribute, arranged, attribute))
        layouts[attribute] = Known(stage.gives or layout, layouts[reads[0]].rank)
        return attribute

    def _laid_out(self, value: str, layout: Layout, layouts: dict[str, Known]) -> str:
        known = layouts[value]
        if known.layout == layout:
            return value
        arranged = f"{value} ({layout})"
        if arranged not in layouts:
            last = known.rank - 1
            first = (0, last, *range(1, last))
            order = first if layout == "channels_first" else (0, *range(2, known.rank), 1)
            self.steps.append(Step(None, (value,), arranged, order))
            layouts[arranged] = replace(known, layout=layout)
        return arranged


def attribute_name(name: str) -> str:
    """A layer's name as an attribute that does not hide one that the module has anyway.

    ``outer/inner@2``, the second call of a layer in a nested model, is ``outer__inner_call2``.
    """
    plain = name.replace(".", "_").replace("/", "__").replace("@", "_call")
    return f"{plain}_" if plain in _TAKEN or hasattr(SpecModule, plain) else plain


def _attributes(names: Iterable[str]) -> set[str]:
    """The attributes of the layers, one each: a value must not overwrite another one."""
    found: dict[str, str] = {}
    for name in names:
        attribute = attribute_name(name)
        if attribute in found:
            raise UserError(
                f"Expected layer names that differ as PyTorch attributes; '{found[attribute]}' "
                f"and '{name}' would both be '{attribute}': rename one of them."
            )
        found[attribute] = name
    return set(found)


def _free(layer: str, suffix: str, taken: set[str]) -> str:
    """The attribute of one stage of a layer: its own name, or that and a suffix nobody has."""
    if not suffix:
        return attribute_name(layer)
    attribute = attribute_name(layer + suffix)
    while attribute in taken:  # a model may have "conv_relu" beside "conv" and its ReLU
        attribute += "_"
    taken.add(attribute)
    return attribute


def _stages(
    entry: Mapping[str, Any], shapes: Sequence[Sequence[int | None]], own: CustomLayer | None
) -> list[Stage]:
    builder = LAYERS.get(entry["kind"])
    if own is not None and own.torch is not None:
        return [Stage("", own.torch(entry["config"], shapes), "source")]
    if builder is None:
        way = "take torch-via-onnx-fp32, the route through ONNX"
        if own is not None:
            way = f"bring its module as CustomLayer(torch=...) (docs/custom.md), or {way}"
        raise UserError(
            f"Layer '{entry['name']}' is a {entry['kind']}, for which there is no direct route to "
            f"PyTorch: {way}."
        )
    return builder(entry["config"], shapes)


def describe(spec: Spec) -> dict[str, Any]:
    """A spec without its weights, as plain values."""
    return {
        "name": spec.name,
        "digest": spec.digest,
        "inputs": list(spec.inputs),
        "outputs": list(spec.outputs),
        "layers": [_described(layer) for layer in spec.layers],
    }


def _described(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "kind": layer.kind,
        "config": dict(layer.config),
        "inputs": list(layer.inputs),
        "shape": list(layer.shape),
    }


def state_of(spec: Spec) -> dict[str, Tensor]:
    """Every weight of a spec under its attribute's name, in PyTorch's layout, float32."""
    return {
        f"{attribute_name(layer.name)}.{name}": tensor
        for layer in spec.layers
        for name, tensor in _parameters(layer, layer.kind in spec.custom.layers).items()
    }


def _parameters(layer: Layer, own: bool) -> dict[str, Tensor]:
    """A layer's weights under PyTorch's names; in a user's own module they have those of the roles.

    A part of the layer, as in ``cell/kernel``, is a submodule.
    """
    if not own:
        return parameters(layer.kind, layer.config, layer.weights)
    arrays = {role.replace("/", "."): array for role, array in layer.weights.items()}
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def from_spec(spec: Spec) -> SpecModule:
    """The module of a spec with its weights, ready to run.

    Raises:
        UserError: a layer is not supported, or two of them would be one attribute.
        RuntimeError: a weight is missing, unexpected or of another shape (the load is strict).
    """
    module = SpecModule(describe(spec), spec.custom)
    module.load_state_dict(state_of(spec), strict=True)
    return module.eval()


@torch.inference_mode()
def run(module: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Run a module without gradients; a list whatever the number of outputs."""
    results = module(*inputs)
    return [results] if isinstance(results, Tensor) else list(results)

"""A float PyTorch module made ready for eager-mode quantization: fused, with observers in place."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.ao import quantization as ao
from torch.ao.nn.quantized import FloatFunctional

from conversion.backends.torch_elementwise import Permute, RepeatVector
from conversion.backends.torch_module import SpecModule, attribute_name
from conversion.backends.torch_operations import Concatenate, Reshape, SamePadding
from conversion.backends.torch_window_operations import Crop, SeparableConv
from conversion.core.errors import UserError
from conversion.core.settings import TorchScheme
from conversion.quantization.torch_fusion import QuantizableAdd, child, fuse

INTEGER: tuple[type[nn.Module], ...] = (
    *(nn.Conv1d, nn.Conv2d, nn.Linear, nn.ReLU, nn.ReLU6),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d),
)
MOVING: tuple[type[nn.Module], ...] = (
    *(nn.Flatten, nn.Identity, Reshape, Permute, nn.ZeroPad1d, nn.ZeroPad2d),
    *(SamePadding, Crop, RepeatVector),
)
SHAPING = (*MOVING, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, SeparableConv)
"""Modules that run on quantized tensors; everything else runs in float between two casts."""

WRONG: Mapping[str, tuple[type[nn.Module], ...]] = {"qnnpack": (nn.ReLU6,)}
"""Engine to modules that run in float all the same: qnnpack's clamp (PyTorch 2.15) mixes up the
pixels of channels-last tensors."""

SEVEN_BITS = 63
"""Steps to the largest weight: two products of 255 and 63 leave room in 16 bits."""

_FUSED = "torch.ao.nn.intrinsic"


class QuantizableConcatenate(nn.Module):
    """Its inputs side by side, brought to one scale."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.functional = FloatFunctional()

    def forward(self, *values: Tensor) -> Tensor:
        """Concatenate along the axis."""
        return self.functional.cat(list(values), dim=self.axis)


class FloatIsland(nn.Module):
    """A module that runs in float: cast to float, run, cast back unless it stays in float."""

    def __init__(self, module: nn.Module, last: bool) -> None:
        super().__init__()
        self.leave = ao.DeQuantStub()
        self.module = module
        setattr(self.module, "qconfig", None)  # noqa: B010  # torch.ao looks for the attribute
        self.enter = nn.Identity() if last else ao.QuantStub()

    def forward(self, *values: Tensor) -> Tensor:
        """Run in float32."""
        found: Tensor = self.enter(self.module(*(self.leave(value) for value in values)))
        return found


class Quantizable(nn.Module):
    """A `SpecModule` between the cast of its inputs and the cast of its outputs."""

    def __init__(self, body: SpecModule, in_float: Collection[str] = ()) -> None:
        """Put a module between casts.

        Args:
            body: the float module.
            in_float: modules that are to be computed in float; an input that they alone read is not
                cast.
        """
        super().__init__()
        readers = [readers_of(body, name) for name in body.described["inputs"]]
        self.enter = nn.ModuleList(
            nn.Identity() if each and each <= {*in_float} else ao.QuantStub() for each in readers
        )
        self.body = body
        self.leave = ao.DeQuantStub()

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The model's outputs in float32, computed in int8."""
        cast = [stub(value) for stub, value in zip(self.enter, inputs, strict=True)]
        results = self.body(*cast)
        listed = (results,) if isinstance(results, Tensor) else results
        # The end of the network may be a float island already.
        floats = tuple(self.leave(r) if r.is_quantized or self.training else r for r in listed)
        return floats[0] if len(floats) == 1 else floats


@contextmanager
def engine(name: str) -> Iterator[None]:
    """Use a quantized engine for the time being; PyTorch's setting is global.

    Raises:
        UserError: this build of PyTorch does not have it.
    """
    supported = torch.backends.quantized.supported_engines
    if name not in supported:
        known = ", ".join(each for each in supported if each != "none")
        raise UserError(f"Expected a quantized engine of this PyTorch ({known}); got '{name}'.")
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = name
    try:
        with warnings.catch_warnings():
            # torch.ao is deprecated in favour of torchao, whose PT2E computes in float unless it
            # is compiled; see docs/quantization.md for the measurement.
            warnings.filterwarnings("ignore", "torch.ao.quantization is deprecated")
            warnings.filterwarnings("ignore", r"torch\.quantize_per_tensor, torch\.quantize_per_ch")
            warnings.filterwarnings("ignore", ".*reduce_range.*")
            yield
    finally:
        torch.backends.quantized.engine = before


def prepare(body: SpecModule, scheme: TorchScheme) -> tuple[Quantizable, list[list[str]]]:
    """Fuse what has a fused kernel and put an observer behind every quantized operation.

    Args:
        body: the float module; it is changed.
        scheme: engine, granularity, observer.

    Returns:
        The prepared module and the groups of layers that were fused, first layer first.
    """
    body.eval()
    chosen = [name for name, layer in body.layer_of.items() if layer in scheme.float_layers]
    # Of the user's own layers nothing is known.
    layers = body.described["layers"]
    own = [attribute_name(each["name"]) for each in layers if each["kind"] in body.custom]
    _leave_in_float(body, own)
    groups = fuse(body, chosen)
    _swap(body)
    chosen = [name for name in chosen if not isinstance(child(body, name), MOVING)]
    without_kernel = _without_kernel(body, WRONG.get(scheme.engine, ()))
    _leave_in_float(body, [*without_kernel, *chosen], chosen)
    module = Quantizable(body, chosen).eval()
    module.qconfig = _config(scheme)
    ao.prepare(module, inplace=True)
    return module, groups


def _swap(body: SpecModule) -> None:
    """Replace concatenations."""
    for name, module in list(body.named_children()):
        if isinstance(module, Concatenate):
            setattr(body, name, QuantizableConcatenate(module.axis))


def _without_kernel(body: SpecModule, wrong: tuple[type[nn.Module], ...]) -> list[str]:
    """Modules that have no integer kernel, or one that is wrong."""
    known = (*INTEGER, *SHAPING, QuantizableAdd, QuantizableConcatenate, FloatIsland)
    return [
        name
        for name, module in body.named_children()
        if isinstance(module, wrong)
        or not (isinstance(module, known) or type(module).__module__.startswith(_FUSED))
    ]


def _leave_in_float(body: SpecModule, names: list[str], chosen: Collection[str] = ()) -> None:
    """Put modules between two casts; what those by choice give to others in float is not cast."""
    read = {name for step in body.steps for name in step.reads}
    islands = {name for name, each in body.named_children() if isinstance(each, FloatIsland)}
    for step in body.steps:
        if step.module is None or step.module not in names or step.module in islands:
            continue
        last = step.writes in body.returns and step.writes not in read
        stays = step.module in chosen and readers_of(body, step.writes) <= {*names, *islands}
        setattr(body, step.module, FloatIsland(child(body, step.module), last or stays))


def readers_of(body: SpecModule, value: str) -> set[str]:
    """The modules that compute with a value, whatever moves its elements on the way."""
    found = set[str]()
    for step in body.steps:
        if value in step.reads:
            moves = step.module is None or isinstance(child(body, step.module), MOVING)
            found |= readers_of(body, step.writes) if moves else {str(step.module)}
    return found


def in_float(module: Quantizable) -> list[str]:
    """Layers of which something is computed in float."""
    body = module.body
    islands = [name for name, each in body.named_children() if isinstance(each, FloatIsland)]
    return list(dict.fromkeys(body.layer_of[name] for name in islands))


def _config(scheme: TorchScheme) -> Any:
    observers: Mapping[str, Any] = {
        "histogram": ao.HistogramObserver,
        "minmax": ao.MinMaxObserver,
    }
    weight = (
        ao.default_per_channel_weight_observer if scheme.per_channel else ao.default_weight_observer
    )
    if scheme.seven_bits:
        # Its own `reduce_range` ends at 63.5 steps: the largest weight would lie between two.
        weight = weight.with_args(quant_min=-SEVEN_BITS, quant_max=SEVEN_BITS)
    activation = observers[scheme.method].with_args(dtype=torch.quint8)
    return ao.QConfig(activation=activation, weight=weight)


def observers(module: nn.Module) -> dict[str, ao.ObserverBase]:
    """The observers of activations in a prepared module, by name."""
    return {
        name: child
        for name, child in module.named_modules()
        if name.endswith("activation_post_process") and isinstance(child, ao.ObserverBase)
    }

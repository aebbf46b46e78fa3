"""A float PyTorch module made ready for eager-mode quantization: fused, with observers in place."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.ao import quantization as ao
from torch.ao.nn.quantized import FloatFunctional

from conversion.backends.torch_module import SpecModule
from conversion.backends.torch_operations import Add, Concatenate, Reshape, SamePadding
from conversion.errors import UserError
from conversion.settings import TorchScheme

INTEGER = (nn.Conv2d, nn.Linear, nn.ReLU, nn.ReLU6, nn.MaxPool2d, nn.AvgPool2d)
SHAPING = (nn.AdaptiveAvgPool2d, nn.Flatten, nn.ZeroPad2d, nn.Identity, SamePadding, Reshape)
"""Modules that run on quantized tensors; everything else runs in float between two casts."""

WRONG: Mapping[str, tuple[type[nn.Module], ...]] = {"qnnpack": (nn.ReLU6,)}
"""Engine to modules that run in float all the same: qnnpack's clamp (PyTorch 2.15) mixes up the
pixels of channels-last tensors."""


class QuantizableAdd(nn.Module):
    """A sum whose output has a range of its own, with the ReLU after it where there is just one."""

    def __init__(self, relu: bool) -> None:
        super().__init__()
        self.relu = relu
        self.functional = FloatFunctional()

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        """Add tensors of one shape."""
        *middle, last = others
        for other in middle:
            first = self.functional.add(first, other)
        return (
            self.functional.add_relu(first, last) if self.relu else self.functional.add(first, last)
        )


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
    """A module that has no integer kernel: cast to float, run, cast back unless it is the end."""

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

    def __init__(self, body: SpecModule) -> None:
        super().__init__()
        self.enter = nn.ModuleList(ao.QuantStub() for _ in body.described["inputs"])
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
    groups = fusion_groups(body)
    if groups:
        ao.fuse_modules(body, groups, inplace=True)
    groups += _swap(body)
    module = Quantizable(body).eval()
    module.qconfig = _config(scheme)
    _leave_in_float(module, WRONG.get(scheme.engine, ()))
    ao.prepare(module, inplace=True)
    return module, groups


def fusion_groups(body: SpecModule) -> list[list[str]]:
    """Chains of convolution or dense, BatchNormalization and ReLU in which nobody else listens."""
    following = _only_listeners(body)
    groups = []
    for step in body.steps:
        if step.module is None or not isinstance(_child(body, step.module), nn.Conv2d | nn.Linear):
            continue
        group, wanted = [step.module], [nn.BatchNorm2d, nn.ReLU]
        value = step.writes
        for kind in wanted:
            after = following.get(value)
            if after is None:
                continue
            module = _child(body, after)
            linear = isinstance(_child(body, group[0]), nn.Linear)
            if type(module) is kind and not (linear and kind is nn.BatchNorm2d):
                group.append(after)
                value = after
        if len(group) > 1:
            groups.append(group)
    return groups


def _only_listeners(body: SpecModule) -> dict[str, str]:
    """Value to the module that reads it, where that is the only one and reads nothing else.

    A module writes the value of its own name.
    """
    readers = Counter(name for step in body.steps for name in step.reads)
    readers.update(body.returns)
    return {
        step.reads[0]: step.module
        for step in body.steps
        if step.module is not None and len(step.reads) == 1 and readers[step.reads[0]] == 1
    }


def _child(body: SpecModule, name: str) -> nn.Module:
    child = getattr(body, name)
    assert isinstance(child, nn.Module)
    return child


def _swap(body: SpecModule) -> list[list[str]]:
    """Replace sums and concatenations, and fuse a sum with the only ReLU that follows it."""
    following = _only_listeners(body)
    groups = []
    for step in body.steps:
        if step.module is None:
            continue
        module = _child(body, step.module)
        if isinstance(module, Concatenate):
            setattr(body, step.module, QuantizableConcatenate(module.axis))
        elif isinstance(module, Add):
            after = following.get(step.writes)
            relu = after if after and type(_child(body, after)) is nn.ReLU else None
            setattr(body, step.module, QuantizableAdd(relu is not None))
            if relu is not None:
                setattr(body, relu, nn.Identity())
                groups.append([step.module, relu])
    return groups


def _leave_in_float(module: Quantizable, wrong: tuple[type[nn.Module], ...]) -> None:
    """Wrap what has no integer kernel, or one that is wrong."""
    body = module.body
    read = {name for step in body.steps for name in step.reads}
    for step in body.steps:
        if step.module is None:
            continue
        child = _child(body, step.module)
        fused = type(child).__module__.startswith("torch.ao.nn.intrinsic")
        known = isinstance(child, (*INTEGER, *SHAPING, QuantizableAdd, QuantizableConcatenate))
        if isinstance(child, wrong) or not (known or fused):
            last = step.writes in body.returns and step.writes not in read
            setattr(body, step.module, FloatIsland(child, last))


def _config(scheme: TorchScheme) -> Any:
    observers: Mapping[str, Any] = {
        "histogram": ao.HistogramObserver,
        "minmax": ao.MinMaxObserver,
    }
    weight = (
        ao.default_per_channel_weight_observer if scheme.per_channel else ao.default_weight_observer
    )
    activation = observers[scheme.method].with_args(
        dtype=torch.quint8, reduce_range=scheme.reduce_range
    )
    return ao.QConfig(activation=activation, weight=weight)


def observers(module: nn.Module) -> dict[str, ao.ObserverBase]:
    """The observers of activations in a prepared module, by name."""
    return {
        name: child
        for name, child in module.named_modules()
        if name.endswith("activation_post_process") and isinstance(child, ao.ObserverBase)
    }

"""Modules that become one kernel: a convolution, its BatchNormalization, and a ReLU or ReLU6."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor, nn
from torch.ao import quantization as ao
from torch.ao.nn.quantized import FloatFunctional

from conversion.backends.torch_module import SpecModule, Step
from conversion.backends.torch_normalization import NormOfAxis
from conversion.backends.torch_operations import Add, NormOfLastAxis
from conversion.backends.torch_window_operations import SeparableConv

NORMS: Mapping[int, type[nn.Module]] = {3: nn.BatchNorm1d, 4: nn.BatchNorm2d}
"""Axes of a convolution's output to the normalization of axis 1 that torch.ao folds into it."""


class QuantizableAdd(nn.Module):
    """A sum whose output has a range of its own, with the ReLU after it where there is just one.

    Of more than two tensors every sum on the way has its own range too.
    """

    def __init__(self, count: int, relu: bool) -> None:
        super().__init__()
        self.relu = relu
        self.partial = nn.ModuleList(FloatFunctional() for _ in range(count - 2))
        self.functional = FloatFunctional()

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        """Add tensors of one shape."""
        *middle, last = others
        partial: list[Any] = list(self.partial)
        for functional, other in zip(partial, middle, strict=True):
            first = functional.add(first, other)
        return (
            self.functional.add_relu(first, last) if self.relu else self.functional.add(first, last)
        )


def fuse(body: SpecModule, in_float: Collection[str] = ()) -> list[list[str]]:
    """Fuse what has a fused kernel.

    Args:
        body: the float module in evaluation; it is changed.
        in_float: modules that are to be computed in float, with what is fused into them; none of
            them becomes part of one that is not.

    Returns:
        The groups of modules that became one, the one with the kernel first.
    """
    groups = fusion_groups(body, in_float)
    ceilings = {}
    for first, *others in groups:
        rank = _rank(child(body, first))
        for name in others:
            module = child(body, name)
            if isinstance(module, NormOfAxis | NormOfLastAxis):
                setattr(body, name, _of_axis_1(module, rank))
            elif isinstance(module, nn.ReLU6):
                ceilings[first] = module
                setattr(body, name, nn.ReLU().eval())
    if groups:
        paths = [[_path(body, first), *others] for first, *others in groups]
        ao.fuse_modules(body, paths, inplace=True)
    for first, ceiling in ceilings.items():
        _set_ceiling(body, first, ceiling)
    return groups + _sums(body, in_float)


def _set_ceiling(body: SpecModule, name: str, ceiling: nn.Module) -> None:
    """Give a fused kernel the ReLU6 in place of the ReLU that torch.ao can fuse.

    Its range is observed behind the ceiling, at which the integer kernel then ends. By itself a
    ReLU6 keeps the steps of the layer before it, of which few may lie below 6.
    """
    fused = body.get_submodule(_path(body, name))
    assert isinstance(fused, nn.Sequential)
    fused[1] = ceiling


def fusion_groups(body: SpecModule, in_float: Collection[str] = ()) -> list[list[str]]:
    """Chains of convolution or dense, BatchNormalization and ReLU or ReLU6, read by nobody else.

    Args:
        body: the float module.
        in_float: modules that only follow one of their own.
    """
    listeners = _only_listeners(body)
    groups = []
    for step in body.steps:
        if step.module is None:
            continue
        kernel = _kernel(child(body, step.module))
        if not isinstance(kernel, nn.Conv1d | nn.Conv2d | nn.Linear):
            continue
        group, value = [step.module], step.writes
        if not isinstance(kernel, nn.Linear):
            behind, axis = _behind(listeners, value, axis=1)
            normalises = behind and _normalised(child(body, behind), _rank(kernel)) == axis
            if behind and normalises and _joins(behind, step.module, in_float):
                group.append(behind)
                value = behind
        behind, _ = _behind(listeners, value)
        is_relu = behind and type(child(body, behind)) in (nn.ReLU, nn.ReLU6)
        if behind and is_relu and _joins(behind, step.module, in_float):
            group.append(behind)
        if len(group) > 1:
            groups.append(group)
    return groups


def _joins(name: str, first: str, in_float: Collection[str]) -> bool:
    """Whether a module may become part of the one before it."""
    return name not in in_float or first in in_float


def child(body: SpecModule, name: str) -> nn.Module:
    """A module of the body."""
    found = getattr(body, name)
    assert isinstance(found, nn.Module)
    return found


def _kernel(module: nn.Module) -> nn.Module:
    """The module into which what follows is folded."""
    return module.pointwise if isinstance(module, SeparableConv) else module


def _rank(module: nn.Module) -> int:
    """Axes of a convolution's kernel, which are as many as those of its output."""
    weight = _kernel(module).weight
    assert isinstance(weight, Tensor)
    return weight.ndim


def _path(body: SpecModule, name: str) -> str:
    return f"{name}.pointwise" if isinstance(child(body, name), SeparableConv) else name


def _only_listeners(body: SpecModule) -> dict[str, Step]:
    """Value to the step that reads it, where that is the only one and reads nothing else."""
    readers = Counter(name for step in body.steps for name in step.reads)
    readers.update(body.returns)
    return {
        step.reads[0]: step
        for step in body.steps
        if len(step.reads) == 1 and readers[step.reads[0]] == 1
    }


def _behind(listeners: Mapping[str, Step], value: str, axis: int = 0) -> tuple[str | None, int]:
    """The module that alone reads a value, in whatever layout, and where an axis lies there."""
    step = listeners.get(value)
    while step is not None and step.module is None:
        axis = step.order.index(axis)
        step = listeners.get(step.writes)
    return (step.module if step else None), axis


def _normalised(module: nn.Module, rank: int) -> int | None:
    """The axis that a BatchNormalization normalises; None for any other module."""
    if isinstance(module, NormOfLastAxis):
        return rank - 1
    if isinstance(module, NormOfAxis):
        return module.axis
    return 1 if isinstance(module, nn.BatchNorm2d) else None


def _of_axis_1(norm: nn.BatchNorm1d, rank: int) -> nn.Module:
    """The same numbers in the class that torch.ao looks for."""
    plain = NORMS[rank](norm.num_features, eps=norm.eps)
    plain.load_state_dict(norm.state_dict())
    return plain.eval()


def _sums(body: SpecModule, in_float: Collection[str]) -> list[list[str]]:
    """Replace sums, and fuse each with the only ReLU that follows it."""
    listeners = _only_listeners(body)
    groups = []
    for step in body.steps:
        if step.module is None or not isinstance(child(body, step.module), Add):
            continue
        after, _ = _behind(listeners, step.writes)
        is_relu = after and type(child(body, after)) is nn.ReLU
        relu = after if after and is_relu and _joins(after, step.module, in_float) else None
        setattr(body, step.module, QuantizableAdd(len(step.reads), relu is not None))
        if relu is not None:
            setattr(body, relu, nn.Identity())
            groups.append([step.module, relu])
    return groups

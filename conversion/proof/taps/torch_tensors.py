"""Every tensor of a PyTorch module, whatever its classes: operators are seen as they run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from conversion.core.spec import Spec
from conversion.proof.metrics.int8 import Steps
from conversion.proof.taps.network import Computed, Constant, Network, Run

MOVES = (
    *("view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze"),
    *("permute", "transpose", "t", "movedim", "moveaxis", "contiguous", "clone", "alias"),
    *("detach", "to", "_to_copy", "dropout", "quantize_per_tensor", "dequantize"),
)
"""Operators that only move, cast or round elements."""

Call = Callable[..., Any]
"""Tensors, one an input, to the module's outputs."""


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps what operators give while a module runs.

    A tensor is named by its operator and by how many of that kind ran before: a batch of another
    size may need one more of those that only move elements.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here, so no compiler need be told: its import takes 1.8 s."""
        return False

    def __init__(self, inputs: Mapping[str, torch.Tensor], wanted: Collection[str] | None) -> None:
        """Begin with the inputs.

        Args:
            inputs: name to tensor.
            wanted: tensors to keep; all of them by default, with what reads what.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.wanted, self.count = wanted, Counter[str]()
        self.found = {name: Computed(name) for name in inputs}
        self.values = {name: _plain(tensor) for name, tensor in inputs.items()}
        self.names = {id(tensor): name for name, tensor in inputs.items()}
        self.kept: list[Any] = []  # whose addresses must not be given to others

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = operator(*args, **(kwargs or {}))
        kind = operator.overloadpacket.__name__
        outputs = [result] if isinstance(result, torch.Tensor) else result
        read = self._reads((args, kwargs))
        kernels = tuple(_kernels(kind, args)) if self.wanted is None else ()
        listed = outputs if isinstance(outputs, (tuple, list)) else ()
        for index, tensor in enumerate(listed):
            if isinstance(tensor, torch.Tensor):
                self._keep(f"{kind} {self.count[kind]}.{index}", kind, tensor, read, kernels)
        self.count[kind] += 1
        return result

    def _keep(
        self,
        name: str,
        kind: str,
        tensor: torch.Tensor,
        reads: tuple[str, ...],
        kernels: tuple[Constant, ...],
    ) -> None:
        if self.wanted is None:
            self.kept.append(tensor)
            if reads:
                steps = _steps(tensor)
                self.found[name] = Computed(name, kind, reads, kind in MOVES, kernels, steps)
                self.names[id(tensor)] = name
                self.values[name] = _plain(tensor)
        elif name in self.wanted:
            self.values[name] = _plain(tensor)

    def _reads(self, given: Any) -> tuple[str, ...]:
        if isinstance(given, torch.Tensor):
            return (self.names[id(given)],) if id(given) in self.names else ()
        if isinstance(given, Mapping):
            given = tuple(given.values())
        if isinstance(given, tuple | list):
            return tuple(dict.fromkeys(name for each in given for name in self._reads(each)))
        return ()


def network_of(call: Call, inputs: Mapping[str, np.ndarray], spec: Spec) -> Network:
    """The tensors that a module computes from some images.

    Args:
        call: runs the module.
        inputs: input name to ``(N, ...)`` float32.
        spec: the model, for the order of inputs.
    """
    feed = {name: torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in spec.inputs}
    with torch.inference_mode(), Recorder(feed, None) as recorder:
        results = call(*feed.values())
    listed = [results] if isinstance(results, torch.Tensor) else list(results)
    outputs = tuple(recorder.names.get(id(each), "") for each in listed)
    return Network(tuple(recorder.found.values()), tuple(feed), outputs)


def runner(call: Call, spec: Spec, threads: int) -> Run:
    """What gives the tensors of a module.

    Args:
        call: runs the module.
        spec: the model, for the order of inputs.
        threads: threads of an operator.
    """

    def run(inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
        torch.set_num_threads(threads)
        feed = {name: torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in spec.inputs}
        with torch.inference_mode(), Recorder(feed, set(names)) as recorder:
            call(*feed.values())
        found = {name: value for name, value in recorder.values.items() if value is not None}
        return {name: found[name] for name in names if name in found}

    return run


def _steps(tensor: torch.Tensor) -> Steps | None:
    """Scale and zero point of a tensor of integers; None of real numbers."""
    if not tensor.is_quantized or tensor.qscheme() != torch.per_tensor_affine:
        return None
    zero = np.array(tensor.q_zero_point(), np.int8 if tensor.dtype == torch.qint8 else np.uint8)
    return Steps(np.array(tensor.q_scale(), np.float32), zero)


def _kernels(kind: str, given: Sequence[Any]) -> Iterator[Constant]:
    """The kernel of integers that an operator multiplies by, out of its packed parameters."""
    for each in given:
        if isinstance(each, torch.ScriptObject) and hasattr(each, "unpack"):
            kernel, _ = each.unpack()
            yield Constant(
                f"{kind} of {id(each)}",
                "w",
                kernel.int_repr().numpy,
                tuple(kernel.shape),
                _channel_steps(kernel),
            )


def _channel_steps(kernel: torch.Tensor) -> Steps:
    """Scale and zero point of a kernel: one of each for every output channel, or for all."""
    if kernel.qscheme() in (torch.per_channel_affine, torch.per_channel_symmetric):
        scale, zero = kernel.q_per_channel_scales(), kernel.q_per_channel_zero_points()
        return Steps(scale.numpy().astype(np.float32), zero.numpy().astype(np.int8))
    return Steps(np.array(kernel.q_scale(), np.float32), np.array(kernel.q_zero_point(), np.int8))


def _plain(tensor: torch.Tensor) -> np.ndarray | None:
    """A tensor's values as they are now: another operator may write over them."""
    real = tensor.dequantize() if tensor.is_quantized else tensor
    if not real.is_floating_point() or not real.ndim:
        return None
    return np.array(real.numpy())

"""The `.pt` files of the PyTorch backends: tensors and plain values, nothing that runs code."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from conversion.backends.torch_module import run
from conversion.core.errors import RunFailed, UserError

FORMAT = 1
"""Version of what `save` writes."""


def save(
    target: Path, kind: str, content: Mapping[str, Any], provenance: Mapping[str, Any]
) -> None:
    """Save a `.pt` file.

    Args:
        target: where it goes.
        kind: the backend's name, which the file states.
        content: tensors and plain values.
        provenance: how it came to be, plain values.
    """
    header = {"conversion": FORMAT, "kind": kind, "provenance": dict(provenance)}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "TypedStorage is deprecated")  # quantized tensors
        torch.save({**header, **content}, target)


def load(path: Path, kind: str) -> dict[str, Any]:
    """Load a `.pt` file that `save` wrote, with ``weights_only=True``.

    Args:
        path: the file.
        kind: the backend's name, which the file must state.

    Raises:
        UserError: the file is missing, holds anything but tensors and plain values, or is of
            another kind.
    """
    found, content = load_any(path)
    if found != kind:
        raise UserError(f"Expected a {kind} file at {path}; the file says it is {found!r}.")
    return content


def load_any(path: Path) -> tuple[str, dict[str, Any]]:
    """Load a `.pt` file of any kind that `save` wrote, with ``weights_only=True``.

    Args:
        path: the file.

    Returns:
        The backend's name that the file states, and its content.

    Raises:
        UserError: the file is missing, or holds anything but tensors and plain values.
    """
    if not path.is_file():
        raise UserError(f"Expected a PyTorch file at {path}; there is none.")
    try:
        with warnings.catch_warnings():
            # Of quantized tensors, which torch.ao still makes, and of pickles that are refused.
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
        sentence = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"Expected a PyTorch file of tensors and plain values at {path}; {sentence}"
        ) from None
    if not isinstance(content, dict) or content.get("conversion") != FORMAT:
        raise UserError(
            f"Expected a file of this package at {path}; it is another one, without the network: "
            "export the module to ONNX and judge it with --artifact onnx-fp32=FILE.onnx."
        )
    return str(content.get("kind")), content


def shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors in a state; a packed pair of weight and bias counts as two."""
    found: dict[str, tuple[int, ...]] = {}
    for name, value in state.items():
        parts = value if isinstance(value, tuple) else (value,)
        for part, suffix in zip(parts, ("", ".bias"), strict=False):
            if isinstance(part, torch.Tensor):
                found[name + suffix] = tuple(part.shape)
    return found


def stated_source(path: Path, kind: str) -> str | None:
    """The digest of the source file that a `.pt` file states."""
    found = load(path, kind)["provenance"].get("source")
    return None if found is None else str(found)


class TorchRunner:
    """A PyTorch module as a user would deploy it: on the CPU, in inference mode."""

    def __init__(
        self, module: nn.Module, inputs: Sequence[str], outputs: Sequence[str], threads: int
    ) -> None:
        """Wrap a module.

        Args:
            module: takes tensors in the source's layout and returns one or several.
            inputs: names of its inputs, in order.
            outputs: names of its outputs, in order.
            threads: threads of an operator; PyTorch's setting is global, so it is set each time.
        """
        self.module = module.eval()
        self._inputs, self._outputs, self._threads = list(inputs), list(outputs), threads

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The module's own outputs."""
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        tensors = [torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in self._inputs]
        try:
            results = run(self.module, tensors)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            sentence = " ".join(str(error).split())[:300]
            raise RunFailed(f"PyTorch stops on a batch of {len(tensors[0])}: {sentence}") from None
        if len(results) != len(self._outputs):
            raise UserError(
                f"Expected the PyTorch module to have the outputs {self._outputs}; it has "
                f"{len(results)}."
            )
        named = zip(self._outputs, results, strict=True)
        return {name: result.numpy() for name, result in named}

"""PyTorch's libraries in a process that has TensorFlow loaded already."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_triton() -> Iterator[None]:
    """Keep Triton out for the time being where TensorFlow is loaded and Triton is not.

    torchvision and onnx2torch load `torch._dynamo`, which loads Triton if it finds it (PyTorch's
    CUDA build brings it). Triton and TensorFlow each hold a copy of LLVM, and the second copy to
    start aborts the process when it is Triton's. Nothing here compiles for a GPU, and PyTorch does
    without Triton where it is not installed; it then does without it in this process, which
    loading it would have ended.
    """
    if "tensorflow" not in sys.modules or "triton" in sys.modules:
        yield
        return
    sys.modules["triton"] = None  # type: ignore[assignment]  # so that importing it raises
    try:
        yield
    finally:
        del sys.modules["triton"]

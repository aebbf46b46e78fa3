"""Jobs of a child process: preprocessing of the user's, in Python or as an ONNX graph, is run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core.channel import Message
from conversion.core.errors import UserError
from conversion.core.user_code import UserFile, execute
from conversion.subjects.decoding import pixels_of
from conversion.subjects.python_file import guarded

FUNCTIONS = ["preprocess", "preprocess_bytes"]
PROTOCOL = "preprocess(path) or preprocess_bytes(content)"

Answer = tuple[dict[str, Any], dict[str, np.ndarray]]
PREPARES = "prepare images"


def python(held: dict[str, object], message: Message) -> Answer:
    """The job of a child: a user's Python file is executed, and its function called on files."""
    path = Path(message.values["path"])
    file = UserFile(path, message.values["digest"], is_for_keras=False)
    sys.path.insert(0, str(path.parent))  # what it imports may lie beside it
    module = guarded(path, PREPARES, lambda: execute(file))
    has = [name for name in FUNCTIONS if callable(getattr(module, name, None))]
    if len(has) != 1:
        raise UserError(
            f"Expected {path.name} to define {PROTOCOL}; it has {' and '.join(has) or 'neither'}."
        )

    def one(name: str) -> np.ndarray:
        given = name if has == FUNCTIONS[:1] else Path(name).read_bytes()
        return np.asarray(getattr(module, has[0])(given))

    arrays = {}
    for index, name in enumerate(message.values["files"]):
        found = guarded(path, PREPARES, partial(one, name))
        if found.dtype.kind not in "uif":
            raise UserError(
                f"Expected {path.name} to return an array of numbers; it returns {found.dtype}."
            )
        arrays[str(index)] = found
    return {}, arrays


def onnx(held: dict[str, object], message: Message) -> Answer:
    """The job of a child: an ONNX graph is run on files, or on their pixels."""
    import onnxruntime

    path = Path(message.values["path"])
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (given,), output = session.get_inputs(), session.get_outputs()[0].name
        feed = _fed(given.type, given.shape)
        names = list(enumerate(message.values["files"]))
        return {}, {
            str(index): session.run([output], {given.name: feed(Path(name))})[0]
            for index, name in names
        }
    except UserError:
        raise
    except Exception as error:  # whatever the runtime raises, the graph does not take the images
        said = " ".join(str(error).split())[:200]
        raise UserError(
            f"Expected {path.name} to take one image, as bytes of its file (uint8, one axis) or as "
            f"RGB pixels (uint8 or float32, with a batch or without); it does not: {said}"
        ) from None


def _fed(kind: str, shape: Sequence[Any]) -> Callable[[Path], np.ndarray]:
    """What a graph's input is given of a file: its bytes, or its pixels in the graph's layout."""
    dtype = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}.get(kind)
    if dtype is None or len(shape) not in (1, 3, 4):
        raise ValueError(f"its input is {kind} {list(shape)}")
    if len(shape) == 1:
        return lambda file: np.frombuffer(file.read_bytes(), np.uint8)
    first = shape[-3] == 3 and shape[-1] != 3

    def pixels(file: Path) -> np.ndarray:
        found = pixels_of(file).astype(dtype)
        found = np.ascontiguousarray(np.moveaxis(found, -1, 0)) if first else found
        return found[None] if len(shape) == 4 else found

    return pixels

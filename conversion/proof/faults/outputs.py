"""Faults of the way out: another function at the end, or the classes in another order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import ModelProto

from conversion.proof.faults import graph_edits as graph
from conversion.proof.faults import spec_edits as specs
from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.injection import in_onnx, in_spec

TORCH, ONNX, VIA = "torch-fp32", "onnx-fp32", "torch-via-onnx-fp32"
SOFTMAX = ("Softmax", "dense")
CAT_FOR_DOG = (0, 1, 2, 5, 4, 3, 6, 7, 8, 9)


def without_softmax(model: ModelProto) -> None:
    """Logits."""
    graph.drop(model, graph.node(model, *SOFTMAX))


def instead(operator: str) -> Callable[[ModelProto], None]:
    """Another function in the place of the softmax."""

    def change(model: ModelProto) -> None:
        last = graph.node(model, *SOFTMAX)
        last.op_type = operator
        if operator == "Sigmoid":
            del last.attribute[:]

    return change


def hotter(size: float) -> Inject:
    """A temperature of 1 and a part: logits divided by it."""

    def change(model: ModelProto) -> None:
        graph.ahead(model, graph.node(model, *SOFTMAX), "Div", graph.floats(1 + size))

    return in_onnx(change)


def over_the_batch(model: ModelProto) -> None:
    """Sums of 1 down the rows, not along them."""
    graph.set_attribute(graph.node(model, *SOFTMAX), "axis", 0)


def permuted(model: ModelProto) -> None:
    """The columns of cat and dog for each other."""
    graph.behind(model, graph.node(model, *SOFTMAX), "Gather", graph.ints(*CAT_FOR_DOG), axis=1)


def one_further(array: np.ndarray) -> np.ndarray:
    """Every class in the place of the next."""
    return np.roll(array, 1, axis=-1)


def off_by_one() -> specs.Change:
    """The classes counted from another end."""
    both = (specs.weights("dense", role, one_further) for role in ("kernel", "bias"))
    return specs.then(*both)


def random_noise(model: ModelProto) -> None:
    """Logits with noise drawn again in each run."""
    last = graph.node(model, *SOFTMAX)
    logits = last.input[0]
    graph.ahead(model, last, "RandomNormalLike", mean=0.0, scale=1e-3)
    graph.ahead(model, last, "Add").input.append(logits)


FAULTS: tuple[Fault, ...] = (
    Fault(
        "torch-softmax-twice",
        "output",
        TORCH,
        "the softmax of the softmax",
        "output-error",
        "dense",
        in_spec(specs.behind("dense", "Softmax", {"axis": -1})),
    ),
    Fault(
        "onnx-logits",
        "output",
        ONNX,
        "no softmax",
        "output-error",
        "dense",
        in_onnx(without_softmax),
    ),
    Fault(
        "onnx-log-softmax",
        "output",
        ONNX,
        "logarithms of the probabilities",
        "layers",
        "dense",
        in_onnx(instead("LogSoftmax")),
    ),
    Fault(
        "onnx-sigmoid",
        "output",
        ONNX,
        "a sigmoid of each logit for the softmax",
        "layers",
        "dense",
        in_onnx(instead("Sigmoid")),
    ),
    Fault(
        "onnx-temperature",
        "output",
        ONNX,
        "logits divided by 2",
        "layers",
        "dense",
        hotter(1.0),
        sizes=(1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
        resized=hotter,
    ),
    Fault(
        "via-onnx-softmax-over-the-batch",
        "output",
        VIA,
        "sums of 1 down the rows, not along them",
        "rows",
        "dense",
        in_onnx(over_the_batch, VIA),
    ),
    Fault(
        "onnx-labels-permuted",
        "output",
        ONNX,
        "cat and dog for each other",
        "layers",
        "dense",
        in_onnx(permuted),
    ),
    Fault(
        "torch-labels-off-by-one",
        "output",
        TORCH,
        "every class in the place of the next",
        "output-error",
        "dense",
        in_spec(off_by_one()),
    ),
    Fault(
        "onnx-random-logits",
        "output",
        ONNX,
        "noise of 1e-3 on the logits, drawn again in each run",
        "rows",
        "dense",
        in_onnx(random_noise),
    ),
)

"""Is the file what it says: names, shapes, dtypes, operators, weights, provenance, batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from conversion.core.measurement import Measurement, Verdict, judged
from conversion.core.spec import Spec
from conversion.proof.metrics import limits
from conversion.proof.metrics.compare import (
    VIEWS,
    Incomparable,
    NoPower,
    compare,
)
from conversion.proof.metrics.parity import Subjected

_CONV = ("Conv", "QLinearConv")
_WINDOWS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "Conv{}D": (_CONV,),
    "DepthwiseConv{}D": (_CONV,),
    "SeparableConv{}D": (_CONV, _CONV),
    "Conv{}DTranspose": (("ConvTranspose",),),
    "MaxPooling{}D": (("MaxPool",),),
    "AveragePooling{}D": (("AveragePool", "QLinearAveragePool"),),
}
OPERATORS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    **{kind.format(rank): nodes for rank in (1, 2) for kind, nodes in _WINDOWS.items()},
    **dict.fromkeys(("Dense", "Dot"), (("MatMul", "Gemm", "QLinearMatMul", "QGemm"),)),
}
"""Layer class to its nodes, each by the ONNX operators that it may be. Operators that tf2onnx also
uses for the arithmetic of shapes, such as Concat, would false-alarm."""


def expected(name: str, about: Subjected, wanted: Any, found: Any, reason: str = "") -> Measurement:
    """Something that must be just what is expected, such as names, shapes or counts.

    Args:
        name: what is looked at.
        about: what is measured.
        wanted: the expectation.
        found: what the file has.
        reason: more to say where they differ.
    """
    same = wanted == found
    said = "" if same else f"expected {wanted}, found {found}{'; ' if reason else ''}{reason}"
    return Measurement(
        name=name,
        topic="structure",
        subject=about.subject,
        artifact=about.artifact,
        verdict=Verdict.PASS if same else Verdict.FAIL,
        reason=said,
    )


def at_least(name: str, about: Subjected, value: int, limit: int, unit: str) -> Measurement:
    """A count that must reach what the spec asks for.

    Args:
        name: what is counted.
        about: what is measured.
        value: the count in the file.
        limit: the least that it may be.
        unit: what is counted, in words.
    """
    enough = value >= limit
    return Measurement(
        name=name,
        topic="structure",
        subject=about.subject,
        artifact=about.artifact,
        verdict=judged(value, ">=", limit),
        value=value,
        unit=unit,
        relation=">=",
        limit=limit,
        reason="" if enough else f"{value} of {limit} {unit} are stored in eight bits",
    )


def operator_counts(about: Subjected, spec: Spec, operators: Mapping[str, int]) -> Measurement:
    """As many nodes of each kind as the spec has layers that they compute.

    Args:
        about: what is measured.
        spec: the model.
        operators: operator to its count in the graph.
    """
    groups = dict.fromkeys((names for nodes in OPERATORS.values() for names in nodes), 0)
    for layer in spec.layers:
        for names in OPERATORS.get(layer.kind, ()):
            groups[names] += 1
    wanted = {" or ".join(names): count for names, count in groups.items()}
    found = {" or ".join(names): sum(operators.get(name, 0) for name in names) for names in groups}
    return expected("operator_counts", about, wanted, found)


def ports(
    about: Subjected,
    what: str,
    names: tuple[str, ...],
    spec: Spec,
    found: Sequence[Mapping[str, Any]],
) -> Measurement:
    """Names, dtypes and shapes of a file's inputs or outputs.

    Args:
        about: what is measured.
        what: ``inputs`` or ``outputs``.
        names: their names in the spec, in order.
        spec: the model.
        found: their names, dtypes and shapes in the file; an open size is its name.
    """
    wanted = [
        {"name": name, "dtype": "float", "shape": ["batch", *spec.layer(name).shape]}
        for name in names
    ]
    shown = [dict(port) for port in found]
    for ours, theirs in zip(wanted, shown, strict=False):
        # What Keras leaves open has whatever name the converter gives it.
        if len(ours["shape"]) != len(theirs["shape"]):
            continue
        sizes = zip(ours["shape"], theirs["shape"], strict=True)
        theirs["shape"] = [
            None if mine is None and isinstance(size, str) else size for mine, size in sizes
        ]
    return expected(what, about, wanted, shown)


def rows_follow(
    name: str,
    about: Subjected,
    straight: Mapping[str, np.ndarray],
    other: Mapping[str, np.ndarray],
    heads: Mapping[str, str],
    noise: Mapping[str, float],
) -> list[Measurement]:
    """The same images in other batches or another order give the same outputs.

    Args:
        name: what was changed: ``batch_1``, ``batch_7`` or ``row_order``.
        about: what is measured.
        straight: output name to ``(N, ...)``, the images in one batch in their order.
        other: the same rows, computed the other way and put back in order.
        heads: output name to ``softmax``, ``sigmoid`` or ``none``.
        noise: output name to the rms of Keras's rounding noise; an integer artifact has none
            beyond it, since integer sums do not round.
    """
    views = {each: VIEWS[head] for each, head in heads.items()}
    try:
        differences = compare(straight, other, views)
    except Incomparable as error:
        reason = str(error)
        return [
            Measurement(
                name, "structure", about.subject, about.artifact, Verdict.FAIL, reason=reason
            )
        ]
    except NoPower as error:
        reason = f"no power: {error}"
        verdict = Verdict.UNDECIDED
        return [
            Measurement(name, "structure", about.subject, about.artifact, verdict, reason=reason)
        ]
    return [
        Measurement(
            name=name,
            topic="structure",
            subject=about.subject,
            artifact=about.artifact,
            verdict=judged(value, "<=", limits.ROWS.value),
            value=value,
            unit=limits.ROWS.unit,
            relation="<=",
            limit=limits.ROWS.value,
            layer=difference.output,
            n=difference.n,
        )
        for difference in differences
        for value in [float(difference.images.max()) / noise[difference.output]]
    ]


def weights_equal(
    about: Subjected, spec: Mapping[str, np.ndarray], stored: Mapping[str, np.ndarray]
) -> Measurement:
    """Every stored weight is the spec's, bit by bit.

    Args:
        about: what is measured.
        spec: name to array, as the spec has it in the file's layout.
        stored: name to array, as the file has it.
    """
    name, topic = "weights_equal_spec", "structure"
    differing = sorted(set(spec) ^ set(stored))
    for key in spec.keys() & stored.keys():
        ours, theirs = spec[key], stored[key]
        same = ours.shape == theirs.shape and ours.dtype == theirs.dtype
        if not (same and ours.tobytes() == theirs.tobytes()):
            differing.append(key)
    reason = f"{len(differing)} differ: {', '.join(sorted(differing)[:4])}" if differing else ""
    return Measurement(
        name=name,
        topic=topic,
        subject=about.subject,
        artifact=about.artifact,
        verdict=Verdict.FAIL if differing else Verdict.PASS,
        value=len(differing),
        unit="tensors that differ",
        relation="==",
        limit=0,
        n=len(spec),
        layer=sorted(differing)[0].rsplit(".", 1)[0] if differing else None,
        reason=reason,
    )

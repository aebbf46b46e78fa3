"""Do the file's own outputs agree with the float64 truth as closely as Keras's do?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from conversion.core.measurement import Measurement, Verdict, judged
from conversion.proof.metrics import limits
from conversion.proof.metrics.compare import (
    VIEWS,
    Difference,
    Incomparable,
    NoPower,
    compare,
)

LEAST_IMAGES = 200
"""Fewer images do not pool to a steady rms."""


@dataclass(frozen=True)
class Subjected:
    """What a measurement is about.

    Attributes:
        subject: the model under test.
        artifact: the artifact's name.
    """

    subject: str
    artifact: str


def output_error(
    about: Subjected,
    truth: Mapping[str, np.ndarray],
    keras: Mapping[str, np.ndarray],
    candidate: Mapping[str, np.ndarray],
    heads: Mapping[str, str],
    cached: bool = False,
) -> list[Measurement]:
    """The candidate's distance from the truth as a multiple of Keras's own.

    Args:
        about: what is measured.
        truth: output name to ``(N, ...)`` float64 from the spec.
        keras: output name to ``(N, ...)`` float32 from the reference.
        candidate: output name to ``(N, ...)`` float32 from the artifact.
        heads: output name to ``softmax``, ``sigmoid`` or ``none``; probabilities are compared as
            centred logarithms.
        cached: whether the candidate's outputs were kept from an earlier run.

    Returns:
        For each output the error pooled over everything, of the worst channel, and of the worst
        image, undecided where Keras's own outputs give the comparison no power; and for
        probabilities how far their sum is from 1.
    """
    views = {name: VIEWS[head] for name, head in heads.items()}
    try:
        noises = compare(truth, keras, views, np.float32)
    except (NoPower, Incomparable) as why:
        return [_without_value(about, Verdict.UNDECIDED, f"no power: {why}")]
    try:
        errors = compare(truth, candidate, views, np.float32)
    except Incomparable as why:
        return [_without_value(about, Verdict.FAIL, str(why))]
    found: list[Measurement] = []
    for noise, error in zip(noises, errors, strict=True):
        found += _multiples(about, noise, error, cached)
        if heads.get(noise.output) == "softmax":
            found.append(_sum(about, noise.output, candidate[noise.output], cached))
    return found


def output_tolerance(
    about: Subjected,
    keras: Mapping[str, np.ndarray],
    candidate: Mapping[str, np.ndarray],
    atol: float,
    rtol: float,
    cached: bool = False,
) -> Measurement:
    """The largest difference from Keras's outputs as a share of what a user tolerates.

    Args:
        about: what is measured.
        keras: output name to ``(N, ...)`` float32 from the reference.
        candidate: the same from the artifact.
        atol: the absolute tolerance.
        rtol: the tolerance relative to Keras's output.
        cached: whether the candidate's outputs were kept from an earlier run.

    Returns:
        Over all outputs, the largest ``|artifact - Keras| / (atol + rtol |Keras|)``.
    """
    name, topic = "output_tolerance", "parity"
    try:
        compare(keras, candidate)
    except Incomparable as why:
        verdict, reason = Verdict.FAIL, str(why)
        return Measurement(name, topic, about.subject, about.artifact, verdict, reason=reason)
    except NoPower as why:
        verdict, reason = Verdict.UNDECIDED, f"no power: {why}"
        return Measurement(name, topic, about.subject, about.artifact, verdict, reason=reason)
    shares = {name: _share(array, candidate[name], atol, rtol) for name, array in keras.items()}
    output = max(shares, key=lambda each: float(shares[each].max()))
    place = np.unravel_index(int(shares[output].argmax()), shares[output].shape)
    value, ours, theirs = (float(each[output][place]) for each in (shares, keras, candidate))
    return Measurement(
        name=name,
        topic=topic,
        subject=about.subject,
        artifact=about.artifact,
        verdict=judged(value, "<=", 1.0),
        value=value,
        unit=f"x the tolerance {atol:g} + {rtol:g} |Keras|",
        relation="<=",
        limit=1.0,
        layer=output,
        n=len(shares[output]),
        reason=f"image {place[0]} has {theirs:.7g} where Keras has {ours:.7g}",
        cached=cached,
    )


def _share(keras: np.ndarray, candidate: np.ndarray, atol: float, rtol: float) -> np.ndarray:
    """Differences as multiples of the tolerance; of none at all, 0 or infinity."""
    exact = keras.astype(np.float64)
    far = np.abs(candidate.astype(np.float64) - exact)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(far == 0, 0.0, far / (atol + rtol * np.abs(exact)))


def _sum(about: Subjected, output: str, candidate: np.ndarray, cached: bool) -> Measurement:
    """How far the probabilities of an image are from a sum of 1."""
    value = float(np.abs(candidate.sum(axis=-1, dtype=np.float64) - 1).max())
    return Measurement(
        name="output_sum_error",
        topic="parity",
        subject=about.subject,
        artifact=about.artifact,
        verdict=judged(value, "<=", limits.SUM.value),
        value=value,
        unit=limits.SUM.unit,
        relation="<=",
        limit=limits.SUM.value,
        layer=output,
        n=len(candidate),
        cached=cached,
    )


def _without_value(about: Subjected, verdict: Verdict, reason: str) -> Measurement:
    name, topic = "output_error_pooled", "parity"
    return Measurement(name, topic, about.subject, about.artifact, verdict, reason=reason)


def _multiples(
    about: Subjected, noise: Difference, error: Difference, cached: bool
) -> list[Measurement]:
    least = limits.LEAST_ERROR.value * noise.level
    pooled = max(noise.rms, least)
    values = (
        ("output_error_pooled", error.rms / pooled, limits.POOLED),
        (
            "output_error_channel",
            float((error.channels / np.maximum(noise.channels, least)).max()),
            limits.CHANNEL,
        ),
        ("output_error_image", float(error.images.max()) / pooled, limits.IMAGE),
    )
    doubt = _doubt(noise)
    return [
        Measurement(
            name=name,
            topic="parity",
            subject=about.subject,
            artifact=about.artifact,
            verdict=_undecided_over(judged(value, "<=", limit.value), doubt),
            value=value,
            unit=limit.unit,
            relation="<=",
            limit=limit.value,
            layer=noise.output,
            n=noise.n,
            reason=doubt,
            cached=cached,
        )
        for name, value, limit in values
    ]


def _doubt(noise: Difference) -> str:
    """Why a pass would not be believed; empty where it would."""
    share = noise.rms / noise.spread
    if share > limits.KERAS_NOISE.value:
        return (
            f"Keras is {share:.1e} of the outputs' spread from the float64 truth (limit "
            f"{limits.KERAS_NOISE.value:.0e}): its noise would hide a fault"
        )
    if noise.n < LEAST_IMAGES:
        return f"{noise.n} images; at least {LEAST_IMAGES} are needed"
    return ""


def _undecided_over(verdict: Verdict, doubt: str) -> Verdict:
    return Verdict.UNDECIDED if doubt and verdict is Verdict.PASS else verdict


def reference_noise(
    about: Subjected,
    truth: Mapping[str, np.ndarray],
    keras: Mapping[str, np.ndarray],
    heads: Mapping[str, str],
    cached: bool = False,
) -> list[Measurement]:
    """Keras's own distance from the float64 truth, as part of the outputs' spread.

    Args:
        about: what is measured.
        truth: output name to ``(N, ...)`` float64 from the spec.
        keras: output name to ``(N, ...)`` float32 from the reference.
        heads: output name to ``softmax``, ``sigmoid`` or ``none``.
        cached: whether Keras's outputs were kept from an earlier run.

    Returns:
        One measurement an output; undecided, never fail, beyond the limit: then the truth or the
        model is suspect and no parity can be judged.
    """
    views = {name: VIEWS[head] for name, head in heads.items()}
    try:
        noises = compare(truth, keras, views, np.float32)
    except (NoPower, Incomparable) as error:
        return [_without_value(about, Verdict.UNDECIDED, f"no power: {error}")]
    return [
        Measurement(
            name="reference_noise",
            topic="parity",
            subject=about.subject,
            artifact=about.artifact,
            verdict=Verdict.UNDECIDED if _doubt(noise) else Verdict.PASS,
            value=noise.rms / noise.spread,
            unit=limits.KERAS_NOISE.unit,
            relation="<=",
            limit=limits.KERAS_NOISE.value,
            layer=noise.output,
            n=noise.n,
            reason=_doubt(noise),
            cached=cached,
        )
        for noise in noises
    ]

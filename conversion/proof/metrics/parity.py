"""Do the file's own outputs agree with the float64 truth as closely as Keras's do?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import About, Quantity
from conversion.proof.metrics import limits
from conversion.proof.metrics.compare import Incomparable, NoPower, compare, uncompared
from conversion.proof.metrics.difference import STEADY, Difference, with_rounding
from conversion.proof.metrics.quantities import (
    OUTPUT_ERROR_CHANNEL,
    OUTPUT_ERROR_IMAGE,
    OUTPUT_ERROR_POOLED,
    OUTPUT_SUM,
    OUTPUT_TOLERANCE,
    REFERENCE_NOISE,
)
from conversion.proof.metrics.views import FIXED, SATURATED, VIEWS, views_of


def output_error(
    about: About,
    truth: Mapping[str, np.ndarray],
    keras: Mapping[str, np.ndarray],
    candidate: Mapping[str, np.ndarray],
    heads: Mapping[str, str],
    cached: bool = False,
    doubt: str = "",
    rounding: Mapping[str, Difference] | None = None,
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
        doubt: why the truth is not to be believed; empty where it is.
        rounding: output name to what any right runtime may be off by, beside Keras's noise.

    Returns:
        For each output the error pooled over everything, of the worst channel, and of the worst
        image, undecided where Keras's own outputs give the comparison no power; and for
        probabilities how far their sum is from 1.
    """
    views = views_of(heads)
    try:
        noises = compare(truth, keras, views, np.float32)
    except (NoPower, Incomparable) as why:
        return [elsewhere(about, truth, keras, candidate, heads) or _no_power(about, why)]
    try:
        errors = compare(truth, candidate, views, np.float32)
    except Incomparable as why:
        return [uncompared(about, OUTPUT_ERROR_POOLED, why)]
    found: list[Measurement] = []
    for noise, error in zip(noises, errors, strict=True):
        allowed = with_rounding(noise, (rounding or {}).get(noise.output))
        found += _multiples(about, allowed, error, cached, doubt)
        if heads.get(noise.output) == "softmax":
            found.append(_sum(about, noise.output, candidate[noise.output], cached))
    return found


def output_tolerance(
    about: About,
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
    try:
        compare(keras, candidate)
    except (Incomparable, NoPower) as why:
        return uncompared(about, OUTPUT_TOLERANCE, why)
    shares = {name: _share(array, candidate[name], atol, rtol) for name, array in keras.items()}
    output = max(shares, key=lambda each: float(shares[each].max()))
    place = np.unravel_index(int(shares[output].argmax()), shares[output].shape)
    value, ours, theirs = (float(each[output][place]) for each in (shares, keras, candidate))
    return about.measure(
        OUTPUT_TOLERANCE,
        value,
        f"image {place[0]} has {theirs:.7g} where Keras has {ours:.7g}",
        unit=f"x the tolerance {atol:g} + {rtol:g} |Keras|",
        layer=output,
        n=len(shares[output]),
        cached=cached,
    )


def _share(keras: np.ndarray, candidate: np.ndarray, atol: float, rtol: float) -> np.ndarray:
    """Differences as multiples of the tolerance; of none at all, 0 or infinity."""
    exact = keras.astype(np.float64)
    far = np.abs(candidate.astype(np.float64) - exact)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(far == 0, 0.0, far / (atol + rtol * np.abs(exact)))


def _sum(about: About, output: str, candidate: np.ndarray, cached: bool) -> Measurement:
    """How far the probabilities of an image are from a sum of 1."""
    value = float(np.abs(candidate.sum(axis=-1, dtype=np.float64) - 1).max())
    return about.measure(OUTPUT_SUM, value, layer=output, n=len(candidate), cached=cached)


def elsewhere(
    about: About,
    truth: Mapping[str, np.ndarray],
    keras: Mapping[str, np.ndarray],
    candidate: Mapping[str, np.ndarray],
    heads: Mapping[str, str],
    what: Quantity = OUTPUT_ERROR_POOLED,
) -> Measurement | None:
    """A failure where outputs that hardly vary are not even about those of the truth.

    Args:
        about: what is measured.
        truth: as of `output_error`, like the next three.
        keras: from the reference.
        candidate: from the artifact.
        heads: what the outputs mean.
        what: what fails.
    """
    flat = {n: FIXED if head == "none" else VIEWS[SATURATED] for n, head in heads.items()}
    try:
        noises = compare(truth, keras, flat, np.float32)
    except (NoPower, Incomparable):
        return None
    try:
        errors = compare(truth, candidate, flat, np.float32)
    except Incomparable as why:
        return uncompared(about, what, why)
    for noise, each in zip(noises, errors, strict=True):
        least = max(limits.SAME_LAYER.value * each.level, limits.POOLED.value * noise.rms)
        if each.rms > least:
            said = f"it hardly varies, and is off by {each.rms:.2g} of {each.level:.2g}"
            return about.measure(
                what, reason=said, verdict=Verdict.FAIL, layer=each.output, n=each.n
            )
    return None


def _no_power(about: About, why: Exception) -> Measurement:
    return uncompared(about, OUTPUT_ERROR_POOLED, NoPower(str(why)))


def _multiples(
    about: About, noise: Difference, error: Difference, cached: bool, doubt: str
) -> list[Measurement]:
    channels = error.channels / noise.channel_noise
    over = channels.max() > limits.CHANNEL.value
    worst = f"most in channel {int(channels.argmax())}" if over else ""
    values = (
        (OUTPUT_ERROR_POOLED, error.rms / noise.noise, ""),
        (OUTPUT_ERROR_CHANNEL, float(channels.max()), worst),
        (OUTPUT_ERROR_IMAGE, float((error.images / noise.image_noise).max()), ""),
    )
    doubt = doubt or _doubt(noise)
    return [
        about.measure(what, value, said, doubt=doubt, layer=noise.output, n=noise.n, cached=cached)
        for what, value, said in values
    ]


def _doubt(noise: Difference) -> str:
    """Why a pass would not be believed; empty where it would."""
    if noise.samples < STEADY:
        what = "images" if noise.positions == 1 else "values of each channel"
        return f"{noise.samples} {what}; at least {STEADY} are needed"
    return ""


def reference_noise(
    about: About,
    truth: Mapping[str, np.ndarray],
    keras: Mapping[str, np.ndarray],
    heads: Mapping[str, str],
    cached: bool = False,
    doubt: str = "",
) -> list[Measurement]:
    """Keras's own distance from the float64 truth, as part of the outputs' spread.

    Args:
        about: what is measured.
        truth: output name to ``(N, ...)`` float64 from the spec.
        keras: output name to ``(N, ...)`` float32 from the reference.
        heads: output name to ``softmax``, ``sigmoid`` or ``none``.
        cached: whether Keras's outputs were kept from an earlier run.
        doubt: why the truth is not to be believed; empty where it is.

    Returns:
        One measurement an output, for the reader: what it hides is measured of every artifact.
    """
    views = views_of(heads)
    try:
        noises = compare(truth, keras, views, np.float32)
    except (NoPower, Incomparable) as error:
        return [_no_power(about, error)]
    return [
        about.measure(
            REFERENCE_NOISE,
            noise.rms / noise.spread,
            verdict=Verdict.PASS,
            doubt=doubt or _doubt(noise),
            layer=noise.output,
            n=noise.n,
            cached=cached,
        )
        for noise in noises
    ]

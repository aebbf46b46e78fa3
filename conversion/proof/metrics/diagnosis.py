"""What kind of mistake an error looks like: a hint, never a verdict."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

EXPLAINED = 1e-3
"""A pattern explains an error where what it leaves over is this part of it, in rms."""

ROUNDED = 1e-6
"""Part of a layer's rms below which a difference is rounding and looks like nothing."""

Pattern = Callable[[np.ndarray, np.ndarray], str]


def hint(truth: np.ndarray, found: np.ndarray) -> str:
    """What the difference between a layer and what it should be looks like.

    Args:
        truth: ``(N, ..., C)``, computed in float64 from the layer's own inputs in the artifact.
        found: the same shape, from the artifact.

    Returns:
        A few words such as ``looks like padding``; empty where no pattern explains the error, or
        there is none.
    """
    if truth.shape != found.shape:
        return f"its shape is {found.shape[1:]}, not {truth.shape[1:]}"
    ours, theirs = np.asarray(truth, np.float64), np.asarray(found, np.float64)
    if not np.isfinite(theirs).all():
        return "it has values that are NaN or Inf"
    if _rms(theirs - ours) <= ROUNDED * _rms(ours):
        return ""
    return next((words for pattern in PATTERNS if (words := pattern(ours, theirs))), "")


def _rms(value: np.ndarray) -> float:
    return float(np.sqrt(np.mean(value**2))) if value.size else 0.0


def _explains(left: np.ndarray, error: np.ndarray) -> bool:
    return _rms(left) <= EXPLAINED * _rms(error)


def _border(truth: np.ndarray, found: np.ndarray) -> str:
    error = found - truth
    if error.ndim != 4 or min(error.shape[1:3]) < 3:
        return ""
    if _rms(error[:, 1:-1, 1:-1]) > EXPLAINED * _rms(error):
        return ""
    sides = {
        "top": error[:, 0, 1:-1],
        "bottom": error[:, -1, 1:-1],
        "left": error[:, 1:-1, 0],
        "right": error[:, 1:-1, -1],
    }
    hit = [side for side, part in sides.items() if _rms(part) > EXPLAINED * _rms(error)]
    return f"only the {' and '.join(hit) or 'corner'} border is wrong: padding"


def _sign(truth: np.ndarray, found: np.ndarray) -> str:
    if (
        truth.min() >= 0
        and found.min() < 0
        and _explains(np.maximum(found, 0) - truth, found - truth)
    ):
        return "negative values pass: a ReLU is missing or another activation stands in its place"
    if found.min() >= 0 > truth.min() and _explains(np.maximum(truth, 0) - found, found - truth):
        return "negative values are cut off: a ReLU too many"
    top = found.max()
    if top < truth.max() and _explains(np.minimum(truth, top) - found, found - truth):
        return f"values are cut off at {top:.4g}: a ceiling such as ReLU6's"
    top = truth.max()
    held = np.count_nonzero(truth == top) > 1  # one is merely the largest
    if held and top < found.max() and _explains(np.minimum(found, top) - truth, found - truth):
        return f"values pass {top:.4g}: a ceiling such as ReLU6's is missing"
    return ""


def _factor(truth: np.ndarray, found: np.ndarray) -> str:
    factor = float((truth * found).sum() / max((truth**2).sum(), 1e-300))
    if abs(factor - 1) > 1e-9 and _explains(found - factor * truth, found - truth):
        return f"every value is {factor:.6g} times what it should be: a constant factor, scale"
    return ""


def _shift(truth: np.ndarray, found: np.ndarray) -> str:
    error = found - truth
    mean = error.mean(axis=tuple(range(error.ndim - 1)))
    if not _explains(error - mean, error):
        return ""
    hit = np.flatnonzero(np.abs(mean) > EXPLAINED * np.abs(mean).max())
    where = f"channel {hit[0]}" if len(hit) == 1 else f"{len(hit)} channels"
    return f"a constant is added in {where}: bias or BatchNormalization"


def _channels(truth: np.ndarray, found: np.ndarray) -> str:
    error = (found - truth).reshape(-1, truth.shape[-1])
    size = np.sqrt((error**2).mean(axis=0))
    hit = np.flatnonzero(size > EXPLAINED * size.max())
    if 0 < len(hit) <= max(1, truth.shape[-1] // 16) and truth.shape[-1] > 1:
        return f"only {'channel' if len(hit) == 1 else 'channels'} {', '.join(map(str, hit))} wrong"
    return ""


def _affine(truth: np.ndarray, found: np.ndarray) -> str:
    ours, theirs = truth.reshape(-1, truth.shape[-1]), found.reshape(-1, truth.shape[-1])
    centred = ours - ours.mean(axis=0)
    slope = (centred * theirs).sum(axis=0) / np.maximum((centred**2).sum(axis=0), 1e-300)
    left = theirs - theirs.mean(axis=0) - slope * centred
    if _explains(left, theirs - ours):
        return "each channel is scaled and shifted by itself: BatchNormalization"
    return ""


def _order(truth: np.ndarray, found: np.ndarray) -> str:
    error = found - truth
    turned = {"height and width exchanged": (0, 2, 1, 3)}
    if truth.ndim == 4 and truth.shape[1] == truth.shape[2]:
        for words, axes in turned.items():
            if _explains(found - truth.transpose(axes), error):
                return f"{words}: layout"
        for axis, words in ((1, "upside down"), (2, "mirrored")):
            if _explains(found - np.flip(truth, axis), error):
                return f"{words}: layout"
    if not 1 < truth.shape[-1] <= 512:
        return ""
    ours, theirs = truth.reshape(-1, truth.shape[-1]), found.reshape(-1, truth.shape[-1])
    marks = np.stack([ours.mean(0), ours.std(0)]), np.stack([theirs.mean(0), theirs.std(0)])
    away = np.abs(marks[0][:, :, None] - marks[1][:, None, :]).sum(axis=0)
    order = away.argmin(axis=0)
    permuted = len(set(order.tolist())) == len(order) and (order != np.arange(len(order))).any()
    if permuted and _explains(theirs - ours[:, order], theirs - ours):
        return "the channels are in another order: layout"
    return ""


PATTERNS: tuple[Pattern, ...] = (_order, _border, _shift, _factor, _sign, _channels, _affine)
"""Patterns in the order in which they are tried; a new one is a function and its name here."""


def explains(truth: np.ndarray, found: np.ndarray, supposed: np.ndarray) -> bool:
    """Whether a supposed mistake gives what was found.

    Args:
        truth: what the layer should give.
        found: what it gives.
        supposed: what it would give with the mistake.
    """
    if not truth.shape == found.shape == supposed.shape or not np.isfinite(supposed).all():
        return False
    return _explains(np.asarray(found, np.float64) - supposed, found - truth)

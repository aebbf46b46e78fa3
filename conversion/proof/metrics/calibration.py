"""Is the calibration set the one that was asked for, like the training set, and unseen?"""

from __future__ import annotations

import numpy as np

from conversion.core import digest
from conversion.core.measurement import Measurement, Verdict
from conversion.core.quantity import About
from conversion.proof.metrics import limits
from conversion.proof.metrics.quantities import (
    CALIBRATION_CLASSES,
    CALIBRATION_DRAW,
    CALIBRATION_IMAGES,
    CALIBRATION_LEAK,
)
from conversion.subjects.data import Dataset

RECOMMENDED = 500
"""Images that a calibration set should have; the literature uses 500 to 1,000."""


def calibration_draw(
    about: About, found: Dataset, honest: Dataset, recorded: str, seed: int
) -> Measurement:
    """The calibration images are those that the seed draws.

    Args:
        about: what is measured.
        found: the images that calibrated.
        honest: the images drawn again.
        recorded: the digest that the artifact's provenance gives of its calibration images.
        seed: of the draw.
    """
    drawn, used = (digest.of_arrays([each.images]) for each in (honest, found))
    known, ours = set(honest.image_digests()), found.image_digests()
    strangers = sum(content not in known for content in ours)
    reason = ""
    if used != drawn and not strangers:
        order = " in another order" if len(set(ours)) == len(ours) == len(honest) else ""
        reason = f"{len(set(ours))} of the {len(honest)} images that seed {seed} draws{order}"
    elif used != drawn:
        others = f"{strangers} of {len(found)} are others"
        what = _changed(found.images, honest.images) or others
        reason = f"not the images that seed {seed} draws: {what}"
    elif recorded != drawn:
        reason = f"the artifact was calibrated on other images than those that seed {seed} draws"
    few = f"{len(found)} images; {RECOMMENDED} or more are recommended"
    return about.measure(
        CALIBRATION_DRAW,
        strangers,
        reason or (few if len(found) < RECOMMENDED else ""),
        verdict=Verdict.FAIL if reason else Verdict.PASS,
        n=len(found),
        seed=seed,
        digest=used,
    )


def _changed(found: np.ndarray, honest: np.ndarray) -> str:
    """What has been done to the images, where that can be said; empty where not."""
    if found.shape != honest.shape:
        return ""
    if np.array_equal(found, honest[..., ::-1]):
        return "their channels are reversed"
    ours, theirs = honest.astype(np.float64), found.astype(np.float64)
    factor = float((ours * theirs).sum() / max((ours**2).sum(), 1.0))
    rounding = 1.0 if found.dtype.kind == "u" else 1e-6 * float(np.abs(theirs).max())
    if np.abs(theirs - factor * ours).max() <= rounding:
        return f"they are times {factor:.2g}"
    return ""


def _shared(one: Dataset, other: Dataset) -> list[int]:
    """Positions of images that the other set has too, by content."""
    known = set(other.image_digests())
    return [index for index, content in enumerate(one.image_digests()) if content in known]


def calibration_classes(about: About, found: np.ndarray, train: np.ndarray) -> Measurement:
    """Each class has the share of the calibration images that it has of the training images.

    Args:
        about: what is measured.
        found: ``(N,)`` labels of the images that calibrated.
        train: ``(M,)`` labels of the images that they were drawn from.
    """
    classes = int(max(found.max(initial=0), train.max(initial=0))) + 1
    ours, theirs = (np.bincount(labels, minlength=classes) for labels in (found, train))
    excess = ours / max(len(found), 1) - theirs / len(train)
    value, limit = float(np.abs(excess).max()), limits.CLASSES.value + 1 / max(len(found), 1)
    worst = int(excess.argmax())
    odd = f"class {worst} has {int(ours[worst])} of {len(found)} images"
    return about.measure(
        CALIBRATION_CLASSES,
        value,
        "" if value <= limit else odd,
        limit=limit,
        n=len(found),
        rows=tuple({"class": index, "images": int(count)} for index, count in enumerate(ours)),
    )


def calibration_leak(about: About, found: Dataset, test: Dataset) -> Measurement:
    """No calibration image is a test image, by content.

    Args:
        about: what is measured.
        found: the images that calibrated.
        test: the images that accuracy is counted on.
    """
    shared = _shared(found, test)
    return about.measure(
        CALIBRATION_LEAK,
        len(shared),
        f"{len(shared)} images are also test images" if shared else "",
        n=len(found),
        rows=tuple({"image": index} for index in shared[:20]),
    )


def calibration_images(about: About, found: np.ndarray, honest: np.ndarray) -> Measurement:
    """No more images are of one value all over than among those drawn again.

    Args:
        about: what is measured.
        found: ``(N, ...)``, the images that calibrated.
        honest: ``(M, ...)``, the images drawn again; a subject may have blank pictures of its own.
    """
    blank, limit = _blank(found), _blank(honest)
    reason = f"{blank} of {len(found)} images are of one value" if blank > limit else ""
    return about.measure(CALIBRATION_IMAGES, blank, reason, limit=limit, n=len(found))


def _blank(images: np.ndarray) -> int:
    flat = images.reshape(len(images), -1)
    return int(np.count_nonzero(flat.min(axis=1) == flat.max(axis=1)))

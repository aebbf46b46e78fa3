"""Is the preprocessing that ships that of training, and what explains it where it is not?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from conversion.backends import REFERENCE
from conversion.core.errors import UserError
from conversion.core.measurement import Concern, Measurement, Verdict, advised
from conversion.proof.checks.case import Case
from conversion.proof.checks.margins import not_answers
from conversion.proof.checks.scaled_once import scaled_once
from conversion.proof.metrics.accuracy import tally
from conversion.proof.metrics.limits import SHIPPED
from conversion.proof.metrics.margins import answers
from conversion.proof.metrics.preprocessing import (
    CLEARLY,
    Affine,
    Apart,
    Fit,
    affine,
    apart,
    arithmetic,
    fitted,
)
from conversion.proof.metrics.quantities import (
    SHIPPED_ANSWERS,
    SHIPPED_DRIFT,
    SHIPPED_PIXELS,
)
from conversion.subjects.recipe import CHOICES, Recipe, differences
from conversion.subjects.shipped import Prepared, Shipped

LISTED = 5
"""Images with the largest differences that the report lists."""

TRIED = 8
"""Images on which recipes are tried, the most different ones among them."""

EXPLAINED = 0.05
"""Of the differences: what may be left where a recipe is said to explain them."""


def preprocessing(case: Case) -> list[Measurement]:
    """The pixels that ship are those of training, and none is scaled twice."""
    subject = case.workspace.subject
    measured = scaled_once(case)
    return measured if subject.shipped is None else [*measured, *_shipped(case, subject.shipped)]


def _shipped(case: Case, given: Shipped) -> list[Measurement]:
    training, shipped = given.training, given.shipped
    known, made = _trained(case, given)
    found = apart(shipped.images, training.images, made)
    words = f"{shipped.words}, beside {training.words}"
    concern = Concern.PREPROCESSING
    changed, answered = _answers(case, given)
    values = ((SHIPPED_PIXELS, float(found.images.max())), (SHIPPED_DRIFT, found.drift))
    measured = [
        *(case.about.measure(what, v, n=len(given.data), concerns=concern) for what, v in values),
        answered,
    ]
    reason = words
    if any(each.verdict is Verdict.FAIL for each in measured):
        cause, only_decoder = _cause(case, given, known, made, found)
        reason = f"{cause}; {_worst(given, found)}; {words}"
        if changed.any():
            measured[2] = replace(answered, verdict=Verdict.FAIL, concerns=concern)
        if only_decoder and not training.stated:
            unknown = "--training-preprocessing would say which decoder training had"
            measured = [advised(each, unknown) for each in measured]
            reason = f"{unknown}; {reason}"
    rows = _listed(given, found, LISTED, changed)
    return [replace(measured[0], reason=reason, rows=rows), *measured[1:]]


def _trained(case: Case, given: Shipped) -> tuple[Recipe, Affine]:
    """The recipe of training and its arithmetic; of code, those that come nearest.

    Raises:
        UserError: code gives pixels that are all the same.
    """
    training = given.training
    if training.recipe is not None:
        return training.recipe, affine(training.recipe.formula, training.images.shape[-1])
    recipe, fit = _found(case, given, training, np.arange(min(TRIED, len(given.data))))
    if not np.isfinite(fit.rms):
        raise UserError(f"Expected {training.words} to give pixels that vary; they are all alike.")
    return recipe, fit.affine


def _answers(case: Case, given: Shipped) -> tuple[np.ndarray, Measurement]:
    """Which answers of Keras change, ``(N,)`` bool, and their measurement."""
    workspace = case.workspace
    if reason := not_answers(case):
        (skipped,) = case.skip(SHIPPED_ANSWERS, reason)
        return np.zeros(len(given.data), bool), skipped
    (name,) = workspace.spec.outputs
    scores = [
        workspace.outputs(REFERENCE, replace(given.data, images=each.images)).arrays[name]
        for each in (given.training, given.shipped)
    ]
    changed = np.not_equal(*map(answers, scores))
    labels, said = given.data.labels, ""
    if labels is not None:
        right = [tally(each, labels).hits for each in scores]
        said = f"{right[1]} of {len(labels)} answers are right, {right[0]} with training's"
    count = int(np.count_nonzero(changed))
    return changed, case.about.measure(SHIPPED_ANSWERS, count, said, n=len(changed))


def _cause(
    case: Case, given: Shipped, known: Recipe, made: Affine, found: Apart
) -> tuple[str, bool]:
    """What explains the differences, in words, and whether it is the JPEG decoder alone."""
    worst = np.argsort(-found.images)[: TRIED // 2]
    spread = np.linspace(0, len(given.data) - 1, TRIED - len(worst)).astype(int)
    recipe, fit = _found(case, given, given.shipped, np.unique([*worst, *spread]))
    if not np.isfinite(fit.rms):
        return "the pixels that ship are all the same", False
    scaled = arithmetic(fit.affine, made)
    otherwise = [*([scaled] if scaled else []), *differences(recipe, known)]
    explains = fit.rms <= max(EXPLAINED * float(found.images.max()), SAME_PIXELS)
    rounded = fit.largest <= SHIPPED.value and recipe.rounded == "yes"
    little = rounded or fit.largest < SAME_PIXELS
    left = "" if little else f" but for {fit.largest:.2g} grey levels"
    if not (explains and otherwise):
        tried = f", nearest is {' and '.join(otherwise)}" if otherwise else ""
        return f"no known recipe explains the pixels that ship{tried}", False
    decoder = replace(recipe, decoder=known.decoder, rounded=known.rounded)
    only = not scaled and not differences(decoder, known) and recipe.decoder != known.decoder
    return f"{' and '.join(otherwise)}: that explains it{left}", only


SAME_PIXELS = 0.05
"""Grey levels that are the arithmetic of float32 and the tables of a library's kernel."""


def _found(
    case: Case, given: Shipped, prepared: Prepared, chosen: np.ndarray
) -> tuple[Recipe, Fit]:
    """The recipe that comes nearest to some of the images, changed word by word from `--data`'s."""
    images = prepared.images[chosen]
    reversed_in_training = (prepared.recipe or given.base).reversed

    def tried(recipe: Recipe) -> Fit | None:
        return fitted(images, _levels(case, given, recipe, chosen), reversed_in_training)

    best, fit = given.base, tried(given.base)
    assert fit is not None
    for _ in range(2):
        before = fit
        for group in _changes(best, given):
            for other in group:
                each = fit if fit.rms < SAME_PIXELS else tried(other)
                if each is not None and each.rms < CLEARLY * fit.rms:
                    best, fit = other, each
        if fit is before:
            break
    channels = "bgr" if fit.reversed is not best.formula.reverse else "rgb"
    return replace(best, channels=channels), fit


def _levels(case: Case, given: Shipped, recipe: Recipe, chosen: np.ndarray) -> list[np.ndarray]:
    """The grey levels that a recipe gives of some images, or those that training's came from."""
    if given.data.files:
        files = [given.data.files[index] for index in chosen]
        return recipe.raw(files, given.size, case.workspace.reference)
    images = given.training.images[chosen].astype(np.float64)
    made = affine(given.base.formula, images.shape[-1])
    levels = (images - made.offset) / made.factor
    return list(levels[..., ::-1] if given.base.reversed else levels)


def _changes(recipe: Recipe, given: Shipped) -> Iterator[list[Recipe]]:
    """Recipes with other words, what may move most pixels first."""
    if not given.data.files:
        return
    resizes = given.size is not None
    if resizes:
        every = [
            replace(recipe, resize=kernel, antialias=smooth, grid=grid, fit=fit)
            for fit in CHOICES["fit"]
            for kernel in CHOICES["resize"]
            for smooth in CHOICES["antialias"]
            for grid in CHOICES["grid"]
            if (smooth == "no" or grid == CHOICES["grid"][0])
        ]
        yield sorted(every, key=lambda each: len(differences(each, recipe)))
    yield from (
        [recipe.saying(name, word) for word in CHOICES[name]]
        for name in ("turned", "decoder", *(("rounded",) if resizes else ()))
    )


def _worst(given: Shipped, found: Apart) -> str:
    (row,) = _listed(given, found, 1)
    return (
        f"furthest is {row['image']} at row {row['row']}, column {row['column']}, channel "
        f"{row['channel']}: {row['shipped']:.4g} for {row['training']:.4g}"
    )


def _listed(
    given: Shipped, found: Apart, count: int, changed: np.ndarray | None = None
) -> tuple[dict[str, Any], ...]:
    """The images that are furthest apart, and whether their answers change."""
    listed = []
    for index in map(int, np.argsort(-found.images)[:count]):
        place = dict(zip(("row", "column", "channel"), found.places[index].tolist(), strict=True))
        pixels = {
            name: float(each.images[(index, *place.values())])
            for name, each in (("shipped", given.shipped), ("training", given.training))
        }
        file = given.data.files[index].name if given.data.files else str(index)
        levels = {"grey levels": float(found.images[index])}
        answer = {} if changed is None else {"answer changes": bool(changed[index])}
        listed.append({"image": file, **levels, **place, **pixels, **answer})
    return tuple(listed)

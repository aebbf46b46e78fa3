"""Preprocessing as a recipe: what is done to the file of an image until it is a model's input."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core.errors import UserError
from conversion.core.options import as_numbers
from conversion.reference import Reference
from conversion.subjects.decoding import DECODERS, decoded
from conversion.subjects.preprocessing import AS_IT_IS, FAMILIES, Formula, Preprocessing
from conversion.subjects.resampling import GRIDS, RESIZES, ROUNDINGS, Resize, Size, resampled

CHANNELS = ("rgb", "bgr")
FITS = ("stretch", "crop")
ORDERS = ("scale-first", "mean-first")
YES_NO = ("no", "yes")

CHOICES = {
    "decoder": DECODERS,
    "turned": YES_NO,
    "fit": FITS,
    "resize": RESIZES,
    "antialias": YES_NO,
    "grid": GRIDS,
    "rounded": ROUNDINGS,
    "channels": CHANNELS,
}
"""What a recipe may say, beside its arithmetic, and with which words."""

ARITHMETIC = ("scale", "mean", "std", "order", "preprocess")

WORDS = {
    "decoder": "JPEG decoder",
    "turned": "orientation of the camera applied",
    "fit": "fit to the model's height and width",
    "resize": "resize kernel",
    "antialias": "antialiasing",
    "grid": "sampling grid aligned at",
    "rounded": "whole numbers after resizing",
}
"""How a difference is told in what no arithmetic can be."""


@dataclass(frozen=True)
class Recipe:
    """What is done to a file until it is a model's input; every word is one of `CHOICES`.

    Attributes:
        decoder: what decodes a JPEG.
        turned: whether the orientation that a camera noted is applied.
        fit: whether the whole image is stretched, or its middle cropped first.
        resize: the kernel.
        antialias: whether the kernel is as wide as the pixels that become one.
        grid: where pixels lie.
        rounded: whether pixels are whole numbers again behind the resize.
        channels: order of the last axis, before the arithmetic.
        formula: the arithmetic, which may reverse the channels itself.
    """

    decoder: str = DECODERS[0]
    turned: str = "no"
    fit: str = FITS[0]
    resize: str = RESIZES[0]
    antialias: str = "yes"
    grid: str = GRIDS[0]
    rounded: str = "no"
    channels: str = CHANNELS[0]
    formula: Formula = field(default=AS_IT_IS)

    @property
    def reversed(self) -> bool:
        """Whether the model gets the channels of the file in reverse."""
        return (self.channels == "bgr") is not self.formula.reverse

    def saying(self, name: str, word: str) -> Recipe:
        """The same with another word for one of `CHOICES`."""
        changed: dict[str, Any] = {name: word}
        return replace(self, **changed)

    def raw(
        self, files: Sequence[Path], size: Size | None, reference: Reference
    ) -> list[np.ndarray]:
        """Images before channel order and arithmetic.

        Args:
            files: of the images.
            size: height and width of the model's input; None leaves an image's own.
            reference: the process that has TensorFlow, for its decoders.

        Returns:
            ``(H, W, 3)`` float64 each, in grey levels from 0 to 255.

        Raises:
            UserError: a file cannot be read.
        """
        found = decoded(files, self.decoder, self.turned == "yes", size, reference)
        if size is None:
            return [each.astype(np.float64) for each in found]
        how = Resize(self.resize, self.antialias == "yes", self.grid)
        return [
            resampled(_middle(each, size) if self.fit == "crop" else each, size, how, self.rounded)
            for each in found
        ]

    def finished(self, raw: np.ndarray) -> np.ndarray:
        """An image as the model gets it, ``(H, W, C)`` float32, from what `raw` gives."""
        formula, values = self.formula, raw[..., ::-1] if self.reversed else raw
        found = (values * formula.scale - np.array(formula.mean)) / np.array(formula.std)
        return np.asarray(found, np.float32)


def of_training(preprocessing: Preprocessing) -> Recipe:
    """What the options for preprocessing do to the files of a folder."""
    return Recipe(formula=preprocessing.formula or AS_IT_IS)


def stated(text: str, base: Recipe, flag: str) -> tuple[Recipe, tuple[str, ...]]:
    """A recipe in words, such as ``resize=bicubic,antialias=no,channels=bgr,scale=1/255``.

    Args:
        text: names and values with commas between; ``mean`` and ``std`` may have one a channel.
        base: has what is not stated.
        flag: of the option, for the sentence.

    Returns:
        The recipe, and what it does not state.

    Raises:
        UserError: a name or a value is unknown, or they contradict each other.
    """
    given: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        last = next(reversed(given), "")
        if equals and name.strip() not in given:
            given[name.strip()] = value.strip()
        elif not equals and last in ("mean", "std"):
            given[last] += f",{part}"
        else:
            raise UserError(
                f"Expected {flag} as a file that ends in .py or .onnx, or as a recipe, each name "
                f"once, such as resize=bicubic,antialias=no,scale=1/255; got '{text}'."
            )
    for name, value in given.items():
        known = {**CHOICES, "order": ORDERS, "preprocess": tuple(FAMILIES)}
        if name not in known and name not in ARITHMETIC:
            names = ", ".join((*CHOICES, *ARITHMETIC))
            raise UserError(f"Expected {flag} to state {names}; got '{name}'.")
        if name in known and value not in known[name]:
            raise UserError(f"Expected {name} as {', '.join(known[name])}; got '{value}'.")
    chosen: dict[str, Any] = {name: value for name, value in given.items() if name in CHOICES}
    if set(given) & {*ARITHMETIC}:
        chosen["formula"] = _formula(given, flag)
    open_ = tuple(name for name in CHOICES if name not in given)
    return replace(base, **chosen), open_ if "formula" in chosen else (*open_, "scale, mean, std")


def _formula(given: dict[str, str], flag: str) -> Formula:
    def numbers(name: str) -> tuple[float, ...]:
        try:
            return as_numbers(given[name]) if name in given else ()
        except ArgumentTypeError as error:
            got = f"got '{given[name]}'"
            raise UserError(f"Expected numbers for {name} in {flag}; {got}.") from error

    scale = numbers("scale")
    if len(scale) > 1:
        raise UserError(f"Expected one number for scale in {flag}; got '{given['scale']}'.")
    factor = scale[0] if scale else None
    asked = Preprocessing(given.get("preprocess", ""), factor, numbers("mean"), numbers("std"))
    made = asked.formula or AS_IT_IS
    if given.get("order") == "mean-first":
        return replace(made, mean=tuple(made.scale * each for each in made.mean))
    return made


def differences(shipped: Recipe, training: Recipe) -> list[str]:
    """What two recipes do otherwise, but for their arithmetic, in words."""
    words = []
    if shipped.reversed is not training.reversed:
        orders = [CHANNELS[each.reversed].upper() for each in (shipped, training)]
        words.append(f"channels in the order {orders[0]}, in training {orders[1]}")
    one, other = asdict(shipped), asdict(training)
    named = [name for name in WORDS if one[name] != other[name]]
    return [*words, *(f"{WORDS[name]}: {one[name]}, in training {other[name]}" for name in named)]


def _middle(image: np.ndarray, size: Size) -> np.ndarray:
    """The largest part in the middle that has the height to width of the size."""
    height, width = image.shape[:2]
    tall = min(height, round(width * size[0] / size[1]))
    wide = min(width, round(height * size[1] / size[0]))
    top, left = (height - tall) // 2, (width - wide) // 2
    return image[top : top + tall, left : left + wide]

"""What a model expects to be done to its images before it sees them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from conversion.core.errors import UserError
from conversion.core.options import as_number, as_numbers, option
from conversion.subjects.resizing import resized

BATCH = 64
"""Images that are in memory as float64 at a time."""


@dataclass(frozen=True)
class Formula:
    """``(scale * image - mean) / std``, after the channels were reversed where they are to be.

    Attributes:
        scale: factor of every pixel.
        mean: subtracted after scaling; one number, or one a channel.
        std: divided by at the end; one number, or one a channel.
        reverse: whether the last axis is reversed first: RGB becomes BGR.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    reverse: bool = False


CAFFE = Formula(mean=(103.939, 116.779, 123.68), reverse=True)
"""Blue, green and red means of ImageNet as Simonyan and Zisserman published them for VGG."""
SYMMETRIC = Formula(scale=1 / 127.5, mean=(1.0,))
"""From -1 to 1, as the Inception networks were trained in TensorFlow."""
TORCH = Formula(scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""ImageNet's statistics as torchvision's models use them."""
AS_IT_IS = Formula()
"""The network begins with layers that do it."""

FAMILIES = MappingProxyType(
    {
        "convnext": AS_IT_IS,
        "densenet": TORCH,
        "efficientnet": AS_IT_IS,
        "efficientnet_v2": AS_IT_IS,
        "inception_resnet_v2": SYMMETRIC,
        "inception_v3": SYMMETRIC,
        "mobilenet": SYMMETRIC,
        "mobilenet_v2": SYMMETRIC,
        "mobilenet_v3": AS_IT_IS,
        "nasnet": SYMMETRIC,
        "resnet": CAFFE,
        "resnet50": CAFFE,
        "resnet_v2": SYMMETRIC,
        "vgg16": CAFFE,
        "vgg19": CAFFE,
        "xception": SYMMETRIC,
    }
)
"""Module of `keras.applications` to what its `preprocess_input` computes by default."""


@dataclass(frozen=True)
class Preprocessing:
    """What is done to a user's images, once, when they are read.

    Attributes:
        family: a module of `keras.applications`; empty for none.
        scale: factor of every pixel; None for none.
        mean: subtracted after scaling, one number or one a channel; empty for none.
        std: divided by at the end, one number or one a channel; empty for none.
        resize: whether images are first brought to the height and width of the model's input.

    Raises:
        UserError: the family is unknown or given beside a formula, or a number cannot be used.
    """

    family: str = option(
        "",
        "--preprocess",
        f"what keras.applications does for a family: {', '.join(FAMILIES)}",
        metavar="FAMILY",
    )
    scale: float | None = option(
        None, "--scale", "factor of every pixel, such as 1/255", metavar="S", parse=as_number
    )
    mean: tuple[float, ...] = option(
        (),
        "--mean",
        "subtracted after scaling; one number or one a channel",
        metavar="M[,M,M]",
        parse=as_numbers,
    )
    std: tuple[float, ...] = option(
        (),
        "--std",
        "divided by at the end; one number or one a channel",
        metavar="S[,S,S]",
        parse=as_numbers,
    )
    resize: bool = option(False, "--resize", "resize images to the model's input", const=True)

    def __post_init__(self) -> None:
        own = [
            f"--{name}"
            for name, given in (("scale", self.scale), ("mean", self.mean), ("std", self.std))
            if given not in (None, ())
        ]
        if self.family and own:
            raise UserError(
                f"Expected --preprocess or {', '.join(own)}; got both: '{self.family}' is a "
                "formula of its own."
            )
        if self.family and self.family not in FAMILIES:
            raise UserError(
                f"Expected --preprocess with a family of keras.applications "
                f"({', '.join(FAMILIES)}); got '{self.family}'."
            )
        scales = () if self.scale is None else (self.scale,)
        for name, numbers in (("scale", scales), ("mean", self.mean), ("std", self.std)):
            if not all(map(math.isfinite, numbers)):
                raise UserError(f"Expected finite numbers for --{name}; got {_listed(numbers)}.")
        if 0.0 in scales:
            raise UserError("Expected --scale other than 0: every image would be the same.")
        if any(number <= 0 for number in self.std):
            raise UserError(f"Expected --std above 0; got {_listed(self.std)}.")

    @property
    def formula(self) -> Formula | None:
        """What is computed; None where nothing was asked for."""
        if self.family:
            return FAMILIES[self.family]
        if self.scale is None and not self.mean and not self.std:
            return None
        plain = AS_IT_IS
        scale = plain.scale if self.scale is None else self.scale
        return Formula(scale, self.mean or plain.mean, self.std or plain.std)

    @property
    def words(self) -> str:
        """All of it for provenance and keys, every number exact; empty where there is none."""
        parts = ["resized to the model's input"] if self.resize else []
        formula = self.formula
        if formula is not None:
            family = f"as keras.applications.{self.family}: " if self.family else ""
            reverse = "channels reversed, " if formula.reverse else ""
            parts.append(
                f"{family}{reverse}scale {formula.scale!r}, mean {_listed(formula.mean)}, "
                f"std {_listed(formula.std)}"
            )
        return "; ".join(parts)

    def apply(
        self, images: np.ndarray, size: tuple[int, int] | None = None, source: str = "the data"
    ) -> np.ndarray:
        """Images as the model takes them.

        Args:
            images: ``(N, ..., C)``, uint8 or float32.
            size: height and width that images are resized to; None leaves their size.
            source: where they come from, for the sentence.

        Returns:
            The images themselves where nothing is to be done, else float32: computed in float64 and
            rounded once.

        Raises:
            UserError: there are not as many channels as numbers, or a family that takes raw pixels
                gets others.
        """
        if size is not None:
            images = resized(images, size, source)
        formula = self.formula
        if formula is None:
            return images
        self._refuse_other_channels(images, formula, source)
        self._refuse_prepared(images, source)
        found = np.empty(images.shape, np.float32)
        for start in range(0, len(images), BATCH):
            values = images[start : start + BATCH].astype(np.float64)
            values = values[..., ::-1] if formula.reverse else values
            values = (values * formula.scale - np.array(formula.mean)) / np.array(formula.std)
            with np.errstate(over="ignore"):  # what overflows is Inf, and that is refused by name
                found[start : start + BATCH] = values
        return found

    def _refuse_other_channels(self, images: np.ndarray, formula: Formula, source: str) -> None:
        channels = images.shape[-1]
        for name, numbers in (("mean", formula.mean), ("std", formula.std)):
            if len(numbers) not in (1, channels):
                flag = f"--preprocess {self.family}" if self.family else f"--{name}"
                raise UserError(
                    f"Expected images of {len(numbers)} channels, the last axis, for {flag}; "
                    f"found {images.shape} in {source}."
                )

    def _refuse_prepared(self, images: np.ndarray, source: str) -> None:
        """A family's formula is for pixels from 0 to 255: twice would be as wrong as never."""
        if not self.family or images.dtype.kind == "u" or not images.size:
            return
        low, high = float(np.nanmin(images)), float(np.nanmax(images))
        if low < 0 or high <= 1:
            raise UserError(
                f"Expected raw pixels from 0 to 255 for --preprocess {self.family}; found {low:g} "
                f"to {high:g} in {source}: leave the option out if that was done already."
            )


def _listed(numbers: tuple[float, ...]) -> str:
    return ",".join(repr(number) for number in numbers)

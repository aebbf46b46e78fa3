"""Files of images decoded in the ways that libraries decode them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from conversion.core.errors import MissingDependency, UserError
from conversion.reference import Reference

FORMATS = ("PNG", "JPEG", "BMP", "PPM", "TIFF", "WEBP")
"""What Pillow may take a file for: it goes by content, and some formats start other programs."""

PILLOW, REDUCED = "pillow", "pillow-reduced"

BY_TENSORFLOW = MappingProxyType(
    {
        "tensorflow": {},
        "plain-chroma": {"dct_method": "INTEGER_ACCURATE", "fancy_upscaling": False},
    }
)
"""Decoders that TensorFlow has, with its settings: by default it takes the fast inverse DCT."""

DECODERS = (PILLOW, *BY_TENSORFLOW, REDUCED)
"""What decodes a JPEG: Pillow (as OpenCV and torchvision: accurate, chroma smoothed), TensorFlow,
one that repeats chroma instead of smoothing it, and Pillow's draft mode, as of `thumbnail`."""


KERAS_MODES = MappingProxyType({1: "L", 3: "RGB"})
"""Channels of a model to the mode that Keras's loader converts images to."""

DEEP = ("I", "I;16", "I;16B", "I;16L", "F")
"""Modes of more than eight bits, which a conversion would cut off."""


def image_of(
    path: Path, turned: bool = False, draft: tuple[int, int] | None = None, channels: int = 3
) -> tuple[np.ndarray, str]:
    """An image's pixels by Pillow, of another mode converted as `keras.utils.load_img` does.

    Args:
        path: the file.
        turned: whether the orientation that a camera noted is applied.
        draft: height and width from which on a JPEG may be decoded smaller; None for all of it.
        channels: one of `KERAS_MODES`.

    Returns:
        ``(H, W, channels)`` uint8, and the mode that the file has.

    Raises:
        UserError: it cannot be read, or has more than eight bits a channel.
        MissingDependency: Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise MissingDependency(
            "Reading folders of images needs Pillow: install it, or pass an .npz file."
        ) from error
    wanted = KERAS_MODES[channels]
    try:
        with Image.open(path, formats=FORMATS) as image:
            if draft is not None:
                image.draft(None, draft[::-1])
            mode = str(image.mode)
            upright = ImageOps.exif_transpose(image) if turned else image
            pixels = np.asarray(upright if mode in (wanted, *DEEP) else upright.convert(wanted))
    except Exception as error:  # Pillow's decoders raise a dozen kinds for a damaged file
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(
            f"Expected an image; {path} cannot be read ({reason}): replace it."
        ) from error
    if mode in DEEP:
        raise UserError(
            f"Expected images of eight bits a channel; {path} has mode {mode}: convert it to "
            f"{wanted} as for training."
        )
    return pixels.reshape(*pixels.shape[:2], channels), mode


def pixels_of(path: Path, turned: bool = False, draft: tuple[int, int] | None = None) -> np.ndarray:
    """The pixels of `image_of`, ``(H, W, 3)`` uint8."""
    return image_of(path, turned, draft)[0]


def decoded(
    files: Sequence[Path],
    decoder: str,
    turned: bool,
    size: tuple[int, int] | None,
    reference: Reference,
) -> list[np.ndarray]:
    """The pixels of some files.

    Args:
        files: JPEGs; of other formats all decoders give the same.
        decoder: one of `DECODERS`.
        turned: whether the orientation that a camera noted is applied.
        size: height and width of the model's input, for a decoder that goes by it.
        reference: the process that has TensorFlow.

    Returns:
        ``(H, W, 3)`` uint8 each.

    Raises:
        UserError: a file cannot be read.
    """
    if decoder not in BY_TENSORFLOW:
        draft = size if decoder == REDUCED else None
        return [pixels_of(path, turned, draft) for path in files]
    jpegs = [index for index, path in enumerate(files) if _is_jpeg(path)]
    asked: dict[str, Any] = {"settings": BY_TENSORFLOW[decoder]}
    asked["paths"] = [str(files[index].resolve()) for index in jpegs]
    answer = reference.call("conversion.reference.decoding:decoded", asked)
    given = {index: answer.arrays[str(place)] for place, index in enumerate(jpegs)}
    if turned:
        given = {index: _turned(array, files[index]) for index, array in given.items()}
    rest = {i: pixels_of(path, turned) for i, path in enumerate(files) if i not in given}
    return [{**given, **rest}[index] for index in range(len(files))]


def _is_jpeg(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\xff\xd8"


def _turned(pixels: np.ndarray, path: Path) -> np.ndarray:
    """The pixels turned as the file's camera noted."""
    from PIL import Image, ImageOps

    with Image.open(path, formats=FORMATS) as noted:
        image = Image.fromarray(pixels)
        image.getexif().update(noted.getexif())
        return np.asarray(ImageOps.exif_transpose(image))

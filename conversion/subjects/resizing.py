"""Bringing images to a model's height and width, where the user asks for it."""

from __future__ import annotations

import numpy as np

from conversion.core.errors import MissingDependency, UserError


def resized(images: np.ndarray, size: tuple[int, int], source: str) -> np.ndarray:
    """Images of another height and width, bilinear with antialiasing.

    The pixels are Pillow's `BILINEAR` on float channels: what torchvision's `Resize` gives, but not
    rounded to whole numbers.

    Args:
        images: ``(N, H, W, C)``, any number of channels.
        size: the new height and width.
        source: where they come from, for the sentence.

    Returns:
        ``(N, *size, C)`` float32; the images themselves where they have the size already.

    Raises:
        UserError: they are not images with their channels last.
        MissingDependency: Pillow is not installed.
    """
    if images.ndim != 4:
        raise UserError(
            f"Expected images of shape (N, height, width, channels) to resize; found "
            f"{images.shape} in {source}."
        )
    if images.shape[1:3] == size:
        return images
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependency(
            "Resizing images needs Pillow: install it, or resize them yourself."
        ) from error
    height, width = size
    found = np.empty((len(images), height, width, images.shape[3]), np.float32)
    for index, image in enumerate(images):
        for channel in range(images.shape[3]):
            plane = Image.fromarray(np.ascontiguousarray(image[..., channel], np.float32))
            smaller = plane.resize((width, height), Image.Resampling.BILINEAR)
            found[index, ..., channel] = np.asarray(smaller)
    return found


def size_of_input(shape: tuple[int | None, ...]) -> tuple[int, int]:
    """Height and width of a model's input, channels last.

    Args:
        shape: the input without the batch axis.

    Raises:
        UserError: it is no image, or leaves a size open.
    """
    if len(shape) != 3 or shape[0] is None or shape[1] is None:
        raise UserError(
            f"Expected a model whose input has a fixed height and width beside --resize; it is "
            f"{shape}: --input-shape H,W,C says which."
        )
    return shape[0], shape[1]

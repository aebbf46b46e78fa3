"""The preprocessing that ships beside a model, run on the files of the images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from conversion.core import digest
from conversion.core.errors import UserError
from conversion.core.guarded import Guarded, most
from conversion.core.options import option
from conversion.reference import Reference
from conversion.subjects.dataset import Dataset
from conversion.subjects.recipe import Recipe, stated
from conversion.subjects.resampling import Size

MOST_IMAGES = 1000
"""Images of the test set that are prepared at most, evenly spaced."""

MOST_VALUES = 50_000_000
"""Values that they have at most, 200 MB, so that large images are fewer."""

JOBS = "conversion.subjects.shipped_jobs"


@dataclass(frozen=True)
class Shipping:
    """Which preprocessing is compared with that of the images of `--data`.

    Attributes:
        shipped: what ships: a Python file, an ONNX graph, or a recipe; empty for none.
        training: what training did, where that is not what is done to `--data`; likewise.
    """

    shipped: str = option(
        "",
        "--shipped-preprocessing",
        "what prepares images where the model is deployed, compared pixel by pixel: a Python file, "
        "which is executed, an ONNX graph, or a recipe such as "
        "resize=bicubic,antialias=no,channels=bgr,scale=1/255 (docs/preprocessing.md)",
        metavar="FILE|RECIPE",
    )
    training: str = option(
        "",
        "--training-preprocessing",
        "what it is compared with, likewise, where training prepared its images otherwise than "
        "--resize, --scale and the others do",
        metavar="FILE|RECIPE",
    )

    def __post_init__(self) -> None:
        if self.training and not self.shipped:
            raise UserError(
                "Expected --shipped-preprocessing beside --training-preprocessing, which it is "
                "compared with."
            )


@dataclass(frozen=True, eq=False)
class Prepared:
    """Images as one preprocessing gives them.

    Attributes:
        images: ``(N, H, W, C)`` float32, as the model takes them.
        words: what prepared them.
        recipe: what it does; None where it is code.
        stated: whether the user said so, and not only the options of `--data`.
    """

    images: np.ndarray
    words: str
    recipe: Recipe | None = None
    stated: bool = True


@dataclass(frozen=True, eq=False)
class Shipped:
    """The same images as they are prepared for deployment and for training.

    Attributes:
        data: the images with their labels and files, as `--data` has them.
        shipped: as they are where the model is deployed.
        training: as they were in training.
        base: the recipe of `--data`, from which others are tried.
        size: height and width that images are resized to; None where they are not.
    """

    data: Dataset
    shipped: Prepared
    training: Prepared
    base: Recipe
    size: Size | None


def prepared(shipping: Shipping, data: Dataset, base: Recipe, size: Size | None) -> Shipped:
    """Run the preprocessing that ships, and that of training, on the images' files.

    Args:
        shipping: what the user named.
        data: the images that the model is evaluated on.
        base: what was done to them.
        size: height and width that they were resized to; None where they were not.

    Raises:
        UserError: the images have no files, or what was named cannot be used.
    """
    if not data.files:
        raise UserError(
            "Expected --data as a folder of images beside --shipped-preprocessing, which is run on "
            f"their files; {data.source} has none."
        )
    count = min(len(data), MOST_IMAGES, max(MOST_VALUES // data.images[0].size, 1))
    some = data.subset(np.unique(np.linspace(0, len(data) - 1, count).astype(int)))
    with Reference() as reference:

        def run(text: str, flag: str) -> Prepared:
            return _prepared(text, flag, some, base, size, reference)

        shipped = run(shipping.shipped, "--shipped-preprocessing")
        training = Prepared(some.images.astype(np.float32), "--data", base, stated=False)
        if shipping.training:
            training = run(shipping.training, "--training-preprocessing")
    return Shipped(some, shipped, training, base, size)


def _prepared(
    text: str, flag: str, data: Dataset, base: Recipe, size: Size | None, reference: Reference
) -> Prepared:
    path = Path(text)
    if path.suffix not in (".py", ".onnx"):
        recipe, open_ = stated(text, base, flag)
        found = [recipe.finished(each) for each in recipe.raw(data.files, size, reference)]
        unsaid = f"; not stated, so as in --data: {', '.join(open_)}" if open_ else ""
        return Prepared(_stacked(found, data, text), f"recipe {text}{unsaid}", recipe)
    if not path.is_file():
        raise UserError(f"Expected a Python file or an ONNX graph at {path}; there is none.")
    job = "python" if path.suffix == ".py" else "onnx"
    child = Guarded(f"Expected {path.name} to prepare images; it", most())
    values = {"path": str(path.resolve()), "digest": digest.of_file(path)}
    try:
        answer = child.call(
            f"{JOBS}:{job}", {**values, "files": [str(each.resolve()) for each in data.files]}
        )
    finally:
        child.close()
    found = [answer.arrays[str(index)] for index in range(len(data))]
    words = f"{path.name} (sha256 {values['digest'][:12]})"
    return Prepared(_stacked(found, data, path.name), words)


def _stacked(found: Sequence[np.ndarray], data: Dataset, name: str) -> np.ndarray:
    """Images that are shaped as the model's are; channels that come first are moved.

    Raises:
        UserError: they are not, or hold NaN or Inf.
    """
    wanted, images = data.images.shape[1:], []
    for array, file in zip(found, data.files, strict=True):
        image = array[0] if array.ndim == len(wanted) + 1 and len(array) == 1 else array
        if image.shape != wanted and image.shape == (wanted[-1], *wanted[:-1]):
            image = np.moveaxis(image, 0, -1)
        if image.shape != wanted:
            raise UserError(
                f"Expected {name} to give {wanted}, as the model's images are; it gives "
                f"{array.shape} for {file.name}: resize there as for training (or --resize is "
                "missing)."
            )
        with np.errstate(over="ignore"):  # what overflows is Inf, and that is refused by name
            images.append(image.astype(np.float32))
        if not np.isfinite(images[-1]).all():
            raise UserError(f"Expected {name} to give finite pixels; {file.name} has NaN or Inf.")
    return np.stack(images)

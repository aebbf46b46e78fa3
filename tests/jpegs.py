"""JPEGs of photographs that were never taken: shapes with grain, which resizing must treat."""

import numpy as np


def write_jpegs(folder, classes=("first", "second"), each=6, size=(96, 80), quality=92):
    """One folder a class; returns the root."""
    from PIL import Image

    random = np.random.RandomState(5)
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(each):
            image = photograph(random, size, label)
            Image.fromarray(image).save(folder / name / f"{index}.jpg", quality=quality)
    return folder


def photograph(random, size, label):
    """``(H, W, 3)`` uint8: a disc before a slope of colour, with grain."""
    rows, columns = np.mgrid[: size[0], : size[1]] / size[0]
    slope = np.stack([255 * rows, 200 * columns, 120 - 80 * rows], axis=-1)
    inside = (rows - random.rand()) ** 2 + (columns - random.rand()) ** 2 < 0.08
    colour = (240, 60 + 90 * label, 20)
    image = np.where(inside[..., None], colour, slope) + random.normal(0, 25, (*size, 1))
    return np.clip(image, 0, 255).astype(np.uint8)

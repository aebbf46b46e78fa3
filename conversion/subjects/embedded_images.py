"""The images of the embedded subject: ten classes of 32x32 colour pictures from a seed.

Every picture is one shape on a cluttered background. Classes come in pairs that differ in one
thing only (colour, slope, direction, outline, grain), and the distributions of that one thing
overlap inside the pair. Labels are never wrong, but some pictures are truly ambiguous, so a good
model stays below 100 % and a damaged one drops: swapped channels move the discs, a mirror moves
the bars and the wedges, a transposition moves the wedges and the stripes.

The bytes are part of the contract: only `RandomState.random_sample` and `RandomState.randint`
(a stream frozen by NEP 19) and exactly rounded float64 operations (+ - * / sqrt floor and
comparisons) are used, so that every numpy, Python and CPU makes the same pictures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CLASSES: tuple[str, ...] = (
    "warm disc",
    "cool disc",
    "rising bar",
    "falling bar",
    "left wedge",
    "right wedge",
    "round ring",
    "square ring",
    "level stripes",
    "upright stripes",
)
SIZE = 32
SEEDS: dict[str, int] = {"train": 1009, "test": 9001}

# Pictures are drawn in whole blocks, each from its own seed: a shorter request is a prefix of a
# longer one, every block holds each class equally often, and a block fits the CPU cache.
BLOCK = 50

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Rng = np.random.RandomState


def generate(split: str, count: int) -> tuple[NDArray[np.uint8], Labels]:
    """Make the first `count` pictures of a split.

    Args:
        split: "train" or "test".
        count: Number of pictures, at least 0.

    Returns:
        Images of shape (count, 32, 32, 3), uint8 RGB, and labels of shape (count,), int64.

    Raises:
        ValueError: If the split is unknown or the count is negative.
    """
    if split not in SEEDS:
        raise ValueError(f"split must be one of {sorted(SEEDS)}, got {split!r}")
    if count < 0:
        raise ValueError(f"count must be at least 0, got {count}")
    images = np.empty((count, SIZE, SIZE, 3), dtype=np.uint8)
    labels = np.empty(count, dtype=np.int64)
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        block_images, block_labels = _block(SEEDS[split], start // BLOCK)
        images[start:stop] = block_images[: stop - start]
        labels[start:stop] = block_labels[: stop - start]
    return images, labels


def _block(seed: int, index: int) -> tuple[NDArray[np.uint8], Labels]:
    """Draw one block of pictures.

    Args:
        seed: Seed of the split.
        index: Number of the block in its split.

    Returns:
        Images of shape (BLOCK, 32, 32, 3), uint8, and labels of shape (BLOCK,), int64.
    """
    rng = Rng([seed, index])
    order = np.argsort(rng.random_sample(BLOCK), kind="stable")
    labels = order.astype(np.int64) % len(CLASSES)

    light = _uniform(rng, 70.0, 185.0, BLOCK)
    canvas = _background(rng, light)
    for _ in range(3):
        spot = _place(rng, 1.0, 31.0, _uniform(rng, 1.0, 2.6, BLOCK))
        _paint(canvas, _cover(spot[2] - _length(spot[0], spot[1])), _colour(rng, light, 20.0, 90.0))

    colour = _colour(rng, light, 28.0, 105.0)
    # Only the discs are told apart by colour; the other shapes take any warmth.
    told = -_side(labels) * _hump(rng, -12.0, 88.0)
    warmth = np.where(labels < 2, told, _uniform(rng, -60.0, 60.0, BLOCK))
    colour[:, 0] += _column(warmth)
    colour[:, 2] -= _column(warmth)
    _paint(canvas, _cover(_shapes(rng, labels)), colour)

    across, along, half = _place(rng, 4.0, 28.0, _uniform(rng, 1.0, 3.6, BLOCK))
    occluder = np.minimum(half - _absolute(across), 0.7 * half - _absolute(along))
    _paint(canvas, _cover(occluder), _colour(rng, light, 0.0, 60.0))

    # Dim, dark, bright and washed-out exposures: some pixels reach 0 and 255.
    contrast = _uniform(rng, 0.45, 1.35, BLOCK)[:, None, None, None]
    offset = _hump(rng, -85.0, 85.0)[:, None, None, None]
    canvas = (canvas - 128.0) * contrast + (offset + 128.0)
    noise = rng.randint(0, 256, size=canvas.shape, dtype=np.uint8).astype(np.float64)
    noise += rng.randint(0, 256, size=canvas.shape, dtype=np.uint8)
    noise -= 255.0
    noise *= _uniform(rng, 0.02, 0.20, BLOCK)[:, None, None, None]
    canvas += noise
    pixels = np.floor(np.minimum(np.maximum(canvas, 0.0), 255.0))
    return pixels.astype(np.uint8).transpose(0, 2, 3, 1), labels


def _background(rng: Rng, light: Floats) -> Floats:
    """Interpolate a coarse grid of random colours.

    Args:
        rng: Source of the draws.
        light: Mean grey level of each picture, shape (BLOCK,).

    Returns:
        Canvas of shape (BLOCK, 3, 32, 32), about 0..255; planes, because numpy is quick on them.
    """
    knots = _uniform(rng, -30.0, 30.0, BLOCK, 3, 5, 5)
    knots += _uniform(rng, -30.0, 30.0, BLOCK, 1, 5, 5) + light[:, None, None, None]
    position = (np.arange(SIZE) + 0.5) / 8.0
    low = np.floor(position).astype(np.int64)
    share: Floats = position - low
    above, below = knots[:, :, low], knots[:, :, low + 1]
    rows = above + share[:, None] * (below - above)
    left: Floats = rows[..., low]
    right: Floats = rows[..., low + 1]
    return left + share * (right - left)


def _shapes(rng: Rng, labels: Labels) -> Floats:
    """Compute how deep each pixel lies inside the shape of its picture.

    Args:
        rng: Source of the draws.
        labels: Class of each picture, shape (BLOCK,).

    Returns:
        Depth in pixels, negative outside, shape (BLOCK, 32, 32).
    """
    x, y, size = _place(rng, 10.0, 22.0, _uniform(rng, 5.0, 10.0, BLOCK))
    side = _column(_side(labels))
    tilt = _column(_hump(rng, -0.25, 0.25))
    aspect = _column(_uniform(rng, 0.75, 1.3, BLOCK))
    slope = _column(_hump(rng, -0.1, 1.1))
    taper = _column(_side(labels) * _hump(rng, -0.12, 1.0))
    square = _column(_hump(rng, 0.0, 0.54))
    thick = _column(_uniform(rng, 0.16, 0.30, BLOCK))
    grain = _column(_hump(rng, 0.0, 0.56))
    lean = _column(np.where(rng.random_sample(BLOCK) < 0.5, -1.0, 1.0))
    period = _column(_uniform(rng, 3.0, 5.5, BLOCK))
    depth = np.empty_like(x)

    def disc(k: Labels) -> Floats:
        return size[k] - _length(x[k] * aspect[k], y[k])

    def bar(k: Labels) -> Floats:
        along, across = _turn(x[k], y[k], side[k] * (slope[k] - 1.0), slope[k])
        return np.minimum(size[k] * 1.3 - _absolute(along), size[k] * thick[k] - _absolute(across))

    def wedge(k: Labels) -> Floats:
        u, v = _turn(x[k], y[k], np.ones_like(tilt[k]), tilt[k])
        height = 0.62 * (size[k] - taper[k] * u)
        return np.minimum(0.9 * size[k] - _absolute(u), height - _absolute(v))

    def ring(k: Labels) -> Floats:
        u, v = _turn(x[k], y[k], np.ones_like(tilt[k]), tilt[k])
        box = np.maximum(_absolute(u), _absolute(v))
        share = np.where(side[k] < 0.0, square[k], 1.0 - square[k])
        radius = (1.0 - share) * _length(u, v) + share * box
        return size[k] * thick[k] * 0.8 - _absolute(radius - 0.8 * size[k])

    def stripes(k: Labels) -> Floats:
        right = np.where(side[k] < 0.0, grain[k], 1.0 - grain[k])
        u, _ = _turn(x[k], y[k], right * lean[k], 1.0 - right)
        wave = u / period[k]
        wave = _absolute(wave - np.floor(wave) - 0.5) - 0.25
        return np.minimum(size[k] - _length(x[k] * aspect[k], y[k]), wave * period[k])

    for pair, draw in enumerate((disc, bar, wedge, ring, stripes)):
        members = np.flatnonzero(labels // 2 == pair)
        depth[members] = draw(members)
    return depth


def _place(rng: Rng, low: float, high: float, size: Floats) -> tuple[Floats, Floats, Floats]:
    """Choose a centre in each picture; return (x, y) of all pixels from it, and the size."""
    grid = np.arange(SIZE) + 0.5
    x = grid[None, None, :] - _column(_uniform(rng, low, high, BLOCK))
    y = grid[None, :, None] - _column(_uniform(rng, low, high, BLOCK))
    full = (BLOCK, SIZE, SIZE)
    return np.broadcast_to(x, full), np.broadcast_to(y, full), _column(size)


def _colour(rng: Rng, light: Floats, least: float, most: float) -> Floats:
    """Draw a colour of each picture that is lighter or darker than its light by a random step."""
    sign = np.where(rng.random_sample(BLOCK) < 0.5, -1.0, 1.0)
    grey = light + sign * _uniform(rng, least, most, BLOCK)
    return grey[:, None, None, None] + _uniform(rng, -25.0, 25.0, BLOCK, 3, 1, 1)


def _paint(canvas: Floats, cover: Floats, colour: Floats) -> None:
    """Blend a colour into the canvas, in place, where the cover is above zero."""
    step = colour - canvas
    step *= cover[:, None]
    canvas += step


def _cover(depth: Floats) -> Floats:
    """Turn a depth in pixels into a share 0..1 of the pixel: an edge one pixel soft."""
    return np.minimum(np.maximum(depth + 0.5, 0.0), 1.0)


def _turn(x: Floats, y: Floats, right: Floats, up: Floats) -> tuple[Floats, Floats]:
    """Rotate coordinates (y grows downwards) so that the first axis points along (right, up)."""
    length = _length(right, up)
    right, down = right / length, -up / length
    return x * right + y * down, y * right - x * down


def _side(labels: Labels) -> Floats:
    """Return -1 for the first class of a pair and +1 for the second, shape (BLOCK,)."""
    return 2.0 * (labels % 2).astype(np.float64) - 1.0


def _column(values: Floats) -> Floats:
    return values[:, None, None]


def _length(x: Floats, y: Floats) -> Floats:
    return np.sqrt(x * x + y * y)


def _absolute(values: Floats) -> Floats:
    return np.maximum(values, -values)


def _uniform(rng: Rng, low: float, high: float, *shape: int) -> Floats:
    return low + (high - low) * rng.random_sample(shape)


def _hump(rng: Rng, low: float, high: float) -> Floats:
    """Draw one value for each picture from a triangle between low and high, shape (BLOCK,)."""
    return low + (high - low) * 0.5 * (rng.random_sample(BLOCK) + rng.random_sample(BLOCK))

"""How many images are looked at, and how many at a time, by what an image of a model costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from conversion.core import environment as machine
from conversion.core.errors import UserError
from conversion.core.spec import Shape
from conversion.readers.shapes import shapes_of
from conversion.subjects import Subject
from conversion.subjects.open_sizes import filled, is_open

MOST_IMAGES = 1000
"""Images on which parity is judged at most."""

STEADY_IMAGES = 200
"""Images that give steady statistics even of one value a channel (DESIGN, contract 2)."""

LEAST_IMAGES = 16
"""Images that are looked at at least, however much one costs."""

LAYER_VALUES = 200_000_000
"""Values of layers that are compared with the truth for one artifact, of all images together:
ResNet8 has a quarter of them in 200 images. A larger model gets fewer images, whose layers have
more positions each."""

OUTPUT_VALUES = 1_000_000_000
"""Values of layers that are evaluated once for the truth of the outputs, at most."""

BATCH = 250
"""Images that a runtime is given at a time at most."""

PROBES = 4
"""Images by which the layers of a file are found."""

BYTES_RUN = 16
"""Bytes of memory for each value of the largest layer where a file is run: what the layer reads and
writes, and what it is unrolled to."""

BYTES_LAYERS = 24
"""Bytes of memory for each value of all layers where they are compared: in the runtime, read from
there, in Keras's process, and on the way from there."""

BYTES_FOUND = 16
"""Bytes of memory for each value of all layers where they are looked for: the truth's, those of the
file, which has more tensors, and what every layer should give for those."""

BYTES_TRUTH = 8
"""Bytes of a value in float64."""


@dataclass(frozen=True)
class Streaming:
    """What an image costs, and what follows from it for a memory budget.

    Attributes:
        memory: bytes for activations and statistics, beside weights and runtimes.
        values: of all layers, of one image.
        largest: values of the largest layer.
        positions: values that each channel of an output has in an image, of the output with fewest.
    """

    memory: int
    values: int
    largest: int
    positions: int

    @property
    def layer_images(self) -> int:
        """Images on which layers are compared."""
        return min(max(LAYER_VALUES // self.values, LEAST_IMAGES), STEADY_IMAGES)

    @property
    def least_images(self) -> int:
        """Images on which parity is judged at least: so many values give steady statistics."""
        enough = self.layer_images * self.positions >= STEADY_IMAGES
        return self.layer_images if enough else STEADY_IMAGES

    @property
    def most_images(self) -> int:
        """Images on which parity is judged at most."""
        return min(max(OUTPUT_VALUES // self.values, self.least_images), MOST_IMAGES)

    @property
    def batch(self) -> int:
        """Images that a file is run on at a time."""
        return self._within(self.memory // 16, BYTES_RUN * self.largest, BATCH)

    @property
    def chunk(self) -> int:
        """Images of which all layers are held at a time: few, as more gain nothing."""
        return self._within(self.memory // 8, BYTES_LAYERS * self.values, self.layer_images)

    @property
    def probes(self) -> int:
        """Images by which the layers of a file are found."""
        return self._within(self.memory // 4, BYTES_FOUND * self.values, PROBES)

    @property
    def holds_truth(self) -> bool:
        """Whether the truth of all layers is held from one artifact to the next."""
        return self.layer_images * self.values * BYTES_TRUTH <= self.memory // 8

    def _within(self, share: int, cost: int, most: int) -> int:
        return min(max(share // cost, 1), most)


def streaming(subject: Subject, memory: int) -> Streaming:
    """What an image of a model costs.

    Args:
        subject: the model with its images, which say how large is what the model leaves open.
        memory: bytes for activations and statistics.

    Raises:
        UserError: the budget is too small for one image, or a layer does not fit the images' size.
    """
    spec = subject.spec
    shapes = {name: [size or 1 for size in shape] for name, shape in _shapes(subject).items()}
    values = {name: prod(shape) for name, shape in shapes.items()}
    found = Streaming(
        memory,
        max(sum(values.values()), 1),
        max(values.values()),
        min(prod(shapes[name][:-1]) for name in spec.outputs),
    )
    needed = max(BYTES_LAYERS * found.values, 16 * BYTES_RUN * found.largest)
    if needed > memory:
        whole = machine.memory()
        here = "" if needed <= whole else f", and this machine has {whole / 1e9:.1f}"
        raise UserError(
            f"Expected --memory to hold the layers of one image of {spec.name}; {memory / 1e9:.3g} "
            f"GB do not: {_rounded_up(needed / 1e9)} GB would{here}."
        )
    return found


def _shapes(subject: Subject) -> Mapping[str, Shape]:
    """The shape of every layer's output for one of the images."""
    spec, test = subject.spec, subject.test
    if not is_open(spec):
        return {layer.name: layer.shape for layer in spec.layers}
    return shapes_of(
        spec, filled(spec) if test is None else {spec.inputs[0]: test.images.shape[1:]}
    )


def _rounded_up(number: float) -> str:
    return f"{number + 0.05:.1f}"

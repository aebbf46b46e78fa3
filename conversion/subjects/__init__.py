"""The models under test with their data: embedded, mlperf-tiny, and a user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from conversion.core.custom_layers import Custom
from conversion.core.errors import NoInputShape, UserError
from conversion.core.spec import Spec
from conversion.readers import read_spec
from conversion.readers.input_shape import of_shape
from conversion.readers.replacing import replacement
from conversion.subjects.data import (
    Dataset,
    check_fits,
    hold_out,
    load_data,
)
from conversion.subjects.preprocessing import Preprocessing
from conversion.subjects.recipe import of_training
from conversion.subjects.resizing import size_of_input
from conversion.subjects.shipped import Shipped, Shipping, prepared
from conversion.subjects.synthetic_inputs import synthetic_training


class Absent(UserError):
    """A subject's files are not here; the sentence ends with the command that brings them."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model under test with its data.

    Attributes:
        name: a stable word, such as ``mlperf-tiny``; a user's own has its file's name.
        model: the Keras file.
        spec: what the file says, read once.
        test: the images that it is evaluated on, labelled or not; None where there are none.
        train: the images that calibration draws from; None where there are none.
        floor: the least top-1 of a float artifact, in percent; None where nothing is known.
        shipped: test images as they are prepared where the model is deployed; None where the user
            does not say how.
    """

    name: str
    model: Path
    spec: Spec
    test: Dataset | None = None
    train: Dataset | None = None
    floor: float | None = None
    shipped: Shipped | None = None

    @property
    def described(self) -> dict[str, Any]:
        """What a report says of its data, plain values."""
        sets = {"train": self.train, "test": self.test}
        return {name: each.described for name, each in sets.items() if each is not None}

    def check_fits(self) -> None:
        """Refuse images and labels that do not fit the model.

        Raises:
            UserError: their shape, dtype, range or labels are not what the model takes and gives.
        """
        spec = self.spec
        sets = [data for data in (self.test, self.train) if data is not None]
        if sets and len(spec.inputs) != 1:
            raise UserError(
                f"Expected a model with one input for labelled images; it has {len(spec.inputs)}."
            )
        for data in sets:
            head = spec.layer(spec.outputs[0])
            classes = head.shape[-1] if len(head.shape) == 1 and len(spec.outputs) == 1 else None
            check_fits(data, spec.layer(spec.inputs[0]).shape, classes)


def _embedded() -> Subject:
    from conversion.subjects.embedded import subject

    return subject()


def _mlperf_tiny() -> Subject:
    from conversion.subjects.mlperf_tiny import subject

    return subject()


SYNTHETIC = Path("synthetic")
"""Stands for a file of images where they are to be drawn."""

SUBJECTS: dict[str, Callable[[], Subject]] = {
    "embedded": _embedded,
    "mlperf-tiny": _mlperf_tiny,
}
"""Subject name to what finds it; a new one is one file and one entry here."""


def _read(
    model: Path,
    custom: Custom | None,
    data: Path | Mapping[str, np.ndarray] | None,
    read: Callable[[Path, Custom | None], Spec],
) -> Spec:
    """What a file says, with the shape of the data where it does not say its input's."""
    try:
        return read(model, custom)
    except NoInputShape:
        if data in (None, SYNTHETIC):
            raise
        assert data is not None
        _, images = load_data(data, labelled=False)
        known = custom or Custom()
        shape = dict([replacement(of_shape(images.images.shape[1:]))])
        return read(model, replace(known, replaced={**known.replaced, **shape}))


def find(
    name_or_file: str,
    data: Path | Mapping[str, np.ndarray] | None = None,
    preprocessing: Preprocessing | None = None,
    custom: Custom | None = None,
    read: Callable[[Path, Custom | None], Spec] = read_spec,
    shipping: Shipping | None = None,
) -> Subject:
    """A subject by name, or a user's own by its file.

    Args:
        name_or_file: a name in `SUBJECTS`, or the path of a Keras file.
        data: the user's images (`.npz`, a folder, a Python file, or arrays under the names of an
            `.npz`); replaces a named subject's own. `SYNTHETIC` for images drawn to calibrate on:
            what is judged is judged on others, which are drawn wherever there are no images.
        preprocessing: what is done to the images of `data`.
        custom: the user's own layers, for a file of theirs; none by default.
        read: reads a file of theirs.
        shipping: the preprocessing that is compared with that of `data`; none by default.

    Raises:
        UserError: the name is unknown and no file is there, the model or the data cannot be
            read or do not fit each other, there is preprocessing without data, or what ships
            cannot be used.
        Absent: the subject is known and its files are not here.
    """
    done = preprocessing or Preprocessing()
    if data in (None, SYNTHETIC) and done.words:
        raise UserError("Expected --data beside --preprocess, --scale, --mean, --std or --resize.")
    ships = shipping or Shipping()
    if data in (None, SYNTHETIC) and ships.shipped:
        raise UserError("Expected --data, a folder of images, beside --shipped-preprocessing.")
    if name_or_file in SUBJECTS:
        subject = SUBJECTS[name_or_file]()
    elif Path(name_or_file).suffix or Path(name_or_file).exists():
        model = Path(name_or_file)
        subject = Subject(model.stem, model, _read(model, custom, data, read))
    else:
        raise UserError(
            f"Expected a subject ({', '.join(SUBJECTS)}) or a Keras file; got '{name_or_file}'."
        )
    if data is None:
        return subject
    spec = subject.spec
    if data == SYNTHETIC:
        train = synthetic_training(spec) if len(spec.inputs) == 1 else None
        return Subject(subject.name, subject.model, spec, train=train)
    shape = spec.layer(spec.inputs[0]).shape
    size = size_of_input(shape) if done.resize else None
    channels = 1 if len(shape) == 3 and shape[-1] == 1 else 3
    train, test = load_data(data, done, size, not spec.without_answers, channels)
    if train is None:
        train, test = hold_out(test)
    subject = Subject(subject.name, subject.model, spec, test=test, train=train)
    subject.check_fits()
    if not ships.shipped:
        return subject
    assert subject.test is not None
    return replace(subject, shipped=prepared(ships, subject.test, of_training(done), size))

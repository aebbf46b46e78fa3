"""The models under test with their data: embedded, mlperf-tiny, and a user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from conversion.errors import UserError
from conversion.subjects.data import Dataset, hold_out, load_data


class Absent(UserError):
    """A subject's files are not here; the sentence ends with the command that brings them."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model under test with its data.

    Attributes:
        name: a stable word, such as ``mlperf-tiny``; a user's own has its file's name.
        model: the Keras file.
        test: the images that it is evaluated on; None where there are none.
        train: the images that calibration draws from; None where there are none.
        floor: the least top-1 of a float artifact, in percent; None where nothing is known.
    """

    name: str
    model: Path
    test: Dataset | None = None
    train: Dataset | None = None
    floor: float | None = None


def _embedded() -> Subject:
    from conversion.subjects.embedded import subject

    return subject()


def _mlperf_tiny() -> Subject:
    from conversion.subjects.mlperf_tiny import subject

    return subject()


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "embedded": _embedded,
    "mlperf-tiny": _mlperf_tiny,
}
"""Subject name to what finds it; a new one is one file and one entry here."""


def find(name_or_file: str, data: Path | None = None) -> Subject:
    """A subject by name, or a user's own by its file.

    Args:
        name_or_file: a name in `SUBJECTS`, or the path of a Keras file.
        data: the user's labelled images (`.npz` or a folder); replaces a named subject's own.

    Raises:
        UserError: the name is unknown and no file is there, or the data cannot be read.
        Absent: the subject is known and its files are not here.
    """
    if name_or_file in SUBJECTS:
        subject = SUBJECTS[name_or_file]()
    elif Path(name_or_file).suffix or Path(name_or_file).exists():
        subject = Subject(Path(name_or_file).stem, Path(name_or_file))
    else:
        raise UserError(
            f"Expected a subject ({', '.join(SUBJECTS)}) or a Keras file; got '{name_or_file}'."
        )
    if data is None:
        return subject
    train, test = load_data(data)
    if train is None:
        train, test = hold_out(test)
    return Subject(subject.name, subject.model, test=test, train=train, floor=None)

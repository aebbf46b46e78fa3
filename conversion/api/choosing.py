"""The int8 scheme that is fastest and costs no accuracy."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conversion import report as reports
from conversion.core.artifact import Store
from conversion.core.demands import Demands
from conversion.core.measurement import Measurement
from conversion.core.running import Running
from conversion.core.settings import Settings
from conversion.proof.checks.case import Case
from conversion.proof.search.document import document as as_plain
from conversion.proof.search.search import Choice, Found
from conversion.proof.search.search import search as run_search
from conversion.session import (
    File,
    approved,
    described,
    export,
    opened,
)
from conversion.subjects.arrays import Data
from conversion.subjects.keras_object import Model
from conversion.subjects.preprocessing import Preprocessing


@dataclass(frozen=True, eq=False)
class Searched:
    """What `search` found, and what the checks say of it.

    Attributes:
        found: every candidate with its measurements, and the recommendation.
        measurements: of the recommended artifact, which is judged like any other.
        document: what `search.json` holds.
        table: the candidates and the verdict on the recommended one, for a terminal.
    """

    found: Found
    measurements: tuple[Measurement, ...]
    document: Mapping[str, Any]
    table: str

    def __bool__(self) -> bool:
        """Whether it passed: the exit code is 0."""
        return self.exit_code() == 0

    def __repr__(self) -> str:
        chosen = self.found.candidate
        taken = "keeps float32" if chosen is None else f"recommends {chosen.label}"
        found = reports.counted(self.measurements)
        return f"<Searched: {taken}: {found}; exit {self.exit_code()}>"

    def exit_code(self, allow_undecided: bool = False) -> int:
        """As of `Verification`; 2 where no artifact is recommended."""
        return reports.exit_code(self.measurements, Demands(allow_undecided=allow_undecided))


def search(
    model: Model,
    *,
    out: File,
    data: Data | None = None,
    preprocessing: Preprocessing | None = None,
    choice: Choice | None = None,
    settings: Settings | None = None,
    progress: bool = False,
    store: Store | None = None,
    custom: Sequence[File] = (),
    replace: Sequence[str] = (),
    running: Running | None = None,
) -> Searched:
    """Find the int8 scheme that is fastest on this machine and costs no accuracy, and judge it.

    It chooses on training images that calibrate nothing, never on test images; the test images are
    for the verdict on what it chose.

    Args:
        model: a Keras file, the name of a subject, or a `keras.Model` in memory.
        out: a folder for the record of the search, `search.json`, the recommended artifact and the
            report on it.
        data: images, with labels or without: arrays ``x``, ``(x, y)`` or by Keras's names, a
            `.npz`, a folder or a Python file, which is executed; a subject brings its own.
        preprocessing: what is done to the images of `data`, once, when they are read.
        choice: which runtimes, what is banned, how long; five minutes of ONNX Runtime by default.
        settings: where the search starts.
        progress: whether to say on stderr what takes long.
        store: where finished work is kept between runs.
        custom: Python files with layers of your own, executed because you name them.
        replace: layers in place of those that carry code, as `--replace` has them.
        running: threads, memory and seed.

    Returns:
        The candidates, the recommendation, and the verdict on it.

    Raises:
        UserError: as `quantize`, or there are too few training images to choose on some.
    """
    choice, folder, began = choice or Choice(), Path(out), time.monotonic()
    with opened(
        model,
        data=data,
        preprocessing=preprocessing,
        settings=settings,
        running=running,
        custom_files=custom,
        replace=replace,
        out=folder,
        store=store,
        progress=progress,
    ) as workspace:
        found = run_search(workspace, choice, folder, began)
        found, measured, made = approved(found)
        export(made, folder / "artifacts")
        plain = reports.as_document([], {}, {"search": as_plain(found, choice)})["search"]
        reports.place(json.dumps(plain, indent=1) + "\n", folder / "search.json")
        listed = [described(Case(found.workspace, name)) for name in made]
        extra = {"subject": workspace.subject.name, "artifacts": listed, "search": plain}
        document = reports.as_document(measured, reports.environment(), extra)
        reports.write(document, folder)
        reports.write_page(document, folder)
        sizes = {each["label"]: each["size"] for each in listed}
        verdict = f"\n\n{reports.render(measured, sizes)}" if measured else ""
        return Searched(found, tuple(measured), plain, reports.render_search(plain) + verdict)

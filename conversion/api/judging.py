"""What the checks say of a model's artifacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from conversion import report as reports
from conversion.core.artifact import Store
from conversion.core.demands import Demands
from conversion.core.errors import UserError
from conversion.core.measurement import Measurement
from conversion.core.running import Running
from conversion.core.settings import Settings
from conversion.proof.checks.case import Case
from conversion.proof.checks.margins import not_answers
from conversion.proof.checks.unmade import not_made
from conversion.proof.metrics.accuracy import Tally
from conversion.readers import numeric_types
from conversion.session import (
    File,
    chosen,
    described,
    export,
    judge_all,
    opened,
)
from conversion.subjects.arrays import Data
from conversion.subjects.keras_object import Model
from conversion.subjects.preprocessing import Preprocessing
from conversion.subjects.shipped import Shipping


def evaluate(
    model: Model,
    *,
    data: Data | None = None,
    preprocessing: Preprocessing | None = None,
    backends: Sequence[str] | None = None,
    artifacts: Mapping[str, File] | None = None,
    settings: Settings | None = None,
    progress: bool = False,
    store: Store | None = None,
    custom: Sequence[File] = (),
    replace: Sequence[str] = (),
    running: Running | None = None,
) -> dict[str, Tally]:
    """Count the right answers of every artifact on the evaluation images.

    Args:
        model: a Keras file, the name of a subject, or a `keras.Model` in memory.
        data: images, with labels or without: arrays ``x``, ``(x, y)`` or by Keras's names, a
            `.npz`, a folder or a Python file, which is executed; a subject brings its own.
        preprocessing: what is done to the images of `data`, once, when they are read.
        backends: what to evaluate; by default all that are installed.
        artifacts: external files, by the backend that they stand in for.
        settings: the choices.
        progress: whether to say on stderr what takes long.
        store: where finished work is kept between runs.
        custom: Python files with layers of your own, executed because you name them; see
            docs/custom.md.
        replace: layers in place of those that carry code, as `--replace` has them.
        running: threads, memory and seed.

    Returns:
        Backend name to tally: counts, by class, confusion matrix.

    Raises:
        UserError: as `convert`, or there are no labelled images.
    """
    with opened(
        model,
        data=data,
        preprocessing=preprocessing,
        artifacts=artifacts,
        backends=backends,
        settings=settings,
        running=running,
        custom_files=custom,
        replace=replace,
        store=store,
        progress=progress,
    ) as workspace:
        names = chosen(backends, workspace)
        if workspace.test.labels is None:
            raise UserError(
                "Expected labelled images to evaluate on; the data has no labels: `verify` judges "
                "agreement without them."
            )
        if reason := not_answers(Case(workspace, names[0])):
            raise UserError(f"Expected class scores to count right answers; {reason}.")
        counted = {}
        for case in (Case(workspace, name) for name in names):
            if backends is None and (reason := not_made(case)):
                workspace.announce(f"skipped: {case.name}: {reason}")
            else:
                counted[case.name] = case.tally(case.name)[0]
        return counted


@dataclass(frozen=True, eq=False)
class Verification:
    """What `verify` found.

    Attributes:
        measurements: every measurement, in the order in which they were made.
        document: what `report.json` holds.
        table: the table for a terminal.
        demands: what was allowed and asked for.
    """

    measurements: tuple[Measurement, ...]
    document: Mapping[str, Any]
    table: str
    demands: Demands = field(default_factory=Demands)

    def __bool__(self) -> bool:
        """Whether it passed: the exit code is 0."""
        return self.exit_code() == 0

    def __repr__(self) -> str:
        subjects = ", ".join(dict.fromkeys(m.subject for m in self.measurements)) or "nothing"
        found = reports.counted(self.measurements)
        return f"<Verification of {subjects}: {found}; exit {self.exit_code()}>"

    def exit_code(self, allow_undecided: bool = False) -> int:
        """0 passed, 1 converted wrongly, 2 nothing judged, 3 costs too much, 4 undecided."""
        allowed = allow_undecided or self.demands.allow_undecided
        return reports.exit_code(self.measurements, replace(self.demands, allow_undecided=allowed))


def verify(
    model: Model,
    *,
    data: Data | None = None,
    preprocessing: Preprocessing | None = None,
    shipping: Shipping | None = None,
    artifacts: Mapping[str, File] | None = None,
    backends: Sequence[str] | None = None,
    topics: Sequence[str] | None = None,
    settings: Settings | None = None,
    demands: Demands | None = None,
    report: File | None = None,
    progress: bool = False,
    store: Store | None = None,
    custom: Sequence[File] = (),
    replace: Sequence[str] = (),
    running: Running | None = None,
) -> Verification:
    """Convert, quantize and judge a model: the checks of the test suite, without pytest.

    With a `keras.Model` in memory TensorFlow is in the caller's process already; the reference runs
    in a process of its own all the same.

    Args:
        model: a Keras file, the name of a subject, or a `keras.Model` in memory.
        data: images, with labels or without: arrays ``x``, ``(x, y)`` or by Keras's names, a
            `.npz`, a folder or a Python file, which is executed; a subject brings its own.
        preprocessing: what is done to the images of `data`, once, when they are read.
        shipping: the preprocessing that ships, compared with that of `data`, which is then a folder
            of images; a Python file is executed; see docs/preprocessing.md.
        artifacts: external files, by the backend that they stand in for.
        backends: what to judge; by default all that are installed, and what cannot be made of this
            model is skipped with the reason.
        topics: ``structure``, ``parity``, ``accuracy``, ``quantization``, ``latency``; all of
            them by default.
        settings: the choices.
        demands: how much int8 may cost, and what else is allowed or asked for.
        report: a folder for `report.json`, `report.html`, `conversion.log` and the artifacts.
        progress: whether to say on stderr what takes long.
        store: where finished work is kept between runs.
        custom: Python files with layers of your own, executed because you name them; see
            docs/custom.md.
        replace: layers in place of those that carry code, as `--replace` has them.
        running: threads, memory and seed.

    Returns:
        The measurements with their verdicts.

    Raises:
        UserError: as `convert`, or an external file does not fit the model, or a backend that
            was named cannot be made.
    """
    out = None if report is None else Path(report)
    with opened(
        model,
        data=data,
        preprocessing=preprocessing,
        shipping=shipping,
        artifacts=artifacts,
        backends=backends,
        settings=settings,
        demands=demands,
        running=running,
        custom_files=custom,
        replace=replace,
        out=out,
        store=store,
        progress=progress,
    ) as workspace:
        names = chosen(backends, workspace)
        measured, made = judge_all(workspace, names, backends, topics)
        outcome = reports.outcome(measured, workspace.demands)
        listed = [described(Case(workspace, name)) for name in made]
        warnings = numeric_types.words(workspace.spec.layers)
        warnings += [w for a in made.values() for w in a.provenance.get("warnings", ())]
        extra = {
            "subject": workspace.subject.name,
            "data": workspace.subject.described,
            "artifacts": listed,
            "warnings": warnings,
            "demands": asdict(workspace.demands),
            "outcome": asdict(outcome),
        }
        document = reports.as_document(measured, reports.environment(), extra)
        if out is not None:
            export(made, out / "artifacts")
            reports.write(document, out)
            reports.write_page(document, out)
        sizes = {each["label"]: each["size"] for each in listed}
        table = reports.render(measured, sizes, outcome)
        return Verification(tuple(measured), document, table, workspace.demands)

"""Artifacts of a model: converted, and quantized."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from conversion.backends import backend
from conversion.core.artifact import Artifact, Store
from conversion.core.errors import RunFailed, UserError
from conversion.core.running import Running
from conversion.core.settings import Settings
from conversion.proof.checks.case import Case
from conversion.session import (
    File,
    export,
    known,
    opened,
)
from conversion.subjects.arrays import Data
from conversion.subjects.keras_object import Model
from conversion.subjects.preprocessing import Preprocessing


def convert(
    model: Model,
    *,
    backends: Sequence[str] = ("onnx-fp32", "torch-fp32"),
    settings: Settings | None = None,
    out: File | None = None,
    store: Store | None = None,
    custom: Sequence[File] = (),
    replace: Sequence[str] = (),
) -> dict[str, Artifact]:
    """Convert a Keras model.

    With a `keras.Model` in memory TensorFlow is in the caller's process already; the reference runs
    in a process of its own all the same.

    Args:
        model: a Keras file, the name of a subject, or a `keras.Model` in memory.
        backends: what to make: ``onnx-fp32``, ``torch-fp32``, ``torch-via-onnx-fp32``.
        settings: the choices, such as the opset.
        out: a folder for the files, their provenance and `conversion.log`; None leaves the files
            in the store.
        store: where finished work is kept between runs.
        custom: Python files with layers of your own, executed because you name them; see
            docs/custom.md.
        replace: layers in place of those that carry code, as `--replace` has them.

    Returns:
        Backend name to artifact.

    Raises:
        UserError: the file cannot be read or has what is not supported, or a name is unknown.

    Example:
        >>> made = convert("embedded", backends=["torch-fp32"])
        >>> made["torch-fp32"].path.name
        'torch-fp32.pt'
    """
    return _make(model, None, None, backends, settings, out, store, custom, replace)


def quantize(
    model: Model,
    *,
    data: Data | None = None,
    preprocessing: Preprocessing | None = None,
    backends: Sequence[str] = ("onnx-int8", "torch-int8"),
    settings: Settings | None = None,
    out: File | None = None,
    store: Store | None = None,
    custom: Sequence[File] = (),
    replace: Sequence[str] = (),
    running: Running | None = None,
) -> dict[str, Artifact]:
    """Quantize a Keras model to int8, from a calibration set of training images.

    Args:
        model: a Keras file, the name of a subject, or a `keras.Model` in memory.
        data: images, with labels or without: arrays ``x``, ``(x, y)`` or by Keras's names, a
            `.npz`, a folder or a Python file, which is executed; a subject brings its own.
        preprocessing: what is done to the images of `data`, once, when they are read.
        backends: what to make: ``onnx-int8``, ``torch-int8``.
        settings: the choices: schemes, calibration.
        out: a folder for the files, their provenance and `conversion.log`; None leaves the files
            in the store.
        store: where finished work is kept between runs.
        custom: Python files with layers of your own, executed because you name them; see
            docs/custom.md.
        replace: layers in place of those that carry code, as `--replace` has them.
        running: the seed of the calibration images where the settings have none.

    Returns:
        Backend name to artifact.

    Raises:
        UserError: as `convert`, or there are no images to calibrate on, or one of them is also in
            the evaluation set.
    """
    return _make(
        model, data, preprocessing, backends, settings, out, store, custom, replace, running
    )


def _make(
    model: Model,
    data: Data | None,
    preprocessing: Preprocessing | None,
    backends: Sequence[str],
    settings: Settings | None,
    out: File | None,
    store: Store | None,
    custom: Sequence[File],
    replace: Sequence[str],
    running: Running | None = None,
) -> dict[str, Artifact]:
    names, folder = known(backends), None if out is None else Path(out)
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
    ) as workspace:
        if workspace.subject.train is None and not all(backend(name).is_float for name in names):
            raise UserError(
                f"{workspace.subject.name} has no images to calibrate on: pass --data FILE."
            )
        made = {name: workspace.artifact(name) for name in names}
        for name in names:
            if not backend(name).is_float:
                _refuse_what_does_not_run(Case(workspace, name))
        return made if folder is None else export(made, folder)


def _refuse_what_does_not_run(case: Case) -> None:
    """Run an int8 artifact on one image.

    Raises:
        UserError: it does not run.
    """
    workspace = case.workspace
    assert workspace.subject.train is not None
    image = workspace.subject.train.images[:1].astype(np.float32)
    try:
        workspace.runner(case.name).run({workspace.spec.inputs[0]: image})
    except RunFailed as error:
        raise UserError(f"{case.name} can be made and does not run: {case.why(error)}") from None

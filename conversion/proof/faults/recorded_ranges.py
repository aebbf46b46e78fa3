"""Faults in the ranges that a calibration yields; the int8 files are made from them in earnest."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from conversion.core import digest
from conversion.core.artifact import Artifact, Store
from conversion.proof.faults.fault import Fault, Inject
from conversion.proof.faults.injection import RELATIVE, in_calibration
from conversion.proof.faults.integer_graph import noisy, operator
from conversion.subjects.data import Dataset
from conversion.workspace import Workspace

ONNX, TORCH = "onnx-ranges", "torch-ranges"
Pair = tuple[float, float]


def edited(edit: Callable[[str, Pair], Pair]) -> Inject:
    """A fault in recorded ranges of the ONNX route: from a tensor's name and range to another."""

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        good = workspace.artifact(ONNX)
        content = json.loads(good.path.read_text())
        for name, data in content["data"].items():
            ends = (data["lowest"], data["highest"])
            for end, value in zip(
                ends, edit(name, (ends[0]["data"], ends[1]["data"])), strict=True
            ):
                end["data"] = float(np.float32(value))
        path = folder / good.path.name
        path.write_text(json.dumps(content))
        pairs = {
            name: [data["lowest"]["data"], data["highest"]["data"]]
            for name, data in content["data"].items()
        }
        return _injected(workspace, folder, ONNX, path, pairs)

    return inject


def one_edited(layer: str, factor: float) -> Inject:
    """The range of what one convolution gives is off by a factor."""

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        tensor = operator(onnx.load(workspace.artifact("onnx-prepared").path), layer).output[0]

        def edit(name: str, pair: Pair) -> Pair:
            return (pair[0] * factor, pair[1] * factor) if name == tensor else pair

        return edited(edit)(workspace, folder)

    return inject


def edited_in_torch(edit: Callable[[str, float], float]) -> Inject:
    """A fault in the recorded scales of the PyTorch route: from an observer's name and scale."""

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        good = workspace.artifact(TORCH)
        content = json.loads(good.path.read_text())
        for name, found in content.items():
            found["scale"] = float(np.float32(edit(name, found["scale"])))
        path = folder / good.path.name
        path.write_text(json.dumps(content))
        return _injected(workspace, folder, TORCH, path, content)

    return inject


def one_edited_in_torch(layer: str, factor: float) -> Inject:
    """The range of what one layer gives is off by a factor."""
    return edited_in_torch(
        lambda name, scale: scale * factor if f".{layer}." in name else scale,
    )


def seven_bits(name: str, pair: Pair) -> Pair:
    """A range that 7 bits spread over what 8 bits should."""
    return pair[0] * 255 / 127, pair[1] * 255 / 127


def wider(name: str, pair: Pair) -> Pair:
    """A range that is 3 % wider."""
    return pair[0] * 1.03, pair[1] * 1.03


def of_images(name: str, change: Callable[[Dataset, Workspace], Dataset]) -> Inject:
    """Ranges of other images than those that are on record."""

    def inject(workspace: Workspace, folder: Path) -> Workspace:
        aside = folder / "images"
        aside.mkdir()
        made = in_calibration(change)(workspace, aside).artifact(name)
        return _injected(workspace, folder, name, made.path, made.provenance["ranges"])

    return inject


def first_images(name: str, share: float) -> Inject:
    """Only the first images of the calibration set were looked at.

    Args:
        name: the recorded ranges.
        share: of the images that were not.
    """

    def change(drawn: Dataset, _: Workspace) -> Dataset:
        return drawn.subset(np.arange(max(1, round((1 - share) * len(drawn)))))

    return of_images(name, change)


def of_test_images(drawn: Dataset, workspace: Workspace) -> Dataset:
    """As many test images."""
    return workspace.test.subset(np.arange(len(drawn)))


def of_another_model(workspace: Workspace, folder: Path) -> Workspace:
    """Ranges of a network of the same architecture with other weights."""
    model = onnx.load(workspace.artifact("onnx-prepared").path)
    noisy(model, 1.0)
    path = folder / "onnx-prepared.onnx"
    onnx.save(model, path)
    other = Artifact("onnx-prepared", path, digest.of_file(path), {})
    made = workspace.injected(Store(folder / "other"), {"onnx-prepared": other}).artifact(ONNX)
    return _injected(workspace, folder, ONNX, made.path, made.provenance["ranges"])


def by_percentile(workspace: Workspace, folder: Path) -> Workspace:
    """Ranges by ONNX Runtime's percentile method, said to be lowest and highest values.

    Of a fifth of the images: its histograms are slow.
    """
    scheme = replace(workspace.settings.onnx, method="percentile")
    other = workspace.with_settings(replace(workspace.settings, onnx=scheme))
    aside = folder / "images"
    aside.mkdir()
    few = in_calibration(lambda drawn, _: drawn.subset(np.arange(len(drawn) // 5)))
    needs = {
        "calibration": few(workspace, aside).artifact("calibration"),
        "onnx-prepared": workspace.artifact("onnx-prepared"),
    }
    with redirect_stdout(StringIO()):  # the calibrator prints
        made = other.injected(Store(folder / "other"), needs).artifact(ONNX)
    path = folder / made.path.name
    path.write_text(made.path.read_text().replace("Percentile", "MinMax"))
    return _injected(workspace, folder, ONNX, path, made.provenance["ranges"])


def _injected(workspace: Workspace, folder: Path, name: str, path: Path, ranges: Any) -> Workspace:
    provenance = {**workspace.artifact(name).provenance, "ranges": ranges}
    made = Artifact(name, path, digest.of_file(path), provenance)
    return workspace.injected(Store(folder / "store"), {name: made})


def _fault(
    name: str,
    artifact: str,
    magnitude: str,
    where: str,
    inject: Inject,
    sizes: tuple[float, ...] = (),
    resized: Callable[[float], Inject] | None = None,
) -> Fault:
    return Fault(
        f"ranges-{name}",
        "calibration",
        artifact,
        magnitude,
        "ranges",
        where,
        inject,
        sizes=sizes,
        resized=resized,
    )


FAULTS: tuple[Fault, ...] = (
    _fault(
        "of-the-first-chunk",
        "onnx-int8",
        "750 of 1,000 images never looked at",
        "batch_normalization",
        first_images(ONNX, 0.75),
        sizes=(0.99, 0.9, 0.75, 0.5, 0.25, 0.1),
        resized=partial(first_images, ONNX),
    ),
    _fault(
        "of-test-images",
        "onnx-int8",
        "all of the images from the test set",
        "batch_normalization",
        of_images(ONNX, of_test_images),
    ),
    _fault(
        "of-another-model",
        "onnx-int8",
        "kernels with noise of their own size",
        "batch_normalization",
        of_another_model,
    ),
    _fault(
        "by-percentile",
        "onnx-int8",
        "99.999th percentile of 200 images for the largest value",
        "input_1",
        by_percentile,
    ),
    _fault("of-seven-bits", "onnx-int8", "x2.008 of every range", "input_1", edited(seven_bits)),
    _fault(
        "halved",
        "onnx-int8",
        "x0.5 of one range",
        "batch_normalization_4",
        one_edited("conv2d_4", 0.5),
        sizes=(0.5, *RELATIVE),
        resized=lambda share: one_edited("conv2d_4", 1 - share),
    ),
    _fault(
        "halved-in-torch",
        "torch-int8",
        "x0.5 of one range",
        "batch_normalization_6",
        one_edited_in_torch("conv2d_7", 0.5),
        sizes=(0.5, *RELATIVE),
        resized=lambda share: one_edited_in_torch("conv2d_7", 1 - share),
    ),
    _fault(
        "of-seven-bits-in-torch",
        "torch-int8",
        "x2.008 of every scale",
        "input_1",
        edited_in_torch(lambda _, scale: scale * 255 / 127),
    ),
    _fault(
        "of-the-first-chunk-in-torch",
        "torch-int8",
        "990 of 1,000 images never looked at",
        "activation",
        first_images(TORCH, 0.99),
        sizes=(0.999, 0.99, 0.9, 0.75, 0.5, 0.25),
        resized=partial(first_images, TORCH),
    ),
)

"""Faults in what calibrates: the images, or the ranges that are recorded of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from conversion.backends.onnx_file import load
from conversion.backends.torch_module import attribute_name
from conversion.core import digest
from conversion.core.artifact import Artifact, Store
from conversion.proof.faults.fault import Asked, NotInjectable, OfWorkspace
from conversion.proof.faults.injection import (
    OfDataset,
    in_calibration,
    in_ranges,
    of_dataset,
    put_ranges,
)
from conversion.proof.faults.onnx_graph import Graph
from conversion.proof.faults.onnx_int8_operators import noisy
from conversion.subjects.data import Dataset
from conversion.workspace import Workspace


def pixels(change: Callable[[np.ndarray], np.ndarray]) -> OfDataset:
    """A fault in the pixels of every image."""
    return lambda drawn, _: of_dataset(drawn, change)


def classes_lost(count: float) -> OfDataset:
    """The images of the last classes are replaced by further ones of the first classes."""

    def change(drawn: Dataset, workspace: Workspace) -> Dataset:
        train = workspace.subject.train
        assert train is not None
        assert train.labels is not None
        kept = len(np.unique(train.labels)) - int(count)
        return train.subset(np.flatnonzero(train.labels < kept)[: len(drawn)])

    return change


def lost(share: float) -> OfDataset:
    """The last images are lost."""
    return lambda drawn, _: drawn.subset(np.arange(max(1, round((1 - share) * len(drawn)))))


def leaked(count: float) -> OfDataset:
    """The last images are replaced by test images."""

    def change(drawn: Dataset, workspace: Workspace) -> Dataset:
        test, number = workspace.test, int(count)

        def mixed(own: Any, theirs: Any) -> Any:
            return None if own is None else np.concatenate([own[:-number], theirs[:number]])

        images, labels = mixed(drawn.images, test.images), mixed(drawn.labels, test.labels)
        return replace(drawn, images=images, labels=labels)

    return change


def of_test_images(drawn: Dataset, workspace: Workspace) -> Dataset:
    """As many test images."""
    return workspace.test.subset(np.arange(len(drawn)))


def noise(images: np.ndarray) -> np.ndarray:
    """Uniform noise in the place of images."""
    return np.random.RandomState(5).randint(0, 256, images.shape).astype(images.dtype)


def scaled(images: np.ndarray) -> np.ndarray:
    """Pixels from 0 to 1."""
    return (images / 255).astype(np.float32)


def times(workspace: Workspace, folder: Path, asked: Asked) -> Workspace:
    """Recorded ranges off by a factor: those of what layers give, or all of them."""
    if asked.artifact == "torch-int8":
        return in_ranges(partial(_in_torch, asked), TORCH)(workspace, folder)
    graph = Graph(load(workspace.artifact("onnx-prepared").path), workspace.spec)
    names = {graph.weighted(layer).output[0] for layer in asked.layers}

    def change(content: Any) -> Any:
        found = dict[str, list[float]]()
        for name, data in content["data"].items():
            ends = data["lowest"], data["highest"]
            for end in ends if name in names or not names else ():
                end["data"] = float(np.float32(end["data"] * asked.value))
            found[name] = [end["data"] for end in ends]
        return found

    return in_ranges(change, ONNX)(workspace, folder)


def _in_torch(asked: Asked, content: Any) -> Any:
    attributes = [f".{attribute_name(layer)}." for layer in asked.layers]
    for name, found in content.items():
        if not attributes or any(each in name for each in attributes):
            found["scale"] = float(np.float32(found["scale"] * asked.value))
    return content


def narrower(workspace: Workspace, folder: Path, asked: Asked) -> Workspace:
    """Recorded ranges less a share of them."""
    return times(workspace, folder, replace(asked, value=1 - asked.value))


def of_images(make: Callable[[Any], OfDataset]) -> OfWorkspace:
    """Ranges of other images than those that are on record."""

    def inject(workspace: Workspace, folder: Path, asked: Asked) -> Workspace:
        name, aside = asked.artifact.replace("int8", "ranges"), folder / "images"
        if name not in (ONNX, TORCH):
            raise NotInjectable(f"{asked.artifact} is made without recorded ranges")
        aside.mkdir()
        made = in_calibration(make(asked.value))(workspace, aside).artifact(name)
        return put_ranges(workspace, folder, name, made)

    return inject


def of_calibration(make: Callable[[Any], OfDataset]) -> OfWorkspace:
    """Other images, from which ranges and int8 files are made in earnest."""
    return lambda good, folder, asked: in_calibration(make(asked.value))(good, folder)


def of_another_model(workspace: Workspace, folder: Path, _: Asked) -> Workspace:
    """Ranges of a network of the same architecture with other weights."""
    graph = Graph(load(workspace.artifact("onnx-prepared").path), workspace.spec)
    noisy(graph, 1.0)
    path = folder / "onnx-prepared.onnx"
    onnx.save(graph.model, path)
    other = Artifact("onnx-prepared", path, digest.of_file(path), {})
    made = workspace.injected(Store(folder / "other"), {"onnx-prepared": other}).artifact(ONNX)
    return put_ranges(workspace, folder, ONNX, made)


def by_percentile(workspace: Workspace, folder: Path, _: Asked) -> Workspace:
    """Ranges by ONNX Runtime's percentile method, said to be lowest and highest values.

    Of a fifth of the images: its histograms are slow.
    """
    scheme = replace(workspace.settings.onnx, method="percentile")
    other = workspace.with_settings(replace(workspace.settings, onnx=scheme))
    aside = folder / "images"
    aside.mkdir()
    few = in_calibration(lost(0.8))(workspace, aside)
    needs = {name: few.artifact(name) for name in ("calibration", "onnx-prepared")}
    with redirect_stdout(StringIO()):  # the calibrator prints
        made = other.injected(Store(folder / "other"), needs).artifact(ONNX)
    path = folder / made.path.name
    path.write_text(made.path.read_text().replace("Percentile", "MinMax"))
    return put_ranges(workspace, folder, ONNX, replace(made, path=path))


ONNX, TORCH = "onnx-ranges", "torch-ranges"

IMAGES: Mapping[str, Callable[[Any], OfDataset]] = {
    "classes-lost": classes_lost,
    "lost": lost,
    "leaked": leaked,
    "of-test-images": lambda _: of_test_images,
    "of-noise": lambda _: pixels(noise),
    "black": lambda _: pixels(np.zeros_like),
    "bgr": lambda _: pixels(lambda images: images[..., ::-1].copy()),
    "of-scaled-pixels": lambda _: pixels(scaled),
    "halved": lambda _: pixels(lambda images: images // 2),
}
"""Name to a fault of the calibration images."""

OPERATORS: Mapping[str, OfWorkspace] = {
    **{f"calibration:{name}": of_calibration(make) for name, make in IMAGES.items()},
    **{f"ranges:{name}": of_images(make) for name, make in IMAGES.items()},
    "ranges:times": times,
    "ranges:narrower": narrower,
    "ranges:of-another-model": of_another_model,
    "ranges:by-percentile": by_percentile,
}
"""Name to a fault of what calibrates."""

"""What a fault is: a known bug, injected in a copy of something good, and who must see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conversion.proof.standard.table import STAGES as STAGES
from conversion.workspace import Workspace

Inject = Callable[[Workspace, Path], Workspace]
"""Takes a good workspace and an empty folder for files of its own; returns the workspace with the
fault in it. The good one is never changed."""


@dataclass(frozen=True)
class Asked:
    """What an operator that takes a whole workspace is asked for.

    Attributes:
        artifact: the artifact that is judged.
        layers: names of layers.
        value: a size, or whatever else the operator takes.
    """

    artifact: str
    layers: Sequence[str]
    value: Any


OfWorkspace = Callable[[Workspace, Path, Asked], Workspace]


class NotInjectable(Exception):
    """This artifact has no place for this fault; the message says what was looked for."""


@dataclass(frozen=True)
class Fault:
    """A known bug with what is known of it.

    Attributes:
        name: stable words, such as ``onnx-conv2d-bias-lost``; unique.
        stage: one of `STAGES`.
        artifact: the backend whose artifact the checks are asked about.
        magnitude: how large it is, in words with their number.
        check: the name of the check that must fail; empty where any may.
        where: the layer at fault, or words of its cause; a failed measurement of the check must
            have it as its layer or in its reason.
        inject: puts it in.
        sizes: where it has a size, the sizes to try, largest first.
        resized: the same fault of another size.
        fused: layers that are computed together with that layer, any of which may be named.
    """

    name: str
    stage: str
    artifact: str
    magnitude: str
    check: str
    where: str
    inject: Inject
    sizes: tuple[float, ...] = ()
    resized: Callable[[float], Inject] | None = None
    fused: tuple[str, ...] = ()

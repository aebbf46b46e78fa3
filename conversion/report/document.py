"""The measurements with their environment as one JSON document, and the file that it becomes."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from conversion.core import environment as machine
from conversion.core.artifact import versions
from conversion.core.measurement import Concern, Measurement, Verdict

SCHEMA = 1
NAME = "report.json"
RESERVED = ("schema", "environment", "measurements")
PACKAGES = (
    "tensorflow",
    "keras",
    "tf2onnx",
    "onnx",
    "onnxruntime",
    "torch",
    "torchvision",
    "onnx2torch",
    "h5py",
    "numpy",
    "pytest",
)


def as_document(
    measurements: Sequence[Measurement],
    environment: Mapping[str, Any],
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    """Measurements, environment and extras as plain values that strict JSON can hold.

    Args:
        measurements: all of the run's, in the order in which they are reported.
        environment: as `environment()` returns it.
        extra: further keys: ``artifacts`` (name, file, size in bytes, digest, provenance) and
            ``warnings`` of the converters; both are empty lists where they are not given.

    Returns:
        The document. A number that is not finite is None, and its measurement's reason says so.

    Raises:
        ValueError: an extra has the name of one of the document's own keys.
    """
    if taken := sorted(set(extra) & set(RESERVED)):
        raise ValueError(f"extras must not be named {', '.join(taken)}: the document has its own")
    return {
        "schema": SCHEMA,
        "environment": _plain(environment, []),
        "measurements": [entry(measurement) for measurement in measurements],
        "artifacts": [],
        "warnings": [],
        **_plain(extra, []),
    }


def measurements_of(document: Mapping[str, Any]) -> list[Measurement]:
    """The measurements that a document holds; what was not finite stays None, NaN in a bound."""
    return [measurement_of(each) for each in document["measurements"]]


def write(document: Mapping[str, Any], folder: Path) -> Path:
    """Write `report.json` in one step.

    Args:
        document: plain values, as `as_document` returns them.
        folder: where it belongs; made where it is missing.

    Returns:
        The file.

    Raises:
        ValueError: the document holds NaN or infinity; no file is written.
    """
    return place(json.dumps(document, indent=1, allow_nan=False) + "\n", folder / NAME)


def place(content: str, path: Path) -> Path:
    """Write a file beside its place and move it there, so that a killed run leaves no half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def environment() -> dict[str, Any]:
    """The machine and the versions that the numbers depend on; no framework is imported."""
    cpu = machine.processor()
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": {"model": cpu.model, "instructions": cpu.instructions, "logical": cpu.logical},
        "load_average": machine.load(),
        "versions": {n: v for n, v in versions(PACKAGES).items() if n != "python"},
        "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def entry(measurement: Measurement) -> dict[str, Any]:
    """A measurement as plain values; what is not finite is None, and the reason says so."""
    found: dict[str, Any] = {}
    lost: list[str] = []
    for field in dataclasses.fields(measurement):
        missing: list[str] = []
        found[field.name] = _plain(getattr(measurement, field.name), missing)
        if missing:
            lost.append(f"{field.name} is {' and '.join(dict.fromkeys(missing))}")
    if lost:
        reasons = (measurement.reason, f"{', '.join(lost)}: written as null")
        found["reason"] = "; ".join(reason for reason in reasons if reason)
    return found


def measurement_of(plain: Mapping[str, Any]) -> Measurement:
    """The measurement that `entry` made plain values of."""
    known = {field.name for field in dataclasses.fields(Measurement)}
    values = {key: value for key, value in plain.items() if key in known}
    interval = values.get("interval")
    if interval is not None:
        lower, upper = (math.nan if bound is None else bound for bound in interval)
        values["interval"] = (lower, upper)
    values["verdict"] = Verdict(values["verdict"])
    values["concerns"] = Concern(values.get("concerns", Concern.CONVERSION))
    values["rows"] = tuple(values.get("rows", ()))
    return Measurement(**values)


def _plain(value: Any, lost: list[str]) -> Any:
    """A value of JSON's own types; the numbers that JSON has no word for are added to `lost`."""
    if hasattr(value, "tolist"):  # NumPy's arrays and scalars
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        lost.append(str(value))
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item, lost) for key, item in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | int | float | None):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | Path) or not isinstance(value, Iterable):
        return str(value)
    return [_plain(item, lost) for item in value]

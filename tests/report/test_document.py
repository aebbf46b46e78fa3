"""The JSON document: its keys, its numbers, and the file that it becomes."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.core import environment as machine
from conversion.core.measurement import Concern, Measurement, Verdict
from conversion.report import as_document, environment, write
from conversion.report.document import measurements_of

MINIMAL = Measurement("m", "parity", "mine", "onnx-fp32", Verdict.PASS)


def entry(**fields: Any) -> dict[str, Any]:
    """What the document says of one failing measurement with these fields."""
    measurement = Measurement("m", "parity", "mine", "onnx-fp32", Verdict.FAIL, **fields)
    found: dict[str, Any] = as_document([measurement], {}, {})["measurements"][0]
    return found


def strictly(content: str) -> Any:
    """JSON as a reader takes it that knows no NaN and no Infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(content, parse_constant=refuse)


def test_a_document_has_these_keys() -> None:
    assert as_document([], {"python": "3.11"}, {}) == {
        "schema": 1,
        "environment": {"python": "3.11"},
        "measurements": [],
        "artifacts": [],
        "warnings": [],
    }


def test_a_measurement_has_these_keys() -> None:
    measurement = Measurement(
        name="output_error_pooled",
        topic="parity",
        subject="mine",
        artifact="onnx-fp32",
        verdict=Verdict.PASS,
        value=1.5,
        unit="x Keras's noise",
        relation="<=",
        limit=10.0,
        layer="dense",
        interval=(1.0, 2.0),
        n=200,
        seed=0,
        reason="well within",
        cached=True,
        digest="ab",
        rows=({"channel": 0, "rms": 0.5},),
        concerns=Concern.COST,
    )
    assert as_document([measurement], {}, {})["measurements"] == [
        {
            "name": "output_error_pooled",
            "topic": "parity",
            "subject": "mine",
            "artifact": "onnx-fp32",
            "layer": "dense",
            "value": 1.5,
            "unit": "x Keras's noise",
            "relation": "<=",
            "limit": 10.0,
            "interval": [1.0, 2.0],
            "n": 200,
            "seed": 0,
            "verdict": "pass",
            "reason": "well within",
            "cached": True,
            "digest": "ab",
            "rows": [{"channel": 0, "rms": 0.5}],
            "concerns": "cost",
            "lacks_images": False,
        }
    ]


def test_extras_are_added() -> None:
    extra = {"warnings": ("opset",), "artifacts": [{"name": "a", "file": Path("out/a.onnx")}]}
    found = as_document([], {}, extra)
    assert found["warnings"] == ["opset"]
    assert found["artifacts"] == [{"name": "a", "file": str(Path("out/a.onnx"))}]


@pytest.mark.parametrize("name", ["schema", "environment", "measurements"])
def test_an_extra_cannot_take_the_place_of_a_key(name: str) -> None:
    with pytest.raises(ValueError, match=f"extras must not be named {name}"):
        as_document([], {}, {name: []})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "value is nan: written as null"),
        (math.inf, "value is inf: written as null"),
        (-math.inf, "value is -inf: written as null"),
    ],
)
def test_a_number_that_is_not_finite_becomes_null_with_a_reason(value: float, reason: str) -> None:
    assert entry(value=value)["value"] is None
    assert entry(value=value)["reason"] == reason
    assert entry(value=np.float32(value))["reason"] == reason


def test_a_reason_that_was_there_is_kept() -> None:
    found = entry(interval=(math.nan, 1.0), rows=({"rms": math.inf},), reason="too far")
    assert found["interval"] == [None, 1.0]
    assert found["rows"] == [{"rms": None}]
    assert found["reason"] == "too far; interval is nan, rows is inf: written as null"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float64(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ((1, "a"), [1, "a"]),
        ({1: Verdict.PASS}, {"1": "pass"}),
        (1 + 2j, "(1+2j)"),
    ],
)
def test_values_become_those_of_json(value: Any, plain: Any) -> None:
    rows = entry(rows=({"v": value},))["rows"]
    assert json.loads(json.dumps(rows)) == [{"v": plain}]


@given(
    value=st.none() | st.floats(),
    interval=st.none() | st.tuples(st.floats(), st.floats()),
    rows=st.lists(st.dictionaries(st.text(), st.floats() | st.text()), max_size=3),
    name=st.text(),
)
def test_every_document_is_strict_json(
    value: float | None,
    interval: tuple[float, float] | None,
    rows: list[dict[str, float | str]],
    name: str,
) -> None:
    measurement = Measurement(
        name, "t", "s", "a", Verdict.FAIL, value=value, interval=interval, rows=tuple(rows)
    )
    found = as_document([measurement], {"load": math.nan}, {})
    assert strictly(json.dumps(found, allow_nan=False)) == found


@given(st.lists(st.sampled_from(list(Verdict))), st.none() | st.tuples(st.floats(), st.floats()))
def test_measurements_come_back_from_json_with_their_verdicts(
    verdicts: list[Verdict], interval: tuple[float, float] | None
) -> None:
    measurements = [Measurement("m", "t", "s", "a", v, interval=interval) for v in verdicts]
    stored = json.loads(json.dumps(as_document(measurements, {}, {}), allow_nan=False))
    back = measurements_of(stored)
    assert [m.verdict for m in back] == verdicts
    if interval is None:
        assert back == measurements


def test_a_document_that_knows_no_concerns_is_read_as_before() -> None:
    plain = as_document([MINIMAL], {}, {})
    del plain["measurements"][0]["concerns"], plain["measurements"][0]["lacks_images"]
    assert measurements_of(plain) == [MINIMAL]


def test_the_file_holds_the_document(tmp_path: Path) -> None:
    found = as_document([MINIMAL], {"city": "Zürich"}, {})
    path = write(found, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "report.json"
    assert strictly(path.read_text(encoding="utf-8")) == found
    assert [file.name for file in path.parent.iterdir()] == ["report.json"]


def test_a_document_that_is_not_strict_leaves_the_old_file(tmp_path: Path) -> None:
    write({"schema": 1}, tmp_path)
    with pytest.raises(ValueError, match="JSON compliant"):
        write({"schema": math.nan}, tmp_path)
    assert (tmp_path / "report.json").read_text() == '{\n "schema": 1\n}\n'


def test_a_failed_move_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("conversion.report.document.os.replace", refuse)
    with pytest.raises(OSError, match="no space left"):
        write({"schema": 1}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_environment_is_plain_and_names_every_package() -> None:
    found = environment()
    assert strictly(json.dumps(found, allow_nan=False)) == found
    assert set(found) == {"python", "platform", "cpu", "load_average", "versions", "time_utc"}
    assert set(found["versions"]) == {
        *("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "torch"),
        *("torchvision", "onnx2torch", "h5py", "numpy", "pytest"),
    }
    assert found["versions"]["numpy"] == np.__version__
    assert found["time_utc"].endswith("+00:00")


def test_the_processor_is_read_from_cpuinfo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Fast 9000\nflags\t\t: fpu avx2 avx_vnni\n\n")
    monkeypatch.setattr(machine, "CPUINFO", cpuinfo)
    cpu = environment()["cpu"]
    assert cpu["model"] == "Fast 9000"
    assert cpu["instructions"] == {
        "avx2": True,
        "avx512f": False,
        "avx512_vnni": False,
        "avx_vnni": True,
        "amx_int8": False,
    }


@pytest.mark.parametrize("content", [None, "processor\t: 0\nFeatures\t: fp asimd\n"])
def test_instruction_sets_are_unknown_where_nobody_says(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    if content is not None:
        cpuinfo.write_text(content)
    monkeypatch.setattr(machine, "CPUINFO", cpuinfo)
    monkeypatch.setattr("platform.processor", lambda: "aarch64")
    assert environment()["cpu"]["model"] == "aarch64"
    assert environment()["cpu"]["instructions"] is None


def test_importing_the_report_imports_no_framework() -> None:
    code = (
        "import sys; from conversion.report import environment; environment();"
        "heavy = {'torch', 'tensorflow', 'keras', 'onnx', 'onnxruntime', 'jinja2'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""The author of a converter judges their own exporter, from a folder of their own."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import openvino
import pytest

NAME = "openvino-fp32"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Their repository: a model of theirs, and files that would break other people's runs."""
    place = tmp_path_factory.mktemp("theirs")
    (place / "conftest.py").write_text("raise RuntimeError('not for the suite')\n")
    (place / "pytest.ini").write_text("[pytest]\npython_files = check_*.py\n")
    code = (
        "import keras; keras.utils.set_random_seed(3); L = keras.layers\n"
        "keras.Sequential([keras.Input((16, 16, 3)), L.Conv2D(8, 3, strides=2, padding='same'),\n"
        "L.BatchNormalization(), L.ReLU(), L.DepthwiseConv2D(3), L.Flatten(),\n"
        "L.Dense(10, activation='softmax')]).save('theirs.keras')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=place, check=True, capture_output=True)
    return place


@pytest.fixture(scope="module")
def verified(folder):
    done = conversion(folder, "verify", "theirs.keras", "--backends", NAME, "--report", "out")
    return done, folder / "out"


def conversion(folder, *words):
    command = [sys.executable, "-m", "conversion", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)


def test_verify_passes_it_and_says_what_could_not_be_looked_at(verified):
    done, out = verified
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((out / "report.json").read_text())
    found = {m["name"]: m for m in report["measurements"] if m["artifact"] == NAME}
    assert found["output_error_pooled"]["verdict"] == "pass"
    assert found["layers"]["verdict"] == "skipped"
    assert found["layers"]["reason"] == f"{NAME} does not show its intermediate outputs"
    assert NAME in (out / "report.html").read_text()


def test_both_files_are_handed_over_under_one_name(verified):
    _, out = verified
    files = sorted(path.name for path in (out / "artifacts").iterdir() if NAME in path.name)
    assert files == [f"{NAME}.bin", f"{NAME}.provenance.json", f"{NAME}.xml"]
    assert openvino.Core().read_model(out / "artifacts" / f"{NAME}.xml").get_parameters()


def test_the_suite_collects_it_and_nothing_of_theirs(folder):
    done = conversion(
        folder, "test", "theirs.keras", "--backends", NAME, "--", "-m", "parity", "-v", "-rs"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"test_parity[theirs-{NAME}-output-error] PASSED" in done.stdout
    assert f"{NAME} does not show its intermediate outputs" in done.stdout


@pytest.fixture(scope="module")
def broken(verified, folder):
    """Their exporter with a bug: every weight of the largest constant is 1 % too large."""
    _, out = verified
    source = out / "artifacts" / f"{NAME}.xml"
    constants = [
        (int(data.get("size")), int(data.get("offset")))
        for data in ElementTree.parse(source).iter("data")
        if data.get("element_type") == "f32" and data.get("offset")
    ]
    size, offset = max(constants)
    content = bytearray(source.with_suffix(".bin").read_bytes())
    values = np.frombuffer(content, np.float32, size // 4, offset)
    content[offset : offset + size] = (values * np.float32(1.01)).tobytes()
    (folder / "broken.xml").write_bytes(source.read_bytes())
    (folder / "broken.bin").write_bytes(content)
    return folder / "broken.xml"


def test_a_bug_of_the_exporter_fails(folder, broken):
    given = f"{NAME}={broken.name}"
    done = conversion(folder, "verify", "theirs.keras", "--backends", NAME, "--artifact", given)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "output_error_pooled" in done.stdout


def test_half_of_a_pair_is_refused_in_one_sentence(folder, broken):
    (folder / "half.xml").write_bytes(broken.read_bytes())
    given = f"{NAME}=half.xml"
    done = conversion(folder, "verify", "theirs.keras", "--backends", NAME, "--artifact", given)
    assert done.returncode == 2
    assert "half.bin; there is none" in done.stderr

"""Calibration takes no more memory for 5,000 images than for 500, whatever the method."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conversion.plugin.options import subjects

from conversion.core.settings import CalibrationChoice
from conversion.quantization import calibration
from conversion.subjects.data import Dataset

FEW, MANY = 500, 5_000
METHODS = ("onnx-minmax", "onnx-entropy", "onnx-percentile", "torch-minmax", "torch-histogram")
SOURCES = {"onnx": "onnx-prepared", "torch": "torch-fp32"}

# VmHWM and not ru_maxrss, which a process inherits from the one that started it.
CALIBRATE = """
import sys
from pathlib import Path
from types import SimpleNamespace

from conversion.core.artifact import Artifact
from conversion.backends import Ingredients, STEPS, implementation
from conversion.core.settings import OnnxScheme, Settings, TorchScheme

route, method, name, source, images, target = sys.argv[1:]
chosen = OnnxScheme(method=method) if route == "onnx" else TorchScheme(method=method)
needs = {
    name: Artifact(name, Path(source), "", {}),
    "calibration": Artifact("calibration", Path(images), "", {"content": ""}),
}
spec = SimpleNamespace(digest="")
ingredients = Ingredients(spec, None, Settings(**{route: chosen}), needs)
implementation(STEPS[f"{route}-ranges"]).build(ingredients, Path(target))
(line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
print(int(line.split()[1]) * 1024)
"""


def pytest_generate_tests(metafunc):
    if "subject" in metafunc.fixturenames:
        metafunc.parametrize("subject", subjects(metafunc.config))


def peak(workspace, way, images, folder):
    """Bytes at most resident in a fresh process that calibrates on so many images."""
    route, method = way.split("-")
    train, name = workspace.subject.train, SOURCES[route]
    drawn = Dataset(train.images[np.arange(images) % len(train)], None)
    place = folder / str(images)
    place.mkdir()
    calibration.save(drawn, place, CalibrationChoice())
    source = workspace.artifact(name).path
    files = (source, place / calibration.FILE, place / "ranges.json")
    command = (sys.executable, "-W", "ignore", "-c", CALIBRATE, route, method, name, *files)
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(found.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak is read from /proc")
@pytest.mark.parametrize("way", METHODS)
def test_ten_times_the_images_take_no_more_memory(workspaces, subject, way, tmp_path, capsys):
    workspace = workspaces(subject)
    few, many = (peak(workspace, way, images, tmp_path) for images in (FEW, MANY))
    with capsys.disabled():
        print(f"\n{subject} {way}: {few / 1e6:.1f} and {many / 1e6:.1f} MB: {many / few:.3f}")
    assert many <= 1.2 * few
    # The packages alone take most of it; all further images as float32 would be 55 MB.
    assert many - few <= 0.5 * 4 * (MANY - FEW) * workspace.subject.train.images[0].size

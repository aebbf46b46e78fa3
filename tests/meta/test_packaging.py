"""What is installed is what the repository holds, under the names that the documents say."""

import re
import tomllib
from configparser import ConfigParser

import pytest
from python_sources import ROOT

from conversion.core.extras import DISTRIBUTION, PACKAGES
from conversion.core.version import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ELSEWHERE = {"conversion.plugin": "fixtures", "conversion.suite": "tests/suite"}


def test_every_folder_of_the_package_is_installed():
    inside = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".")
        for path in (ROOT / "conversion").rglob("__init__.py")
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == inside | set(ELSEWHERE)
    assert PROJECT["tool"]["setuptools"]["package-dir"] == ELSEWHERE


def test_there_is_no_global_pytest_plugin():
    assert "entry-points" not in PROJECT["project"]


def test_the_version_is_in_one_place():
    assert PROJECT["project"]["dynamic"] == ["version"]
    written = [
        path
        for path in (ROOT / "conversion").rglob("*.py")
        if re.search(rf'"{re.escape(__version__)}"', path.read_text())
    ]
    assert [path.name for path in written] == ["version.py"]


def extras_of(name):
    """Distribution names of an extra, as import names."""
    listed = PROJECT["project"]["optional-dependencies"][name]
    return {re.match(r"[\w-]+", each).group().replace("-", "_") for each in listed}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_extra_that_is_advised_brings_the_package(package):
    through = {"keras": "tensorflow"}  # TensorFlow brings Keras
    assert through.get(package, package) in extras_of(PACKAGES[package])


def test_the_advice_names_this_distribution():
    assert PROJECT["project"]["name"] == DISTRIBUTION
    every = PROJECT["project"]["optional-dependencies"]["all"]
    assert every == [f"{DISTRIBUTION}[onnx,keras,litert,test]"]


def test_the_core_needs_no_framework_but_torch():
    heavy = {"tensorflow", "tf2onnx", "onnx", "onnxruntime", "onnx2torch", "torchvision", "pytest"}
    core = {re.match(r"[\w-]+", each).group() for each in PROJECT["project"]["dependencies"]}
    assert "torch" in core
    assert not core & heavy


def test_ci_runs_environments_that_tox_has():
    tox = ConfigParser()
    tox.read(ROOT / "tox.ini")
    factors = {"lint", "types", "slow", "py", "py311", "py312", "py313", "np126", "np2"}
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text()
    named = set(re.findall(r"env: ([\w-]+)", text)) | set(
        re.search(r"env: \[(.*)\]", text).group(1).split(", ")
    )
    assert {factor for env in named for factor in env.split("-")} <= factors
    matrix = re.search(r"matrix = (.*)", tox["tox"]["labels"]).group(1).split(", ")
    assert set(matrix) <= named

"""A backend whose extra is not installed is left out, said so, and refused by name."""

import importlib.util
import sys

import pytest

from conversion import session as judging
from conversion.__main__ import main
from conversion.backends import BACKENDS, available, backend, implementation, missing
from conversion.core.errors import MissingDependency, UserError
from conversion.proof.faults import power as detection

OPTIONAL = ["litert-fp32", "litert-int8"]


@pytest.fixture
def absent(monkeypatch):
    """LiteRT is not installed."""
    found = importlib.util.find_spec

    def find(name, *rest):
        return None if name == "ai_edge_litert" else found(name, *rest)

    monkeypatch.setattr("importlib.util.find_spec", find)
    for name in [each for each in sys.modules if "litert" in each]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)  # which is how Python refuses it


def test_only_the_optional_ones_are_left_out(absent):
    assert set(BACKENDS) - set(available()) == set(OPTIONAL)


@pytest.mark.parametrize("name", OPTIONAL)
def test_what_is_missing_is_said_with_how_to_get_it(absent, name):
    with pytest.raises(
        MissingDependency, match=r"ai_edge_litert': pip install 'keras-conversion-suite\[litert\]'"
    ):
        implementation(backend(name))


def test_the_command_line_refuses_it_by_name(absent, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CONVERSION_CACHE_DIR", str(tmp_path / "store"))
    asked = ["convert", "embedded", "--backends", "litert-fp32", "--out", str(tmp_path)]
    assert main(asked) == 2
    assert "pip install 'keras-conversion-suite[litert]'" in capsys.readouterr().err


def test_the_default_choice_leaves_it_out_and_says_so(absent):
    said = []

    class Told:
        announce = staticmethod(said.append)
        external = {}

    assert judging.chosen(None, Told()) == available()
    assert [line.split()[2] for line in said] == OPTIONAL
    assert all("pip install 'keras-conversion-suite[litert]'" in line for line in said)


def test_a_file_of_it_that_was_named_is_refused_with_what_installs_it(absent):
    class Given:
        external = {"litert-fp32": "theirs.tflite"}

    with pytest.raises(UserError, match=r"pip install 'keras-conversion-suite\[litert\]'"):
        judging.chosen(None, Given())


def test_its_faults_are_left_out_of_all_faults(absent):
    assert not {fault.artifact for fault in detection.reference()} & set(OPTIONAL)


def test_what_is_installed_is_missing_nothing():
    if importlib.util.find_spec("ai_edge_litert") is None:
        pytest.skip(missing("litert-fp32"))
    assert available() == list(BACKENDS)

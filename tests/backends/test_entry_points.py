"""Backends of other distributions: named beside ours, and in nobody's way where they are broken."""

from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest

from conversion import backends
from conversion.backends import BACKENDS, Backend, entry_points, missing
from conversion.backends.backend import Capability
from conversion.core.errors import MissingDependency, UserError

GOOD = Backend("theirs-fp32", "theirs.runtime", (".xml", ".bin"), needs=("onnx-fp32",))
NAMED_LIKE_OURS = replace(GOOD, name="onnx-fp32")
NOT_ONE = "a word"


def raising() -> None:
    raise RuntimeError("its library is\nnot for this machine")


@pytest.fixture
def installed(monkeypatch):
    """What is found where another distribution has an entry point of this value."""

    def installed(*values):
        points = [EntryPoint(f"entry-{i}", v, entry_points.GROUP) for i, v in enumerate(values)]
        monkeypatch.setattr(entry_points, "entry_points", lambda group: points)
        return list(entry_points.of_other_distributions(BACKENDS))

    return installed


def test_one_is_known_by_its_own_name_and_its_version_belongs_to_the_key(installed):
    (found,) = installed(f"{__name__}:GOOD")
    assert found == replace(GOOD, packages=(__name__,))


@pytest.mark.parametrize(
    ("value", "name", "words"),
    [
        (f"{__name__}:NAMED_LIKE_OURS", f"onnx-fp32@{__name__}", "the name 'onnx-fp32' is taken"),
        (f"{__name__}:NOT_ONE", "entry-0", "must be a conversion.backends.Backend; it is a str"),
        (f"{__name__}:ABSENT", "entry-0", "could not be loaded: AttributeError"),
        ("no_such_distribution:X", "entry-0", "could not be loaded: ModuleNotFoundError"),
    ],
    ids=["name of ours", "no backend", "no such object", "no such module"],
)
def test_a_broken_one_says_why_in_one_line_where_it_is_asked_for(
    installed, monkeypatch, value, name, words
):
    (found,) = installed(value)
    assert found.name == name
    monkeypatch.setitem(backends.BACKENDS, name, found)
    assert missing(name).startswith(f"{name} cannot be used: ")
    assert words in missing(name)
    assert "\n" not in missing(name)
    with pytest.raises(MissingDependency, match=name):
        backends.implementation(found)


def test_a_second_one_of_the_same_name_is_not_taken_for_the_first(installed):
    first, second = installed(f"{__name__}:GOOD", f"{__name__}:GOOD")
    assert first.broken == ""
    assert second.broken == "the name 'theirs-fp32' is taken"


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(UserError, match="Unknown backend 'theirs-fp32'; known: keras-fp32, onnx"):
        backends.backend("theirs-fp32")


def test_a_capability_is_a_function_or_where_it_lies():
    own = replace(GOOD, capabilities={Capability.TAPS: raising, Capability.RANGES: "os.path:join"})
    assert own.capability(Capability.TAPS) is raising
    assert own.capability(Capability.RANGES)("a", "b") == "a/b"
    assert not own.offers(Capability.STORED_WEIGHTS)


@pytest.mark.parametrize("name", BACKENDS)
def test_every_capability_of_ours_is_there(name):
    own = BACKENDS[name]
    assert missing(name) or all(callable(own.capability(each)) for each in own.capabilities)


def test_files_that_belong_together_have_one_stem(tmp_path):
    assert GOOD.files_beside(tmp_path / "net.xml") == (tmp_path / "net.bin",)

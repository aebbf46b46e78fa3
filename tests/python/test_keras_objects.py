"""A Keras model in memory is judged as the file that Keras saves of it."""

import json
import re
import sys
import zipfile
from types import ModuleType

import numpy as np
import pytest

import conversion
from conversion import UserError
from conversion.subjects.keras_object import as_file

ASKED = {"backends": ["torch-fp32"], "topics": ["structure", "parity", "accuracy"]}


def shown(found):
    return [(m.name, m.subject, m.artifact, m.verdict, m.value) for m in found.measurements]


def test_a_model_in_memory_gets_the_verdict_of_its_file(
    keras_file, keras_model, images, labels, own_store, tmp_path, one_process
):
    np.savez(tmp_path / "mine.npz", x=images, y=labels)
    by_path = conversion.verify(keras_file, data=tmp_path / "mine.npz", store=own_store, **ASKED)
    in_memory = conversion.verify(keras_model(), data=(images, labels), store=own_store, **ASKED)
    assert by_path
    assert in_memory
    assert len(shown(in_memory)) > 10
    assert shown(in_memory) == shown(by_path)


def test_the_same_model_twice_is_found_in_the_store(keras_model, own_store):
    model = keras_model()
    first, second = (
        conversion.convert(model, backends=["torch-fp32"], store=own_store)["torch-fp32"]
        for _ in range(2)
    )
    assert len(model.saved) == 2
    assert (first.path, first.digest) == (second.path, second.digest)
    assert first.path.is_file()


def test_what_is_saved_is_gone_after_the_call(keras_model, own_store, temporary):
    model = keras_model()
    conversion.convert(model, backends=["torch-fp32"], store=own_store)
    (path,) = model.saved
    assert path.parent.parent == temporary
    assert list(temporary.iterdir()) == []


def test_what_is_saved_is_gone_after_a_mistake(keras_model, own_store, temporary):
    model = keras_model()
    with pytest.raises(UserError, match="no images to calibrate on"):
        conversion.quantize(model, store=own_store)
    assert len(model.saved) == 1
    assert list(temporary.iterdir()) == []


def without_addresses(content):
    """A description whose shared objects all have one number."""
    return re.sub(rb'"shared_object_id": \d+', b'"shared_object_id": 0', content)


def test_the_file_has_the_models_name_and_everything_but_the_time(keras_file, keras_model):
    with (
        as_file(keras_model(name="my.net")) as path,
        zipfile.ZipFile(path) as plain,
        zipfile.ZipFile(keras_file) as built,
    ):
        assert path.endswith("/my.net.keras")
        assert plain.namelist() == built.namelist()
        for member in ("config.json", "model.weights.h5"):
            ours, theirs = (without_addresses(each.read(member)) for each in (plain, built))
            assert ours == theirs
        assert list(json.loads(plain.read("metadata.json"))) == ["keras_version"]


def test_a_model_that_keras_cannot_save_is_one_sentence(keras_model, own_store, temporary):
    def refuse():
        raise NotImplementedError("Layer Mine\nhas no get_config()")

    with pytest.raises(UserError) as refused:
        conversion.convert(keras_model(before=refuse), store=own_store)
    assert str(refused.value) == (
        "Expected a model that Keras can save; saving 'mine' raises NotImplementedError: Layer "
        "Mine has no get_config()"
    )
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "given",
    [7, None, object(), type("Model", (), {"__module__": "kerastuner.model", "name": "m"})()],
    ids=["number", "nothing", "object", "another-librarys-model"],
)
@pytest.mark.parametrize("door", ["convert", "quantize", "evaluate", "verify"])
def test_anything_else_is_refused(door, given, own_store):
    with pytest.raises(UserError) as refused:
        getattr(conversion, door)(given, store=own_store)
    assert str(refused.value) == (
        "Expected a subject's name, the path of a Keras file or a keras.Model; got "
        f"{type(given).__name__}."
    )


def test_a_search_takes_a_model_in_memory(keras_model, tmp_path, own_store, one_process):
    with pytest.raises(UserError, match=r"^mine has no"):  # read, named, and without images
        conversion.search(keras_model(), out=tmp_path / "out", store=own_store)


@pytest.fixture
def tensorflow(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", ModuleType("tensorflow"))
    monkeypatch.delitem(sys.modules, "triton", raising=False)


def imported():
    try:
        import triton  # noqa: F401
    except ImportError:
        return False
    return True


def test_beside_tensorflow_triton_stays_out_for_the_call(tensorflow, keras_model, own_store):
    found = []
    model = keras_model(before=lambda: found.append(imported()))
    conversion.convert(model, backends=["torch-fp32"], store=own_store)
    assert found == [False]
    assert "triton" not in sys.modules


def test_where_triton_is_loaded_already_it_stays(tensorflow, monkeypatch, keras_model, own_store):
    monkeypatch.setitem(sys.modules, "triton", ModuleType("triton"))
    found = []
    model = keras_model(before=lambda: found.append(imported()))
    conversion.convert(model, backends=["torch-fp32"], store=own_store)
    assert found == [True]
    assert "triton" in sys.modules


def test_without_tensorflow_nothing_is_kept_out(monkeypatch, keras_model, own_store):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    found = []
    model = keras_model(before=lambda: found.append("triton" in sys.modules))
    conversion.convert(model, backends=["torch-fp32"], store=own_store)
    assert found == [False]

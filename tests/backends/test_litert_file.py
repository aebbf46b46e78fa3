"""A LiteRT file says where it comes from, and its runner gives the model's outputs in its order."""

import numpy as np
import pytest
from tools.keras_models import save_model

from conversion.backends import missing
from conversion.core.errors import RunFailed, UserError
from conversion.readers import read_spec


@pytest.fixture(autouse=True)
def installed():
    if reason := missing("litert-fp32"):
        pytest.skip(reason)


@pytest.fixture
def file(workspaces):
    return workspaces("embedded").artifact("litert-fp32").path


@pytest.fixture
def opened(file):
    from conversion.backends.litert_runner import LitertRunner

    return LitertRunner(file, ["input_1"], ["dense"], threads=1)


def images(count):
    drawn = np.random.RandomState(count).randint(0, 256, (count, 32, 32, 3))
    return {"input_1": drawn.astype(np.float32)}


def edited(file, target, change):
    from conversion.backends.litert_file import load, packed

    model = load(file)
    change(model)
    target.write_bytes(packed(model))
    return target


def test_the_file_itself_names_its_source(workspaces, file):
    from conversion.backends.litert_file import stated_source

    assert stated_source(file) == workspaces("embedded").spec.digest


def test_a_file_of_others_names_none(file, tmp_path):
    from conversion.backends.litert_file import stated_source

    def forget(model):
        model.metadata = [each for each in model.metadata if b"conversion." not in each.name]

    assert stated_source(edited(file, tmp_path / "theirs.tflite", forget)) is None


@pytest.mark.slow
def test_two_conversions_give_the_same_bytes(workspaces, file, tmp_path):
    from conversion.backends import BACKENDS, Ingredients, litert_fp32

    good = workspaces("embedded")
    made = tmp_path / "again.tflite"
    packages = BACKENDS["litert-fp32"].packages
    litert_fp32.build(Ingredients(good.spec, good.keras, good.settings, {}, packages), made)
    assert made.read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    "content", [b"", b"TFL3", b"\x1c\0\0\0TFL3" + b"\xff" * 99, b"PK" * 50], ids=len
)
def test_what_is_no_such_file_is_said_in_one_sentence(tmp_path, content):
    from conversion.backends.litert_runner import LitertRunner

    path = tmp_path / "theirs.tflite"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"theirs\.tflite; it cannot be parsed"):
        LitertRunner(path, ["x"], ["y"], threads=1)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(file, tmp_path, share):
    from conversion.backends.litert_runner import LitertRunner

    path = tmp_path / "cut.tflite"
    whole = file.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError, match=r"cut\.tflite"):
        LitertRunner(path, ["input_1"], ["dense"], threads=1)


def test_a_missing_file_is_said(tmp_path):
    from conversion.backends.litert_file import load

    with pytest.raises(UserError, match="there is none"):
        load(tmp_path / "none.tflite")


def test_another_count_of_outputs_is_refused(file):
    from conversion.backends.litert_runner import LitertRunner

    with pytest.raises(UserError, match=r"the outputs \['a', 'b'\]; it has 1"):
        LitertRunner(file, ["input_1"], ["a", "b"], threads=1)


def test_images_of_another_shape_stop_the_run(opened):
    with pytest.raises(RunFailed, match="a batch of 2"):
        opened.run({"input_1": np.zeros((2, 8, 8, 3), np.float32)})


def test_batches_of_many_sizes_give_every_image_its_own_outputs(opened):
    whole = opened.run(images(12))["dense"]
    for size in (1, 2, 3, 4, 6, 12, 1):
        parts = [images(12)["input_1"][start : start + size] for start in range(0, 12, size)]
        again = np.concatenate([opened.run({"input_1": part})["dense"] for part in parts])
        assert again.tobytes() == whole.tobytes()
    assert len(opened._opened) <= 4


def test_a_file_for_one_image_is_run_image_by_image(opened, file, tmp_path):
    from conversion.backends.litert_runner import LitertRunner

    def one(model):
        graph = model.subgraphs[0]
        graph.tensors[graph.inputs[0]].shapeSignature = None

    single = edited(file, tmp_path / "one.tflite", one)
    runner = LitertRunner(single, ["input_1"], ["dense"], threads=1)
    assert runner.run(images(3))["dense"].tobytes() == opened.run(images(3))["dense"].tobytes()
    assert [shape[0] for (shape,) in runner._opened] == [1]


def test_what_one_batch_gave_stays_when_the_next_is_run(opened):
    first = opened.run(images(2))["dense"]
    kept = first.copy()
    opened.run({"input_1": 255 - images(2)["input_1"]})
    assert first.tobytes() == kept.tobytes()


KERAS_ORDER = {"z": (3, "linear"), "b": (4, "softmax"), "a": (5, "sigmoid")}


def dense(name, reads, units, activation):
    history = {"shape": [None, 6], "dtype": "float32", "keras_history": [reads, 0, 0]}
    tensor = {"class_name": "__keras_tensor__", "config": history}
    return {
        "module": "keras.layers",
        "class_name": "Dense",
        "name": name,
        "config": {"name": name, "units": units, "activation": activation},
        "inbound_nodes": [{"args": [tensor], "kwargs": {}}],
    }


def source(name):
    shape = {"batch_shape": [None, 6], "dtype": "float32", "name": name}
    return {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "name": name,
        "config": shape,
        "inbound_nodes": [],
    }


def test_several_inputs_and_outputs_keep_their_names(reference, tmp_path):
    from conversion.backends.litert_runner import LitertRunner

    reads = dict(zip(KERAS_ORDER, ("second", "first", "second"), strict=True))
    config = {
        "name": "ends",
        "layers": [
            *(source(name) for name in ("second", "first")),
            *(dense(name, reads[name], *each) for name, each in KERAS_ORDER.items()),
        ],
        "input_layers": [["second", 0, 0], ["first", 0, 0]],
        "output_layers": [[name, 0, 0] for name in KERAS_ORDER],
    }
    path, made = tmp_path / "ends.h5", tmp_path / "ends.tflite"
    whole = {"module": "keras", "class_name": "Model", "config": config}
    save_model(reference, path, whole, seed=3)
    spec = read_spec(path)
    keras = reference.model(path, spec)
    made.write_bytes(keras.to_litert()[0])
    random = np.random.RandomState(0)
    inputs = {name: random.normal(size=(5, 6)).astype(np.float32) for name in ("first", "second")}
    found = LitertRunner(made, spec.inputs, spec.outputs, threads=1).run(inputs)
    wanted = keras.outputs(inputs)
    assert [found[name].shape for name in KERAS_ORDER] == [
        (5, units) for units, _ in KERAS_ORDER.values()
    ]
    assert max(float(np.abs(found[name] - wanted[name]).max()) for name in KERAS_ORDER) < 1e-5


def test_real_numbers_become_the_nearest_steps_and_are_clipped():
    from conversion.backends.litert_runner import quantized, steps

    whole = steps({"dtype": np.int8, "quantization": (0.5, -10)})
    values = np.array([0.0, 0.2, 0.3, -1.0, 68.5, 68.6, 1e9, -59.0, -1e9], np.float32)
    found = quantized(values, whole, np.empty_like(values))
    assert found.tolist() == [-10, -10, -9, -12, 127, 127, 127, -128, -128]


def test_a_float_tensor_has_no_steps():
    from conversion.backends.litert_runner import steps

    assert steps({"dtype": np.float32, "quantization": (0.0, 0)}) is None

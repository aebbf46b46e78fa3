"""`.keras` archives give the spec of the legacy file; one that Keras did not write is refused."""

import hashlib
import io
import json
import struct
import warnings
import zipfile

import archives
import h5py
import legacy_files as files
import numpy as np
import pytest
from legacy_files import conv, dense, image, numbers, plain
from refused_files import case, refusal

from conversion.core.errors import UserError
from conversion.readers import read_spec


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.keras"


def test_an_archive_gives_the_spec_of_the_legacy_file(path, tmp_path):
    spec = read_spec(archives.write(path))
    other = read_spec(files.write(tmp_path / "mine.h5", files.small()))
    assert (spec.inputs, spec.outputs, spec.name) == (other.inputs, other.outputs, other.name)
    for ours, theirs in zip(spec.layers, other.layers, strict=True):
        assert (ours.name, ours.kind, ours.shape) == (theirs.name, theirs.kind, theirs.shape)
        assert list(ours.weights) == list(theirs.weights)
        for role, array in ours.weights.items():
            np.testing.assert_array_equal(array, theirs.weights[role])


def test_version_digest_and_ending_are_the_archives(path):
    spec = read_spec(archives.write(path))
    assert (spec.keras_version, spec.suffix, spec.weights_file) == ("3.15.1", ".keras", "")
    assert spec.digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_packed_archive_is_read(path):
    assert len(read_spec(archives.write(path, compression=zipfile.ZIP_DEFLATED)).layers) == 5


def test_metadata_may_be_missing(path):
    content = archives.members()
    del content["metadata.json"]
    assert read_spec(archives.write(path, content)).keras_version == "unknown"


def test_what_only_training_needs_is_not_looked_at(path):
    loss = {"class_name": "function", "module": "mine", "config": "loss"}
    config = files.functional(files.small()) | {"compile_config": {"loss": loss}}
    assert len(read_spec(archives.write(path, archives.members(config))).layers) == 5


def test_layers_of_one_class_are_told_by_their_position(path):
    layers = [
        image(),
        conv("b", "image", numbers(1, 1, 2, 2)),
        conv("a", "b", numbers(1, 1, 2, 2, start=7)),
        plain("Flatten", "flat", "a"),
        dense("head", "flat", numbers(32, 2)),
    ]
    places = {"image": "input_layer", "b": "conv2d", "a": "conv2d_1", "flat": "flatten"}
    stored = archives.weights(layers, places | {"head": "dense"})
    spec = read_spec(archives.write(path, archives.members(files.functional(layers), stored)))
    np.testing.assert_array_equal(spec.layer("a").weights["kernel"], numbers(1, 1, 2, 2, start=7))


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("Conv2D", "conv2d"),
        ("DepthwiseConv2D", "depthwise_conv2d"),
        ("BatchNormalization", "batch_normalization"),
        ("GlobalAveragePooling2D", "global_average_pooling2d"),
        ("LeakyReLU", "leaky_re_lu"),
        ("PReLU", "p_re_lu"),
        ("Model", "functional"),
    ],
)
def test_a_class_is_written_as_keras_writes_it(kind, word):
    from conversion.readers.saved_weights import places

    entry = {"class_name": kind, "config": {"name": "it", "layers": []}}
    config = {"class_name": "Functional", "config": {"layers": [entry]}}
    assert places(config) == {("it",): f"layers/{word}"}


def test_an_object_of_two_models_is_stored_once():
    from conversion.readers.saved_weights import places

    shared = {"class_name": "Dense", "config": {"name": "d"}, "shared_object_id": 7}
    inner = {"class_name": "Sequential", "config": {"name": "in", "layers": [shared]}}
    config = {"class_name": "Functional", "config": {"layers": [shared, inner]}}
    assert places(config)["in", "d"] == "layers/dense"


def test_the_group_of_keras_2_13_is_read(path):
    def old(file):
        file.move("layers", "_layer_checkpoint_dependencies")

    stored = archives.weights(change=old)
    assert len(read_spec(archives.write(path, archives.members(stored=stored))).layers) == 5


def two_of_a_kind():
    """Two layers of one class, of which the second is told by its shape."""
    return [
        image(shape=(4,)),
        dense("first", "image", numbers(4, 3), numbers(3)),
        plain("ReLU", "relu", "first"),
        dense("second", "relu", numbers(3, 2), numbers(2)),
    ]


ONCE = {"image": "input_layer", "first": "dense", "relu": "re_lu", "second": "dense_1"}
TWICE = {**ONCE, "second": "dense_2"}
"""Keras 2.12 and 2.13 count a layer with weights under two names."""


def of_windows(file):
    """Names with the separators of Windows, in one group at the root."""
    for name in list(file["layers"]):
        file.move(f"layers/{name}", f"_layer_checkpoint_dependencies\\{name}")
    del file["layers"]


def of_linux(file):
    file.move("layers", "_layer_checkpoint_dependencies")


@pytest.mark.parametrize("change", [None, of_linux, of_windows], ids=["3", "linux", "windows"])
@pytest.mark.parametrize("places", [ONCE, TWICE], ids=["counted once", "counted twice"])
def test_weights_are_found_wherever_keras_2_12_to_2_15_put_them(path, places, change):
    layers = two_of_a_kind()
    stored = archives.weights(layers, places, change)
    spec = read_spec(archives.write(path, archives.members(files.functional(layers), stored)))
    for layer in layers:
        for role, array in layer.weights.items():
            np.testing.assert_array_equal(spec.layer(layer.name).weights[role], array)


@pytest.mark.parametrize("change", [None, of_linux, of_windows], ids=["3", "linux", "windows"])
@pytest.mark.parametrize("places", [ONCE, TWICE], ids=["counted once", "counted twice"])
def test_keras_gets_them_where_it_looks_for_them(path, places, change):
    from conversion.reference.repairs import LAID_OUT, repaired, repairs

    layers = two_of_a_kind()
    stored = archives.weights(layers, places, change)
    archives.write(path, archives.members(files.functional(layers), stored))
    with repaired(path) as copy, zipfile.ZipFile(copy) as archive:
        content = archive.read("model.weights.h5")
    with h5py.File(io.BytesIO(content), "r") as file:
        for layer in layers:
            for position, array in enumerate(layer.weights.values()):
                found = file[f"layers/{ONCE[layer.name]}/vars/{position}"]
                np.testing.assert_array_equal(found[()], array)
    other = change is not None or places is TWICE
    assert (LAID_OUT in repairs(path)) is other
    assert (copy != path) is other


def stored_twice(file, factor):
    file.copy("layers", "_layer_checkpoint_dependencies")
    file["_layer_checkpoint_dependencies/dense/vars/0"][:] *= factor


def test_weights_that_are_stored_twice_and_equal_are_read(path):
    stored = archives.weights(change=lambda file: stored_twice(file, 1))
    assert len(read_spec(archives.write(path, archives.members(stored=stored))).layers) == 5


def test_weights_that_are_stored_twice_and_differ_are_refused(path):
    stored = archives.weights(change=lambda file: stored_twice(file, 2))
    sentence = refusal(archives.write(path, archives.members(stored=stored)))
    assert "has weights twice" in sentence
    assert "dense/vars/0" in sentence


def test_weights_that_are_stored_twice_are_trusted_no_more_than_others(path):
    def huge(file):
        file.copy("layers", "_layer_checkpoint_dependencies")
        for group in ("layers", "_layer_checkpoint_dependencies"):
            del file[f"{group}/dense/vars/0"]
            file[f"{group}/dense/vars"].create_dataset("0", (2**40,), "f4", chunks=(1024,))

    stored = archives.weights(change=huge)
    assert "should hold" in refusal(archives.write(path, archives.members(stored=stored)))


@pytest.mark.parametrize("name", ["mine.keras", "mine.model", "mine"])
def test_hdf5_is_read_under_any_name(tmp_path, name):
    spec = read_spec(files.write(tmp_path / name, files.small()))
    assert (len(spec.layers), spec.suffix) == (5, ".h5")


@pytest.mark.parametrize("name", ["mine.h5", "mine.zip", "mine"])
def test_an_archive_is_read_under_any_name(tmp_path, name):
    spec = read_spec(archives.write(tmp_path / name))
    assert (len(spec.layers), spec.suffix) == (5, ".keras")


@pytest.mark.parametrize("state", ["metrics/mean", "optimizer"])
def test_what_only_training_reads_is_not_a_weight(path, state):
    def trained(file):
        file[f"layers/flatten/{state}/vars/0"] = np.zeros(2, np.float32)

    stored = archives.weights(change=trained)
    assert len(read_spec(archives.write(path, archives.members(stored=stored))).layers) == 5


def test_the_state_of_a_random_number_generator_is_not_a_weight(path):
    def seed(file):
        file["layers/flatten/seed_generator/vars/0"] = np.zeros(2, np.uint32)

    stored = archives.weights(change=seed)
    assert len(read_spec(archives.write(path, archives.members(stored=stored))).layers) == 5


def replaced(where, array):
    def change(file):
        del file[where]
        file[where] = array

    return change


def renamed(file):
    file["layers/conv2d/vars"].attrs["name"] = "other"


def more(file):
    file["layers/conv2d_1/vars/0"] = numbers(2)


def linked(file):
    file.move("layers/dense/vars/1", "elsewhere")
    file["layers/dense/vars/1"] = h5py.SoftLink("/elsewhere")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        case(lambda f: f.pop("layers"), "no 'layers'", id="no-layers"),
        case(lambda f: f.pop("layers/dense"), "'dense'", "2 weights", "has 0", id="no-layer"),
        case(lambda f: f.pop("layers/dense/vars/1"), "'dense'", "has 1", id="no-bias"),
        case(replaced("layers/dense/vars/0", numbers(5, 48)), "'dense/kernel'", id="transposed"),
        case(replaced("layers/dense/vars/1", np.full(5, np.nan)), "5 of 5 are NaN", id="nan"),
        case(replaced("layers/dense/vars/1", np.ones(5, np.int8)), "int8", id="int8"),
        case(linked, "'dense/bias'", "link", id="soft-link"),
        case(renamed, "'conv'", "'other'", id="of-another-layer"),
        case(more, "layers/conv2d_1/vars/0", "no layer", id="one-too-many"),
        case(
            replaced("layers/batch_normalization/vars/3", -np.ones(3)),
            "'norm/moving_variance'",
            "negative",
            id="variance",
        ),
    ],
)
def test_broken_weights_are_refused(path, change, words):
    stored = archives.weights(change=change)
    sentence = refusal(archives.write(path, archives.members(stored=stored)))
    assert all(word in sentence for word in words), sentence


def added(name, content=b"x"):
    return lambda path: archives.write(path, {**archives.members(), name: content})


def without(name):
    return lambda path: archives.write(
        path, {key: value for key, value in archives.members().items() if key != name}
    )


def twice(path):
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of the very name that is tested
        for name, data in archives.members().items():
            archive.writestr(name, data)
        archive.writestr("config.json", b"{}")


def marked_encrypted(path):
    archives.write(path)
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\1\2")
    content[at + 8] |= 1
    path.write_bytes(content)


def says_it_is_huge(path):
    archives.write(path, compression=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\1\2")  # the last member's entry in the directory
    content[at + 24 : at + 28] = struct.pack("<I", 2**31)
    path.write_bytes(content)


def long_text(path):
    content = archives.members() | {"config.json": b" " * (65 << 20)}
    archives.write(path, content, zipfile.ZIP_DEFLATED)


def packed_otherwise(path):
    archives.write(path, compression=zipfile.ZIP_LZMA)


def wrong_byte(path):
    archives.write(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"by_hand") + 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        case(added("../evil.py"), "'../evil.py'", "outside", id="traversal"),
        case(added("assets/../../evil"), "outside", id="traversal-inside"),
        case(added("/etc/evil"), "'/etc/evil'", "outside", id="absolute"),
        case(added("..\\evil"), "outside", id="backslashes"),
        case(added("assets/vocabulary.txt"), "is not read here", id="assets"),
        case(added("model.weights.npz"), "is not read here", id="npz"),
        case(twice, "'config.json'", "2 times", id="duplicate"),
        case(marked_encrypted, "'metadata.json' is encrypted", id="encrypted"),
        case(says_it_is_huge, "'model.weights.h5'", "2147483648 bytes", id="huge-weights"),
        case(long_text, "'config.json'", "68157440 bytes", "67108864", id="huge-text"),
        case(packed_otherwise, "packed in a way", id="lzma"),
        case(wrong_byte, "damaged", id="checksum"),
        case(without("config.json"), "'config.json' is missing", id="no-description"),
        case(without("model.weights.h5"), "'model.weights.h5' is missing", id="no-weights"),
        case(lambda path: path.write_bytes(b"PK\3\4"), "Keras archive", id="cut-off"),
        case(lambda path: path.write_text("hello"), "damaged", id="text"),
    ],
)
def test_an_archive_that_keras_did_not_write_is_refused(path, make, words):
    make(path)
    sentence = refusal(path)
    assert all(word in sentence for word in words), sentence


def test_a_model_of_a_class_of_its_own_is_refused_by_that_class(path):
    config = {"module": None, "class_name": "Net", "config": {"name": "net"}}
    sentence = refusal(archives.write(path, archives.members(config)))
    assert "class_name 'Net'" in sentence
    assert "rebuild yours with keras.Model(inputs, outputs)" in sentence


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_archive_is_refused(path, share):
    content = archives.write(path).read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "damaged" in refusal(path)


def test_code_in_an_archive_is_refused(path):
    config = files.functional(files.small())
    config["config"]["layers"][3]["class_name"] = "Lambda"
    assert "'Lambda', which can carry code" in refusal(
        archives.write(path, archives.members(config))
    )


@pytest.fixture
def beside(tmp_path):
    """A description with the given files of weights beside it."""

    def beside(weights, layers=None, notation="keras3"):
        layers = files.small() if layers is None else layers
        config = files.functional(layers, notation) | {"keras_version": "2.15.0"}
        (tmp_path / "mine.json").write_text(json.dumps(config))
        for name, content in weights.items():
            (tmp_path / name).write_bytes(content)
        return tmp_path / "mine.json"

    return beside


def legacy_weights(folder, notation="keras2"):
    """The bytes that `save_weights('name.h5')` of Keras 2 writes."""
    path = files.write(folder / "whole.h5", files.small(), notation=notation)
    with h5py.File(path, "r") as whole, h5py.File(folder / "alone.h5", "w") as alone:
        for name in whole["model_weights"]:
            whole.copy(f"model_weights/{name}", alone)
        for key, value in whole["model_weights"].attrs.items():
            alone.attrs[key] = value
    return (folder / "alone.h5").read_bytes()


@pytest.mark.parametrize("name", ["mine.weights.h5", "mine.h5", "mine_weights.h5"])
def test_a_description_takes_the_weights_beside_it(beside, name):
    spec = read_spec(beside({name: archives.weights()}))
    assert (spec.weights_file, spec.suffix, len(spec.layers)) == (name, ".keras", 5)
    np.testing.assert_array_equal(spec.layer("conv").weights["bias"], numbers(3))


def test_a_description_takes_weights_of_keras_2(beside, tmp_path):
    spec = read_spec(beside({"mine.h5": legacy_weights(tmp_path)}, notation="keras2"))
    assert (spec.weights_file, spec.suffix, spec.keras_version) == ("mine.h5", ".h5", "2.15.0")
    np.testing.assert_array_equal(spec.layer("conv").weights["bias"], numbers(3))


def test_the_digest_is_of_both_files(beside):
    path = beside({"mine.h5": archives.weights()})
    before = read_spec(path).digest
    other = files.small()
    other[4].weights["bias"] = numbers(5, start=1)
    path.with_name("mine.h5").write_bytes(archives.weights(other))
    assert read_spec(path).digest != before
    path.with_name("mine.h5").write_bytes(archives.weights())
    path.write_text(path.read_text() + " ")
    assert read_spec(path).digest != before


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        case({}, "one file of weights beside mine.json", "none of them", id="none"),
        case({"mine.h5": b"", "mine.weights.h5": b""}, "mine.weights.h5 and mine.h5", id="two"),
        case({"mine.h5": b"hello"}, "mine.h5", "not HDF5", id="text"),
        case({"mine.h5": archives.weights()[:900]}, "truncated", id="truncated"),
    ],
)
def test_a_description_without_weights_that_fit_is_refused(beside, weights, words):
    with pytest.raises(UserError) as caught:
        read_spec(beside(weights))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_whole_model_beside_its_description_is_to_be_passed_itself(beside, tmp_path):
    whole = files.write(tmp_path / "mine.h5", files.small()).read_bytes()
    with pytest.raises(UserError, match=r"mine\.h5 holds a whole model, not weights alone"):
        read_spec(beside({"mine.h5": whole}))


def test_a_saved_model_is_refused_with_how_to_save_again(tmp_path):
    folder = tmp_path / "exported"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"x")
    for path in (folder, folder / "saved_model.pb"):
        with pytest.raises(UserError) as caught:
            read_spec(path)
        assert "TensorFlow SavedModel" in str(caught.value)
        assert "model.save('name.keras')" in str(caught.value)

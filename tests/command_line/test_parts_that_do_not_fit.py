"""A file, its weights and what the user says of them do not fit: one sentence, exit code 2."""

import json
import zipfile

import archives
import h5py
import legacy_files as files
import pytest

BUILDS = """
def model():
    import keras
    return keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
"""


def case(made, *arguments, says, id):  # noqa: A002
    return pytest.param(made, arguments, says, id=id)


def whole(folder):
    files.write(folder / "mine.h5", files.small())


def weights_alone(folder):
    (folder / "mine.h5").write_bytes(archives.weights())


def with_python(made, text, name="build.py"):
    def both(folder):
        made(folder)
        (folder / name).write_text(text)

    return both


def description(folder, config=None):
    config = files.functional(files.small()) if config is None else config
    (folder / "mine.json").write_text(json.dumps(config))


def stored_twice(folder):
    def change(file):
        file.copy("layers", "_layer_checkpoint_dependencies")
        file["_layer_checkpoint_dependencies/dense/vars/0"][0, 0] += 1

    archives.write(folder / "mine.keras", archives.members(stored=archives.weights(change=change)))


def listed_twice(folder):
    whole(folder)
    with h5py.File(folder / "mine.h5", "r+") as file:
        group = file["model_weights/dense"]
        names = list(group.attrs["weight_names"])
        group["dense/kernel_1"] = group["dense/kernel"][()] + 1
        group.attrs["weight_names"] = [*names, "dense/kernel_1"]


def described_twice(folder):
    whole(folder)
    description(folder)


def two_files_of_weights(folder):
    description(folder)
    for name in ("mine.h5", "mine.weights.h5"):
        (folder / name).write_bytes(archives.weights())


def of_another_network(folder):
    layers = files.small()
    layers[1].settings["filters"] = 4
    description(folder, files.functional(layers))
    weights_alone(folder)


def two_descriptions(folder):
    other = json.dumps(files.functional(files.small()[:3]))
    archives.write(folder / "mine.keras")
    with pytest.warns(UserWarning, match="Duplicate"):
        add(folder / "mine.keras", "config.json", other)


def add(path, name, text):
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, text)


def two_inputs(folder):
    layers = [files.image(), files.image("other"), files.plain("Add", "sum", "image", "other")]
    files.write(folder / "mine.h5", layers)


H5, BUILT = "mine.h5", ("mine.h5", "--custom", "build.py")


@pytest.mark.parametrize(
    ("made", "arguments", "says"),
    [
        case(stored_twice, "mine.keras", says=["weights twice", "they differ"], id="twice"),
        case(listed_twice, H5, says=["'dense'", "kernel, bias, kernel_1"], id="listed-twice"),
        case(two_files_of_weights, "mine.json", says=["one file of weights"], id="two-weights"),
        case(described_twice, "mine.json", says=["mine.h5 holds a whole model"], id="described"),
        case(two_descriptions, "mine.keras", says=["'config.json'", "2 times"], id="two-configs"),
        case(
            of_another_network, "mine.json", says=["'conv/", "should have the shape"], id="another"
        ),
        case(
            with_python(whole, BUILDS), *BUILT, says=["holds a model itself"], id="built-and-whole"
        ),
        case(
            with_python(with_python(weights_alone, BUILDS), BUILDS, "other.py"),
            *(*BUILT, "--custom", "other.py"),
            says=["build.py and other.py have it"],
            id="built-twice",
        ),
        case(
            with_python(weights_alone, "LAYERS = {}\n"),
            *BUILT,
            says=["no 'model_config'", "a function model()"],
            id="built-by-nothing",
        ),
        case(whole, H5, "--input-shape", "4,4,3", says=["(4,4,2); got 4,4,3"], id="channels"),
        case(whole, H5, "--input-shape", "8,8,2", says=["(4,4,2); got 8,8,2"], id="size"),
        case(whole, H5, "--input-shape", "4,4", says=["(4,4,2); got 4,4"], id="rank"),
        case(two_inputs, H5, "--input-shape", "4,4,2", says=["image, other"], id="two-inputs"),
        case(
            whole,
            H5,
            "--replace",
            "flat=Flatten()",
            says=["0 are named 'flat'"],
            id="no-layer",
        ),
        case(
            whole,
            H5,
            "--replace",
            "flatten=Flat()",
            says=["there is no 'Flat'"],
            id="no-class",
        ),
        case(
            *(whole, H5, "--replace", "flatten=GlobalMaxPooling2D()"),
            says=["'dense/kernel' should have the shape (3, 5); the file has (48, 5)"],
            id="next-layer-does-not-fit",
        ),
        case(
            *(whole, H5, "--replace", "flatten=Reshape(target_shape=[7])"),
            says=["'flatten'", "7"],
            id="as-many-numbers",
        ),
        case(
            *(whole, H5, "--replace", "flatten=Dense(units=3)"),
            says=["'flatten'", "should have the weights kernel, bias; the file has none"],
            id="without-its-weights",
        ),
        case(
            *(whole, H5, "--replace", "norm=Rescaling(scale=2)"),
            says=["'norm' (Rescaling) should have the weights none; the file has gamma, beta"],
            id="with-weights-left",
        ),
        case(
            *(whole, H5, "--replace", "flatten=Flatten()", "--replace", "flatten=Flatten()"),
            says=["Expected one --replace of 'flatten'; got 2"],
            id="replaced-twice",
        ),
    ],
)
def test_it_is_said_in_one_line_before_keras_is_started(refused, folder, made, arguments, says):
    made(folder)
    said = refused("verify", *arguments)
    assert all(words in said for words in says), said


RETURNS_NO_MODEL = {
    "a-number": ("def model():\n    return 3\n", ["to return a keras.Model; it returns int"]),
    "nothing": ("def model():\n    pass\n", ["to return a keras.Model; it returns NoneType"]),
    "a-layer": (
        "def model():\n    import keras\n    return keras.layers.Dense(2)\n",
        ["to return a keras.Model; it returns Dense"],
    ),
    "an-error": ("def model():\n    return 1 / 0\n", ["it raises ZeroDivisionError"]),
    "an-argument": ("def model(classes):\n    return 3\n", ["classes"]),
    "other-layers": (BUILDS, ["mine.h5"]),
}


@pytest.mark.one_in(6)
@pytest.mark.parametrize(("text", "says"), RETURNS_NO_MODEL.values(), ids=list(RETURNS_NO_MODEL))
def test_a_python_file_that_returns_no_model_that_fits_is_one_line(run, folder, text, says):
    with_python(weights_alone, text)(folder)
    code, out, said = run("inspect", *BUILT)
    assert (code, out, said.count("\n")) == (2, "", 1)
    assert "Expected model() of build.py" in said
    assert all(words in said for words in says), said

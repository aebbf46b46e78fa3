"""Weights that are missing, misplaced or no finite float32 give one sentence that names them."""

import os

import h5py
import legacy_files as files
import numpy as np
import pytest
from legacy_files import conv, dense, image, norm, numbers
from refused_files import case, refusal

from conversion.readers import read_spec


def group(file):
    return file["model_weights"]


def replaced(where, array, **options):
    """Puts another array in the place of a weight; the name stays listed."""

    def change(file):
        del group(file)[where]
        group(file).create_dataset(where, data=array, **options)

    return change


def without(where):
    def change(file):
        del group(file)[where]

    return change


def listed(layer, *names):
    def change(file):
        group(file)[layer].attrs["weight_names"] = np.array(names, dtype=object)

    return change


def with_value(where, value):
    def change(file):
        group(file)[where][(0,) * group(file)[where].ndim] = value

    return change


def linked(where, link):
    def change(file):
        group(file).move(where, "elsewhere")
        group(file)[where] = link

    return change


def group_instead(file):
    del group(file)["dense/dense/bias"]
    group(file).create_group("dense/dense/bias")


def virtual(file):
    layout = h5py.VirtualLayout((5,), np.float32)
    layout[:] = h5py.VirtualSource("other.h5", "bias", (5,))
    del group(file)["dense/dense/bias"]
    group(file).create_virtual_dataset("dense/dense/bias", layout)


def external_storage(file):
    replaced("dense/dense/bias", None, shape=(5,), dtype="f4", external="raw.bin")(file)


def nothing_behind_it(file):
    del group(file)["dense/dense/kernel"]
    group(file).create_dataset("dense/dense/kernel", (48, 5), "f4", chunks=(1, 1))


def another_layer(file):
    stored = group(file).create_group("old")
    stored["old/kernel"] = numbers(2)
    stored.attrs["weight_names"] = np.array(["old/kernel"], dtype=object)
    names = [*group(file).attrs["layer_names"], "old"]
    group(file).attrs["layer_names"] = np.array(names, dtype=object)


def layers_listed(*names):
    def change(file):
        group(file).attrs["layer_names"] = np.array(names, dtype=object)

    return change


NORM = ("norm/gamma", "norm/beta", "norm/moving_mean", "norm/moving_variance")
SOFT, EXTERNAL = h5py.SoftLink("/model_weights/elsewhere"), h5py.ExternalLink("other.h5", "/it")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        case(lambda file: file.pop("model_weights"), "'model_weights'", id="no-weights"),
        case(without("dense"), "'dense'", "kernel, bias", "none", id="no-layer-group"),
        case(without("dense/dense/kernel"), "'dense/kernel'", "missing", id="no-dataset"),
        case(listed("dense", "dense/kernel"), "'dense'", "has kernel.", id="bias-not-listed"),
        case(lambda file: group(file)["dense"].attrs.pop("weight_names"), "'dense'", id="no-names"),
        case(
            listed("dense", "dense/kernel", "dense/bias", "dense/more"),
            "'dense'",
            "has kernel, bias, more",
            id="weight-too-many",
        ),
        case(listed("flatten", "flatten/kernel"), "'flatten'", "weights none", id="weightless"),
        case(
            listed("norm", NORM[1], NORM[0], *NORM[2:]),
            "'norm'",
            "lists its weights as beta, gamma",
            id="gamma-and-beta-swapped",
        ),
        case(
            listed("norm", *NORM[:2], NORM[3], NORM[2]),
            "'norm'",
            "moving_variance, moving_mean",
            id="statistics-swapped",
        ),
        case(
            replaced("dense/dense/kernel", numbers(5, 48)),
            "'dense/kernel'",
            "(48, 5)",
            "(5, 48)",
            id="dense-transposed",
        ),
        case(
            replaced("conv/conv/kernel", numbers(3, 2, 3, 3)),
            "'conv/kernel'",
            "(3, 3, 2, 3)",
            "(3, 2, 3, 3)",
            id="oihw",
        ),
        case(replaced("conv/conv/bias", numbers(4)), "'conv/bias'", "(3,)", "(4,)", id="longer"),
        case(replaced("conv/conv/bias", numbers()), "'conv/bias'", "(3,)", "()", id="scalar"),
        case(with_value("conv/conv/kernel", np.nan), "'conv/kernel'", "1 of 54", id="nan"),
        case(with_value("dense/dense/bias", -np.inf), "'dense/bias'", "1 of 5", id="inf"),
        case(with_value("norm/norm/gamma", np.nan), "'norm/gamma'", "1 of 3", id="nan-gamma"),
        case(
            with_value("norm/norm/moving_variance", -1),
            "'norm/moving_variance'",
            "negative",
            "-1",
            id="negative-variance",
        ),
        case(
            replaced("conv/conv/bias", np.array([1, 2, 1e300])),
            "'conv/bias'",
            "1 of 3",
            id="beyond-float32",
        ),
        *(
            case(
                replaced("conv/conv/bias", np.ones(3, dtype)),
                "'conv/bias'",
                "float32",
                dtype,
                id=dtype,
            )
            for dtype in ("int8", "int32", "uint8", "bool", "complex64", "S4")
        ),
        case(group_instead, "'dense/bias'", "missing", id="group-instead"),
        case(replaced("dense/dense/bias", h5py.Empty("f4")), "'dense/bias'", "None", id="no-space"),
        case(linked("dense/dense/bias", SOFT), "'dense/bias'", "link", id="soft-link"),
        case(linked("dense/dense/bias", EXTERNAL), "'dense/bias'", "link", id="external-link"),
        case(linked("dense/dense", SOFT), "'dense/kernel'", "link", id="soft-link-inside"),
        case(linked("dense/dense", EXTERNAL), "'dense/kernel'", "link", id="external-link-inside"),
        case(linked("dense", SOFT), "'dense'", "none", id="soft-link-to-layer"),
        case(linked("dense", EXTERNAL), "'dense'", "none", id="external-link-to-layer"),
        case(virtual, "'dense/bias'", "link", id="virtual"),
        case(external_storage, "'dense/bias'", "link", id="external-storage"),
        case(nothing_behind_it, "'dense/kernel'", "960", "0", id="nothing-stored"),
        case(another_layer, "'old'", "lacks", id="layer-too-many"),
        case(
            layers_listed("image", "norm", "conv", "flatten", "dense"),
            "'conv' as number 1",
            "norm",
            id="layers-swapped",
        ),
        case(layers_listed("conv", "norm"), "'dense' as number 3", "nothing", id="layer-unlisted"),
    ],
)
def test_broken_weights_are_refused(path, change, words):
    files.write(path, files.small())
    (path.parent / "raw.bin").write_bytes(bytes(20))
    with h5py.File(path.parent / "other.h5", "w") as other:
        other["bias"] = other["it"] = numbers(5)
        other["kernel"] = numbers(48, 5)
    with h5py.File(path, "a") as file:
        change(file)
    sentence = refusal(path)
    assert all(word in sentence for word in words), sentence


def test_layer_behind_an_external_link_is_not_opened(path, monkeypatch):
    files.write(path, files.small())
    with h5py.File(path, "a") as file:
        group(file).move("dense", "elsewhere")
        group(file)["dense"] = h5py.ExternalLink(str(path.parent / "trap.h5"), "/")
    os.mkfifo(path.parent / "trap.h5")  # whoever opens it waits for ever
    assert "'dense'" in refusal(path)


def test_swapped_layers_of_one_shape_are_refused_since_keras_reads_by_position(path):
    layers = [image(), conv("a", "image", numbers(1, 1, 2, 2)), conv("b", "a", numbers(1, 1, 2, 2))]
    files.write(path, layers)
    with h5py.File(path, "a") as file:
        layers_listed("image", "b", "a")(file)
    assert "should list 'a' as number 1" in refusal(path)


def test_zero_variance_is_fine(path):
    layer = norm("norm", "image", 2)
    layer.weights["moving_variance"] = np.zeros(2, np.float32)
    assert read_spec(files.write(path, [image(), layer])).parameters() == 8


def test_dense_without_a_bias_has_none(path):
    spec = read_spec(files.write(path, [image("x", (3,)), dense("it", "x", numbers(3, 2))]))
    assert list(spec.layer("it").weights) == ["kernel"]

"""A mistake among the options gives exit code 2 and one line."""

import numpy as np
import pytest

CONVERT = ("convert", "mine.h5", "--out", "out")
QUANTIZE = ("quantize", "mine.h5", "--data", "mine.npz", "--out", "out")
EVALUATE = ("evaluate", "mine.h5", "--data", "mine.npz")
VERIFY = ("verify", "mine.h5", "--report", "out")


def case(*arguments, says, id):  # noqa: A002
    return pytest.param(arguments, says, id=id)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        case(says=["VERB"], id="no-verb"),
        case("translate", says=["translate", "convert", "verify"], id="unknown-verb"),
        case("convert", says=["SUBJECT|FILE"], id="no-model"),
        case(*CONVERT, "--fast", says=["--fast"], id="unknown-option"),
        case("convert", "cifar", says=["'cifar'", "embedded, mlperf-tiny"], id="unknown-subject"),
        case("convert", "m.keras", says=["m.keras", "none"], id="unknown-file"),
        case("fetch", "imagenet", says=["imagenet", "mlperf-tiny"], id="fetch-unknown"),
        case(*CONVERT, "--backends", "onnx-fp16", says=["'onnx-fp16'", "onnx-fp32"], id="backend"),
        case("power", "m.keras", says=["m.keras", "none"], id="power-no-file"),
        case(
            *("power", "embedded", "--faults", "no-such-bug"),
            says=["name of a fault", "'no-such-bug'"],
            id="power-fault",
        ),
        case("power", "a.h5", "b.h5", says=["one model of your own", "2"], id="power-two-own"),
        case(
            "power", "embedded", "--budget", "soon", says=["--budget", "'soon'"], id="power-budget"
        ),
        case("power", "--faults", ",", says=["at least one name"], id="power-no-name"),
        case(*CONVERT, "--opset", "12", says=["13 to 26", "12"], id="opset-12"),
        case(*CONVERT, "--opset", "27", says=["13 to 26", "27"], id="opset-27"),
        case(*CONVERT, "--opset", "new", says=["--opset", "'new'"], id="opset-word"),
        case(*QUANTIZE, "--format", "int8", says=["int8", "qoperator", "qdq"], id="format"),
        case(*QUANTIZE, "--method", "mean", says=["mean", "minmax", "entropy"], id="method"),
        case(*QUANTIZE, "--engine", "cuda", says=["cuda", "onednn"], id="engine"),
        case(*QUANTIZE, "--weights", "int4", says=["int4", "uint8"], id="weights"),
        case(*QUANTIZE, "--activations", "u8", says=["u8", "uint8"], id="activations"),
        case(
            *(*QUANTIZE, "--activations", "int8", "--weights", "uint8"),
            says=["int8/uint8", "int8/int8"],
            id="activations-and-weights",
        ),
        case(*QUANTIZE, "--ban", "qdq", says=["--search beside --ban"], id="ban-without-search"),
        case(*QUANTIZE, "--budget", "9", says=["--search beside --budget"], id="budget-alone"),
        case(*QUANTIZE, "--resume", says=["--search beside --resume"], id="resume-alone"),
        case(*QUANTIZE, "--search", "--budget", "0", says=["seconds above 0"], id="budget-zero"),
        case(*QUANTIZE, "--search", "--budget", "soon", says=["'soon'"], id="budget-word"),
        case(
            *(*QUANTIZE, "--search", "--format", "qdq"),
            says=["--format", "the search chooses the scheme"],
            id="search-and-scheme",
        ),
        case(*QUANTIZE, "--calibration-count", "0", says=["got 0"], id="count-zero"),
        case(*QUANTIZE, "--calibration-count", "x", says=["'x'"], id="count-word"),
        case(*QUANTIZE, "--calibration-seed", "-5", says=["got -5"], id="seed-negative"),
        case(
            "quantize", "mine.h5", "--out", "out", says=["--data FILE"], id="quantize-without-data"
        ),
        case(*CONVERT, "--backends", ",", says=["at least one"], id="no-backend"),
        case(
            "convert", "mine.h5", "--out", "mine.h5", says=["written to", "--out"], id="out-a-file"
        ),
        case(*VERIFY, "--topics", "speed", says=["'speed'", "latency"], id="topic"),
        case(*VERIFY, "--artifact", "onnx-fp32", says=["NAME=FILE"], id="artifact-without-file"),
        case(*VERIFY, "--artifact", "onnx-fp32=", says=["NAME=FILE"], id="artifact-empty-file"),
        case(*VERIFY, "--artifact", "tflite=a", says=["'tflite'", "onnx-fp32"], id="artifact-name"),
        case(
            *(*VERIFY, "--backends", "onnx-fp32", "--artifact", "onnx-fp32=a.onnx"),
            says=["onnx-fp32", "a.onnx", "none"],
            id="artifact-missing-file",
        ),
        case(*EVALUATE, says=["mine.npz"], id="data-missing"),
        case("evaluate", "mine.h5", says=["--data FILE"], id="no-data"),
        case("inspect", "mine.npz", says=["mine.npz", "there is none"], id="inspect-missing"),
        case(*EVALUATE, "--scale", "1/0", says=["--scale", "1/255", "'1/0'"], id="scale-zeroth"),
        case(*EVALUATE, "--mean", "0.5;0.5", says=["--mean", "'0.5;0.5'"], id="mean-words"),
        case(*EVALUATE, "--std", "1,0,1", says=["--std above 0", "1.0,0.0,1.0"], id="std-zero"),
        case(*EVALUATE, "--preprocess", "lenet", says=["'lenet'", "resnet_v2"], id="family"),
        case(
            *(*EVALUATE, "--preprocess", "resnet", "--scale", "1/255"),
            says=["--preprocess or --scale", "both"],
            id="family-and-scale",
        ),
        case(
            "verify", "mine.h5", "--resize", says=["--data beside", "--resize"], id="resize-alone"
        ),
        case("verify", "--scale", "1/255", says=["--data beside", "--scale"], id="scale-alone"),
        case(*VERIFY, "--input-shape", "32x32", says=["H,W,C", "'32x32'"], id="input-shape"),
        case(*VERIFY, "--input-shape", "0,9,3", says=["above 0", "'0,9,3'"], id="input-shape-0"),
        case(
            *("verify", "mine.h5", "--input-shape", "16,16,3"),
            says=["fits the model's own (32,32,3); got 16,16,3"],
            id="input-shape-of-another",
        ),
        case(
            *("verify", "mine.h5", "--shipped-preprocessing", "channels=bgr"),
            says=["--data, a folder of images, beside --shipped-preprocessing"],
            id="shipped-without-data",
        ),
        case(
            *("verify", "mine.h5", "--training-preprocessing", "channels=bgr"),
            says=["--shipped-preprocessing beside --training-preprocessing"],
            id="training-alone",
        ),
        case(*VERIFY, "--data", "mine.py", says=["mine.py", "nothing"], id="python-file-missing"),
    ],
)
def test_mistake_is_said_in_one_line(refused, mine, arguments, says):
    said = refused(*arguments)
    assert all(word in said for word in says), said


@pytest.mark.parametrize("verb", ["convert", "evaluate", "verify", "power"])
def test_an_unknown_backend_is_refused_before_the_model_is_read(refused, verb):
    out = ("--out", "out") if verb == "convert" else ()
    said = refused(verb, "nowhere.h5", *out, "--backends", "onnx-fp99")
    assert "Unknown backend 'onnx-fp99'" in said


def test_unknown_variable_is_refused(refused, mine, monkeypatch):
    monkeypatch.setenv("CONVERSION_DATADIR", ".")
    assert "CONVERSION_DATADIR" in refused("inspect", mine)


def test_absent_subject_comes_with_the_command_that_brings_it(refused, folder, monkeypatch):
    monkeypatch.setenv("CONVERSION_DATA_DIR", str(folder))
    assert "conversion fetch mlperf-tiny" in refused("evaluate", "mlperf-tiny")


def pixels(count=40, dtype=np.uint8, size=32):
    # Whole numbers below 128, no two images alike.
    values = np.arange(count * size * size * 3).reshape(count, size, size, 3) // 7 % 128
    return values.astype(dtype)


def with_nan():
    images = pixels(dtype=np.float32)
    images[:, 0, 0, 0] = np.arange(40)
    images[3, 4, 5, 0] = np.nan
    return images


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"x_test": pixels(size=16)}, ["(N, 32, 32, 3)", "16"], id="size"),
        pytest.param({"x_test": pixels()[..., 0]}, ["(N, 32, 32, 3)", "channel"], id="grey"),
        pytest.param(
            {"x_test": pixels().transpose(0, 3, 1, 2)}, ["channels last"], id="channels-first"
        ),
        pytest.param({"x_test": pixels(dtype="S2")}, ["S2"], id="words"),
        pytest.param({"x_test": pixels(dtype=complex)}, ["complex128"], id="complex"),
        pytest.param({"x_test": pixels(dtype=np.int16) - 1}, ["0 to 255", "-1"], id="negative"),
        pytest.param({"x_test": with_nan()}, ["1 of 32", "NaN"], id="nan"),
        pytest.param({"x_test": pixels(0), "y_test": pixels(0)[:, 0, 0, 0]}, ["has 0"], id="none"),
        pytest.param({"x_test": None}, ["x_test", "y_test"], id="no-images"),
        pytest.param({"y_test": None}, ["labels"], id="no-labels"),
        pytest.param({"y_test": np.arange(39) % 10}, ["40 images", "39 labels"], id="label-short"),
        pytest.param({"y_test": np.arange(40) % 11}, ["0 to 9", "0 to 10"], id="label-too-high"),
        pytest.param({"y_test": np.arange(40) % 10 - 1}, ["0 to 9", "-1"], id="label-negative"),
        pytest.param({"y_test": np.full(40, 0.5)}, ["0.5"], id="label-fraction"),
        pytest.param({"y_test": np.full(40, "cat")}, ["<U3"], id="label-word"),
        pytest.param({"y_test": np.array([{}] * 40)}, ["pickled"], id="label-pickled"),
    ],
)
def test_data_that_does_not_fit_is_refused(refused, mine, images, changes, says):
    images(**changes)
    said = refused(*EVALUATE)
    assert all(word in said for word in says), said


def test_truncated_data_is_refused(refused, mine, images):
    path = images()
    path.write_bytes(path.read_bytes()[:5000])
    assert "mine.npz" in refused(*EVALUATE)


@pytest.mark.parametrize("verb", ["quantize", "verify"])
def test_other_verbs_refuse_the_data_too(refused, mine, images, verb):
    images(y_test=np.arange(40) % 11)
    assert "0 to 10" in refused(verb, mine, "--data", "mine.npz")

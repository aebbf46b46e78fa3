"""What ships is run on the files of the images; what cannot be used is one sentence."""

import numpy as np
import pytest
from jpegs import write_jpegs

from conversion.core.errors import UserError
from conversion.subjects.data import load_data
from conversion.subjects.preprocessing import Preprocessing
from conversion.subjects.recipe import of_training
from conversion.subjects.shipped import Shipping, prepared

SIZE = (16, 12)
TRAINED = Preprocessing(resize=True, scale=1 / 255)
GOOD = """
import numpy as np
from PIL import Image

def preprocess(path):
    image = Image.open(path).resize((12, 16), Image.BILINEAR)
    return np.asarray(image, np.float32) / 255
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = write_jpegs(tmp_path_factory.mktemp("photos"), each=3)
    return load_data(folder, TRAINED, SIZE)[1]


def run(data, text, training=""):
    return prepared(Shipping(str(text), training), data, of_training(TRAINED), SIZE)


def written(folder, text, name="pre.py"):
    path = folder / name
    path.write_text(text)
    return path


def test_images_keep_their_files_when_they_are_shuffled(data):
    from PIL import Image

    mean = {path: np.asarray(Image.open(path)).mean() / 255 for path in data.files}
    for image, path in zip(data.images, data.files, strict=True):
        assert image.mean() == pytest.approx(mean[path], abs=0.01)
        assert data.classes[data.labels[data.files.index(path)]] == path.parent.name


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace("/ 255", "/ 255 + 0 * np.zeros((1, 16, 12, 3), np.float32)"),
        GOOD.replace("np.float32) / 255", "np.float32).transpose(2, 0, 1) / 255"),
        GOOD.replace("preprocess(path)", "preprocess_bytes(path)").replace(
            "Image.open(path)", "Image.open(__import__('io').BytesIO(path))"
        ),
    ],
    ids=["as the model's", "with a batch of one", "channels first", "of bytes"],
)
def test_a_python_file_gives_images_as_the_model_takes_them(data, tmp_path, text):
    found = run(data, written(tmp_path, text))
    assert found.shipped.images.shape == data.images.shape
    assert np.abs(found.shipped.images - data.images).max() < 1.1 / 255
    assert "pre.py (sha256 " in found.shipped.words


def test_a_recipe_without_a_word_of_its_own_gives_the_images_of_training(data):
    found = run(data, "resize=bilinear")
    assert np.abs(found.shipped.images - data.images).max() < 1e-6


def test_a_graph_takes_pixels_of_any_size_channels_first(data, tmp_path):
    path = tmp_path / "pre.onnx"
    graph(path, [1, 3, None, None], [1, 3, *SIZE])
    found = run(data, path)
    assert found.shipped.images.shape == data.images.shape
    assert np.abs(found.shipped.images - data.images).max() < 0.02


SMOOTH = {"antialias": 1, "exclude_outside": 1}
"""As Pillow: what lies outside the image has no weight."""


def graph(path, given, made):
    """Resize with antialiasing, then 1/255."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    sizes = numpy_helper.from_array(np.int64(made), "sizes")
    scale = numpy_helper.from_array(np.float32(1 / 255), "scale")
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Resize", ["float", "", "", "sizes"], ["small"], mode="linear", **SMOOTH),
        helper.make_node("Mul", ["small", "scale"], ["out"]),
    ]
    ports = (
        helper.make_tensor_value_info("image", TensorProto.UINT8, given),
        helper.make_tensor_value_info("out", TensorProto.FLOAT, made),
    )
    made_graph = helper.make_graph(nodes, "pre", ports[:1], ports[1:], [sizes, scale])
    onnx.save(
        helper.make_model(made_graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9),
        path,
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def other(): pass", "to define preprocess(path) or preprocess_bytes(content); it has"),
        (GOOD + "\npreprocess_bytes = preprocess", "it has preprocess and preprocess_bytes"),
        ("1 +", "line 1 raises SyntaxError"),
        ("import nowhere_at_all", "line 1 raises ModuleNotFoundError"),
        ("def preprocess(path):\n    return {}['x']", "line 2 raises KeyError"),
        ("def preprocess(path):\n    return 'image'", "to return an array of numbers"),
        (GOOD.replace("(12, 16)", "(16, 12)"), "to give (16, 12, 3), as the model's images are"),
        (GOOD + "    # \n", ""),
        (GOOD.replace("/ 255", "/ np.float32(0)"), "to give finite pixels"),
        ("import os\ndef preprocess(path):\n    os.abort()", "crashes the process"),
    ],
    ids=[
        "no-function",
        "two-functions",
        "no-python",
        "import",
        "raises",
        "no-array",
        "shape",
        "right",
        "not-finite",
        "crash",
    ],
)
def test_what_a_python_file_does_wrong_is_one_sentence(data, tmp_path, text, says):
    path = written(tmp_path, text)
    if not says:
        assert run(data, path).shipped.images.shape == data.images.shape
        return
    with pytest.raises(UserError) as raised:
        run(data, path)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["nowhere.py", "nowhere.onnx"])
def test_a_file_that_is_not_there_is_named(data, tmp_path, name):
    with pytest.raises(UserError, match=f"at .*{name}; there is none"):
        run(data, tmp_path / name)


def test_what_is_no_graph_is_said(data, tmp_path):
    path = written(tmp_path, "no graph", "pre.onnx")
    with pytest.raises(UserError, match=r"Expected pre\.onnx to take one image"):
        run(data, path)


def test_images_without_files_are_refused():
    from conversion.subjects.dataset import Dataset

    images = Dataset(np.zeros((2, 16, 12, 3), np.float32), None, "mine.npz")
    with pytest.raises(UserError, match="Expected --data as a folder of images beside"):
        run(images, "resize=bicubic")


def test_what_training_did_alone_is_refused():
    with pytest.raises(UserError, match="--shipped-preprocessing beside --training"):
        Shipping(training="resize=bicubic")

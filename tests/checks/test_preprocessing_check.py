"""Preprocessing that ships: the right one passes, and a wrong one is found and named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jpegs import write_jpegs

from conversion.core.artifact import Store
from conversion.core.measurement import Concern, Verdict
from conversion.core.spec import Layer, Spec
from conversion.proof.checks.case import Case
from conversion.proof.checks.preprocessing import preprocessing
from conversion.subjects import Subject, find
from conversion.subjects.dataset import Dataset
from conversion.subjects.preprocessing import Preprocessing
from conversion.subjects.recipe import of_training
from conversion.subjects.shipped import Shipping, prepared
from conversion.workspace import Workspace

EMBEDDED = Path(__file__).parents[2] / "conversion" / "subjects" / "embedded.h5"
SCALED = Preprocessing(resize=True, scale=1 / 255)
SIZE = (32, 32)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    names = [f"class{index}" for index in range(10)]
    return write_jpegs(tmp_path_factory.mktemp("photos"), names, each=3)


@pytest.fixture(scope="module")
def judged(photos, reference, tmp_path_factory):
    """Measurements by name of something that ships beside images scaled by 1/255."""
    subject = find(str(EMBEDDED), photos, SCALED)
    store = Store(tmp_path_factory.mktemp("store"))

    def judged(text, training="", trained=SCALED):
        shipping = Shipping(str(text), str(training))
        data = subject.test
        shipped = prepared(shipping, data, of_training(trained), SIZE)
        workspace = Workspace(replace(subject, shipped=shipped), reference, store, threads=1)
        return {m.name: m for m in preprocessing(Case(workspace, "keras-fp32"))}

    return judged


CODE = """
import numpy as np
from PIL import Image

def preprocess(path):
    image = Image.open(path).convert("RGB").resize((32, 32), Image.{kernel})
    pixels = np.asarray(image, np.float32)
    return {result}
"""


def code(folder, kernel="BILINEAR", result="pixels / 255"):
    path = folder / "pre.py"
    path.write_text(CODE.format(kernel=kernel, result=result))
    return path


def test_the_right_recipe_passes_with_no_pixel_off(judged):
    found = judged("resize=bilinear,antialias=yes,channels=rgb,scale=1/255")
    assert {m.verdict for m in found.values()} == {Verdict.PASS}
    assert found["shipped_pixels"].value < 1e-3  # Pillow's float32 weights beside float64
    assert found["shipped_answers"].value == 0


def test_the_right_code_passes_though_it_rounds_to_whole_numbers(judged, tmp_path):
    found = judged(code(tmp_path))
    assert {m.verdict for m in found.values()} == {Verdict.PASS}
    assert 0.3 < found["shipped_pixels"].value <= 1.1


WRONG = {
    "bgr": ("channels=bgr", "channels in the order BGR, in training RGB"),
    "bicubic": ("resize=bicubic", "resize kernel: bicubic, in training bilinear"),
    "no antialiasing": ("antialias=no", "antialiasing: no, in training yes"),
    "nearest": ("resize=nearest", "resize kernel: nearest, in training bilinear"),
    "first pixel": ("antialias=no,grid=first-pixel", "sampling grid aligned at: first-pixel"),
    "cropped": ("fit=crop", "height and width: crop, in training stretch"),
    "scaled twice": ("scale=1/65025", "scaled twice"),
    "not scaled": ("scale=1", "not scaled"),
    "by 256": ("scale=1/256", "pixels / 256"),
    "from -1 to 1": ("preprocess=mobilenet", "pixels / 127.5 - 1"),
    "bgr and bicubic": ("channels=bgr,resize=bicubic", "BGR, in training RGB and resize kernel"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_recipe_is_found_and_named(judged, name):
    """The pixels alone are looked at to name it: what was stated is not."""
    text, says = WRONG[name]
    found = judged(text)
    pixels = found["shipped_pixels"]
    bad = [m for m in found.values() if m.verdict is Verdict.FAIL]
    assert {m.concerns for m in bad} == {Concern.PREPROCESSING}
    assert says in pixels.reason
    assert "that explains it" in pixels.reason
    assert pixels.rows[0]["grey levels"] == pytest.approx(pixels.value)
    assert pixels.rows[0]["image"].endswith(".jpg")


@pytest.mark.parametrize(
    ("kernel", "result", "says"),
    [
        ("BILINEAR", "pixels[..., ::-1] / 255", "channels in the order BGR"),
        ("BICUBIC", "pixels / 255", "resize kernel: bicubic"),
        ("BILINEAR", "pixels / 255 / 255", "scaled twice"),
        ("NEAREST", "pixels / 255", "resize kernel: nearest"),
        ("BILINEAR", "pixels * 0 + 1", "all the same"),
    ],
    ids=["bgr", "bicubic", "scaled twice", "nearest", "constant"],
)
def test_wrong_code_is_found_and_named(judged, tmp_path, kernel, result, says):
    found = judged(code(tmp_path, kernel, result))
    assert found["shipped_pixels"].verdict is Verdict.FAIL
    assert says in found["shipped_pixels"].reason


def test_a_change_of_many_answers_is_counted_with_the_right_ones(judged):
    found = judged("scale=1", trained=replace(SCALED, scale=1 / 255))["shipped_answers"]
    assert found.verdict is Verdict.FAIL
    assert found.n == 24  # 30 images, a fifth of them held out
    assert 0 < found.value <= found.n
    assert "of 24 answers are right" in found.reason


def test_what_no_recipe_explains_is_said(judged, tmp_path):
    found = judged(code(tmp_path, result="pixels[::-1] / 255"))["shipped_pixels"]
    assert found.verdict is Verdict.FAIL
    assert "no known recipe explains" in found.reason


def test_code_is_compared_with_code_of_training(judged, tmp_path):
    shipped = code(tmp_path, "BICUBIC", "pixels[..., ::-1] / 127.5 - 1")
    training = shipped.rename(tmp_path / "training.py")
    same = judged(training, training)
    assert {m.verdict for m in same.values()} == {Verdict.PASS}
    assert same["shipped_pixels"].value == 0
    other = judged(code(tmp_path, "BICUBIC", "pixels / 127.5 - 1"), training)["shipped_pixels"]
    assert other.verdict is Verdict.FAIL
    assert "channels in the order RGB, in training BGR" in other.reason


def test_another_jpeg_decoder_is_advice_unless_that_of_training_is_stated(judged):
    found = judged("decoder=tensorflow")["shipped_pixels"]
    assert (found.verdict, found.concerns) == (Verdict.UNDECIDED, Concern.ADVICE)
    assert "JPEG decoder: tensorflow, in training pillow" in found.reason
    assert judged("decoder=tensorflow", "decoder=pillow")["shipped_pixels"].verdict is Verdict.FAIL
    same = judged("decoder=tensorflow", "decoder=tensorflow")["shipped_pixels"]
    assert same.verdict is Verdict.PASS


def test_an_orientation_that_a_camera_noted_is_named(reference, tmp_path):
    from PIL import Image

    root = write_jpegs(tmp_path / "photos", each=10)
    for path in sorted(root.glob("*/*.jpg"))[::2]:
        image = Image.open(path)
        noted = image.getexif()
        noted[0x0112] = 6
        image.save(path, exif=noted, quality=95)
    plain = find(str(EMBEDDED), root, SCALED)
    shipped = prepared(Shipping("turned=yes"), plain.test, of_training(SCALED), SIZE)
    subject = replace(plain, shipped=shipped)
    workspace = Workspace(subject, reference, Store(tmp_path / "store"), threads=1)
    found = {m.name: m for m in preprocessing(Case(workspace, "keras-fp32"))}
    assert (
        "orientation of the camera applied: yes, in training no" in found["shipped_pixels"].reason
    )


def test_without_the_option_nothing_is_said_of_what_ships(reference, photos):
    workspace = Workspace(find(str(EMBEDDED), photos, SCALED), reference, threads=1)
    (once,) = preprocessing(Case(workspace, "keras-fp32"))
    assert (once.name, once.verdict) == ("scaled_once", Verdict.PASS)


def first(kind, config=(), **weights):
    return Layer("first", kind, dict(config), ("x",), weights, (4, 4, 3))


RAW = {
    "rescaling": first("Rescaling", {"scale": 1 / 255, "offset": 0.0}),
    "centring": first("Rescaling", {"scale": 1 / 127.5, "offset": -1.0}),
    "normalization": first(
        "Normalization", {"axis": -1}, mean=np.float32([120] * 3), variance=np.float32([4000] * 3)
    ),
}
NORMAL = first(
    "Normalization", {"axis": -1}, mean=np.float32([0.5] * 3), variance=np.float32([0.06] * 3)
)
PIXELS = np.linspace(0, 255, 10 * 48, dtype=np.float32).reshape(10, 4, 4, 3)


def scaled_once(reference, layer, images):
    begin = Layer("x", "InputLayer", {}, (), {}, (4, 4, 3))
    end = Layer("end", "Flatten", {}, (layer.name,), {}, (48,))
    spec = Spec("small", (begin, layer, end), ("x",), ("end",), "0" * 64, "3.15")
    subject = Subject("small", Path("small.keras"), spec, test=Dataset(images, None, "here"))
    return preprocessing(Case(Workspace(subject, reference), "keras-fp32"))[0]


@pytest.mark.parametrize("name", RAW)
@pytest.mark.parametrize(
    "outside", [lambda x: x / 255, lambda x: x / 127.5 - 1], ids=["scaled", "symmetric"]
)
def test_scaling_inside_and_outside_is_a_warning(reference, name, outside):
    found = scaled_once(reference, RAW[name], outside(PIXELS))
    assert (found.verdict, found.concerns) == (Verdict.UNDECIDED, Concern.ADVICE)
    assert "scaled twice: 'first'" in found.reason


@pytest.mark.parametrize("name", ["centring", "normalization"])
def test_centring_inside_and_outside_is_a_warning(reference, name):
    found = scaled_once(reference, RAW[name], PIXELS - 110)
    assert found.concerns is Concern.ADVICE
    assert "centred twice: 'first'" in found.reason


@pytest.mark.parametrize(
    ("layer", "images"),
    [
        *((each, PIXELS) for each in RAW.values()),
        (RAW["rescaling"], PIXELS - 110),
        (NORMAL, PIXELS / 255),
        (first("Flatten"), PIXELS / 255),
    ],
    ids=[*RAW, "centred then scaled", "statistics of scaled pixels", "nothing inside"],
)
def test_scaling_once_is_no_warning(reference, layer, images):
    assert scaled_once(reference, layer, images).verdict is Verdict.PASS

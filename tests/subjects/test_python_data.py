"""Images from a Python file that the user names, and what is said where it is wrong."""

import textwrap

import numpy as np
import pytest

from conversion.core.errors import UserError
from conversion.subjects import python_file
from conversion.subjects.data import load_data


@pytest.fixture
def written(tmp_path):
    def written(content):
        (tmp_path / "mine.py").write_text(textwrap.dedent(content))
        return tmp_path / "mine.py"

    return written


IMAGES = """
import numpy as np

def images():
    for index in range(12):
        yield np.full((4, 5, 3), index, np.uint8), index % 3
"""
SETS = """
import numpy as np

def test():
    yield from (np.full((4, 5, 3), index, np.uint8) for index in range(6))

def train():
    for index in range(8):
        yield np.full((4, 5, 3), 100 + index, np.uint8), [0, 1]
"""


def test_one_generator_gives_the_only_set(written):
    train, test = load_data(written(IMAGES))
    assert train is None
    assert test.images.shape == (12, 4, 5, 3)
    assert test.images[:, 0, 0, 0].tolist() == list(range(12))
    assert test.labels.tolist() == [0, 1, 2] * 4


def test_two_generators_give_two_sets_with_labels_or_without(written):
    train, test = load_data(written(SETS))
    assert test.labels is None
    assert test.images[:, 0, 0, 0].tolist() == list(range(6))
    assert train.labels.tolist() == [1] * 8


def test_the_source_names_the_function_and_the_bytes_that_were_executed(written):
    _, first = load_data(written(IMAGES))
    _, other = load_data(written(IMAGES + "# another\n"))
    assert first.source.startswith("mine.py (sha256 ")
    assert first.source.endswith("images()")
    assert first.source != other.source


def test_targets_of_a_model_without_classes_are_left_alone(written):
    program = "import numpy as np\ndef images():\n    yield np.zeros(10), 0.25\n"
    _, test = load_data(written(program), labelled=False)
    assert test.labels is None
    assert test.images.shape == (1, 10)


def test_images_are_resized_one_by_one(written):
    program = "import numpy as np\ndef images():\n"
    program += "    for n in (4, 9): yield np.zeros((n, n, 3))\n"
    _, test = load_data(written(program), size=(6, 6))
    assert test.images.shape == (2, 6, 6, 3)


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("x = 1\n", ["images(), or test()", "none of them"]),
        (IMAGES + SETS, ["images(), test(), train()"]),
        (SETS.replace("def test", "def tests"), ["it has train()"]),
        ("def images(:\n    pass\n", ["line 1", "SyntaxError"]),
        ("import numpy\nimport no_such_package\n", ["line 2", "ModuleNotFoundError"]),
        ("def images():\n    yield [[1.0]]\n    yield 1 / 0\n", ["line 3", "ZeroDivisionError"]),
        ("def images():\n    return 1 / 0\n", ["line 2", "ZeroDivisionError"]),
        ("def images(path):\n    yield path\n", ["TypeError", "path"]),
        ("def images():\n    return None\n", ["TypeError", "not iterable"]),
        ("import sys\ndef images():\n    yield 1\n    sys.exit(3)\n", ["item 0 is int64 ()"]),
        ("import sys\ndef images():\n    sys.exit(3)\n    yield\n", ["line 3", "SystemExit"]),
        ("def images():\n    yield from ()\n", ["at least one image", "images()"]),
        ("def images():\n    yield 'cat.png', 1\n", ["item 0 is <U7 ()", "arrays of numbers"]),
        ("def images():\n    yield [[1, 2], [3]], 1\n", ["item 0 is list"]),
        ("def images():\n    yield [[1]]\n    yield [[1, 2]]\n", ["image 1 is (1, 2)"]),
        ("def images():\n    yield [[1]], 0\n    yield [[2]]\n", ["1 of 2 have no label"]),
        ("def images():\n    yield [[1]], 0\n    yield [[2]], [0, 1]\n", ["shapes differ"]),
        ("def images():\n    yield [[1]], 0.5\n", ["0.5", "whole numbers", "leave them out"]),
        ("def images():\n    import tensorflow\n    yield [[1]]\n", ["without tensorflow"]),
        ("from keras import utils\n", ["without keras"]),
    ],
    ids=[
        "no-function",
        "three-functions",
        "training-only",
        "no-python",
        "no-package",
        "raises-later",
        "raises-at-once",
        "wants-an-argument",
        "yields-nothing",
        "a-number",
        "leaves",
        "empty",
        "a-path",
        "ragged",
        "shapes",
        "some-labels",
        "label-shapes",
        "label-fraction",
        "tensorflow",
        "keras",
    ],
)
def test_a_file_that_gives_no_images_is_refused_in_one_sentence(written, program, says):
    with pytest.raises(UserError) as refused:
        load_data(written(program))
    sentence = str(refused.value)
    assert all(word in sentence for word in says), sentence
    assert "mine.py" in sentence
    assert "\n" not in sentence


def test_a_generator_that_never_ends_is_stopped(written, monkeypatch):
    monkeypatch.setattr(python_file, "LARGEST", 10_000)
    program = "import numpy as np\ndef images():\n    while True:\n        yield np.zeros(100)\n"
    with pytest.raises(UserError, match="to end; it has given 12 images"):
        load_data(written(program))


def test_a_file_is_never_implied(tmp_path, written):
    written("raise RuntimeError('executed')\n")
    np.savez(tmp_path / "mine.npz", x=np.zeros((3, 4), np.float32))
    _, test = load_data(tmp_path / "mine.npz")
    assert len(test) == 3

"""A user's own layers: the guide's file as it is written, and with each part wrong."""

import hashlib
import json
import zipfile
from collections import Counter

import numpy as np
import pytest
from guide import changed, file_of_the_guide, model
from pytest_runs import COLLECT, in_one_process
from tools.keras_models import save_model

from conversion.__main__ import main
from conversion.api import convert, verify
from conversion.core.artifact import Store
from conversion.core.errors import UserError
from conversion.core.measurement import Verdict
from conversion.core.settings import CalibrationChoice, Settings
from conversion.core.user_code import execute, user_files
from conversion.custom import load
from conversion.proof.checks.case import Case
from conversion.proof.timing.turns import take_turns
from conversion.readers import read_spec
from conversion.reference import Reference
from conversion.report.inspection import inspect
from conversion.session import judge
from conversion.subjects import Subject
from conversion.subjects.data import Dataset
from conversion.workspace import Workspace

TRUTH = "        truth=truth,\n"
TORCH = "        torch=torch_module,\n"
CLASS = "        keras=keras_class,\n"
OF_IMAGES = ("scaled_once",)
"""What is said of a user's images, of which there are none here."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("custom")


@pytest.fixture(scope="module")
def write(folder):
    """A Python file beside the model."""

    def write(text, name="gated.py"):
        path = folder / name
        path.write_text(text)
        return path

    return write


@pytest.fixture(scope="module")
def keras(write):
    """A process with the guide's class."""
    with Reference(custom=user_files([write(file_of_the_guide(), "guide.py")])) as process:
        yield process


@pytest.fixture(scope="module")
def path(folder, keras):
    """A model with the layer, as Keras saved it."""
    path = folder / "mine.keras"
    save_model(keras, path, model())
    return path


@pytest.fixture
def judged(path, keras, write, tmp_path):
    """How often each verdict was given, by artifact, for a file with some parts exchanged."""

    def judged(*changes, artifacts=("keras-fp32", "torch-fp32"), topics=("parity",)):
        file = write(changed(*changes))
        subject = Subject("mine", path, read_spec(path, load([file])))
        workspace, made = Workspace(subject, keras, Store(tmp_path)), {}
        every = {name: judge(Case(workspace, name), topics, made) for name in artifacts}
        found = {n: [m for m in each if m.name not in OF_IMAGES] for n, each in every.items()}
        sha = hashlib.sha256(file.read_bytes()).hexdigest()
        assert [each.provenance["custom"] for each in made.values()] == [
            {"gated.py": sha} for _ in artifacts
        ]
        return {name: Counter(m.verdict for m in found[name]) for name in artifacts}, found

    return judged


ROUTES = ("keras-fp32", "onnx-fp32", "torch-fp32", "torch-via-onnx-fp32")


def test_the_guides_file_is_judged_on_every_route(judged):
    verdicts, found = judged(artifacts=ROUTES, topics=("structure", "parity"))
    for name in ROUTES:
        assert set(verdicts[name]) <= {Verdict.PASS, Verdict.SKIPPED}
        skipped = [m for m in found[name] if m.verdict is Verdict.SKIPPED]
        assert all("'gated' of the --custom file has no place" in m.reason for m in skipped)
        assert {m.name for m in skipped} <= {"layers", "weights"}
        assert any(m.name == "reference_noise" or "output_error" in m.name for m in found[name])


def test_without_a_truth_parity_is_undecided_and_says_why(judged):
    verdicts, found = judged((TRUTH, ""))
    for name in verdicts:
        judged_ones = [each for each in found[name] if each.verdict is not Verdict.SKIPPED]
        assert {each.verdict for each in judged_ones} == {Verdict.UNDECIDED}
        for each in judged_ones:
            assert "layer 'gated' is a Gated" in each.reason
            assert "has no truth: parity cannot be judged" in each.reason


def test_a_truth_of_another_formula_is_undecided_never_pass(judged):
    verdicts, found = judged(("0.5 * (1 +", "0.501 * (1 +"))
    assert set(verdicts["keras-fp32"]) == {Verdict.UNDECIDED}
    errors = [m for m in found["torch-fp32"] if m.name.startswith("output_error")]
    assert len(errors) == 3
    assert all(m.verdict is Verdict.UNDECIDED for m in errors)


def test_a_module_of_another_formula_fails(judged):
    verdicts, _ = judged(("value * self.factor * torch", "value * self.factor * 1.001 * torch"))
    assert set(verdicts["keras-fp32"]) == {Verdict.PASS}
    assert verdicts["torch-fp32"][Verdict.FAIL] > 0


def test_a_truth_of_another_shape_is_a_mistake_of_the_file(judged):
    with pytest.raises(UserError, match=r"the truth of Gated to give 'gated' as \(\d+, 4, 4, 4\)"):
        judged(
            ("    return value * weights", "    return (value * weights"),
            (" * gate\n", " * gate)[:, 0]\n"),
        )


def converted(path, file, store):
    return convert(path, custom=[file], backends=["torch-fp32"], store=store)["torch-fp32"]


def test_the_direct_route_without_a_module_names_the_ways_on(path, write, tmp_path):
    with pytest.raises(UserError) as caught:
        converted(path, write(changed((TORCH, ""))), Store(tmp_path))
    for words in ("'gated' is a Gated", "CustomLayer(torch=...)", "torch-via-onnx-fp32"):
        assert words in str(caught.value)


def test_int8_of_pytorch_computes_the_layer_in_float(path, keras, write, tmp_path):
    pixels = np.random.RandomState(0).random_sample((260, 6, 6, 3)).astype(np.float32)
    spec = read_spec(path, load([write(file_of_the_guide())]))
    test, train = (Dataset(part, None, "random") for part in (pixels[:200], pixels[200:]))
    subject = Subject("mine", path, spec, test, train)
    settings = Settings(calibration=CalibrationChoice(60))
    case = Case(Workspace(subject, keras, Store(tmp_path), settings), "torch-int8")
    assert case.in_float == {"gated": "a layer of your own is computed by its own module, in float"}
    found = case.workspace.outputs("torch-int8").arrays["head"]
    exact = case.workspace.truth["head"]
    assert np.abs(found - exact).max() < 0.1 * np.ptp(exact)


def test_a_timing_process_knows_the_layer(path, keras, write, tmp_path):
    spec = read_spec(path, load([write(file_of_the_guide())]))
    workspace = Workspace(Subject("mine", path, spec), keras, Store(tmp_path))
    found = take_turns(
        path,
        [workspace.artifact("torch-fp32")],
        workspace.parity_inputs,
        (1,),
        lambda *_: True,
        budget=0.1,
        processes=1,
        custom=spec.custom,
    )
    assert np.isfinite(found.outputs[1][0]["head"]).all()


def test_a_pytorch_file_with_the_layer_is_described_without_its_cost(path, write, tmp_path):
    file = converted(path, write(file_of_the_guide()), Store(tmp_path)).path
    found = inspect(file)
    assert found["operators"]["Gated"] == 1
    assert found["multiply_accumulates"] == 4 * 4 * 4 * 3 * 3 * 3 + 4 * 3  # Conv2D and Dense


def test_another_file_is_another_entry_of_the_store(path, write, tmp_path):
    store, file = Store(tmp_path), write(file_of_the_guide())
    first, again = (converted(path, file, store).path for _ in range(2))
    file.write_text(file_of_the_guide() + "# more\n")
    assert first == again
    assert converted(path, file, store).path != first


def test_weights_of_the_layer_are_checked_like_any(path, write):
    wrong = ('{"factor": (shapes[0][-1],)}', '{"factor": (shapes[0][-1], 2)}')
    custom = load([write(changed(wrong))])
    with pytest.raises(UserError, match=r"'gated/factor' should have the shape"):
        read_spec(path, custom)


def test_settings_of_the_layer_are_checked_like_any(path, write):
    limited = ("rule=LayerRule(", "rule=LayerRule(allowed={'steepness': (1.0,)}, ")
    custom = load([write(changed(limited))])
    with pytest.raises(UserError, match=r"steepness=2.0, which is not supported"):
        read_spec(path, custom)


KERAS_FILE = """
import keras

@keras.saving.register_keras_serializable("mine")
class Gated(keras.layers.Layer):
    def __init__(self, steepness=1.0, **settings):
        super().__init__(**settings)
        self.steepness = steepness

    def build(self, shape):
        self.factor = self.add_weight(name="factor", shape=(shape[-1],))

    def call(self, value):
        return value * self.factor * keras.ops.sigmoid(self.steepness * value)
"""


@pytest.mark.slow
def test_a_file_for_keras_is_only_executed_beside_keras(path, write, tmp_path):
    files = [write(KERAS_FILE, "layers.py"), write(changed((CLASS, "")), "rules.py")]
    found = verify(
        path,
        custom=files,
        backends=["keras-fp32"],
        topics=["parity"],
        store=Store(tmp_path),
        report=tmp_path / "out",
    )
    assert found.exit_code() == 0
    notes = json.loads((tmp_path / "out" / "artifacts" / "keras-fp32.provenance.json").read_text())
    assert set(notes["custom"]) == {"layers.py", "rules.py"}


def test_which_file_is_for_keras_is_told_without_executing_it(write):
    files = [write(KERAS_FILE, "layers.py"), write(changed((CLASS, "")), "rules.py")]
    assert [file.is_for_keras for file in user_files(files)] == [True, False]
    assert list(load(files).layers) == ["Gated"]


def test_a_class_under_another_package_is_not_let_through(path, folder, write):
    config = folder / "other.keras"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(config, "w") as other:
        for name in archive.namelist():
            content = archive.read(name).replace(b'"mine>Gated"', b'"mine>Other"')
            other.writestr(name, content)
    custom = load([write(file_of_the_guide())])
    assert read_spec(path, custom).layer("gated").kind == "Gated"
    with pytest.raises(UserError, match="custom class 'mine>Other'"):
        read_spec(config, custom)


def test_a_lambda_stays_refused(folder, write):
    config = model()
    hidden = {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}
    config["config"]["layers"][2]["config"]["gate"] = hidden
    (folder / "hidden.json").write_text(json.dumps(config))
    custom = load([write(file_of_the_guide())])
    with pytest.raises(UserError, match="carry code"):
        read_spec(folder / "hidden.json", custom)


def refused(capsys, *arguments):
    """The one line of a mistake, which has exit code 2."""
    assert main([str(each) for each in arguments]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "Traceback" not in said.err
    return said.err


def test_without_the_option_the_three_ways_are_named(path, write, tmp_path, capsys):
    write(file_of_the_guide())  # it lies beside the model, and that is not enough
    said = refused(capsys, "convert", path, "--out", tmp_path)
    assert "layer 'gated' uses the custom class 'mine>Gated'" in said
    ways = ("standard layers", "--custom FILE.py (docs/custom.md)", "torch-via-onnx-fp32")
    assert all(way in said for way in ways)


BAD = {
    "missing": (None, "there is none"),
    "syntax": ("def f(:\n", "Expected Python"),
    "raises": ("raise RuntimeError('not today')", "raises RuntimeError: not today"),
    "empty": ("", "Expected gated.py to have LAYERS"),
    "no-layers": ("LAYERS = {'Gated': 3}", "Expected gated.py to have LAYERS"),
    "torch-at-the-top": ("import torch\nLAYERS = {}", "import torch inside the function"),
    "standard-layer": (
        "from conversion.custom import CustomLayer\nLAYERS = {'Dense': CustomLayer()}",
        "'Dense', which is known already",
    ),
}


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=list(BAD))
def test_a_bad_file_is_one_sentence(path, folder, write, tmp_path, capsys, text, words):
    (folder / "gated.py").unlink(missing_ok=True)
    if text is not None:
        write(text)
    file = folder / "gated.py"
    assert words in refused(capsys, "convert", path, "--custom", file, "--out", tmp_path)


def test_a_file_that_changes_meanwhile_is_not_executed(write):
    file = write(file_of_the_guide())
    (before,) = user_files([file])
    file.write_text("LAYERS = {}")
    with pytest.raises(UserError, match="changed after it was read"):
        execute(before)


def test_pytest_takes_the_option_too_and_refuses_without_it(path, write, tmp_path):
    model, brings = f"--model={path}", f"--custom={write(file_of_the_guide())}"
    runs = {"taken": (*COLLECT, model, brings), "refused": (*COLLECT, model)}
    found = in_one_process(tmp_path, runs)
    code, out, said, _, _ = found["taken"]
    assert code == 0, said
    assert "test_parity[mine-torch-fp32-output-error]" in out
    code, out, said, _, _ = found["refused"]
    assert (code, "--custom FILE.py" in out + said) == (4, True)

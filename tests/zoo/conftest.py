"""The models of the zoo, one after another, each with what is measured of it."""

import shutil
import time

import measuring
import pytest
import zoo_models
import zoo_table

from conversion.core.artifact import Store, versions
from conversion.core.settings import Settings
from conversion.reference import Reference
from conversion.workspace import Workspace

PACKAGES = ("keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime", "torch", "onnx2torch")


def pytest_addoption(parser):
    parser.addoption(
        "--zoo-table",
        nargs="?",
        const="all",
        choices=("all", "missing"),
        help="write what is measured to docs/zoo.json and docs/zoo.md; with `missing` only the "
        "models that they lack",
    )


@pytest.fixture(scope="session")
def written(pytestconfig):
    """Keeps a row where the table is to be written; says which ones it need not."""

    class Written:
        choice = getattr(pytestconfig.option, "zoo_table", None)

        def keep(self, part, name, row):
            if self.choice:
                zoo_table.write(part, name, row, zoo_models.MODELS, versions(PACKAGES))

        def skip_known(self, part, name):
            if self.choice == "missing" and name in zoo_table.read()[part]:
                pytest.skip(f"{name} is in docs/zoo.json")

    return Written()


@pytest.fixture(scope="session")
def say(pytestconfig):
    """Prints a line of progress, whatever is captured."""
    reporter, capture = map(
        pytestconfig.pluginmanager.get_plugin, ("terminalreporter", "capturemanager")
    )
    began = time.monotonic()

    def line(words):
        with capture.global_and_fixture_disabled():
            reporter.write_line(f"{time.monotonic() - began:6.0f} s  {words}")
            reporter.flush()

    return line


@pytest.fixture(scope="session")
def process():
    with Reference() as found:
        yield found


@pytest.fixture(scope="module", params=zoo_models.MODELS)
def model(request, process, tmp_path_factory, written, say):
    """A model's name and what is measured of it; nothing of it stays on disk."""
    name = request.param
    written.skip_known("models", name)
    folder = tmp_path_factory.mktemp("zoo")
    path = zoo_models.built(process, name, folder)
    subject, store = measuring.subject(name, path), Store(folder / "store")
    workspace = Workspace(subject, process, store, zoo_models.SETTINGS.get(name, Settings()))
    row = measuring.measured(workspace, lambda words: say(f"{name}: {words}"))
    written.keep("models", name, row)
    process.close()  # it keeps every model that it opened
    shutil.rmtree(folder)
    return name, row

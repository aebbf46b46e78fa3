"""A reference whose jobs need no TensorFlow, to try what can happen to a process."""

import pytest

from conversion.reference import Reference

JOBS = """
import sys, types

def install():
    import os, signal, time, warnings

    def echo(models, message):
        return dict(message.values), dict(message.arrays)

    def process(models, message):
        models["calls"] = models.get("calls", 0) + 1
        return {"pid": os.getpid(), "calls": models["calls"]}, {}

    def sleep(models, message):
        time.sleep(message.values["seconds"])
        return {}, {}

    def hang(models, message):
        sum(1 for _ in iter(int, 1))  # in C: neither a thread nor a handler of Python's runs

    def die(models, message):
        print("the last words", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    def convolve(models, message):
        onednn = os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"
        if onednn and message.values["channels"] == 1:
            raise RuntimeError("could not create a primitive descriptor for the reorder primitive")
        return {"onednn": onednn}, {}

    def refuse(models, message):
        raise ValueError("the first line\\nthe second line")

    def warn(models, message):
        warnings.warn("look out", UserWarning)
        return {}, {}

    module = types.ModuleType("conversion.reference.jobs")
    module.JOBS = {f.__name__: f for f in (echo, process, sleep, hang, die, convolve, refuse, warn)}
    sys.modules["conversion.reference.jobs"] = module

if "-m" in sys.orig_argv and "conversion.core.worker" in sys.orig_argv:
    install()
"""


@pytest.fixture(scope="module")
def light_jobs(tmp_path_factory):
    """Python runs `sitecustomize` first, so the process finds these jobs and not TensorFlow's."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "sitecustomize.py").write_text(JOBS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder


@pytest.fixture(scope="module")
def light(light_jobs):
    """A process with light jobs; what ends it in one test has it started again in the next."""
    with Reference(timeout=30) as process:
        yield process

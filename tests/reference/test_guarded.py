"""A job in a child may crash, hang or flood: it ends in one sentence, and nothing is left."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from conversion.core import environment, guarded
from conversion.core.channel import Message
from conversion.core.custom_layers import Custom
from conversion.core.errors import Crashed, OutOfMemory, RunFailed, UserError
from conversion.core.guarded import Guarded
from conversion.core.spec import Layer, Spec
from conversion.reading import described, spec_of

JOBS = """
import os, time
import numpy as np
from conversion.core.errors import UserError

def twice(held, message):
    return {"pid": os.getpid()}, {k: 2 * v for k, v in message.arrays.items()}

def crash(held, message):
    print("the last words", flush=True)
    os.abort()

def hang(held, message):
    time.sleep(100)

def flood(held, message):
    return {}, {"x": np.ones(message.values["bytes"], np.uint8)}

def flood_in_c(held, message):
    print("terminate called after throwing an instance of 'std::bad_alloc'", flush=True)
    os.abort()

def stop(held, message):
    raise IndexError("out of range")

def refuse(held, message):
    raise UserError("Expected another.")
"""
GB = 1_000_000_000


@pytest.fixture
def child(tmp_path, monkeypatch):
    (tmp_path / "guarded_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    found = Guarded("it.onnx", GB, "--memory")
    yield found
    found.close()


def test_arrays_go_there_and_back(child):
    found = child.call("guarded_jobs:twice", {}, {"x": np.arange(3.0)})
    assert found.arrays["x"].tolist() == [0.0, 2.0, 4.0]
    assert found.values["pid"] != os.getpid()


def test_a_crash_is_one_sentence_and_the_next_call_has_a_child_again(child):
    with pytest.raises(Crashed, match=r"^it\.onnx crashes .*SIGABRT.*1\.0 GB.*the last words"):
        child.call("guarded_jobs:crash", {})
    assert child.call("guarded_jobs:twice", {}).values["pid"]


def test_what_hangs_ends_with_its_time(child):
    child.call("guarded_jobs:twice", {})  # the start is not what is timed
    started = time.monotonic()
    with pytest.raises(Crashed, match=r"^it\.onnx is not done within 0\.5 s\.$"):
        child.call("guarded_jobs:hang", {}, seconds=0.5)
    assert time.monotonic() - started < 10


@pytest.fixture
def machine_of_8_gb(monkeypatch):
    monkeypatch.setattr(environment, "memory", lambda: 8 * GB)


@pytest.mark.parametrize(
    ("job", "words"), [("flood", "Unable to allocate 1.86 GiB"), ("flood_in_c", "bad_alloc")]
)
def test_what_needs_more_memory_than_it_may_take_says_what_gives_it_more(
    machine_of_8_gb, child, job, words
):
    with pytest.raises(OutOfMemory) as refused:
        child.call(f"guarded_jobs:{job}", {"bytes": 2 * GB})
    assert str(refused.value).startswith(
        "it.onnx needs more memory than its process has (it may take 1.0 GB of memory, with "
        "--memory up to 6.0): "
    )
    assert words in str(refused.value)
    assert len(child.call("guarded_jobs:flood", {"bytes": 1000}).arrays["x"]) == 1000


@pytest.mark.parametrize(
    ("size", "budget", "allowed"),
    [(0, GB, 3 * GB), (50_000_000, GB, 3.5 * GB), (GB, GB, 6 * GB), (0, 9 * GB, 6 * GB)],
    ids=["libraries-and-budget", "its-file-ten-times", "most-of-the-machine", "no-more-by-budget"],
)
def test_a_child_may_take_what_its_file_and_the_budget_need(machine_of_8_gb, size, budget, allowed):
    assert guarded.allowance(size, budget) == allowed


def test_a_child_that_may_take_all_says_how_much_the_machine_has(machine_of_8_gb):
    assert guarded.limit_in_words(6 * GB, "--memory").endswith(", three quarters of this machine's")


def test_a_mistake_of_the_user_stays_one(child):
    with pytest.raises(UserError, match=r"^Expected another\.$") as caught:
        child.call("guarded_jobs:refuse", {})
    assert type(caught.value) is UserError


def test_any_other_error_is_a_file_that_does_not_run(child):
    with pytest.raises(RunFailed, match=r"^it\.onnx stops .*IndexError: out of range"):
        child.call("guarded_jobs:stop", {})


PARENT = """
import sys
sys.path.insert(0, sys.argv[1])
from conversion.core.guarded import Guarded
child = Guarded("it", 10**9)
print(child.call("guarded_jobs:twice", {}).values["pid"], flush=True)
child.call("guarded_jobs:hang", {})
"""


def test_a_killed_parent_leaves_no_child(child, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    for _ in range(100):
        if not os.path.exists(f"/proc/{pid}") or _is_zombie(pid):
            return
        time.sleep(0.1)
    pytest.fail("the child is still there")


def _is_zombie(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


def test_a_spec_travels_whole_and_layers_still_share_their_weights():
    kernel = np.ones((2, 3), np.float32)
    layers = [
        Layer("x", "InputLayer", {"dtype": "float32"}, (), {}, (2,)),
        Layer("d", "Dense", {"units": 3}, ("x",), {"kernel": kernel}, (3,), ("a", "d")),
        Layer("e", "Dense", {"units": 3}, ("x",), {"kernel": kernel}, (3,), (), True),
    ]
    spec = Spec("m", tuple(layers), ("x",), ("d", "e"), "0" * 64, "3.1", ".keras")
    found = spec_of(Message(*described(spec, weights=True)), Custom())
    for before, after in zip(layers, found.layers, strict=True):
        assert {**vars(after), "weights": 0} == {**vars(before), "weights": 0}
    assert found.layers[1].weights["kernel"] is found.layers[2].weights["kernel"]
    assert np.array_equal(found.layers[1].weights["kernel"], kernel)
    assert {**vars(found), "layers": 0} == {**vars(spec), "layers": 0}

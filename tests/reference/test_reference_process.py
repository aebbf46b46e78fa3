"""What happens to the process happens to one job: it is told, and the next one works."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from conversion.core.errors import MissingDependency, ReferenceCrashed, UserError
from conversion.reference import Reference

ROOT = Path(__file__).parents[2]


def pid_of(process):
    return process.call("process", {}).values["pid"]


def gone(pid, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (
            not Path(f"/proc/{pid}").exists()
            or "(zombie)" in Path(f"/proc/{pid}/status").read_text()
        ):
            return True
        time.sleep(0.05)
    return False


def test_it_starts_with_the_first_job_and_stays_up(light):
    light.close()
    assert not light.running
    answers = [light.call("process", {}).values for _ in range(3)]
    assert light.running
    assert [answer["calls"] for answer in answers] == [1, 2, 3]
    assert len({answer["pid"] for answer in answers} | {light._child.process.pid}) == 1


def test_it_ends_with_the_block(light_jobs):
    with Reference() as process:
        pid = pid_of(process)
    assert not process.running
    assert gone(pid)


def test_closing_twice_or_before_the_start_is_nothing(light):
    light.close()
    pid_of(light)
    light.close()
    light.close()
    assert not light.running


def test_it_can_be_used_again_after_closing(light):
    first = pid_of(light)
    light.close()
    assert pid_of(light) != first


def test_a_refusal_is_a_user_error_with_the_traceback_as_a_note(light):
    with pytest.raises(UserError) as caught:
        light.call("refuse", {})
    assert str(caught.value) == "Keras could not do 'refuse': ValueError: the first line"
    (note,) = caught.value.__notes__
    assert note.startswith("Traceback (most recent call last)")
    assert "the second line" in note
    assert light.running


def test_a_model_for_which_onednn_lacks_a_kernel_is_computed_without_it_and_no_other(light_jobs):
    one, other = ({"digest": f"of {count}", "channels": count} for count in (1, 3))
    with Reference(timeout=30) as process:
        used = [process.call("convolve", e).values["onednn"] for e in (other, one, one, other)]
    assert used == [True, False, False, True]


def test_an_unknown_job_is_refused_and_the_process_goes_on(light):
    with pytest.raises(UserError, match="could not do 'paint': KeyError: 'paint'"):
        light.call("paint", {})
    assert light.running


def test_warnings_come_back_with_the_answer_that_they_belong_to(light):
    assert light.call("warn", {}).values["warnings"] == ["UserWarning: look out"]
    assert light.call("process", {}).values["warnings"] == []


def test_a_crash_names_the_job_and_the_last_words_and_the_next_call_works(light):
    first = pid_of(light)
    with pytest.raises(ReferenceCrashed, match=r"died during 'die' \(.* GB .*\): the last words"):
        light.call("die", {})
    assert not light.running
    assert pid_of(light) != first


def test_a_process_killed_while_it_works_is_a_crash_of_that_job(light):
    pid = pid_of(light)
    killer = threading.Timer(0.2, os.kill, (pid, signal.SIGKILL))
    killer.start()
    with pytest.raises(ReferenceCrashed, match="died during 'sleep'"):
        light.call("sleep", {"seconds": 30})
    killer.join()
    assert pid_of(light) != pid


def test_a_process_killed_while_idle_is_replaced(light):
    pid = pid_of(light)
    os.kill(light._child.process.pid, signal.SIGKILL)
    light._child.process.wait()
    answer = light.call("process", {}).values
    assert (answer["pid"] != pid, answer["calls"]) == (True, 1)


def test_a_process_killed_a_moment_ago_is_a_crash_or_replaced_but_answers_nothing_old(light):
    pid = pid_of(light)
    os.kill(light._child.process.pid, signal.SIGKILL)
    try:
        assert pid_of(light) != pid
    except ReferenceCrashed as crash:
        assert "'process'" in str(crash)  # noqa: PT017
    assert pid_of(light) != pid


def test_a_job_that_takes_too_long_is_ended_and_says_so(light, monkeypatch):
    pid = pid_of(light)
    monkeypatch.setattr(light, "_timeout", 0.2)
    with pytest.raises(ReferenceCrashed, match=r"did not finish 'sleep' in 0\.2 s\."):
        light.call("sleep", {"seconds": 30})
    monkeypatch.undo()
    assert not light.running
    assert gone(pid)
    assert pid_of(light) != pid


def test_the_time_that_a_job_may_take_is_given(light_jobs):
    with Reference(timeout=0.01) as process, pytest.raises(ReferenceCrashed, match=r"in 0\.01 s\."):
        process.call("sleep", {"seconds": 30})


def test_an_interrupted_job_does_not_answer_the_next_one(light, monkeypatch):
    pid_of(light)

    def interrupt(connection, timeout):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(light._child.connection), "poll", interrupt)
    with pytest.raises(KeyboardInterrupt):
        light.call("echo", {"word": "old"})
    monkeypatch.undo()
    assert light.call("echo", {"word": "new"}).values["word"] == "new"


def test_what_cannot_travel_is_refused_and_the_next_call_works(light):
    with pytest.raises(TypeError, match="array 'a' of dtype object"):
        light.call("echo", {}, {"a": np.array([object()])})
    with pytest.raises(TypeError, match="not JSON serializable"):
        light.call("echo", {"value": object()})
    assert light.call("echo", {"word": "new"}).values["word"] == "new"


def test_without_tensorflow_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with Reference() as process, pytest.raises(MissingDependency) as caught:
        process.call("versions", {})
    assert re.match(
        r"The Keras reference needs the package 'tensorflow': pip install 'keras-conv",
        str(caught.value),
    )
    assert not process.running


PARENT = """
import sys, time
from conversion.reference import Reference
process = Reference()
print(process.call("process", {}).values["pid"], flush=True)
if sys.argv[1] == "idle":
    time.sleep(60)
process.call(sys.argv[1], {"seconds": 60})
"""


def worker_of_a_killed_parent(path, *arguments):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    pid = int(parent.stdout.readline())
    time.sleep(0.2)
    parent.kill()
    parent.communicate()
    return pid


@pytest.mark.parametrize("doing", ["idle", "sleep", "hang"])
def test_a_worker_ends_when_its_parent_is_killed(light_jobs, doing):
    assert gone(worker_of_a_killed_parent(light_jobs, doing), seconds=2)


def test_a_worker_is_in_a_process_group_of_its_own_which_ctrl_c_does_not_reach(light):
    pid = pid_of(light)
    assert os.getpgid(pid) == pid


def test_a_worker_outlives_the_thread_that_started_it(light):
    light.close()
    starter = threading.Thread(target=pid_of, args=[light])
    starter.start()
    starter.join()
    time.sleep(0.2)
    assert light.running


HUNG = """
import sys, types
from multiprocessing import Pipe

jobs = types.ModuleType("jobs")
jobs.JOBS = {"hang": lambda models, message: sum(1 for _ in iter(int, 1))}
sys.modules["conversion.reference.jobs"] = jobs

from conversion.core.channel import Message, send
from conversion.core.worker import serve

ours, theirs = Pipe()
send(ours, Message({"job": "hang"}))
serve(theirs, timeout=0, jobs="conversion.reference.jobs")
"""


def test_a_job_that_hangs_ends_its_process_though_no_parent_does(light_jobs):
    found = subprocess.run([sys.executable, "-c", HUNG], cwd=ROOT, timeout=30, check=False)
    assert found.returncode == -signal.SIGALRM

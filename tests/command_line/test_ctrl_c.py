"""Ctrl-C gives the prompt back within two seconds, whatever is being done, and leaves nothing."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

PROMPT = 2.0
STAND_IN = """
import os, signal, subprocess, sys, time
import conversion.__main__ as command
import conversion.cli.verbs
import conversion.core.progress

READY = "print('ready', flush=True)"

def asleep():
    print("ready", flush=True)
    time.sleep(60)

def native():
    import hashlib
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # minutes in C, which looks at no signal

def deaf():
    print("ready", flush=True)
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            pass  # as where it is raised in a callback of C

def child():
    subprocess.run([sys.executable, "-c", f"import signal, time; "
        f"signal.signal(signal.SIGINT, signal.SIG_IGN); {READY}; time.sleep(60)"])

def pool():
    from conversion.proof.faults.pool import pool
    with pool(2) as processes:
        job = processes.submit(time.sleep, 60)
        processes.submit(print, "ready", flush=True)
        job.result()

def tidying():
    try:
        asleep()
    finally:
        time.sleep(0.5)
        open("tidy", "w").close()

if __name__ == "__main__":
    work = globals()[sys.argv[1]]
    conversion.core.progress.PATIENCE = float("inf")
    conversion.cli.verbs.inspect = lambda given: work()
    sys.argv = ["conversion", "inspect", "a file"]
    sys.exit(command.main())
"""


def ends(pid):
    """What a terminal sends to the whole group, what `kill` sends to one process."""
    return {
        "terminal": (lambda: os.killpg(pid, signal.SIGINT), 130),
        "kill -INT": (lambda: os.kill(pid, signal.SIGINT), 130),
        "kill": (lambda: os.kill(pid, signal.SIGTERM), 143),
    }


@pytest.fixture(autouse=True)
def heard():
    """SIGINT has a handler here, so that children start with its default action.

    A shell starts what runs in its background with SIGINT ignored, and children inherit that.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def started(tmp_path):
    """Starts a verb that does one thing, and waits until it does."""
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    running = []

    def started(work):
        process = subprocess.Popen(
            [sys.executable, "stand_in.py", work],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "TMPDIR": str(tmp_path),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        running.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield started
    for process in running:
        process.kill()
        process.communicate()


ENDED = 10
"""Seconds in which a child has to notice; far less where the machine is not busy."""


def stopped(process, send):
    """Exit code, seconds, what was said, and which processes are left."""
    children = psutil.Process(process.pid).children(recursive=True)
    start = time.monotonic()
    send()
    code = process.wait(30)
    spent = time.monotonic() - start
    said = process.stderr.read()  # to its end: until no child has it open
    while (left := [each for each in children if alive(each)]) and time.monotonic() < start + ENDED:
        time.sleep(0.1)
    return code, spent, said, left


def alive(process):
    """Whether it runs; a zombie waits for whoever adopted it."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("work", "way"),
    [
        *((work, "terminal") for work in ("asleep", "native", "deaf", "child", "pool")),
        ("asleep", "kill -INT"),
        ("native", "kill"),
        ("pool", "kill"),
    ],
)
def test_the_prompt_is_back(started, tmp_path, work, way):
    process = started(work)
    send, wanted = ends(process.pid)[way]
    code, spent, said, left = stopped(process, send)
    assert (code, said, left) == (wanted, "conversion: stopped\n", [])
    assert spent < PROMPT
    assert list(tmp_path.glob("conversion-*")) == []


def test_a_second_ctrl_c_does_not_stop_the_tidying_up(started, tmp_path):
    process = started("tidying")

    def twice():
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)

    code, spent, said, _ = stopped(process, twice)
    assert (code, said) == (130, "conversion: stopped\n")
    assert spent < PROMPT
    assert (tmp_path / "tidy").exists()


def test_a_killed_command_leaves_no_process(started):
    process = started("pool")
    code, *_, left = stopped(process, process.kill)
    assert (code, left) == (-signal.SIGKILL, [])


def test_what_is_ignored_stays_ignored(tmp_path, started):
    """As behind a `&` in a script: the terminal's Ctrl-C is not meant for it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = started("asleep")
    finally:
        signal.signal(signal.SIGINT, before)
    os.killpg(process.pid, signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)


STAGES = {
    "TensorFlow starts": ("verify embedded --backends onnx-fp32 --topics parity", "starting Tens"),
    "Keras computes": ("verify embedded --backends onnx-fp32 --topics accuracy", "Keras: outputs"),
    "an artifact is timed": (
        "verify embedded --backends onnx-int8 --topics latency",
        "timing onnx-i",
    ),
    "a search": ("quantize embedded --search --budget 60", "searching"),
}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_stops_at_once_and_leaves_only_its_log(folder, stage):
    words, line = STAGES[stage]
    verb, *rest = words.split()
    process = subprocess.Popen(
        [sys.executable, "-m", "conversion", verb, *rest, *OUT[verb]],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        assert any(each.startswith(line) for each in process.stderr)
        code, spent, said, left = stopped(process, ends(process.pid)["terminal"][0])
        assert (code, said.splitlines()[-1], left) == (130, "conversion: stopped", [])
        assert "Traceback" not in said
        assert spent < PROMPT
    assert {path.name for path in (folder / "out").iterdir()} <= {"conversion.log", *RECORD[verb]}


OUT = {"verify": ("--report", "out"), "quantize": ("--out", "out")}
RECORD = {"verify": (), "quantize": ("search.jsonl",)}

"""A flipped byte or a lost tail gives a spec of finite weights or one sentence, nothing else.

HDF5 itself crashes or hangs on a few damaged files (24 of 38,384 single flips of the small file in
the notation of Keras 3, 5 of 38,176 in that of Keras 2: attributes whose type became a string of
variable length, for one). So these reads run in a process of their
own, and a case that ends that process says nothing about the reader.
"""

import os
import select
import subprocess
import sys

import h5py
import legacy_files as files
import pytest
from hypothesis import HealthCheck, event, given, reject, settings
from hypothesis import strategies as st

SECONDS = 5
CHILD = """
import sys
import numpy as np
from conversion.core.errors import UserError
from conversion.readers import read_spec

for line in sys.stdin:
    try:
        spec = read_spec(line.strip())
    except UserError as error:
        answer = "refused" if "damaged.h5" in str(error) else f"unnamed: {error!r}"
        answer = answer if str(error).isprintable() else f"not one sentence: {error!r}"
    except BaseException as error:
        answer = f"leaked: {error!r}"
    else:
        arrays = [array for layer in spec.layers for array in layer.weights.values()]
        whole = all(np.isfinite(array).all() for array in arrays)
        answer = "read" if whole else "not finite"
    print(answer.replace(chr(10), " "), flush=True)
"""


class Child:
    """Reads one file after the other; None where it crashed or hung."""

    def __init__(self):
        self.process = None

    def read(self, path):
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-c", CHILD],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            self.read(path.with_name("missing-damaged.h5"))  # the imports have their own time
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        ready = select.select([self.process.stdout], [], [], SECONDS)[0]
        answer = self.process.stdout.readline().strip() if ready else ""
        if not answer:
            self.close()
            return None
        return answer

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
        self.process = None


@pytest.fixture(scope="module")
def child():
    child = Child()
    yield child
    child.close()


class Intact:
    """A file's bytes, and the places of those that are no weights."""

    def __init__(self, path):
        self.path, self.content = path, path.read_bytes()
        weights = set()

        def note(_, found):
            if isinstance(found, h5py.Dataset):
                start = found.id.get_offset()
                weights.update(range(start, start + found.nbytes))

        with h5py.File(path) as file:
            file.visititems(note)
        places = (at for at, byte in enumerate(self.content) if byte)
        self.structure = [at for at in places if at not in weights]


@pytest.fixture(scope="module", params=files.NOTATIONS)
def intact(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("intact") / "damaged.h5"
    return Intact(files.write(path, files.small(), notation=request.param))


def answer_to(child, path, content):
    path.write_bytes(content)
    return child.read(path)


def judged(child, path, content):
    answer = answer_to(child, path, content)
    if answer is None:
        event("HDF5 crashed or hung")
        reject()
    event(answer)
    assert answer in ("read", "refused")
    return answer


quick = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
anywhere = st.integers(0, 2**20)


@quick
@given(at=anywhere, in_structure=st.booleans(), mask=st.integers(1, 255))
def test_flipped_byte(child, intact, at, in_structure, mask):
    places = intact.structure if in_structure else range(len(intact.content))
    changed = bytearray(intact.content)
    changed[places[at % len(places)]] ^= mask
    judged(child, intact.path, bytes(changed))


@quick
@given(kept=anywhere)
def test_lost_tail(child, intact, kept):
    content = intact.content
    assert judged(child, intact.path, content[: kept % len(content)]) == "refused"


@quick
@given(kept=anywhere, filler=st.sampled_from([b"\0", b"\xff"]))
def test_overwritten_tail(child, intact, kept, filler):
    content = intact.content
    kept %= len(content)
    judged(child, intact.path, content[:kept] + filler * (len(content) - kept))


@pytest.mark.parametrize("kept", [24, 40, 400, 2000])
def test_heap_that_ends_in_zeros_is_refused(child, intact, kept):
    content = intact.content
    kept += content.index(b"GCOL")  # HDF5 walks this heap on the spot, for ever
    damaged = content[:kept] + bytes(len(content) - kept)
    assert answer_to(child, intact.path, damaged) == "refused"


def test_intact_file_is_read(child, intact):
    assert answer_to(child, intact.path, intact.content) == "read"

"""Whatever happens to its files, the store gives what the key's builder would have written."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule

from conversion.core.artifact import Store

KEYS = st.fixed_dictionaries({"seed": st.integers(0, 2), "method": st.sampled_from("ab")})


def content_of(key):
    return {
        "one.bin": f"{key['seed']}".encode() * 9,
        "below/two.bin": f"{key['method']}{key['seed']}".encode(),
    }


class Stored(RuleBasedStateMachine):
    entries = Bundle("entries")

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.store = Store(self.root)

    def teardown(self):
        shutil.rmtree(self.root)

    @rule(key=KEYS, kind=st.sampled_from(["onnx", "torch"]), target=entries)
    def ask(self, key, kind):
        def build(folder):
            (folder / "below").mkdir()
            for name, content in content_of(key).items():
                (folder / name).write_bytes(content)
            return {"key": key}

        entry = self.store.obtain(kind, key, (), build)
        assert {name: entry.file(name).read_bytes() for name in content_of(key)} == content_of(key)
        assert entry.notes == {"key": key}
        assert entry.folder.parent.name == kind
        return entry.folder

    @rule(key=KEYS, kind=st.sampled_from(["onnx", "torch"]))
    def fail(self, key, kind):
        def build(folder):
            (folder / "one.bin").write_bytes(b"half")
            raise OSError("disk full")

        try:
            entry = self.store.obtain(kind, key, (), build)
        except OSError:
            return
        assert not entry.built

    @rule(folder=entries, which=st.integers(0, 2), at=st.integers(0), mask=st.integers(1, 255))
    def corrupt(self, folder, which, at, mask):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        if files:
            path = files[which % len(files)]
            content = bytearray(path.read_bytes())
            if content:
                content[at % len(content)] ^= mask
                path.write_bytes(content)

    @rule(folder=entries, which=st.integers(0, 2), keep=st.integers(0, 8))
    def truncate(self, folder, which, keep):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        if files:
            path = files[which % len(files)]
            path.write_bytes(path.read_bytes()[:keep])

    @rule(folder=entries, which=st.integers(0, 3))
    def delete(self, folder, which):
        found = [folder, *sorted(path for path in folder.rglob("*") if path.is_file())]
        path = found[which % len(found)]
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    @rule(one=entries, other=entries)
    def copy_over(self, one, other):
        if one != other and one.exists():
            shutil.rmtree(other, ignore_errors=True)
            shutil.copytree(one, other)


TestStored = Stored.TestCase
TestStored.settings = settings(max_examples=30, stateful_step_count=15)

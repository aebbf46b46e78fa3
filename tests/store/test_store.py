"""The store gives back what a builder wrote, or has it written again: never anything else."""

import json

import pytest

from conversion.core import artifact
from conversion.core.artifact import (
    MANIFEST,
    Store,
    versions,
)
from conversion.core.errors import UserError


@pytest.fixture
def kept(tmp_path):
    return Store(tmp_path)


@pytest.fixture
def builder():
    """Writes two files, one in a folder below, and counts how often it is asked to."""

    def build(folder):
        build.calls += 1
        (folder / "model.bin").write_bytes(bytes(range(64)))
        (folder / "parts").mkdir()
        (folder / "parts" / "notes.txt").write_text("one two three")
        return {"route": "straight", "shape": [1, 2]}

    build.calls = 0
    return build


def fetch(store, build, kind="thing", key=None, packages=("numpy",)):
    return store.obtain(kind, key or {"source": "abc"}, packages, build)


def flip(path, at, mask=1):
    content = bytearray(path.read_bytes())
    content[at] ^= mask
    path.write_bytes(content)


def test_an_entry_is_built_once_and_then_found(kept, builder):
    first, second = fetch(kept, builder), fetch(kept, builder)
    assert (first.built, second.built, builder.calls) == (True, False, 1)
    assert second.folder == first.folder
    assert second.file("model.bin").read_bytes() == bytes(range(64))


def test_notes_are_the_same_whether_built_or_found(kept):
    def build(folder):
        (folder / "file").write_text("x")
        return {"pair": (1, 2), "by number": {10: "a", 9: "b"}, "share": 0.1}

    plain = {"pair": [1, 2], "by number": {"10": "a", "9": "b"}, "share": 0.1}
    assert fetch(kept, build).notes == plain
    found = fetch(kept, build)
    assert (found.notes, found.built) == (plain, False)


def test_a_key_with_numbers_for_names_is_found_again(kept, builder):
    key = {10: "a", 9: "b"}
    fetch(kept, builder, key=key)
    assert not fetch(kept, builder, key=key).built


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "another"},
        {"key": {"source": "abd"}},
        {"key": {"source": "abc", "more": None}},
        {"packages": ("numpy", "h5py")},
    ],
    ids=["kind", "source", "setting", "packages"],
)
def test_every_part_of_the_key_gives_an_entry_of_its_own(kept, builder, other):
    fetch(kept, builder)
    assert fetch(kept, builder, **other).built


def test_the_order_of_a_keys_names_does_not_matter(kept, builder):
    fetch(kept, builder, key={"a": 1, "b": 2})
    assert not fetch(kept, builder, key={"b": 2, "a": 1}).built


def test_another_version_gives_an_entry_of_its_own(kept, builder, monkeypatch):
    fetch(kept, builder)
    monkeypatch.setattr(artifact, "versions", lambda *packages: {"numpy": "0.0.1"})
    assert fetch(kept, builder).built
    monkeypatch.undo()
    assert not fetch(kept, builder).built


def test_other_code_gives_an_entry_of_its_own(kept, builder):
    made = [kept.obtain("thing", {}, (), builder, code) for code in ("one", "other", "one")]
    assert [entry.built for entry in made] == [True, True, False]


def test_versions_name_python_and_what_is_not_installed():
    found = versions(["no-such-package", "pytest"])
    assert found["no-such-package"] == "not installed"
    assert found["pytest"] == pytest.__version__
    assert list(found) == ["python", "no-such-package", "pytest"]


@pytest.mark.parametrize("at", [0, 31, -1], ids=["first", "middle", "last"])
@pytest.mark.parametrize("name", ["model.bin", "parts/notes.txt"])
def test_a_flipped_bit_in_a_file_has_it_built_again(kept, builder, name, at):
    path = fetch(kept, builder).file(name)
    content = path.read_bytes()
    flip(path, at % len(content))
    again = fetch(kept, builder)
    assert (again.built, path.read_bytes()) == (True, content)


@pytest.mark.parametrize(
    "words", ["straight", "shape", "model.bin", "abc", "numpy", '"digest": "', "{"]
)
def test_no_flipped_bit_in_the_manifest_changes_what_is_said(kept, builder, words):
    entry = fetch(kept, builder)
    manifest = entry.folder / MANIFEST
    flip(manifest, manifest.read_text().index(words) + len(words) - 1)
    again = fetch(kept, builder)
    assert (again.built, again.notes) == (True, {"route": "straight", "shape": [1, 2]})


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "null",
        "[]",
        "7",
        "{}",
        '{"content": {}}',
        '{"content": 3, "digest": "x"}',
        "\0\xff",
    ],
)
def test_a_manifest_that_is_none_has_the_entry_built_again(kept, builder, content):
    entry = fetch(kept, builder)
    (entry.folder / MANIFEST).write_text(content, encoding="latin-1")
    assert fetch(kept, builder).built
    assert not fetch(kept, builder).built


@pytest.mark.parametrize("name", [MANIFEST, "model.bin", "parts/notes.txt"])
def test_a_missing_or_truncated_file_has_the_entry_built_again(kept, builder, name):
    path = fetch(kept, builder).file(name)
    path.unlink()
    assert fetch(kept, builder).built
    path.write_bytes(path.read_bytes()[:-1])
    assert fetch(kept, builder).built


def test_a_manifest_whose_files_are_struck_out_is_not_trusted(kept, builder):
    entry = fetch(kept, builder)
    manifest = json.loads((entry.folder / MANIFEST).read_text())
    manifest["content"]["files"] = {}
    (entry.folder / MANIFEST).write_text(json.dumps(manifest))
    assert fetch(kept, builder).built


def test_an_entry_moved_to_another_keys_place_is_not_trusted(kept, builder):
    one = fetch(kept, builder, key={"seed": 1})
    other = fetch(kept, builder, key={"seed": 2})
    for path in other.folder.rglob("*.*"):
        path.unlink()
    for name in (MANIFEST, "model.bin", "parts/notes.txt"):
        other.file(name).write_bytes(one.file(name).read_bytes())
    assert fetch(kept, builder, key={"seed": 2}).built


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_builder_that_raises_leaves_nothing(kept, builder, error):
    def broken(folder):
        builder(folder)
        raise error("no")

    with pytest.raises(error):
        fetch(kept, broken)
    assert [path for path in kept.root.rglob("*") if path.suffix != ".lock"] == [
        kept.root / "thing"
    ]
    assert fetch(kept, builder).built


def test_notes_that_are_not_plain_leave_nothing(kept, builder):
    with pytest.raises(TypeError, match="not JSON serializable"):
        fetch(kept, lambda folder: {"route": object()})
    assert fetch(kept, builder).built


def test_an_artifact_of_an_entry_states_its_digest_and_size(kept, builder):
    found = fetch(kept, builder).artifact("onnx-fp32", "model.bin")
    # sha256sum of the bytes 0 to 63
    assert found.digest == "fdeab9acf3710362bd2658cdc9a29e8f9c757fcf9811603a8c447cd1d9151108"
    assert (found.name, found.size, found.external) == ("onnx-fp32", 64, False)
    assert found.provenance["route"] == "straight"


def test_the_folder_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVERSION_CACHE_DIR", str(tmp_path / "here"))
    assert Store().root == tmp_path / "here"
    assert Store(tmp_path / "there").root == tmp_path / "there"


@pytest.mark.parametrize("value", [None, ""], ids=["unset", "empty"])
def test_without_the_environment_it_is_the_users_cache(monkeypatch, tmp_path, value):
    monkeypatch.setattr(
        artifact.platformdirs, "user_cache_path", lambda name: tmp_path / f"cache-of-{name}"
    )
    if value is None:
        monkeypatch.delenv("CONVERSION_CACHE_DIR", raising=False)
    else:
        monkeypatch.setenv("CONVERSION_CACHE_DIR", value)
    assert Store().root == tmp_path / "cache-of-conversion"


def test_a_folder_that_is_a_file_is_refused_in_one_sentence(tmp_path, builder):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Expected a folder .* name another one in CONVERSION_CA"):
        fetch(Store(tmp_path / "file"), builder)

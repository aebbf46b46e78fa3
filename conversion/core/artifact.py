"""Converted and quantized files with their provenance, and the store that keeps them."""

from __future__ import annotations

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import platformdirs
from filelock import FileLock

from conversion.core import digest
from conversion.core.errors import UserError

MANIFEST = "manifest.json"


@dataclass(frozen=True, eq=False)
class Artifact:
    """What a backend made or a user handed in: one file, or one and others beside it.

    Attributes:
        name: the backend's name, such as ``onnx-fp32``.
        path: the file that is opened.
        digest: SHA-256 of the file, hexadecimal; of all their digests where there are others.
        provenance: how it came to be: source digest, route, settings, versions, warnings.
        external: whether it is an external file, handed in.
        beside: the other files, such as external data; they are opened through the first.
    """

    name: str
    path: Path
    digest: str
    provenance: Mapping[str, Any]
    external: bool = False
    beside: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        return f"<Artifact {self.name}: {self.path.name}, sha256 {self.digest[:12]}>"

    @property
    def size(self) -> int:
        """The size of its files in bytes."""
        return sum(path.stat().st_size for path in (self.path, *self.beside))


class Runner(Protocol):
    """Something that computes a model's outputs."""

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The file's own outputs for inputs in the source model's layout and float32."""
        ...


@dataclass(frozen=True, eq=False)
class Entry:
    """A folder of the store whose files match the digests in its manifest.

    Attributes:
        folder: where the files are.
        notes: what the builder wrote down, plain values.
        built: whether this call built it.
    """

    folder: Path
    notes: Mapping[str, Any]
    built: bool

    def file(self, name: str) -> Path:
        """A file of the entry by name."""
        return self.folder / name

    def artifact(self, name: str, file: str, endings: Iterable[str] = ()) -> Artifact:
        """Files of the entry as an artifact.

        Args:
            name: the backend's name.
            file: the one that is opened.
            endings: of those beside it, which have its stem.
        """
        path = self.file(file)
        beside = [path.with_suffix(ending) for ending in endings]
        return artifact_of(name, path, beside, self.notes)


def artifact_of(
    name: str,
    path: Path,
    beside: Iterable[Path],
    provenance: Mapping[str, Any],
    external: bool = False,
) -> Artifact:
    """Files as an artifact, with their digest.

    Args:
        name: the backend's name.
        path: the file that is opened.
        beside: the others, in the same folder or below it.
        provenance: how they came to be.
        external: whether they were handed in.
    """
    others = tuple(beside)
    sha = digest.of_file(path)
    if others:
        parts = {p.relative_to(path.parent).as_posix(): digest.of_file(p) for p in others}
        sha = digest.of_settings({"": sha, **parts})
    return Artifact(name, path, sha, provenance, external, others)


class Store:
    """A folder of results under full-digest keys, shared by runs and processes.

    An entry is built in a folder beside its place, moved there in one step under a lock, and
    read only while every file, the manifest too, still has its digest. A cache library was
    considered (joblib, diskcache): they pickle, and none checks the bytes that it returns.
    """

    def __init__(self, root: Path | None = None) -> None:
        """Use a folder.

        Args:
            root: the folder; `CONVERSION_CACHE_DIR`, else the platform's user cache, by default.
        """
        named = os.environ.get("CONVERSION_CACHE_DIR")
        self.root = root or Path(named or platformdirs.user_cache_path("conversion"))

    def obtain(
        self,
        kind: str,
        key: Mapping[str, Any],
        packages: Iterable[str],
        build: Callable[[Path], Mapping[str, Any]],
        code: str = "",
    ) -> Entry:
        """The entry under a key, built where there is none that can be trusted.

        Args:
            kind: what it is, such as ``onnx-fp32``; the folder's name.
            key: everything that the result depends on, plain values.
            packages: distributions whose versions belong to the key.
            build: fills the folder that it is given and returns plain notes.
            code: digest of the code that makes it (`conversion.core.code`).

        Returns:
            The entry; its notes are what JSON makes of them, whether built or found.

        Raises:
            UserError: the store's folder cannot be made.
        """
        full = {"kind": kind, "key": key, "versions": versions(packages), "code": code}
        full = json.loads(json.dumps(full))  # as it will be read back
        name = digest.of_settings(full)
        place = self.root / kind / name
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"Expected a folder that can be written to at {self.root} ({error.strerror}): "
                "name another one in CONVERSION_CACHE_DIR."
            ) from None
        with FileLock(place.with_suffix(".lock")):
            notes = _trusted(place)
            if notes is not None:
                return Entry(place, notes, built=False)
            for left in place.parent.glob(f".{name}-*"):  # of a run that was killed
                shutil.rmtree(left, ignore_errors=True)
            shutil.rmtree(place, ignore_errors=True)
            beside = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=place.parent))
            try:
                notes = _write_manifest(beside, full, build(beside))
                os.replace(beside, place)
            except BaseException:
                shutil.rmtree(beside, ignore_errors=True)
                raise
        return Entry(place, notes, built=True)


def _write_manifest(
    folder: Path, full: Mapping[str, Any], notes: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Write down the digest of every file, and one of the manifest itself; return the notes."""
    files = {
        path.relative_to(folder).as_posix(): digest.of_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    content = json.loads(json.dumps({**full, "files": files, "notes": notes}))
    with (folder / MANIFEST).open("w") as file:
        json.dump({"digest": digest.of_settings(content), "content": content}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    found: Mapping[str, Any] = content["notes"]
    return found


def _trusted(place: Path) -> Mapping[str, Any] | None:
    """The notes of an entry of that name whose files all match its manifest, else None."""
    try:
        manifest = json.loads((place / MANIFEST).read_text())
        content = dict(manifest["content"])
        if digest.of_settings(content) != manifest["digest"]:
            return None
        files, notes = content.pop("files"), content.pop("notes")
        if digest.of_settings(content) != place.name:  # another entry under this name
            return None
        whole = all(digest.of_file(place / name) == sha for name, sha in files.items())
        return dict(notes) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of distributions and of Python, without importing any of them."""
    found = {"python": platform.python_version()}
    for name in sorted(packages):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found

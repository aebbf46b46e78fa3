"""The graph of artifacts of one subject: each is built on demand, from those that it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from conversion.backends import (
    BACKENDS,
    STEPS,
    Backend,
    Ingredients,
    backend,
    implementation,
)
from conversion.core.artifact import Artifact, Store, artifact_of
from conversion.core.errors import ReferenceCrashed, UserError
from conversion.core.progress import stage
from conversion.core.settings import Settings
from conversion.core.spec import Spec
from conversion.quantization import calibration
from conversion.reference import KerasModel
from conversion.subjects import Subject
from conversion.workspace.entries import kept

MOST_SAID = 300
"""Characters of a converter's own message that are repeated."""


@dataclass(frozen=True, eq=False)
class Artifacts:
    """Gives artifacts by name; each is made once.

    Attributes:
        subject: the model that they are made from, and the images that calibrate.
        keras: the model in the reference process.
        settings: the choices.
        store: where they are kept between runs.
        external: files that stand in for artifacts, by name.
        announce: told the warnings of a build, one line a time.
        exchanged: artifacts in place of those that would be made, by name.
        original: gives what does not depend on any of these; None where all is made here.
    """

    subject: Subject
    keras: KerasModel
    settings: Settings
    store: Store
    external: Mapping[str, Path]
    announce: Callable[[str], None]
    exchanged: Mapping[str, Artifact] = field(default_factory=dict)
    original: Artifacts | None = None
    _made: dict[str, Artifact] = field(default_factory=dict, init=False)

    def artifact(self, name: str) -> Artifact:
        """An artifact, external or built, with everything that it needs.

        Raises:
            UserError: the name is unknown, or the build refuses what it was given.
        """
        if self.original is not None and name not in self.derived:
            return self.original.artifact(name)
        if name not in self._made:
            self._made[name] = self.exchanged.get(name) or self._obtain(name)
        return self._made[name]

    @cached_property
    def derived(self) -> frozenset[str]:
        """Names of what is exchanged and of all that is made from it."""
        found = set(self.exchanged)
        if self.original is not None and self.subject.train is not self.original.subject.train:
            found.add("calibration")
        while more := {
            name
            for name, maker in {**BACKENDS, **STEPS}.items()
            if name not in found and found & set(maker.needs)
        }:
            found |= more
        return frozenset(found)

    def ingredients(
        self, needs: tuple[str, ...] = (), packages: tuple[str, ...] = ()
    ) -> Ingredients:
        """What a backend builds and opens artifacts with.

        Args:
            needs: names of the artifacts that it builds from.
            packages: distributions that make or run what it builds.
        """
        artifacts = {need: self.artifact(need) for need in needs}
        return Ingredients(self.subject.spec, self.keras, self.settings, artifacts, packages)

    def _obtain(self, name: str) -> Artifact:
        if name in self.external:
            path = self.external[name]
            beside = backend(name).files_beside(path)
            for each in (path, *beside):
                if not each.is_file():
                    raise UserError(f"Expected a {name} file at {each}; there is none.")
            notes = {"route": "external", "file": path.name}
            return artifact_of(name, path, beside, notes, external=True)
        return self._calibration() if name == "calibration" else self._built(name)

    def _built(self, name: str) -> Artifact:
        maker, spec = STEPS.get(name) or backend(name), self.subject.spec
        file = _file(maker, spec)
        needed = {need: self.artifact(need).digest for need in maker.needs}
        chosen = {part: self.settings.part(part) for part in maker.settings}
        before = [self.artifact(need).provenance for need in maker.needs]
        inherited = {k: v for each in before for k, v in each.items() if k == "preprocessing" and v}
        key = {"source": spec.digest, "needs": needed, "settings": chosen, **inherited}

        def build(folder: Path) -> Mapping[str, Any]:
            with stage(f"building {name}"):
                ingredients = self.ingredients(maker.needs, maker.packages)
                notes = _converted(maker, ingredients, folder / file)
            custom = spec.custom.provenance
            known = {**inherited, **({"custom": custom} if custom else {})}
            return {"artifact": name, "settings": chosen, **known, **notes}

        makers = (maker.module, __name__)
        entry = kept(self.store, spec, name, key, maker.packages, build, makers)
        made = entry.artifact(name, file, maker.endings[1:])
        for warning in made.provenance.get("warnings", ()):
            self.announce(f"warning while building {name}: {warning}")
        return made

    def _calibration(self) -> Artifact:
        train, test, settings = self.subject.train, self.subject.test, self.settings.seeded(0)
        if train is None:
            raise UserError(
                f"{self.subject.name} has no training images to calibrate on: pass --data FILE."
            )
        key = {
            "train": train.digest,
            "test": None if test is None else test.digest,
            "preprocessing": train.preprocessing,
            "choice": settings.part("calibration"),
        }

        def build(folder: Path) -> Mapping[str, Any]:
            choice = settings.calibration
            return calibration.save(calibration.draw(train, test, choice), folder, choice)

        makers = (calibration.__name__, __name__)
        spec = self.subject.spec
        entry = kept(self.store, spec, "calibration", key, ("numpy",), build, makers)
        return entry.artifact("calibration", calibration.FILE)


def _converted(maker: Backend, ingredients: Ingredients, target: Path) -> Mapping[str, Any]:
    """What a backend builds, with whatever stops its converter as a sentence.

    Raises:
        UserError: it cannot be built.
    """
    try:
        notes: Mapping[str, Any] = implementation(maker).build(ingredients, target)
    except (UserError, ReferenceCrashed):
        raise
    except Exception as error:  # converters raise anything
        said = " ".join(str(error).split())[:MOST_SAID]
        sentence = f"building {maker.name} stops with {type(error).__name__}"
        raise UserError(f"{sentence}: {said}") from error
    return notes


def _file(maker: Backend, spec: Spec) -> str:
    """The name of an artifact's first file."""
    return f"{maker.name}{maker.endings[0] if maker.endings else spec.suffix}"

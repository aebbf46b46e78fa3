"""The kinds of failure that a person is told about in one sentence."""

from __future__ import annotations


class UserError(Exception):
    """A mistake that the user can mend: what was expected, what was found, what to do.

    The command line prints the sentence and exits with code 2; pytest reports it as a usage
    error. A traceback is never shown for it.
    """


class MissingDependency(UserError):
    """A package that the chosen route needs is not installed."""


class ReferenceCrashed(Exception):
    """The process that runs TensorFlow died or did not answer while it worked on a job."""


class NoInputShape(UserError):
    """A model file does not say what its input is shaped like; its data may."""


class OutOfMemory(UserError):
    """A job needs more memory than its process may take: no failure of the file it works on."""


class RunFailed(UserError):
    """An artifact that was opened does not run on the images: a failure of the artifact."""


class Crashed(RunFailed):
    """A file ended or hung the process that works on it."""


class NotMapped(UserError):
    """A layer has no place in the map of layers, so that nothing can be looked up by it."""


class NoTruth(UserError):
    """A layer has no float64 truth, so that nothing that passes through it can be judged."""

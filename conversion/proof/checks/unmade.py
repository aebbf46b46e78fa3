"""Which artifacts cannot be made here, and why: skipped with the reason, unless they were named."""

from __future__ import annotations

import logging

from conversion.backends import REFERENCE, implementation
from conversion.core.errors import ReferenceCrashed, UserError
from conversion.proof.checks.case import Case
from conversion.readers.schema import BY_KERAS

NO_IMAGES = "no images to calibrate on: pass --data FILE"


def not_made(case: Case) -> str:
    """Why the artifact cannot be made here; empty where it can, and then it is.

    An int8 artifact without its float baseline could not be judged, so it counts as not made.

    Args:
        case: the artifact.

    Raises:
        UserError: the reference or an external file cannot be read, or images that would
            calibrate are also evaluated on: mistakes that no route is to blame for.
    """
    return case.once("not made", lambda: _not_made(case))


def _not_made(case: Case) -> str:
    workspace, name, own = case.workspace, case.name, case.backend
    if name in workspace.external or name == REFERENCE:
        _ = case.artifact
        return ""
    if not own.is_float:
        for layer in workspace.spec.layers:
            if layer.kind in BY_KERAS:
                return (
                    f"'{layer.name}' is a {layer.kind}, of which no runtime here has integer "
                    "kernels whose sums could be judged"
                )
        if workspace.subject.train is None:
            return NO_IMAGES
        workspace.artifact("calibration")
    try:
        implementation(own)
        for needed in filter(None, (own.baseline, name)):
            workspace.artifact(needed)
    except (UserError, ReferenceCrashed) as error:
        logging.getLogger(__name__).debug("making %s stopped", name, exc_info=True)
        return " ".join(str(error).split())
    return ""

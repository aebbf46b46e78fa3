"""The faults that are injected, caught and named every day."""

from conversion.proof.faults import all_faults


def first_faults():
    """The first fault of each artifact and check."""
    first = {}
    for fault in all_faults():
        first.setdefault((fault.artifact, fault.check), fault)
    return list(first.values())

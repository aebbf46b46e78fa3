"""Times of artifacts in fresh processes, taken in turns; the verdict on them is a check's."""

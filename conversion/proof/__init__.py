"""The proof that an artifact is the model: truth, metrics, taps, checks, timing, faults, search."""

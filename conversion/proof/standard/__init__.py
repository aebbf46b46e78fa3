"""The standard faults: which there are for a kind of layer, and what a spec with one of them is."""

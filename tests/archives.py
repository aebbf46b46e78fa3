"""Writes `.keras` archives by hand, and weights alone, as Keras 3 lays them out."""

import io
import json
import zipfile

import h5py
import legacy_files as files

PLACES = {
    "image": "input_layer",
    "conv": "conv2d",
    "norm": "batch_normalization",
    "flatten": "flatten",
    "dense": "dense",
}
"""Layers of `legacy_files.small` to their groups in the file."""


def weights(layers=None, places=None, change=None):
    """The bytes of a `model.weights.h5`."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_group("vars").attrs["name"] = "by_hand"
        for layer in layers or files.small():
            group = file.create_group(f"layers/{(places or PLACES)[layer.name]}/vars")
            group.attrs["name"] = layer.name
            for position, array in enumerate(layer.weights.values()):
                group[str(position)] = array
        if change is not None:
            change(file)
    return buffer.getvalue()


def members(config=None, stored=None):
    """The three files of an archive."""
    config = files.functional(files.small()) if config is None else config
    return {
        "metadata.json": b'{"keras_version": "3.15.1", "date_saved": "2026-01-01@00:00:00"}',
        "config.json": config if isinstance(config, bytes) else json.dumps(config).encode(),
        "model.weights.h5": weights() if stored is None else stored,
    }


def write(path, content=None, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in (content or members()).items():
            archive.writestr(name, data)
    return path

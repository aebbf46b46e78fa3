"""Rows of a search with stated values, for tests of what is made of them."""

from conversion.proof.search.rows import Row, Speed


def row(label, speed=1.5, *, agreed=990, images=1000, sqnr=30.0, size=100, **fields):
    """A candidate that keeps 990 of 1,000 answers at 1.5 times float32's speed."""
    reach = fields.pop("reach", 0.01)
    verdict = (
        "faster" if speed - reach > 1.02 else "slower" if speed + reach < 0.98 else "undecided"
    )
    speeds = {batch: Speed(speed, speed - reach, speed + reach, verdict, 1e-4) for batch in (1, 32)}
    share = 100 * agreed / images
    values = {
        "backend": "onnx-int8",
        "stage": "scheme",
        "why": "",
        "scheme": {},
        "digest": label,
        "memory": 1e6,
        "agreement": (share - 0.3, share + 0.3),
        "change": -0.1,
        "interval": (-0.4, 0.2),
        "overflow": "",
        "overflows": "",
        "operators": {},
        "record": {},
        **fields,
    }
    return Row(
        label=label, size=size, images=images, agreed=agreed, sqnr=sqnr, speed=speeds, **values
    )

"""Settings of layers as hypothesis draws them, with sizes of input that they fit."""

from hypothesis import strategies as st

seeds = st.integers(0, 2**16)
sizes = st.integers(1, 9)
means = st.sampled_from((3.0, -3.0))  # max pooling must not see zeros of a padding as large


def pairs(least, most):
    return st.lists(st.integers(least, most), min_size=2, max_size=2)


@st.composite
def windows(draw, key, dilated=True, strided=True):
    """Settings of a sliding window; strides and dilation only one at a time, as Keras wants it."""
    window = draw(pairs(1, 4))
    dilation = draw(pairs(1, 3)) if dilated and draw(st.booleans()) else [1, 1]
    strides = draw(pairs(1, 3)) if strided and dilation == [1, 1] else [1, 1]
    padding = draw(st.sampled_from(("same", "valid")))
    chosen = {key: window, "strides": strides, "padding": padding}
    if dilated:
        chosen["dilation_rate"] = dilation
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    least = [1, 1] if padding == "same" else reach
    return [draw(st.integers(low, low + 7)) for low in least], chosen

"""Settings of sliding windows over one or two spatial axes as hypothesis draws them."""

from hypothesis import strategies as st

formats = st.sampled_from(("channels_last", "channels_first"))
ranks = st.sampled_from((1, 2))


def each(rank, least, most):
    """One number for every spatial axis."""
    return st.lists(st.integers(least, most), min_size=rank, max_size=rank)


def shaped(sizes, channels, chosen):
    """Sizes and channels in the order that the settings ask for."""
    first = chosen.get("data_format") == "channels_first"
    return [channels, *sizes] if first else [*sizes, channels]


@st.composite
def filters(draw, chosen, bias):
    """A number of filters: Keras takes a width of as many for the channels of the bias."""
    first = bias and chosen["data_format"] == "channels_first"
    return draw(st.sampled_from((1, 29) if first else (1, 2, 3)))


@st.composite
def windows(draw, rank, key="kernel_size", paddings=("same", "valid"), dilated=True, both=False):
    """Sizes that a window fits, and its settings.

    Keras wants strides or dilation, not both, except where `both` says so; then the strides are
    alike, as TensorFlow wants them.
    """
    window, padding = draw(each(rank, 1, 4)), draw(st.sampled_from(paddings))
    dilation = draw(each(rank, 1, 3)) if dilated and draw(st.booleans()) else [1] * rank
    strides = draw(each(rank, 1, 3)) if both or max(dilation) == 1 else [1] * rank
    if both:
        strides = strides[:1] * rank
    chosen = {key: window, "strides": strides, "padding": padding, "data_format": draw(formats)}
    if dilated:
        chosen["dilation_rate"] = dilation
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    least = reach if padding == "valid" else [1] * rank
    return [draw(st.integers(low, low + 7)) for low in least], chosen


@st.composite
def transposed(draw, rank):
    """Sizes and settings of a transposed convolution."""
    _, chosen = draw(windows(rank))
    size = draw(each(rank, 1, 6))
    reach = [
        (k - 1) * d + 1 for k, d in zip(chosen["kernel_size"], chosen["dilation_rate"], strict=True)
    ]
    # TensorFlow wants an output that a convolution could have read.
    least = [1 - r % 2 if chosen["padding"] == "same" else 0 for r in reach]
    ranges = list(zip(least, chosen["strides"], strict=True))
    if all(low < stride for low, stride in ranges) and draw(st.booleans()):
        chosen["output_padding"] = [draw(st.integers(low, s - 1)) for low, s in ranges]
    return size, chosen

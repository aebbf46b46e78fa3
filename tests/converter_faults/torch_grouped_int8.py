"""PyTorch int8 under oneDNN: a grouped convolution gives other values than its integers say.

PyTorch alone, on the CPU that it runs on: nothing of the package. For each engine it says how far a
quantized convolution of two groups of three channels lies from the float one over the same
numbers, as a part of their spread, for values whose channels lie last in memory. On CPUs with AMX
oneDNN reads weights that nobody wrote; on others all engines agree but for the rounding of results.
"""

import torch
import torch.ao.nn.quantized as quantized

FILTERS, GROUPS, CHANNELS = 6, 2, 16


def off(engine, channels_last):
    torch.backends.quantized.engine = engine
    torch.manual_seed(0)
    kernel = torch.randn(FILTERS, CHANNELS // GROUPS, 3, 1)
    scales = (kernel.abs().amax((1, 2, 3)) / 127).double()
    zeros = torch.zeros(FILTERS, dtype=torch.long)
    kernel = torch.quantize_per_channel(kernel, scales, zeros, 0, torch.qint8)
    values = torch.quantize_per_tensor(torch.randn(8, CHANNELS, 17, 32), 0.06, 64, torch.quint8)
    if channels_last:
        values = values.contiguous(memory_format=torch.channels_last)
    layer = quantized.Conv2d(CHANNELS, FILTERS, (3, 1), groups=GROUPS, padding=(1, 0))
    layer.set_weight_bias(kernel, torch.zeros(FILTERS))
    layer.scale, layer.zero_point = 0.15, 128
    exact = torch.nn.functional.conv2d(
        values.dequantize(), kernel.dequantize(), padding=(1, 0), groups=GROUPS
    )
    return ((layer(values).dequantize() - exact).pow(2).mean().sqrt() / exact.std()).item()


for engine in ("fbgemm", "x86", "onednn"):
    if engine in torch.backends.quantized.supported_engines:
        for words, last in (("channels first", False), ("channels last", True)):
            print(f"{engine}, {words}: off by {off(engine, last):.3g}")

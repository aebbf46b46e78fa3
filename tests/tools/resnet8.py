"""MLPerf Tiny's ResNet8 as a person would write it in PyTorch, layer names and all."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResNet8(nn.Module):
    """ResNet8 for images of 32x32 pixels, under the layer names of the Keras model.

    It loads what the `torch-fp32` backend saves, strictly::

        model = ResNet8()
        content = torch.load("torch-fp32.pt", weights_only=True)
        model.load_state_dict(content["state_dict"])
        probabilities = model.eval()(images)  # (N, 32, 32, 3) float32, raw pixels 0 to 255
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(3, 16, 3, padding=1)
        self.batch_normalization = _norm(16)

        self.conv2d_1 = nn.Conv2d(16, 16, 3, padding=1)
        self.batch_normalization_1 = _norm(16)
        self.conv2d_2 = nn.Conv2d(16, 16, 3, padding=1)
        self.batch_normalization_2 = _norm(16)

        self.conv2d_3 = nn.Conv2d(16, 32, 3, stride=2)
        self.batch_normalization_3 = _norm(32)
        self.conv2d_4 = nn.Conv2d(32, 32, 3, padding=1)
        self.batch_normalization_4 = _norm(32)
        self.conv2d_5 = nn.Conv2d(16, 32, 1, stride=2)  # the shortcut

        self.conv2d_6 = nn.Conv2d(32, 64, 3, stride=2)
        self.batch_normalization_5 = _norm(64)
        self.conv2d_7 = nn.Conv2d(64, 64, 3, padding=1)
        self.batch_normalization_6 = _norm(64)
        self.conv2d_8 = nn.Conv2d(32, 64, 1, stride=2)  # the shortcut

        self.dense = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities of the ten classes.

        Args:
            images: ``(N, 32, 32, 3)`` float32, raw pixels from 0 to 255.

        Returns:
            ``(N, 10)`` float32.
        """
        x = images.permute(0, 3, 1, 2)
        x = F.relu(self.batch_normalization(self.conv2d(x)))

        y = F.relu(self.batch_normalization_1(self.conv2d_1(x)))
        y = self.batch_normalization_2(self.conv2d_2(y))
        x = F.relu(x + y)

        y = F.relu(self.batch_normalization_3(self.conv2d_3(_same(x))))
        y = self.batch_normalization_4(self.conv2d_4(y))
        x = F.relu(self.conv2d_5(x) + y)

        y = F.relu(self.batch_normalization_5(self.conv2d_6(_same(x))))
        y = self.batch_normalization_6(self.conv2d_7(y))
        x = F.relu(self.conv2d_8(x) + y)

        x = F.avg_pool2d(x, 8).flatten(1)
        return torch.softmax(self.dense(x), dim=-1)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)  # Keras's; PyTorch's own is 1e-5


def _same(x: Tensor) -> Tensor:
    """TensorFlow's `same` for a window of 3 at stride 2 on an even size: bottom and right only."""
    return F.pad(x, (0, 1, 0, 1))

"""Convolutions of small maps on the CPU, without the arithmetic that only meets padding.

Deep stages see maps of a few pixels: a 7 x 7 kernel over a map of 2 x 2 multiplies 40 of its 49 taps by the
zeros around it and nothing else. Results are those of `torch.nn.Conv2d` but for the order of summation; at
224 pixels, and on a GPU, they are computed by it.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

SMALL_MAP = 16
"""Pixels of a map up to which a 1 x 1 convolution is faster as a matrix product, as measured on one core."""


class Convolution(nn.Conv2d):
    """A `Conv2d` of one group, without dilation, padded by zeros. `of` makes one of a `Conv2d` in place."""

    @staticmethod
    def can_be(layer: nn.Conv2d) -> bool:
        """Whether `of` accepts `layer`."""
        return layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"

    @classmethod
    def of(cls, layer: nn.Conv2d) -> None:
        """Let `layer`, weights and all, compute as this class does.

        Raises:
            ValueError: it has groups, dilation, or another padding.
        """
        if not cls.can_be(layer):
            raise ValueError(f"found {layer}, expected one group, no dilation, and padding by zeros")
        layer.__class__ = cls

    def forward(self, images: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', H', W']."""
        if images.device.type != "cpu":
            return super().forward(images)
        assert not isinstance(self.padding, str)
        (rows, above), (columns, left) = map(
            taps, images.shape[2:], self.kernel_size, self.stride, self.padding
        )
        if above is None or left is None:
            return super().forward(images)
        # Sliced in the order of memory, channels last, so that the gradient comes in that order as well.
        weight = self.weight.permute(0, 2, 3, 1)[:, rows, columns].permute(0, 3, 1, 2)
        if weight.shape[2:] == (1, 1) and images.shape[2:].numel() <= SMALL_MAP:
            down, across = self.stride
            maps = images[:, :, ::down, ::across].permute(0, 2, 3, 1)
            return functional.linear(maps, weight.flatten(1), self.bias).permute(0, 3, 1, 2)
        return functional.conv2d(images, weight, self.bias, self.stride, (above, left))


def taps(size: int, kernel: int, stride: int, padding: int) -> tuple[slice, int | None]:
    """Which taps of a kernel meet a pixel of the image, along one axis, and the padding that they need.

    The padding is None where no single one for both ends gives the same outputs.
    """
    steps = (size + 2 * padding - kernel) // stride
    first, last = max(0, padding - steps * stride), min(kernel - 1, size - 1 + padding)
    needed = padding - first
    same = (size + 2 * needed - (last + 1 - first)) // stride == steps
    return slice(first, last + 1), needed if same else None

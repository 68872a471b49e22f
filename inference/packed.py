"""The network's convolutions as oneDNN likes them best: weights in its own layout, addition and ReLU in the same pass.

PyTorch lays the weights of every convolution out anew for every call; for one face that is a third of the time. Here
they are laid out once, by the operators that PyTorch's compiler (Inductor) uses, without a compiler at run time. These
are PyTorch's own business and may change with it: its version is fixed, and a test compares the values.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inference.network import Block, Network


def pack(network: Network, side: int) -> Network:
    """Replace the convolutions of a network that is folded and laid out channels last, and return it.

    Where this processor would not gain by it (no x86 with AVX2), the network stays as it is.

    Args:
        network: for reading alone, on the CPU.
        side: of the crops it will see; others it reads as well, but slowly.
    """
    if not (torch.backends.mkldnn.is_available() and torch.cpu.get_capabilities().get("avx2")):
        return network
    stem = network.stem[0]
    if not isinstance(stem, nn.Conv2d):
        raise TypeError("the stem begins with a convolution")
    network.stem = nn.Sequential(_Packed(stem, side, "relu"))
    side //= 2
    blocks = []
    for block in network.stages:
        if not isinstance(block, Block):
            raise TypeError("the stages are blocks")
        blocks.append(_PackedBlock(block, side))
        side //= block.stride
    network.stages = nn.Sequential(*blocks)
    return network


class _Packed(nn.Module):
    """A convolution, and what follows it."""

    def __init__(self, convolution: nn.Conv2d, side: int, after: str = "none") -> None:
        super().__init__()
        lists = [list(each) for each in (convolution.padding, convolution.stride, convolution.dilation)]
        self._bias = convolution.bias
        self._how = (*lists, 1)
        self._after = after
        self._weight = torch.ops.aten.mkldnn_reorder_conv2d_weight(
            convolution.weight.detach().to_mkldnn(), *self._how, [1, convolution.in_channels, side, side]
        )

    def forward(self, pictures: Tensor) -> Tensor:
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(
            pictures, self._weight, self._bias, *self._how, self._after, [], ""
        )
        return out

    def plus(self, pictures: Tensor, others: Tensor) -> Tensor:
        """Return the ReLU of the sum of the convolution and `others`."""
        out: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(
            pictures, others, self._weight, self._bias, *self._how, "add", 1.0, "relu", [], ""
        )
        return out


class _PackedBlock(nn.Module):
    def __init__(self, block: Block, side: int) -> None:
        super().__init__()
        first, second = (layer for layer in block.path if isinstance(layer, nn.Conv2d))
        self.first = _Packed(first, side, "relu")
        self.second = _Packed(second, side // block.stride)
        self.shortcut = block.shortcut
        if isinstance(block.shortcut, nn.Sequential):
            pool, convolution, *_ = block.shortcut
            if not isinstance(convolution, nn.Conv2d):
                raise TypeError("a shortcut ends with a convolution")
            self.shortcut = nn.Sequential(pool, _Packed(convolution, side // block.stride))

    def forward(self, pictures: Tensor) -> Tensor:
        return self.second.plus(self.first(pictures), self.shortcut(pictures))

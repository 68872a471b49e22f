"""The network as an ONNX graph: what the processor works through, by the same values as PyTorch's in `network.py`.

The bot needs no PyTorch for it, whose import alone takes a second and 170 MB, and ONNX Runtime is faster for one face.

Where the checkpoint knows between which values its features lie, the convolutions of the blocks count in 8 bits, as
Jacob et al. 2018 (arXiv 1712.05877) have it: in half of the time, and hardly an answer is another one. A real value is
scale * (quantized value - zero point). Features are uint8 with one scale and zero point each tensor; weights are int8
with a scale each output channel and zero point 0; the sums of their products, to which the bias is added, are int32.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inference.checkpoint import Architecture, Checkpoint, misfit, quantize_kernels
from inference.crops import CROP_SIDE, LANDMARKS

OPSET = 18
"""The newest operators that the graph needs: means over axes that are given as inputs."""
IR_VERSION = 10
"""Of the file's form; older runtimes refuse newer ones."""
HEADS = ("votes", "labels")
COVERED = "covered"
QMAX = 255
"""The greatest quantized value of features, which are uint8; the least is 0."""
_LARGEST_BIAS = 2.0**30
"""Of a quantized bias: half of an int32, so that the products have room beside it."""
_NORM_EPSILON = 1e-5
"""PyTorch's default for batch norms."""

Array = NDArray[Any]


def build(checkpoint: Checkpoint) -> onnx.ModelProto:
    """Return the graph; `inference.network.Network.answer` is the same in PyTorch, but in floating point alone.

    Its inputs are `crops`, (n, CROP_SIDE, CROP_SIDE) uint8, and `shapes`, (n, LANDMARKS, 3) float32, NaN where there is
    no mesh. Its outputs are the logits `votes`, (n, 8), and `labels`, (n, 7), and, of a network with that head,
    `covered`, (n,), the log-odds that something hides the mouth.

    Raises:
        CheckpointError: the weights are not those of the architecture.
    """
    graph = _Graph(checkpoint)
    return _model(graph, _outputs(graph, checkpoint))


def build_watched(checkpoint: Checkpoint) -> tuple[onnx.ModelProto, list[str]]:
    """Return the graph in floating point, which also puts out the features whose ranges matter, and their names.

    Raises:
        CheckpointError: as `build`.
    """
    graph = _Graph(replace(checkpoint, ranges={}))
    outputs = _outputs(graph, checkpoint)
    for name, value in graph.watched.items():
        graph.add("Identity", value, output=name)
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return _model(graph, outputs), list(graph.watched)


def _outputs(graph: _Graph, checkpoint: Checkpoint) -> list[onnx.ValueInfoProto]:
    try:
        outputs = _network(graph, checkpoint.architecture)
        graph.check_all_used()
    except (KeyError, ValueError) as error:
        raise misfit() from error
    return outputs


def _model(graph: _Graph, outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
    inputs = [
        helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", CROP_SIDE, CROP_SIDE]),
        helper.make_tensor_value_info("shapes", TensorProto.FLOAT, ["n", LANDMARKS, 3]),
    ]
    return helper.make_model(
        helper.make_graph(graph.nodes, "face2emoji", inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="face2emoji",
    )


class _Graph:
    """Nodes and constants; whatever is called a value is the name of a node's output."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._weights = checkpoint.weights
        self._ranges = checkpoint.ranges
        self._used: set[str] = set()
        self.watched: dict[str, str] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def weight(self, name: str, *shape: int) -> Array:
        """Return weights of the checkpoint; KeyError where there are none, ValueError for another kind."""
        values = self._weights[name]
        if values.shape != shape or values.dtype != np.float32 or not np.isfinite(values).all():
            raise ValueError(f"{name}: {values.dtype} {values.shape} instead of finite float32 {shape}")
        self._used.add(name)
        return values

    def check_all_used(self) -> None:
        """Raise ValueError if the checkpoint has more than the network; `num_batches_tracked` is ignored."""
        weights = {name for name in self._weights if not name.endswith("num_batches_tracked")}
        if left := (weights - self._used) | (set(self._ranges) - self.watched.keys()):
            raise ValueError(f"of no use: {', '.join(sorted(left))}")

    def constant(self, values: Array) -> str:
        """Keep an array as it is, and return its value."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def ints(self, *values: int) -> str:
        """Return the value of a list of integers."""
        return self.constant(np.array(values, np.int64))

    def scalar(self, number: float) -> str:
        """Return the value of one number."""
        return self.constant(np.array(number, np.float32))

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node of an ONNX operator, and return its value."""
        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def norm(self, name: str, width: int) -> tuple[Array, Array]:
        """Return factor and summand, (width,) each, of a batch norm of the checkpoint."""
        gain, offset, mean, variance = (
            self.weight(f"{name}.{part}", width) for part in ("weight", "bias", "running_mean", "running_var")
        )
        if (variance < 0).any():
            raise ValueError(f"{name}: a variance below 0")
        factor = gain / np.sqrt(variance + _NORM_EPSILON)
        return factor, offset - mean * factor

    def fake_quantize(self, features: str, range_name: str) -> str:
        """Return the features quantized and dequantized, where their range is known; or else as they are.

        ONNX Runtime merges such pairs with the convolution between them into one that counts in 8 bits.
        """
        self.watched[range_name] = features
        if range_name not in self._ranges:
            return features
        scale, zero_point = _quantization(*self._ranges[range_name])
        parameters = self.scalar(scale), self.constant(np.array(zero_point, np.uint8))
        quantized = self.add("QuantizeLinear", features, *parameters)
        return self.add("DequantizeLinear", quantized, *parameters)

    def convolution(
        self, pictures: str, name: str, norm: str, shape: tuple[int, int, int], stride: int = 1, range_name: str = ""
    ) -> str:
        """Add a convolution with its batch norm folded in; return its value, (n, width, rows, columns).

        Args:
            pictures: a value, (n, channels in, rows, columns); padded by half of the kernel's side.
            name: of its weights in the checkpoint.
            norm: likewise of its batch norm.
            shape: channels out, channels in, side of the kernel.
            stride: rows and columns are divided by it.
            range_name: by which `pictures` went through `fake_quantize`; the convolution is int8 if it is known.

        Raises:
            KeyError: the checkpoint lacks one of the weights.
            ValueError: one has another shape or type, is not finite, or is a variance below 0.
        """
        width, before, side = shape
        factor, bias = self.norm(norm, width)
        kernel = self.weight(f"{name}.weight", width, before, side, side) * factor[:, None, None, None]
        around = side // 2
        if range_name in self._ranges:
            _, scales = quantize_kernels(kernel)
            input_scale, _ = _quantization(*self._ranges[range_name])
            # The bias is added in the int32 accumulator, so its scale is the product of the weights' and the input's.
            # A channel with next to no weights has so small a scale that its bias, which still counts, would overflow
            # there: its weights get the least scale at which the bias fits.
            scales = np.maximum(scales, np.abs(bias) / (input_scale * _LARGEST_BIAS)).astype(np.float32)
            int8_weights = np.rint(kernel / scales[:, None, None, None]).astype(np.int8)
            bias_scales = scales * np.float32(input_scale)
            int32_bias = np.rint(bias / bias_scales).astype(np.int32)
            constants = (self._dequantized(int8_weights, scales), self._dequantized(int32_bias, bias_scales))
        else:
            constants = (self.constant(kernel), self.constant(bias))
        return self.add(
            "Conv",
            pictures,
            *constants,
            kernel_shape=[side] * 2,
            strides=[stride] * 2,
            pads=[around] * 4,
        )

    def _dequantized(self, quantized: Array, scales: Array) -> str:
        """Return the value of integers, (width, ...), times their scales, (width,)."""
        zero_points = self.constant(np.zeros(len(scales), quantized.dtype))
        return self.add("DequantizeLinear", self.constant(quantized), self.constant(scales), zero_points, axis=0)

    def linear(self, features: str, name: str, shape: tuple[int, int], norm: str = "", output: str = "") -> str:
        """Add a linear layer, with the batch norm after it folded in; return its value, (n, width).

        Args:
            features: a value, (n, before).
            name: of its weights and bias in the checkpoint.
            shape: width and before: features out, features in.
            norm: likewise of the batch norm; "" for none.
            output: name of the value; "" to choose one.

        Raises:
            KeyError, ValueError: as `convolution`.
        """
        weight, bias = self.weight(f"{name}.weight", *shape), self.weight(f"{name}.bias", shape[0])
        if norm:
            factor, summand = self.norm(norm, shape[0])
            weight, bias = weight * factor[:, None], bias * factor + summand
        return self.add("Gemm", features, self.constant(weight), self.constant(bias), transB=1, output=output)


def _network(graph: _Graph, architecture: Architecture) -> list[onnx.ValueInfoProto]:
    """Add everything, and return the outputs."""
    seen = _stages(graph, architecture, _normalised(graph))
    width = architecture.widths[-1]
    of_face = graph.add("ReduceMean", seen, graph.ints(2, 3), keepdims=0)
    features = of_face
    if architecture.shape:
        features = graph.add("Concat", features, _shape(graph, architecture.shape), axis=1)
    outputs = []
    for head, classes in zip(HEADS, (architecture.votes, architecture.labels), strict=True):
        graph.linear(features, head, (classes, width + architecture.shape), output=head)
        outputs.append(helper.make_tensor_value_info(head, TensorProto.FLOAT, ["n", classes]))
    if architecture.covers:
        both = graph.add("Concat", of_face, _of_mouth(graph, seen), axis=1)
        graph.add("Squeeze", graph.linear(both, "covers", (1, 2 * width)), graph.ints(1), output=COVERED)
        outputs.append(helper.make_tensor_value_info(COVERED, TensorProto.FLOAT, ["n"]))
    return outputs


def _normalised(graph: _Graph) -> str:
    """Add what `inference.network.normalise` does."""
    pictures, sides = graph.add("Cast", "crops", to=TensorProto.FLOAT), graph.ints(1, 2)
    centred = graph.add("Sub", pictures, graph.add("ReduceMean", pictures, sides))
    squares = graph.add("ReduceSumSquare", centred, sides)
    variance = graph.add("Div", squares, graph.scalar(CROP_SIDE**2 - 1))
    deviation = graph.add("Add", graph.add("Sqrt", variance), graph.scalar(8.0))
    return graph.add("Unsqueeze", graph.add("Div", centred, deviation), graph.ints(1))


def _stages(graph: _Graph, architecture: Architecture, pictures: str) -> str:
    before = architecture.widths[0]
    out = graph.add("Relu", graph.convolution(pictures, "stem.0", "stem.1", (before, 1, 3), stride=2))
    inner = architecture.inner_widths()
    block = 0
    for stage, (width, count) in enumerate(zip(architecture.widths, architecture.blocks, strict=True)):
        for first in range(count):
            stride = 2 if stage and not first else 1
            out = _block(graph, f"stages.{block}", out, (width, inner[block], before), stride)
            before = width
            block += 1
    return out


def _block(graph: _Graph, name: str, pictures: str, widths: tuple[int, int, int], stride: int) -> str:
    """Add two convolutions beside a shortcut; `widths` are the block's, that between the two, and the one before."""
    width, inner, before = widths
    # What checkpoints call the ranges.
    input_range, inner_range, output_range = f"{name}.taken", f"{name}.between", f"{name}.given"
    path = graph.fake_quantize(pictures, input_range)
    path = graph.convolution(path, f"{name}.path.0", f"{name}.path.1", (inner, before, 3), stride, input_range)
    path = graph.fake_quantize(graph.add("Relu", path), inner_range)
    path = graph.convolution(path, f"{name}.path.3", f"{name}.path.4", (width, inner, 3), range_name=inner_range)
    path = graph.fake_quantize(path, output_range)
    shortcut = pictures
    if stride > 1:
        shortcut = graph.add("AveragePool", pictures, kernel_shape=[stride] * 2, strides=[stride] * 2)
    if stride > 1 or before != width:
        input_range, output_range = f"{name}.shortcut.taken", f"{name}.shortcut.given"
        shortcut = graph.fake_quantize(shortcut, input_range)
        shortcut = graph.convolution(
            shortcut, f"{name}.shortcut.1", f"{name}.shortcut.2", (width, before, 1), range_name=input_range
        )
        shortcut = graph.fake_quantize(shortcut, output_range)
    return graph.add("Relu", graph.add("Add", path, shortcut))


def _quantization(least: float, most: float) -> tuple[float, int]:
    """Return scale and zero point, 0 to QMAX, of features between these values; a real 0 is always met exactly."""
    least, most = min(least, 0.0), max(most, 0.0)
    scale = max((most - least) / QMAX, 1e-12)
    return scale, round(-least / scale)


def _of_mouth(graph: _Graph, seen: str) -> str:
    """Add the mean of the features over the middle of the lower half."""
    side = CROP_SIDE // 16
    middle = (side // 4, side - side // 4)
    begins, ends = graph.ints(side // 2, middle[0]), graph.ints(side, middle[1])
    mouth = graph.add("Slice", seen, begins, ends, graph.ints(2, 3))
    return graph.add("ReduceMean", mouth, graph.ints(2, 3), keepdims=0)


def _shape(graph: _Graph, features: int) -> str:
    """Add the perceptron on the face's shape; a face without a mesh counts as the mean face."""
    mean, deviation = (graph.constant(graph.weight(f"shape.{name}", LANDMARKS, 3)) for name in ("mean", "deviation"))
    scaled = graph.add("Div", graph.add("Sub", "shapes", mean), deviation)
    known = graph.add("Where", graph.add("IsNaN", scaled), graph.scalar(0.0), scaled)
    standard = graph.add("Flatten", graph.add("Clip", known, graph.scalar(-5.0), graph.scalar(5.0)))
    hidden = graph.linear(standard, "shape.layers.0", (2 * features, 3 * LANDMARKS), norm="shape.layers.1")
    return graph.add("Relu", graph.linear(graph.add("Relu", hidden), "shape.layers.4", (features, 2 * features)))

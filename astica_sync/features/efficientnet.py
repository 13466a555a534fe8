"""EfficientNet-Lite0 as an ONNX graph that ends in its features, made from the published weights.

Source of the shape: the table of blocks in Tan and Le, "EfficientNet" (2019), and of Lite0 (no squeeze-and-excite,
ReLU6 in place of Swish, 224 pixels, preprocessing ``(x - 127) / 128``) the release notes of EfficientNet-Lite (2020).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

SIDE = 224
FEATURES = 1280
INPUT, OUTPUT = "pixels", "features"

_EPSILON = 1e-3


class _Stage(NamedTuple):
    blocks: int
    kernel: int
    stride: int
    expansion: int
    width: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_STEM = 32


class _Graph:
    """Collects nodes and constants."""

    def __init__(self, weights: Mapping[str, npt.NDArray[Any]]) -> None:
        from onnx import helper, numpy_helper

        self._helper, self._numpy = helper, numpy_helper
        self._weights = weights
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        self.constants.append(self._numpy.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(self._helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def convolve(self, source: str, convolution: str, norm: str, side: int, *, stride: int = 1, active: bool) -> str:
        """A convolution with its normalisation folded in, padded as TensorFlow does. Six parameters: what is applied
        to what, and how."""
        kernel = self._weights[f"{convolution}.weight"]
        scale = self._weights[f"{norm}.weight"] / np.sqrt(self._weights[f"{norm}.running_var"] + _EPSILON)
        bias = self._weights[f"{norm}.bias"] - self._weights[f"{norm}.running_mean"] * scale
        size = kernel.shape[2]
        total = max((-(-side // stride) - 1) * stride + size - side, 0)
        before, after = total // 2, total - total // 2
        name = self.add(
            "Conv",
            [
                source,
                self.constant(f"{convolution}.kernel", (kernel * scale[:, None, None, None]).astype(np.float32)),
                self.constant(f"{convolution}.bias", bias.astype(np.float32)),
            ],
            convolution,
            group=kernel.shape[0] if kernel.shape[1] == 1 and size > 1 else 1,
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[before, before, after, after],
        )
        return self.add("Clip", [name, "zero", "six"], f"{convolution}.active") if active else name


def build_onnx(weights: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The serialised graph: ``pixels`` (n, 224, 224, 3) of bytes to ``features`` (n, 1280).

    Raises:
        KeyError: a weight is missing, so that they are of another network.
    """
    from onnx import TensorProto, helper

    graph = _Graph(weights)
    graph.constant("zero", np.array(0, np.float32))
    graph.constant("six", np.array(6, np.float32))
    graph.constant("middle", np.array(127, np.float32))
    graph.constant("range", np.array(128, np.float32))
    floats = graph.add("Cast", [INPUT], "floats", to=TensorProto.FLOAT)
    planes = graph.add("Transpose", [floats], "planes", perm=[0, 3, 1, 2])
    value = graph.add("Div", [graph.add("Sub", [planes, "middle"], "shifted"), "range"], "scaled")
    value = graph.convolve(value, "_conv_stem", "_bn0", SIDE, stride=2, active=True)
    side, width, number = SIDE // 2, _STEM, 0
    for stage in _STAGES:
        for block in range(stage.blocks):
            place = f"_blocks.{number}"
            stride = stage.stride if block == 0 else 1
            before = value
            if stage.expansion > 1:
                value = graph.convolve(value, f"{place}._expand_conv", f"{place}._bn0", side, active=True)
            value = graph.convolve(value, f"{place}._depthwise_conv", f"{place}._bn1", side, stride=stride, active=True)
            side = -(-side // stride)
            value = graph.convolve(value, f"{place}._project_conv", f"{place}._bn2", side, active=False)
            if stride == 1 and width == stage.width:
                value = graph.add("Add", [value, before], f"{place}.sum")
            width = stage.width
            number += 1
    value = graph.convolve(value, "_conv_head", "_bn1", side, active=True)
    pooled = graph.add("GlobalAveragePool", [value], "pooled")
    graph.add("Flatten", [pooled], OUTPUT)
    built = helper.make_graph(
        graph.nodes,
        "efficientnet-lite0",
        [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", FEATURES])],
        graph.constants,
    )
    model = helper.make_model(built, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())

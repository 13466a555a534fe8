"""Features of images, and the files that networks come in."""

import pickle
import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from astica_sync.errors import ConfigError
from astica_sync.features import extractor as extractor_module
from astica_sync.features.efficientnet import FEATURES, build_onnx
from astica_sync.features.extractor import GradientExtractor, OnnxExtractor, load_extractor
from astica_sync.features.torch_weights import read_weights

needs_network = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("onnx", "onnxruntime", extractor_module.WEIGHTS_PACKAGE)),
    reason="the extra features is not installed",
)
# Of ImageNet's classes: what may stand for the picture of the palace, and for that of the flower.
SEEN = {"china.jpg": {698, 442, 663, 483}, "flower.jpg": {985, 947}}


def squares(side: int) -> np.ndarray:
    """The middle of the two photos that scikit-learn ships."""
    found = []
    for name in SEEN:
        image = Image.fromarray(load_sample_image(name))
        short = min(image.size)
        left, top = (image.width - short) // 2, (image.height - short) // 2
        found.append(np.asarray(image.crop((left, top, left + short, top + short)).resize((side, side))))
    return np.stack(found)


@needs_network
def test_the_network_that_is_built_recognises_photos() -> None:
    found = extractor_module._find_weights()
    assert found is not None
    weights = read_weights(found)
    features = OnnxExtractor(build_onnx(weights), "network").extract(squares(224))
    assert features.shape == (2, FEATURES)
    scores = features @ weights["_fc.weight"].T + weights["_fc.bias"]
    for row, expected in zip(scores, SEEN.values(), strict=True):
        assert int(row.argmax()) in expected


@needs_network
def test_the_extra_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_extractor().name == "efficientnet-lite0"
    monkeypatch.setattr(extractor_module, "WEIGHTS_PACKAGE", "no_such_package")
    assert load_extractor().name == "gradients-16"


@needs_network
@pytest.mark.parametrize(("shape", "planes"), [(["n", 3, 8, 8], True), (["n", 8, 8, 3], False)])
def test_a_network_of_the_user_is_used_whichever_way_its_input_lies(
    tmp_path: Path, shape: list[str | int], planes: bool
) -> None:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["y"])],
        "flat",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 192])],
    )
    path = tmp_path / "mine.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    made = load_extractor(path)
    assert (made.side, made.length, made.name[:5]) == (8, 192, "mine-")
    pixels = np.zeros((3, 8, 8, 3), np.uint8)
    pixels[1, 0, 0, 2] = 255
    rows = made.extract(pixels)
    assert rows.shape == (3, 192)
    assert rows[1].max() == pytest.approx(1.0)
    assert int(rows[1].argmax()) == (2 * 64 if planes else 2)
    assert made.extract(pixels[:0]).shape == (0, 192)


@needs_network
@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x08" * 100])
def test_a_file_that_is_no_network_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be used"):
        load_extractor(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_extractor(tmp_path / "missing.onnx")


def write_pickles(path: Path, tensors: object, rest: bytes = b"") -> Path:
    """A file that begins as PyTorch's do."""
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    path.write_bytes(b"".join(pickle.dumps(one, 2) for one in head) + pickle.dumps(tensors, 2) + rest)
    return path


class Runs:
    """Names a function that a file must not be able to call."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("planted"),)  # type: ignore[return-value]


def test_a_file_of_weights_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"is no file of weights|not written"):
        read_weights(write_pickles(tmp_path / "a.pth", Runs()))
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"text", pickle.dumps(3), pickle.dumps({}) * 5, b"\x80\x02]q\x00(K\x01"],
)
def test_what_is_no_file_of_weights_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights|PyTorch"):
        read_weights(path)


@needs_network
@pytest.mark.parametrize("left", [100, 20_000, 1_000_000])
def test_a_file_of_weights_that_is_cut_off_is_refused(tmp_path: Path, left: int) -> None:
    found = extractor_module._find_weights()
    assert found is not None
    path = tmp_path / "cut.pth"
    path.write_bytes(found.read_bytes()[:left])
    with pytest.raises(ValueError, match=r"weights|cut off"):
        read_weights(path)


@needs_network
def test_a_storage_that_names_too_many_elements_is_refused(tmp_path: Path) -> None:
    found = extractor_module._find_weights()
    assert found is not None
    data = bytearray(found.read_bytes())
    # The first storage begins after the list of keys; its count of elements is a small number in eight bytes.
    with found.open("rb") as file:
        for _ in range(3):
            pickle.load(file)
        names = __import__("astica_sync.features.torch_weights", fromlist=["_Names"])._Names
        names(file).load()
        names(file).load()
        place = file.tell()
    data[place : place + 8] = struct.pack("<Q", 1 << 40)
    path = tmp_path / "large.pth"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="more elements"):
        read_weights(path)


def test_features_without_a_network_are_the_same_for_the_same_picture() -> None:
    made = GradientExtractor()
    rows = made.extract(np.concatenate([squares(64), squares(64)]))
    assert rows.shape == (4, made.length)
    np.testing.assert_array_equal(rows[:2], rows[2:])
    assert np.abs(rows[0] - rows[1]).max() > 0.1
    assert made.extract(np.zeros((0, 64, 64, 3), np.uint8)).shape == (0, made.length)

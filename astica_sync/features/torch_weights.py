"""Reads the weights in a file that PyTorch wrote, without PyTorch and without running what the file names.

The file is a sequence of pickles: a magic number, the version of the protocol, a description of the machine, the
tensors by name, and the keys of their storages; then each storage as its number of elements and their bytes.
Source: ``_legacy_save`` and ``_legacy_load`` in PyTorch's ``torch/serialization.py``.
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

_MAGIC = 0x1950A86A20F9469CFC6C
_KINDS = {"FloatStorage": "<f4", "LongStorage": "<i8"}
_MOST_ELEMENTS = 1 << 28


class _Names(pickle.Unpickler):
    """Knows the four names that a dictionary of tensors needs and refuses any other."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _describe_tensor
        if module == "torch" and name in _KINDS:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is not part of a dictionary of weights")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        _, kind, key, *_ = pid
        return str(kind), str(key)


def _describe_tensor(
    storage: tuple[str, str], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> Any:
    return storage, offset, shape, strides


def read_weights(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The tensors by name.

    Raises:
        ValueError: the file is not of this kind.
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{path.name} is no file of weights: {error}") from error


def _read(file: BinaryIO) -> dict[str, npt.NDArray[Any]]:
    if _Names(file).load() != _MAGIC:
        raise ValueError("not written by PyTorch, or in its newer format")
    _Names(file).load()
    _Names(file).load()
    tensors = _Names(file).load()
    keys = _Names(file).load()
    kinds = {storage[1]: _KINDS[storage[0]] for storage, *_ in tensors.values()}
    storages = {}
    for key in keys:
        count = int.from_bytes(file.read(8), "little")
        if count > _MOST_ELEMENTS:
            raise ValueError("it names more elements than any such network has")
        kind = np.dtype(kinds[key])
        data = file.read(count * kind.itemsize)
        if len(data) != count * kind.itemsize:
            raise ValueError("it is cut off")
        storages[key] = np.frombuffer(data, kind)
    found = {}
    for name, ((_, key), offset, shape, strides) in tensors.items():
        storage = storages[key]
        last = offset + sum((count - 1) * step for count, step in zip(shape, strides, strict=True))
        if min((offset, *shape, *strides), default=0) < 0 or 0 in shape or last >= len(storage):
            raise ValueError(f"{name} is larger than its storage")
        steps = tuple(step * storage.itemsize for step in strides)
        found[str(name)] = np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)
    return found

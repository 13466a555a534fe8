"""The Python API: ``Store`` has a method for each command, ``Client`` one for each documented call of the service."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astica_sync.api.client import Client
    from astica_sync.api.store import Store
    from astica_sync.api.training_run import TrainingResult

__all__ = ["Client", "Store", "TrainingResult"]

_MODULES = {"Client": "client", "Store": "store", "TrainingResult": "training_run"}


def __getattr__(name: str) -> Any:
    # Loaded on use: each of them imports what the others do not need.
    from importlib import import_module

    if name in __all__:
        return getattr(import_module(f"astica_sync.api.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

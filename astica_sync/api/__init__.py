"""The Python API: a ``Store`` for what the commands do, a ``Client`` for the documented calls."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astica_sync.api.client import Client
    from astica_sync.api.store import Store, Trained

__all__ = ["Client", "Store", "Trained"]


def __getattr__(name: str) -> Any:
    # Loaded when used: each of them draws in what the other does not need.
    from importlib import import_module

    if name in __all__:
        return getattr(import_module("astica_sync.api.client" if name == "Client" else "astica_sync.api.store"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

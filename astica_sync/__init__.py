"""Keeps a remote custom vision model in sync with a folder of images."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astica_sync.api import Client, Store

__version__ = "0.2.0"
__all__ = ["Client", "Store", "__version__"]


def __getattr__(name: str) -> Any:
    # Loaded when used: a command that only prints its version needs neither the network nor a database.
    if name in ("Client", "Store"):
        from astica_sync import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

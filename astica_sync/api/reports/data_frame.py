"""Rows as a data frame of pandas, which is an optional package."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from astica_sync.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd


def data_frame(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> "pd.DataFrame":
    """The rows under these columns; those of times, whose names end with ``_at``, are dates in UTC.

    Raises:
        ConfigError: pandas is not installed, or cannot be loaded.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise ConfigError(
            "this needs pandas, which is not installed", "Run: pip install 'astica-sync[pandas]'"
        ) from error
    except ImportError as error:
        raise ConfigError(
            f"pandas cannot be loaded: {error}", "Install it again: pip install --force-reinstall pandas"
        ) from error
    found = list(rows)
    frame = pd.DataFrame({name: [row[place] for row in found] for place, name in enumerate(columns)})
    for name in columns:
        if name.endswith("_at"):
            frame[name] = pd.to_datetime(frame[name].astype("float64"), unit="s", utc=True)
    return frame

"""The Python API: ``Store`` has a method for each command, ``Client`` one for each documented call of the service."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astica_sync.api.client import Client
    from astica_sync.api.progress_lines import ProgressLines
    from astica_sync.api.reports.evaluation_report import EvaluationReport
    from astica_sync.api.reports.status_report import PlanReport, StatusReport
    from astica_sync.api.reports.version_list import VersionList
    from astica_sync.api.run_training import TrainingResult
    from astica_sync.api.samples import Samples, SampleState
    from astica_sync.api.store import Store
    from astica_sync.sync.progress import ProgressListener

__all__ = [
    "Client",
    "EvaluationReport",
    "PlanReport",
    "ProgressLines",
    "ProgressListener",
    "SampleState",
    "Samples",
    "StatusReport",
    "Store",
    "TrainingResult",
    "VersionList",
]

_MODULES = {
    "Client": "api.client",
    "EvaluationReport": "api.reports.evaluation_report",
    "PlanReport": "api.reports.status_report",
    "ProgressLines": "api.progress_lines",
    "ProgressListener": "sync.progress",
    "SampleState": "api.samples",
    "Samples": "api.samples",
    "StatusReport": "api.reports.status_report",
    "Store": "api.store",
    "TrainingResult": "api.run_training",
    "VersionList": "api.reports.version_list",
}


def __getattr__(name: str) -> Any:
    # Loaded on use: each of them imports what the others do not need.
    from importlib import import_module

    if name in __all__:
        return getattr(import_module(f"astica_sync.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""A watcher's numbers for Prometheus: on a loopback port, or in a file for the node exporter's textfile collector."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from astica_sync.core.watch.watch_status import State, WatchStatus
from astica_sync.errors import AsticaSyncError, ConfigError

WRITE_EVERY = 15.0


class WatchMetrics:
    """Collects the numbers of all stores when it is asked for them.

    Args:
        budget: how many requests of a store's key count now, and how many may; None where that cannot be said.

    Raises:
        ConfigError: the library is not installed.
        AsticaSyncError: the port is taken.
    """

    def __init__(
        self,
        reports: Sequence[WatchStatus],
        *,
        port: int | None,
        file: Path | None,
        wall: Callable[[], float],
        budget: Callable[[str], tuple[int, int] | None] = lambda _: None,
    ) -> None:
        try:
            import prometheus_client
        except ImportError:
            raise ConfigError(
                "numbers need prometheus_client, which is not installed", "Run: pip install 'astica-sync[metrics]'"
            ) from None
        self._library = prometheus_client
        self._reports = reports
        self._file = file
        self._wall = wall
        self._budget = budget
        self._written = float("-inf")
        self._server: Any = None
        self._registry = prometheus_client.CollectorRegistry()
        self._registry.register(self)
        if port is not None:
            try:
                self._server, _ = prometheus_client.start_http_server(port, addr="127.0.0.1", registry=self._registry)
            except OSError as error:
                raise AsticaSyncError(
                    f"port {port} cannot be listened on: {error.strerror}", "Choose another port for the numbers."
                ) from None

    @property
    def port(self) -> int | None:
        """Where the numbers are served."""
        return None if self._server is None else int(self._server.server_port)

    def collect(self) -> Iterator[Any]:
        """What the library asks for."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        kinds: list[tuple[Any, str, str, Callable[[WatchStatus], float | None]]] = [
            (CounterMetricFamily, "uploads", "samples uploaded", lambda report: report.uploaded),
            (CounterMetricFamily, "removals", "samples removed", lambda report: report.removed),
            (GaugeMetricFamily, "queue", "samples that wait for their upload", lambda report: report.queue),
            (GaugeMetricFamily, "problems", "files that are no samples", lambda report: report.problems),
            (GaugeMetricFamily, "scan_seconds", "time the last scan took", lambda report: report.scan_seconds),
            (GaugeMetricFamily, "refusals", "what waits for a person's word", lambda report: len(report.refusals)),
            (GaugeMetricFamily, "since_agreement_seconds", "time since service and store agreed", self._since),
        ]
        for family, name, text, value in kinds:
            metric = family(f"astica_sync_{name}", text, labels=["store"])
            for report in self._reports:
                found = value(report)
                if found is not None:
                    metric.add_metric([report.store], found)
            yield metric
        yield from self._kinds("failures", "samples not sent or removed, answers lost", lambda report: report.failures)
        yield from self._kinds("troubles", "what made it rest, hold or halt", lambda report: report.troubles)
        used = GaugeMetricFamily("astica_sync_budget_used", "requests that count at this moment", labels=["store"])
        limit = GaugeMetricFamily("astica_sync_budget_limit", "requests that may count", labels=["store"])
        for report in self._reports:
            use = self._budget(report.store)
            if use is not None:
                used.add_metric([report.store], use[0])
                limit.add_metric([report.store], use[1])
        yield from (used, limit)
        states = GaugeMetricFamily("astica_sync_state", "1 for the state the watcher is in", labels=["store", "state"])
        for report in self._reports:
            for state in State:
                states.add_metric([report.store, str(state)], float(report.state is state))
        yield states

    def _kinds(self, name: str, text: str, counts: Callable[[WatchStatus], dict[str, int]]) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily

        metric = CounterMetricFamily(f"astica_sync_{name}", text, labels=["store", "reason"])
        for report in self._reports:
            # A copy, since the watcher counts on while this is asked for on another thread.
            for reason, count in sorted(counts(report).copy().items()):
                metric.add_metric([report.store, reason], count)
        yield metric

    def turn(self) -> None:
        """Writes the file, now and then."""
        if self._file is not None and self._wall() >= self._written + WRITE_EVERY:
            self._written = self._wall()
            with contextlib.suppress(OSError):
                self._library.write_to_textfile(str(self._file), self._registry)

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _since(self, report: WatchStatus) -> float | None:
        return None if report.agreed_at is None else max(0.0, self._wall() - report.agreed_at)

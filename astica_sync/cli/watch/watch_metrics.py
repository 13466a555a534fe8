"""Prometheus metrics of a watcher: on a loopback port, or in a file for the node exporter's textfile collector."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import urlsplit

from astica_sync.core.watch.watch_status import WatchState, WatchStatus
from astica_sync.errors import AsticaSyncError, ConfigError
from astica_sync.local.target_folder import write_user_file
from astica_sync.service_address import is_this_machine

WRITE_EVERY = 15.0


WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def _serve(port: int, app: WsgiApp) -> Any:
    """A server on a loopback port, in a thread.

    Raises:
        OSError: the port is in use.
    """
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True

    class Handler(WSGIRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Prints nothing."""

    server = Server(("127.0.0.1", port), Handler)
    server.set_app(local_requests_only(app))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def local_requests_only(app: WsgiApp) -> WsgiApp:
    """Refuses requests under a name that is not this machine's: a web page can reach a loopback port under a name of
    its own (DNS rebinding), and would read the answer."""

    def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            host = urlsplit(f"//{environ.get('HTTP_HOST', '')}").hostname or ""
        except ValueError:
            host = ""
        if is_this_machine(host) and "HTTP_ORIGIN" not in environ:
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"These metrics are for programs on this machine: ask for 127.0.0.1 or localhost.\n"]

    return checked


class WatchMetrics:
    """Collects the metrics of all stores on request.

    Args:
        budget: how many requests of a store's key count against the limit now, and the limit; None if unknown.
        fleet: how many processes share that budget on a server now, on how many machines; None if unknown.

    Raises:
        ConfigError: the library is not installed.
        AsticaSyncError: the port is in use.
    """

    def __init__(
        self,
        statuss: Sequence[WatchStatus],
        *,
        port: int | None,
        file: Path | None,
        wall: Callable[[], float],
        budget: Callable[[str], tuple[int, int] | None] = lambda _: None,
        fleet: Callable[[str], tuple[int, int] | None] = lambda _: None,
    ) -> None:
        try:
            import prometheus_client
        except ImportError:
            raise ConfigError(
                "--metrics needs the library prometheus_client", "Install it: pip install 'astica-sync[metrics]'"
            ) from None
        self._library = prometheus_client
        self._statuss = statuss
        self._file = file
        self._wall = wall
        self._budget = budget
        self._fleet = fleet
        self._written = float("-inf")
        self._server: Any = None
        self._registry = prometheus_client.CollectorRegistry()
        self._registry.register(self)
        if port is not None:
            try:
                self._server = _serve(port, prometheus_client.make_wsgi_app(self._registry))
            except OSError as error:
                raise AsticaSyncError(
                    f"cannot serve metrics on port {port}: {error.strerror}", "Choose another port: --metrics PORT"
                ) from None

    @property
    def port(self) -> int | None:
        """The port on which the metrics are served; None without one."""
        return None if self._server is None else int(self._server.server_port)

    def collect(self) -> Iterator[Any]:
        """Called by prometheus_client."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        kinds: list[tuple[Any, str, str, Callable[[WatchStatus], float | None]]] = [
            (CounterMetricFamily, "uploads", "samples uploaded", lambda status: status.uploaded),
            (CounterMetricFamily, "removals", "samples removed", lambda status: status.removed),
            (GaugeMetricFamily, "queue", "samples waiting for upload", lambda status: status.queue),
            (
                GaugeMetricFamily,
                "problems",
                "files in the store that cannot be samples",
                lambda status: status.problems,
            ),
            (GaugeMetricFamily, "scan_seconds", "duration of the last scan", lambda status: status.scan_seconds),
            (
                GaugeMetricFamily,
                "refusals",
                "items that need a decision by the user",
                lambda status: len(status.refusals),
            ),
            (
                GaugeMetricFamily,
                "since_agreement_seconds",
                "time since store and service were last in sync",
                self._since,
            ),
        ]
        for family, name, text, value in kinds:
            metric = family(f"astica_sync_{name}", text, labels=["store"])
            for status in self._statuss:
                amount = value(status)
                if amount is not None:
                    metric.add_metric([status.store], amount)
            yield metric
        yield from self._kinds(
            "failures",
            "samples that could not be uploaded or removed, and lost answers",
            lambda status: status.failures,
        )
        yield from self._kinds(
            "troubles", "errors that made the watcher rest, hold or halt", lambda status: status.troubles
        )
        used = GaugeMetricFamily(
            "astica_sync_budget_used", "requests that count against the limit now", labels=["store"]
        )
        limit = GaugeMetricFamily("astica_sync_budget_limit", "the request limit", labels=["store"])
        processes = GaugeMetricFamily(
            "astica_sync_fleet_processes", "processes that share the request budget on a server", labels=["store"]
        )
        machines = GaugeMetricFamily("astica_sync_fleet_machines", "the machines that they run on", labels=["store"])
        for status in self._statuss:
            use = self._budget(status.store)
            if use is None:
                # A server that is away is not asked a second time.
                continue
            used.add_metric([status.store], use[0])
            limit.add_metric([status.store], use[1])
            fleet = self._fleet(status.store)
            if fleet is not None:
                processes.add_metric([status.store], fleet[0])
                machines.add_metric([status.store], fleet[1])
        yield from (used, limit, processes, machines)
        states = GaugeMetricFamily("astica_sync_state", "1 for the state the watcher is in", labels=["store", "state"])
        for status in self._statuss:
            for state in WatchState:
                states.add_metric([status.store, str(state)], float(status.state is state))
        yield states

    def _kinds(self, name: str, text: str, counts: Callable[[WatchStatus], dict[str, int]]) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily

        metric = CounterMetricFamily(f"astica_sync_{name}", text, labels=["store", "reason"])
        for status in self._statuss:
            # A copy, since this runs in another thread than the watcher.
            for reason, count in sorted(counts(status).copy().items()):
                metric.add_metric([status.store, reason], count)
        yield metric

    def write(self) -> None:
        """Writes the file if the last time is long enough ago; a disk error is ignored."""
        if self._file is not None and self._wall() >= self._written + WRITE_EVERY:
            self._written = self._wall()
            with contextlib.suppress(OSError):
                write_user_file(self._file, self._library.generate_latest(self._registry))

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _since(self, status: WatchStatus) -> float | None:
        return None if status.agreed_at is None else max(0.0, self._wall() - status.agreed_at)

"""Fixtures for all tests: a sandbox for each test, the settings of its switches, and those of ``fixtures_cli``."""

import atexit
import os
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import settings

from astica_sync.sandbox.embedded import RunningSandbox, running
from astica_sync.sandbox.switches import Switches
from tests.harness.warm_workers import keep_ready

pytest_plugins = ["tests.fixtures_cli"]

# No property here is about time, and a busy machine is slow.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

# The tests must not read a key from this machine's keyring.
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"

# Nor do they write to the state folder of the user who runs them.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="astica-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

# Several test processes share the cores: the threads that linear algebra starts in each would wait for one another.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# Ignored signals are inherited, and tests that run under nohup still send this one.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

if "PYTEST_XDIST_WORKER" in os.environ:
    # Coverage is measured in the processes that run tests, not in those that tests start.
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

# Each undocumented habit of the service, away from its default, and the most awkward ones together.
SETTINGS = {
    "as documented": Switches(),
    "errors are 4xx": Switches(error_status="4xx"),
    "limit names a time": Switches(limit_refusal="429-retry-after"),
    "limit is a text": Switches(limit_refusal="error-text"),
    "limit is a text with 4xx": Switches(limit_refusal="error-text", error_status="4xx"),
    "uids may not repeat": Switches(repeated_uids="refuse"),
    "uids replace": Switches(repeated_uids="replace"),
    "empty classes go": Switches(empty_class="goes"),
    "titles fold": Switches(titles="fold"),
    "titles are NFC": Switches(titles="nfc"),
    "titles are NFD": Switches(titles="nfd"),
    "views lag": Switches(view_lag=0.3),
    "integers are strings": Switches(integers="string"),
    "uids are cut at 40": Switches(uid_length=40),
    "uids are cut at 32": Switches(uid_length=32),
    "untrained says nothing": Switches(untrained="missing"),
    "untrained says null": Switches(untrained="null"),
    "lists do not count": Switches(list_counts="missing"),
    "no model list": Switches(model_list="unknown"),
    "versions are dates": Switches(version_form="date"),
    "confidence is a number": Switches(confidence="number"),
    "confidence is in percent": Switches(confidence="percent"),
    "all at once": Switches(
        error_status="4xx",
        limit_refusal="error-text",
        repeated_uids="refuse",
        empty_class="goes",
        titles="fold",
        integers="string",
        untrained="missing",
        list_counts="missing",
        model_list="unknown",
        version_form="date",
        confidence="number",
        view_lag=0.2,
        uid_length=40,
    ),
}


# What a test under every setting runs under in ``make test``; the other settings are for ``make test-long``.
TELLING = {"as documented", "uids replace", "titles are NFD", "views lag", "uids are cut at 32", "all at once"}


FEW = 2
"""Of a test that starts a sandbox or a command, ``make test`` runs so many sets of parameters, and ``make test-long``
the others."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    counts = Counter[str]()
    for item in items:
        if not isinstance(item, pytest.Function) or not {"sandbox", "shell"} & set(item.fixturenames):
            continue
        if item.get_closest_marker("long") is None:
            test = f"{item.path}::{item.originalname}"
            counts[test] += 1
            if counts[test] > FEW:
                item.add_marker(pytest.mark.long)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test marked ``switches`` runs once under each setting; one that names settings runs under those alone.

    Where these are more than three, ``make test`` runs the telling ones, and ``make test-long`` the others.
    """
    marker = metafunc.definition.get_closest_marker("switches")
    if marker is not None:
        named = [str(name) for name in marker.args]
        names = named or list(SETTINGS)
        settings = [
            pytest.param(
                SETTINGS[name], id=name, marks=pytest.mark.long if len(names) > 3 and name not in TELLING else ()
            )
            for name in names
        ]
        metafunc.parametrize("switches", settings, indirect=True)


@pytest.fixture(autouse=True)
def warm_workers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Image workers stay ready from one test to the next, where the workers themselves are not what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        if "local/image" not in request.node.nodeid:
            keep_ready(patch)
        yield


@pytest.fixture
def switches(request: pytest.FixtureRequest) -> Switches:
    """The sandbox's switches in this test: the defaults, or one setting after the other under the mark."""
    setting: Switches = getattr(request, "param", Switches())
    return setting


@pytest.fixture
def sandbox(switches: Switches) -> Iterator[RunningSandbox]:
    """An empty sandbox of this test's own, with the limit of 90 per 60 seconds; see ``RunningSandbox`` for the rest."""
    with running(switches=switches) as box:
        yield box

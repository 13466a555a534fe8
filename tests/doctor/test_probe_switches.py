"""``doctor --probe`` names every habit of a sandbox whose switches were chosen at random, and the client is right
under these habits with the file that the probe wrote.

``largest_image`` is looked at in two of the sandboxes alone (``LARGEST_IMAGES``): the probe needs one or two uploads of
20 MB for it, and makes them only with ``--with large``. ``test_probe_command.py`` has the cases of that flag, and
``tests/core/test_judge_samples.py`` what is concluded from the answers.
"""

import random
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import fields, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from astica_sync.clock import SystemClock
from astica_sync.config import load_settings, service_facts_file
from astica_sync.core.service_facts.fact import MEANINGS, SECONDS, Fact
from astica_sync.core.service_facts.quarantine_from_lag import quarantine_for
from astica_sync.core.service_facts.sandbox_switches import switches_like
from astica_sync.doctor.probe import probe_requests
from astica_sync.doctor.probe.images import halves
from astica_sync.doctor.probe.probe_requests import ProbeOptions
from astica_sync.doctor.probe.run_probe import ProbeResult, price_of, run_probe
from astica_sync.errors import AsticaSyncError
from astica_sync.local.service_facts_file import ServiceFacts, read_service_facts, write_service_facts
from astica_sync.sandbox.embedded import RunningSandbox, running
from astica_sync.sandbox.switches import Switches
from astica_sync.secret import Secret
from astica_sync.sync.progress import ProgressListener
from tests.harness.shell import Shell, fill, in_store, on_service

LIMIT = 150
FAST = 2
SANDBOXES = 64
LAGS = (0.0, 0.0, 0.0, 0.4, 1.1)
OF_A_VERSION = {"version_form", "confidence", "orientation", "training_time"}
"""What shows in a version and its detections alone."""
LARGEST_IMAGES = {2: 20_971_520, 3: 20_000_000}
"""The sandboxes that are asked for the largest image too, and what they accept."""


@pytest.fixture
def image_url() -> Iterator[str]:
    """An address of an image on this machine."""
    image = halves("left", 0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(image)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/a.jpg"
        server.shutdown()
        thread.join()


def random_switches(seed: int) -> Switches:
    """Each switch by chance; what a probe needs longer for is rarer."""
    chance = random.Random(seed)
    values: dict[str, Any] = {
        one.name: chance.choice(one.metadata["choices"]) for one in fields(Switches) if "choices" in one.metadata
    }
    values |= {name: chance.choice(LAGS) for name in ("view_lag", "sample_list_lag", "list_lag")}
    values["training"] = chance.choice(("works", "works", "works", "fails", "refused"))
    values["training_time"] = chance.choice((0.0, 1.5))
    values["uid_length"] = chance.choice((None, None, 40, 36, 32, 20, 12))
    values["invalid_image"] = chance.choice(("Invalid image", "Unsupported file: not PNG, not JPEG", "no (image)!"))
    values["largest_side"] = chance.choice((16_000, 16_000, 15_999, 20_000))
    return Switches(**values)


def probe(
    box: RunningSandbox, url: str, switches: Switches, patch: pytest.MonkeyPatch, state: Path, *, large: bool = False
) -> ProbeResult:
    result = probe_address(box.url, box.key, url, switches, patch, state, large=large)
    write_service_facts(service_facts_file(box.url), ServiceFacts(box.url, box.url, 1.0, "test", 1, result.facts))
    return result


def probe_address(
    address: str,
    key: str,
    image_url: str,
    switches: Switches,
    patch: pytest.MonkeyPatch,
    state: Path,
    *,
    large: bool = False,
) -> ProbeResult:
    """The whole probe of a sandbox, its large images only if asked for. The parameters are what it is started with."""
    patch.setenv("XDG_STATE_HOME", str(state))
    settings = load_settings(
        {"ASTICA_TRAIN_URL": address, "ASTICA_DETECT_URL": address, "ASTICA_LIMIT": str(LIMIT)}, flags=None
    )
    seconds = 3.0 if switches.training == "fails" else 90.0
    options = ProbeOptions(training=True, large=large, image_url=image_url, training_seconds=seconds)
    result = run_probe(
        settings, Secret(key), SystemClock(), ProgressListener(), options, over_limit=True, note=lambda _: None
    )
    assert result.requests <= price_of(options, LIMIT).most
    return result


def wrong_switches(
    facts: dict[str, Fact], switches: Switches, *, large: bool = False
) -> dict[str, tuple[object, object]]:
    """The switches that the facts name otherwise than they are, or not at all: what they name, and what is right."""
    texts, left_out = switches_like(facts)
    assert left_out == []
    named = Switches.from_texts(texts)
    unseen = (set() if large else {"largest_image"}) | (set() if switches.training == "works" else OF_A_VERSION)
    wrong: dict[str, tuple[object, object]] = {}
    for one in fields(Switches):
        right, found = getattr(switches, one.name), getattr(named, one.name)
        if one.name in unseen:
            continue
        if one.name in SECONDS:
            fact = facts[one.name]
            most = float(str(fact.value)) if fact.value is not None else -1.0
            # A training takes its time and that of the work.
            least = 0.0 if one.name == "training_time" else fact.least or 0.0
            if not least <= right <= most:
                wrong[one.name] = (fact, right)
        elif found != right or one.name not in texts:
            wrong[one.name] = (found, right)
    return wrong


@pytest.mark.long
@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=() if seed < FAST else pytest.mark.long) for seed in range(SANDBOXES)]
)
def test_every_switch_is_named_right(
    seed: int,
    image_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    switches = random_switches(seed)
    large = seed in LARGEST_IMAGES
    if large:
        switches = replace(switches, largest_image=LARGEST_IMAGES[seed])
    with running(switches=switches, limit=LIMIT) as box:
        result = probe(box, image_url, switches, monkeypatch, tmp_path / "home" / "state", large=large)
        assert len(box.log) == result.requests
        assert wrong_switches(result.facts, switches, large=large) == {}
        assert box.models() == []
        box.set_limit(10_000, 60.0)
        push_with_facts(Shell(tmp_path / "home", box.url, box.key, capsys, monkeypatch), box, tmp_path / "store")


def push_with_facts(shell: Shell, box: RunningSandbox, folder: Path) -> None:
    """A store is pushed, changed and pushed again: images added, removed and moved, a class removed. Each image is then
    on the service once, although answers were lost, and another push finds nothing to do."""
    # The budget remembers that the service refused a request of the probe.
    (shell.home / "state" / "astica-sync" / "budget.db").unlink()
    known = read_service_facts(service_facts_file(box.url))
    # As the client does it with its default, which is longer.
    shell.environ["ASTICA_QUARANTINE"] = str(quarantine_for(known.facts, 0.4))
    fill(folder, {"Bottle": 2, "B\u00fcchse": 2, "Jar": 3})
    model_id = box.add_model("Cans")
    assert shell("init", folder, "--model", str(model_id)).code == 0
    ran = shell("push", "--store", folder)
    length = box.switches.uid_length
    if length is not None and length < 32:
        assert ran.code == 1, ran.err
        assert len([one for one in box.requests_of("upload") if one.sent.get("model_id") == model_id]) == 1
        return
    assert ran.code == 0, ran.err
    (folder / "Bottle" / "000.png").unlink()
    if length is None or length > 32 or box.switches.repeated_uids != "refuse":
        # Otherwise the sample in the new class is refused while the old one exists, and ``doctor`` says so.
        (folder / "B\u00fcchse" / "000.png").rename(folder / "Bottle" / "moved.png")
    shutil.rmtree(folder / "Jar")
    fill(folder, {"Tin": 1}, start=50)
    box.set_faults("upload:1=lost-after", "sample_remove:1=lost-after")
    ran = shell("push", "--store", folder, "--yes")
    assert ran.code == 0, ran.err
    assert on_service(box, model_id) == in_store(folder)
    box.set_faults()
    box.clear_log()
    assert shell("push", "--store", folder).code == 0
    assert {request.call for request in box.log} == {"view"}


def test_the_page_lists_every_fact() -> None:
    page = (Path(__file__).parents[2] / "docs" / "probe.md").read_text("utf-8")
    table = page.partition("## What it tries\n")[2].partition("\n## ")[0]
    named = [
        name for row in re.findall(r"^\| (`[a-z_0-9`, ]+) \|", table, re.MULTILINE) for name in re.findall(r"\w+", row)
    ]
    assert sorted(named) == sorted(MEANINGS)


@pytest.mark.long
@pytest.mark.parametrize("seed", [100, 101, 102])
def test_a_sandbox_like_another_one_has_the_same_habits(
    seed: int, image_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    switches = random_switches(seed)
    with running(switches=switches, limit=LIMIT) as box:
        result = probe(box, image_url, switches, monkeypatch, tmp_path / "state")
    (file,) = (tmp_path / "state" / "astica-sync").glob("service-*.json")
    shell = Shell(tmp_path / "home", "", "", capsys, monkeypatch)
    shell.environ |= {"ASTICA_API_KEY": "another-key"}
    process = shell.start("sandbox", "--like", file, "--port", "0", "--limit", str(LIMIT))
    assert process.stdout is not None
    url = re.findall(r"http://[\w.:]+", process.stdout.readline())[0]
    try:
        found = probe_address(url, "another-key", image_url, switches, monkeypatch, tmp_path / "second")
    finally:
        process.terminate()
        shell.finish(process)
    assert wrong_switches(found.facts, Switches.from_texts(switches_like(result.facts)[0])) == {}


FAULTS = ("lost-after", "lost-before", "5xx", "5xx-after", "html", "cut", "twice")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(200, 224))
def test_with_answers_lost_at_random_no_fact_is_wrong(
    seed: int, image_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fact is right, or not known."""
    chance = random.Random(seed)
    switches = replace(random_switches(seed), training="works", training_time=0.0)
    monkeypatch.setattr(probe_requests, "FIRST_PAUSES", (0.0, 0.5, 0.5, 1.0, 1.0, 1.0))
    with running(switches=switches, limit=LIMIT) as box:
        box.set_faults(*(f"*@2%={chance.choice(FAULTS)}" for _ in range(4)), "view@4%=partial", seed=seed)
        try:
            result = probe(box, image_url, switches, monkeypatch, tmp_path / "state")
        except AsticaSyncError:
            # Too many answers in a row were lost; the next probe begins by removing what this one left.
            box.set_faults()
            result = probe(box, image_url, switches, monkeypatch, tmp_path / "state")
        wrong = wrong_switches(result.facts, switches)
        not_known = {name for name in wrong if name not in switches_like(result.facts)[0]}
        assert {name: wrong[name] for name in wrong.keys() - not_known} == {}
        assert box.models() == []

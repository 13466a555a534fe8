"""The sandbox as a process, and what is kept after it ends."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from astica_sync.sandbox.embedded import RunningSandbox, running
from astica_sync.sandbox.http.faults import Faults
from astica_sync.sandbox.options import Options
from astica_sync.sandbox.server import serve
from astica_sync.sandbox.switches import Switches
from astica_sync.sqlite import Damaged
from tests.harness.sandbox_images import draw, encode

SERVE = """
import sys
from pathlib import Path
from astica_sync.sandbox.server import serve
from astica_sync.sandbox.options import Options
from astica_sync.sandbox.switches import Switches
from astica_sync.sandbox.http.faults import Faults
from astica_sync.sqlite import Damaged
options = Options("127.0.0.1", 0, Path(sys.argv[1]), "secret", 90, 60.0, Switches(), Faults())
serve(options, lambda url: print(url, flush=True))
print("ended", flush=True)
"""


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_process_serves_until_a_signal_and_keeps_everything(tmp_path: Path, client, signal_number):
    with subprocess.Popen([sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            fields = {"dataset_title": "Kept", "dataset_type": "vision", "dataset_purpose": "test"}
            answer = client.post(f"{url}/model/create", json={"tkn": "secret", **fields})
            assert answer.json() == {"status": "OK"}
            process.send_signal(signal_number)
            assert process.stdout.read() == "ended\n"
            assert process.wait(60) == 0
        finally:
            process.kill()
    with running(tmp_path) as running_sandbox:
        assert [title for _, title in running_sandbox.models()] == ["Kept"]


def test_answered_requests_survive_a_kill(tmp_path: Path, client):
    with subprocess.Popen([sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            key = {"tkn": "secret"}
            fields = {"dataset_title": "Kept", "dataset_type": "vision", "dataset_purpose": "test"}
            client.post(f"{url}/model/create", json=key | fields)
            (model,) = client.post(f"{url}/model/list", json=key).json()["dataset_list"]
            upload = {"model_id": model["id"], "model_class": "Can", "input": encode(draw()), "uid": "u"}
            assert client.post(f"{url}/model/upload", json=key | upload).json() == {"status": "OK"}
        finally:
            os.kill(process.pid, signal.SIGKILL)
    with running(tmp_path) as running_sandbox:
        (sample,) = running_sandbox.samples(model["id"])
        assert (sample.uid, sample.image) == ("u", draw())


def test_state_versions_and_ids_survive_a_restart(tmp_path: Path, client):
    with running(tmp_path) as running_sandbox:
        model = running_sandbox.add_model("Kept", tags="a")
        samples = [running_sandbox.add_sample(model, title, draw(title), title) for title in ("red", "blue")]
        client.post(f"{running_sandbox.url}/model/model_train", json={"tkn": running_sandbox.key, "model_id": model})
        running_sandbox.wait_for_training()
        before = client.post(
            f"{running_sandbox.url}/model/view", json={"tkn": running_sandbox.key, "model_id": model}
        ).content
        running_sandbox.remove_sample(samples[1])
        running_sandbox.add_sample(model, "blue", draw("blue"), "blue")
    with running(tmp_path) as running_sandbox:
        latest = max(sample.sample_id for sample in running_sandbox.samples(model))
        running_sandbox.remove_sample(latest)
    with running(tmp_path) as running_sandbox:
        assert running_sandbox.add_sample(model, "blue", draw("blue"), "blue") > latest
        (version,) = running_sandbox.versions(model)
        assert version.encode() in before
        body = {"tkn": running_sandbox.key, "model_id": model, "model_version": version, "input": encode(draw("red"))}
        assert client.post(f"{running_sandbox.url}/detect", json=body).json()["output"] == "red"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org", ""])
def test_only_loopback_addresses_are_accepted(host):
    with pytest.raises(ValueError, match="not a loopback address"):
        serve(Options(host, 0, None, "key", 90, 60.0, Switches(), Faults()), print)


def test_a_taken_port_is_an_error(sandbox):
    port = int(sandbox.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"), running(port=port):
        pass


def test_a_folder_with_another_database_is_an_error_and_is_not_changed(tmp_path: Path):
    (tmp_path / "sandbox.db").write_text("the user's notes, long enough to be examined" * 40)
    with pytest.raises(Damaged, match="is damaged: file is not a database"), running(tmp_path):
        pass
    assert (tmp_path / "sandbox.db").read_text().startswith("the user's notes")


def test_a_request_under_way_is_cut_off_at_the_end_of_the_sandbox(client):
    with running() as running_sandbox:
        running_sandbox.set_faults("list=slow~600s")

        def ask() -> None:
            with pytest.raises(httpx.HTTPError):
                client.post(f"{running_sandbox.url}/model/list", json={"tkn": running_sandbox.key})
            ended.set()

        ended = threading.Event()
        thread = threading.Thread(target=ask)
        thread.start()
        while not running_sandbox.log:
            pass
    assert ended.wait(60)
    thread.join()


class Pictures(BaseHTTPRequestHandler):
    """A web server with one picture, one redirect to it, and nothing else."""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/red.png")
            self.end_headers()
            return
        self.send_response(200 if self.path == "/red.png" else 404)
        self.end_headers()
        if self.path == "/red.png":
            self.wfile.write(draw("red"))

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def pictures() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Pictures) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_url_is_fetched_only_where_that_is_allowed(sandbox: RunningSandbox, post, pictures):
    model = sandbox.add_model()

    def upload(url: str) -> str:
        answer = post("/model/upload", model_id=model, model_class="Can", input=url).json()
        return str(answer.get("error", "OK"))

    assert "disabled" in upload(f"{pictures}/red.png")
    sandbox.set_switches(urls="fetched")
    assert upload(f"{pictures}/red.png") == "OK"
    assert [sample.image for sample in sandbox.samples(model)] == [draw("red")]
    assert upload(f"{pictures}/missing.png") == "Unable to fetch the input: HTTP status 404"
    assert upload(f"{pictures}/moved") == "Unable to fetch the input: HTTP status 302"
    assert upload("http://192.0.2.1/red.png") == "Invalid input: only https URLs are fetched"
    assert len(sandbox.samples(model)) == 1

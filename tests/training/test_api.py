"""The Python API does what the commands do: its page runs as it stands, and every documented call is reachable."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from digits import write_digits
from shell import Shell, draw

import astica_sync
from astica_sync import Client, Store
from astica_sync.cli.main import cli
from astica_sync.errors import AsticaSyncError, ConfigError
from astica_sync.remote import client as remote_client
from astica_sync.sandbox.running import Box

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", (DOCS / "python-api.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
ROWS = [
    [cell.strip().strip("`") for cell in line.strip("|").split("|")]
    for line in (DOCS / "api-coverage.md").read_text("utf-8").splitlines()
    if line.startswith("| `/")
]


@pytest.fixture
def account(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """The environment of this process speaks to the sandbox."""
    for name, value in shell.environ.items():
        monkeypatch.setenv(name, value)
    yield shell


def test_every_example_of_the_page_runs(
    account: Shell, sandbox: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_digits(tmp_path / "digits", 6)
    write_digits(tmp_path / "held-out", 2, start=6)
    assert account("init", tmp_path / "digits", "--model", str(sandbox.add_model("Digits"))).code == 0
    monkeypatch.chdir(tmp_path)
    assert len(EXAMPLES) == 4
    for example in EXAMPLES:
        exec(compile(example, "python-api.md", "exec"), {})
    assert (tmp_path / "as-it-was" / "zero" / "000.png").exists()
    assert len(sandbox.samples(1001)) == 24


def test_every_documented_call_is_in_the_table_with_a_command_and_a_method_that_exist() -> None:
    source = Path(remote_client.__file__).read_text("utf-8")
    assert {row[0] for row in ROWS} == set(re.findall(r'"(/(?:model/\w+|detect))"', source))
    for call, command, method, test in ROWS:
        found = cli
        for word in command.split():
            found = found.get_command(None, word)  # type: ignore[attr-defined, arg-type]
            assert found is not None, f"{call}: no command {command}"
        name, _, attribute = method.partition(".")
        assert callable(getattr(getattr(astica_sync, name), attribute)), f"{call}: no {method}"
        path = DOCS.parent / test
        assert f"client.{attribute}(" in path.read_text("utf-8"), f"{call}: not in {test}"


def test_a_client_sends_every_documented_call(account: Shell, sandbox: Box, tmp_path: Path) -> None:
    with Client() as client:
        client.create_model("Made here", type="image", purpose="test", tags="a,b")
        (model,) = client.models()
        for number in range(4):
            image = draw(tmp_path / f"{number}.png", number)
            client.upload(model.model_id, ("Can", "Bottle")[number % 2], image, uid=f"mine-{number}")
        client.upload(model.model_id, "Gone", image.read_bytes())
        observation = client.view(model.model_id)
        assert [sample.uid for sample in observation][1:] == [f"mine-{number}" for number in range(4)]
        client.remove_sample(next(sample.sample_id for sample in observation if sample.uid == "mine-3"))
        client.remove_class(next(entry.class_id for entry in observation.classes if entry.title == "Gone"))
        client.train(model.model_id)
        sandbox.wait_for_training()
        version = client.model(model.model_id).version
        assert version == sandbox.versions(model.model_id)[0]
        assert client.detect(model.model_id, version, image).label in ("Can", "Bottle")
        assert client.requests == len(sandbox.log)
        client.remove_model(model.model_id)
        assert client.models() == []
    calls = {request.call for request in sandbox.log}
    assert {row[0].rpartition("/")[2] for row in ROWS} == calls


def test_a_key_can_be_given_and_an_unsafe_address_is_refused(sandbox: Box, account: Shell) -> None:
    with Client(sandbox.key, train_url=sandbox.url, detect_url=sandbox.url) as client:
        assert client.models() == []
    with pytest.raises(ConfigError, match="train_url"):
        Client("k", train_url="http://example.org")


def test_a_store_says_clearly_what_is_wrong(account: Shell, store: Path, tmp_path: Path) -> None:
    with pytest.raises(AsticaSyncError, match="no store in"):
        Store(tmp_path)
    with Store(store) as opened:
        for call in (opened.snapshot, lambda name: opened.push(as_version=name), opened.plan_as):
            with pytest.raises(AsticaSyncError, match="no version 'nope'"):
                call("nope")
        with pytest.raises(AsticaSyncError, match="is in the store itself"):
            opened.train()
            opened.restore("@1", store / "Can")


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = "import astica_sync, sys; sys.exit(' '.join(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert not {"httpx", "sqlite3", "PIL", "numpy", "click"} & set(ended.stderr.split())
    with pytest.raises(AttributeError):
        import_module("astica_sync").__getattr__("Nothing")

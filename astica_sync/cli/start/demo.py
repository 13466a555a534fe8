"""``astica-sync demo``."""

import contextlib
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import click

from astica_sync.cli.temporary_folder import check_temporary_folder
from astica_sync.errors import AsticaSyncError, ConfigError

PER_CLASS, HELD_OUT = 12, 3
CLASSES = ("zero", "one", "two", "three")


@click.command("demo")
@click.option("--keep", is_flag=True, help="Keep the folder of the demo and print its path.")
@click.option("--page", is_flag=True, help="Show the store of the demo in a browser at the end, until Ctrl-C.")
@click.option("--no-open", is_flag=True, help="With --page: print the address and open no browser.")
def demo(keep: bool, page: bool, no_open: bool) -> int:
    """Run a tour on the sandbox, in about a minute.

    Makes a store of handwritten digits, pushes it to a new model, changes it, pushes the difference, trains, and
    runs the model on images it was not trained on. Each command is printed before it is run. Needs no key and no
    network, and works in a temporary folder.

    \b
    astica-sync demo
    astica-sync demo --keep
    astica-sync demo --page
    """
    check_temporary_folder()
    folder = Path(tempfile.mkdtemp(prefix="astica-sync-demo-"))
    try:
        _run_tour(folder, page=page, no_open=no_open)
    finally:
        if keep:
            click.echo(f"\nThe folder of the demo: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _run_tour(folder: Path, *, page: bool, no_open: bool) -> None:
    try:
        from astica_sync.sandbox.embedded import running
    except ImportError as error:
        raise _missing(error) from None
    photos, held_out = folder / "digits", folder / "held-out"
    _write_digits(photos, held_out)
    key = secrets.token_urlsafe(16)
    with running(folder / "sandbox", key=key) as box:
        shell = DemoShell(folder, box.url, key)
        shell.say("A store is a folder with one folder for each class. This one holds handwritten digits.")
        shell.show("ls", "digits", "digits/zero")
        shell.say(f"The sandbox, a local stand-in for the service, runs at {box.url}.")
        shell.sync("init", "digits", "--create", "Digits", "--purpose", "read digits")
        shell.say("Nothing is uploaded yet. What would a push do?")
        shell.sync("status", "--store", "digits")
        shell.sync("push", "--store", "digits")
        shell.say("Now the folder changes: one file is moved to another class, one is removed, two are added.")
        shell.do("mv", "digits/one/0.png", "digits/two/moved.png")
        shell.do("rm", "digits/zero/1.png")
        shell.do("mv", "new/a.png", "digits/three/a.png")
        shell.do("mv", "new/b.png", "digits/three/b.png")
        shell.sync("status", "--store", "digits")
        shell.say("The push sends only the difference: first the uploads, then the removals.")
        shell.sync("push", "--store", "digits")
        shell.sync("status", "--store", "digits", "--exit-code")
        shell.say("The service trains on the samples it has. Then the new version can be run.")
        shell.sync("train", "--store", "digits")
        shell.sync("detect", "held-out", "--store", "digits")
        shell.say("The backup has every uploaded image, as plain files.")
        shell.sync("backup", "verify", "--store", "digits")
        shell.sync("log", "--store", "digits", "-n", "6")
        stored = len(box.samples(box.models()[0][0]))
        files = sum(1 for _ in photos.glob("*/*.png"))
        if stored != files:
            raise AsticaSyncError(f"the sandbox has {stored} samples and the folder {files}", "Please report this.")
        shell.say(f"The sandbox has exactly the images of the folder: {stored} samples. This is the end of the demo.")
        if page:
            shell.say("The page shows the same store in a browser, and can change it.")
            with contextlib.suppress(KeyboardInterrupt):
                shell.sync("page", "--store", "digits", "--port", "0", *(["--no-open"] if no_open else []))
        else:
            shell.say("To see such a store in a browser: astica-sync demo --page")


class DemoShell:
    """Runs the commands of the demo and prints each one before."""

    def __init__(self, folder: Path, url: str, key: str) -> None:
        self._folder = folder
        # Its own home folder, so that the user's settings and request budget are not touched.
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ASTICA_")},
            "HOME": str(folder / "home"),
            "XDG_CONFIG_HOME": str(folder / "home" / "config"),
            "XDG_STATE_HOME": str(folder / "home" / "state"),
            "ASTICA_TRAIN_URL": url,
            "ASTICA_DETECT_URL": url,
            "ASTICA_API_KEY": key,
        }

    def say(self, text: str) -> None:
        click.echo(f"\n{click.style(text, bold=True)}")

    def sync(self, *arguments: str) -> None:
        self._run(["astica-sync", *arguments], [sys.executable, "-P", "-m", "astica_sync", *arguments], self._environ)

    def do(self, *arguments: str) -> None:
        self._run(list(arguments), list(arguments), self._environ)

    show = do

    def _run(self, shown: list[str], command: list[str], environ: Mapping[str, str]) -> None:
        click.echo(click.style(f"$ {shlex.join(shown)}", fg="cyan"))
        sys.stdout.flush()
        ended = subprocess.run(command, cwd=self._folder, env=dict(environ), check=False)
        if ended.returncode != 0:
            raise AsticaSyncError(
                f"the command ended with {ended.returncode}: {shlex.join(shown)}", "Please report this with its output."
            )


def _missing(error: ImportError) -> ConfigError:
    return ConfigError(
        f"the demo needs {error.name}, which is not installed", "Run: pip install 'astica-sync[sandbox]'"
    )


def _write_digits(photos: Path, held_out: Path) -> None:
    """Writes scikit-learn's handwritten digits as images, enlarged."""
    try:
        from PIL import Image
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise _missing(error) from None
    digits = load_digits()
    (photos.parent / "new").mkdir(parents=True)
    held_out.mkdir()
    for digit, title in enumerate(CLASSES):
        (photos / title).mkdir(parents=True)
        chosen = [image for image, target in zip(digits.images, digits.target, strict=True) if target == digit]
        targets = [photos / title / f"{place}.png" for place in range(PER_CLASS)]
        targets += [held_out / f"{title}-{place}.png" for place in range(HELD_OUT)]
        if title == "three":
            targets += [photos.parent / "new" / "a.png", photos.parent / "new" / "b.png"]
        for target, pixels in zip(targets, chosen, strict=False):
            image = Image.fromarray((255 - pixels * 15.9).astype("uint8"))
            image.resize((64, 64), Image.Resampling.BICUBIC).save(target)

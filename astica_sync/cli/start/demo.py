"""``astica-sync demo``."""

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

from astica_sync.errors import AsticaSyncError, ConfigError

PER_CLASS, HELD_OUT = 12, 3
CLASSES = ("zero", "one", "two", "three")


@click.command("demo")
@click.option("--keep", is_flag=True, help="Leave the demo's folder, and say where it is.")
def demo(keep: bool) -> int:
    """The whole story on the sandbox in about a minute; each command is printed, so that you can do the same.

    Makes a store of handwritten digits, pushes it to a new model, changes it, pushes the difference, trains, and
    detects images the model has not seen. Everything happens in a temporary folder and on this machine.
    """
    folder = Path(tempfile.mkdtemp(prefix="astica-sync-demo-"))
    try:
        _tell(folder)
    finally:
        if keep:
            click.echo(f"\nThe demo's folder: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _tell(folder: Path) -> None:
    from astica_sync.sandbox.embedded import running

    photos, held_out = folder / "digits", folder / "held-out"
    _write_digits(photos, held_out)
    key = secrets.token_urlsafe(16)
    with running(folder / "sandbox", key=key) as box:
        stage = Stage(folder, box.url, key)
        stage.say("A store is a folder with one folder for each class. This one holds handwritten digits.")
        stage.show("ls", "digits", "digits/zero")
        stage.say(f"The sandbox, a local stand-in for the service, answers at {box.url}.")
        stage.sync("init", "digits", "--create", "Digits", "--type", "image", "--purpose", "read digits")
        stage.say("Nothing is uploaded before you say so. What would a push do?")
        stage.sync("pull-status", "--store", "digits")
        stage.sync("push", "--store", "digits")
        stage.say("Now the folder changes: one file moves to another class, one goes, two come.")
        stage.do("mv", "digits/one/0.png", "digits/two/moved.png")
        stage.do("rm", "digits/zero/1.png")
        stage.do("mv", "new/a.png", "digits/three/a.png")
        stage.do("mv", "new/b.png", "digits/three/b.png")
        stage.sync("pull-status", "--store", "digits")
        stage.say("The push sends the difference and nothing else: an upload for each new place, then the removals.")
        stage.sync("push", "--store", "digits")
        stage.sync("pull-status", "--store", "digits", "--exit-code")
        stage.say("The service trains on what it has; the new version can be run at once.")
        stage.sync("train", "--store", "digits")
        stage.sync("detect", "held-out", "--store", "digits")
        stage.say("Every sample that was ever sent is in the backup, readable without this program.")
        stage.sync("backup", "verify", "--store", "digits")
        stage.sync("log", "--store", "digits", "-n", "6")
        stored = len(box.samples(box.models()[0][0]))
        files = sum(1 for _ in photos.glob("*/*.png"))
        if stored != files:
            raise AsticaSyncError(f"the sandbox holds {stored} samples and the folder {files}", "Please report this.")
        stage.say(f"The sandbox holds exactly the folder: {stored} samples. That is the whole story.")


class Stage:
    """Runs the demo's commands for real and shows each one before."""

    def __init__(self, folder: Path, url: str, key: str) -> None:
        self._folder = folder
        # A home of its own, so that neither the user's settings nor the user's budget are touched.
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
        self._run(["astica-sync", *arguments], [sys.executable, "-m", "astica_sync", *arguments], self._environ)

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


def _write_digits(photos: Path, held_out: Path) -> None:
    """Real images that a dependency ships: scikit-learn's handwritten digits, made large enough to look at."""
    try:
        from PIL import Image
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ConfigError(
            f"the demo needs {error.name}, which is not installed", "Run: pip install 'astica-sync[sandbox]'"
        ) from None
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

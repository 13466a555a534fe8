"""``astica-sync completion``."""

import os
from pathlib import Path

import click

from astica_sync.cli.render.text import safe
from astica_sync.errors import AsticaSyncError
from astica_sync.local.target_folder import write_user_file
from astica_sync.shell_quote import quote_path
from astica_sync.system.error_advice import remedy

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_ASTICA_SYNC_COMPLETE"
MARK = "# astica-sync completion"


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.option("--install", is_flag=True, help="Write the script where the shell loads it at its start.")
@click.pass_context
def completion(ctx: click.Context, shell: str, install: bool) -> int:
    """Print or install the shell completion.

    With --install the script is written to your own data folder (fish: to its folder of completions), and bash and zsh
    get one line in ~/.bashrc or ~/.zshrc that loads it. Installing again replaces the script.

    \b
    astica-sync completion bash --install
    astica-sync completion zsh --install
    astica-sync completion fish --install
    astica-sync completion bash > astica-sync.bash
    """
    script = completion_script(ctx.find_root().command, shell)
    if not install:
        click.echo(script, nl=False)
        return 0
    file, startup = _places(shell)
    _write(file, script)
    click.echo(f"Wrote {safe(str(file))}")
    if startup is not None:
        if _add_line(startup, _line(shell, file)):
            click.echo(f"Added a line to {safe(str(startup))} that loads it")
        else:
            click.echo(f"{safe(str(startup))} loads it already")
    click.echo(f"New {shell} sessions complete astica-sync.")
    return 0


def completion_script(root: click.Command, shell: str) -> str:
    """The script that completes ``astica-sync`` in one of ``SHELLS``."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    return kind(root, {}, "astica-sync", VARIABLE).source().strip() + "\n"


def _places(shell: str) -> tuple[Path, Path | None]:
    """The file of the script, and the startup file that has to load it, None where the shell finds it itself."""
    home = Path.home()
    if shell == "fish":
        config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
        return config / "fish" / "completions" / "astica-sync.fish", None
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    folder = Path(os.environ.get("ZDOTDIR") or home) if shell == "zsh" else home
    return data / "astica-sync" / f"completion.{shell}", folder / f".{shell}rc"


def _line(shell: str, file: Path) -> str:
    """The line for the startup file; harmless after the script was removed."""
    script = quote_path(str(file))
    # The script of zsh calls compdef, which exists only once its completion system was started.
    start = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }; " if shell == "zsh" else ""
    return f"if [ -r {script} ]; then {start}. {script}; fi  {MARK}"


def _add_line(startup: Path, line: str) -> bool:
    """Appends the line to a startup file that does not have it yet. Returns whether it did."""
    try:
        with startup.open("a+", encoding="utf-8", errors="surrogateescape") as file:
            file.seek(0)
            text = file.read()
            if line in text.splitlines():
                return False
            file.write(f"{line}\n" if not text or text.endswith("\n") else f"\n{line}\n")
    except OSError as error:
        raise _cannot(startup, error) from None
    return True


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_user_file(file, text.encode())
    except OSError as error:
        raise _cannot(file, error) from None


def _cannot(file: Path, error: OSError) -> AsticaSyncError:
    return AsticaSyncError(
        f"cannot write {file}: {error.strerror}",
        f"{remedy(error, file)}. Or load the script yourself: astica-sync completion prints it.",
    )

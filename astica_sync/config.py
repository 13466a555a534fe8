"""Settings: their names, kinds and defaults, and where each value comes from.

Strongest first: flag, environment, the store's ``astica-sync.toml``, the user's ``config.toml``, default. The API
key is read separately, is never written, and is not read from a store's file, since stores are shared.
"""

import codecs
import errno
import math
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from astica_sync.core.owned_classes import OwnedClasses
from astica_sync.core.recipe import ALL, COLOURS, LARGEST_SIDE, METADATA, NONE, SMALLEST_SIDE, SRGB, Recipe, read_colour
from astica_sync.errors import ConfigError
from astica_sync.file_owner import OTHERS, foreign_owner, refuse_foreign_file
from astica_sync.secret import Secret, SecretAddress
from astica_sync.service_address import (
    checked_address,
    checked_budget_address,
    checked_executor_address,
    is_this_machine,
    shown_address,
)
from astica_sync.shell_quote import quote_path
from astica_sync.system.error_advice import reason_of, remedy
from astica_sync.system.user_folders import CONFIG_VARIABLE, user_folder, user_state_folder

KEY_VARIABLE = "ASTICA_API_KEY"
KEY_FILE_VARIABLE = "ASTICA_API_KEY_FILE"
KEYRING_SERVICE = "astica-sync"
KEYRING, FILE_SOURCE = "the system keyring", "the file "
"""Where a key comes from, for messages: the first, or the second before a path."""
AS_TRAIN_URL = "as train_url"
"""Where the address of the detection endpoint comes from, where nothing sets it and a sandbox is used."""
MOST_BYTES = 1_000_000
MOST_DOTS = 500
_NO_TEXT = "not a text file"
_ASSIGNMENT = re.compile(r"export\s|(?i:export\s+)?[A-Za-z_]*(?i:key|token)[\"']?\s*[=:]\s*[^=\s]")
_QUOTATION_MARKS = ("'", '"', "`", "\u2018", "\u2019", "\u201c", "\u201d")
_LIKE_A_KEY = re.compile(r"[A-Za-z0-9+/=_-]{16,}", re.ASCII)


def _url(value: object) -> str:
    return checked_address(_text(value))


def _budget(value: object) -> SecretAddress:
    address = checked_budget_address(value if isinstance(value, str) else "")
    return SecretAddress(address, shown_address(address))


def _executor(value: object) -> str:
    return checked_executor_address(value if isinstance(value, str) else "?")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text")
    return value.strip()


def _number(value: object) -> float:
    """The number, or NaN, which fails every comparison."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def _whole(least: int, most: int = 2**53 - 1) -> Callable[[object], int]:
    def parse(value: object) -> int:
        number = _number(value)
        if not (least <= number <= most and number.is_integer()):
            raise ValueError(f"a whole number from {least}" + (f" to {most}" if most < 2**53 - 1 else ""))
        return int(number)

    return parse


def _seconds(least: float) -> Callable[[object], float]:
    def parse(value: object) -> float:
        number = _number(value)
        if not least <= number < 86_400 * 7:
            raise ValueError(f"a number of seconds from {least:g}, at most a week")
        return number

    return parse


def _share(value: object) -> float:
    """A share as ``10%`` or ``0.1``."""
    text = value.strip() if isinstance(value, str) else value
    percent = isinstance(text, str) and text.endswith("%")
    number = _number(text[:-1] if percent and isinstance(text, str) else text) / (100 if percent else 1)
    if not 0 <= number <= 1:
        raise ValueError("a share such as 10%")
    return number


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    text = str(value).strip().lower()
    if text not in known:
        raise ValueError("true or false")
    return known[text]


def _formats(value: object) -> str:
    """The name of a recipe."""
    if isinstance(value, bool):
        return ALL if value else NONE
    words = [word if isinstance(word, str) else "" for word in (value if isinstance(value, list) else [value])]
    return Recipe.of(",".join(words) if words else NONE).name


def _side(value: object) -> int:
    number = _number(value)
    if number != 0 and not (SMALLEST_SIDE <= number <= LARGEST_SIDE and number.is_integer()):
        raise ValueError(f"0, or a whole number from {SMALLEST_SIDE} to {LARGEST_SIDE}")
    return int(number)


def _titles(value: object) -> tuple[str, ...]:
    """Class titles: one, or a list of them."""
    titles = value if isinstance(value, list | tuple) else [value]
    if not titles or not all(isinstance(title, str) and title.strip() for title in titles):
        raise ValueError('a list of class titles, such as ["Can", "Bottle"]; to own all classes, leave it out')
    return tuple(titles)


def _colour(value: object) -> str:
    return read_colour(value if isinstance(value, str) else "")


def _word(words: Sequence[str], value: object) -> str:
    if value not in words:
        raise ValueError(" or ".join(words))
    return str(value)


LOWER, HIGHER, NEVER = "lower", "higher", "never"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name in the files, its environment variable, its default and its meaning. ``store_may`` is the
    direction in which a store's own file may change it: that file may have come in a downloaded archive, so it can
    tighten a protection and not loosen it; ``NEVER`` where it may not change it, "" where it may have any value."""

    name: str
    variable: str | None
    default: Any
    parse: Callable[[object], Any]
    help: str
    store_may: str = ""


SETTINGS = (
    Setting("train_url", "ASTICA_TRAIN_URL", "https://train.astica.ai", _url, "address of the training endpoint"),
    Setting(
        "detect_url",
        "ASTICA_DETECT_URL",
        "https://detect.astica.ai",
        _url,
        "address of the detection endpoint; that of train_url where nothing sets it and a sandbox is used",
    ),
    Setting(
        "limit",
        "ASTICA_LIMIT",
        90,
        _whole(1),
        "requests that the service allows in one window, for each endpoint",
        LOWER,
    ),
    Setting("limit_window", "ASTICA_LIMIT_WINDOW", 60.0, _seconds(0.001), "length of that window, in seconds", HIGHER),
    Setting(
        "budget",
        "ASTICA_BUDGET",
        "",
        _budget,
        "server on which all machines with this key count their requests; without one, this machine counts its own",
        NEVER,
    ),
    Setting(
        "budget_share",
        "ASTICA_BUDGET_SHARE",
        0.0,
        _share,
        "part of the limit that this machine may use without the budget server",
        NEVER,
    ),
    Setting(
        "budget_pool",
        "ASTICA_BUDGET_POOL",
        1.0,
        _share,
        "part of the limit that the budget server hands out; with the shares of all machines 100% at most",
        NEVER,
    ),
    Setting(
        "quarantine", "ASTICA_QUARANTINE", 60.0, _seconds(0), "seconds before an unanswered upload is repeated", HIGHER
    ),
    Setting(
        "max_remove", None, 0.1, _share, "share of all managed samples that a push may remove without asking", LOWER
    ),
    Setting("max_remove_class", None, 0.5, _share, "the same for the samples of one class", LOWER),
    Setting("min_remove", None, 10, _whole(0), "number of removals that are allowed whatever their share", LOWER),
    Setting(
        "class_remove", None, True, _switch, "remove a whole class with one request where that saves requests", LOWER
    ),
    Setting(
        "owns",
        None,
        (),
        _titles,
        "titles of the classes that this store manages, where several stores share a model; without it all classes",
    ),
    Setting("settle", None, 1.0, _seconds(0.001), "seconds without a change before the watcher uploads a file"),
    # Each view is a request: more often, a watcher of a downloaded store would use up the limit of its key.
    Setting("observe_every", None, 900.0, _seconds(5), "most seconds between two views of a watcher"),
    Setting(
        "convert",
        None,
        ALL,
        _formats,
        "formats of images that are converted before they are sent: all, none, or a list of them",
    ),
    Setting(
        "max_side",
        None,
        0,
        _side,
        "most pixels on the longer side of a converted image, which is made smaller; 0: as many as it has",
    ),
    Setting("quality", None, 95, _whole(1, 100), "quality of converted images that are sent as JPEG"),
    Setting("background", None, "#ffffff", _colour, "colour on which transparent images are laid when converted"),
    Setting(
        "frame",
        None,
        1,
        _whole(1),
        "which page of a TIFF, frame of a GIF, WebP or AVIF, or image of a HEIC or MPO, is sent; of fewer the last",
    ),
    Setting("metadata", None, NONE, partial(_word, METADATA), "Exif of converted images: none, or keep date and place"),
    Setting("colours", None, SRGB, partial(_word, COLOURS), "colours of converted images: srgb, or keep their profile"),
    Setting(
        "executor",
        "ASTICA_EXECUTOR",
        "",
        _executor,
        "Dask cluster whose workers read the images for `inspect`, as dask://HOST:8786; without one, this machine does",
        NEVER,
    ),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True, slots=True)
class Settings:
    """The value of every setting. ``sources`` has for each name where its value came from."""

    train_url: str
    detect_url: str
    limit: int
    limit_window: float
    budget: SecretAddress | Literal[""]
    budget_share: float
    budget_pool: float
    quarantine: float
    max_remove: float
    max_remove_class: float
    min_remove: int
    class_remove: bool
    owns: tuple[str, ...]
    settle: float
    observe_every: float
    convert: str
    max_side: int
    quality: int
    background: str
    frame: int
    metadata: str
    colours: str
    executor: str
    sources: Mapping[str, str]

    @property
    def owned(self) -> OwnedClasses:
        """The classes that the store manages."""
        return OwnedClasses(self.owns)

    @property
    def recipe(self) -> Recipe:
        """How images are converted before they are sent."""
        how = self.max_side, self.quality, self.background, self.frame, self.metadata, self.colours
        return Recipe(Recipe.of(self.convert).formats, *how)


def load_settings(
    environ: Mapping[str, str],
    *,
    store_file: Path | None = None,
    user_file: Path | None = None,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """Reads all sources and returns the value of every setting.

    Raises:
        ConfigError: a file cannot be read, or a value is not valid; the message names the file or variable.
    """
    values: dict[str, Any] = {setting.name: setting.default for setting in SETTINGS}
    sources = dict.fromkeys(values, "default")

    def take(given: Mapping[str, object], source: str) -> None:
        for name, value in given.items():
            values[name] = _parse(_BY_NAME[name], value, source)
            sources[name] = source

    if user_file is not None:
        take(_read_file(user_file, planted=False), str(user_file))
    variables = {setting.variable: setting.name for setting in SETTINGS if setting.variable}
    if store_file is not None:
        given = _read_file(store_file, planted=True)
        stronger = {name for variable, name in variables.items() if environ.get(variable)}
        stronger |= {name for name, value in (flags or {}).items() if value is not None}
        for name in given.keys() - stronger:
            _refuse_loosening(_BY_NAME[name], given[name], values[name], store_file)
        own = dict(values)
        take(given, str(store_file))
        shared = [name for name in ("limit", "limit_window") if name not in stronger and values[name] != own[name]]
        if shared and (values["budget"] or environ.get("ASTICA_BUDGET")):
            raise ConfigError(
                f"{store_file} sets {shared[0]}, which would hold for every machine that shares the budget server",
                f"Take the line out, or set it in {user_config_file()} or {_BY_NAME[shared[0]].variable} instead.",
            )
    for variable, name in variables.items():
        if environ.get(variable):
            take({name: environ[variable]}, variable)
    take({name: value for name, value in (flags or {}).items() if value is not None}, "the command line")
    if sources["detect_url"] == "default" and is_this_machine(urlsplit(values["train_url"]).hostname or ""):
        # A sandbox has both endpoints at one address.
        values["detect_url"], sources["detect_url"] = values["train_url"], AS_TRAIN_URL
    return Settings(**values, sources=sources)


def _refuse_loosening(setting: Setting, value: object, allowed: Any, file: Path) -> None:
    """A store's own file can only tighten a protection."""
    if setting.store_may == NEVER:
        raise ConfigError(
            f"{file} sets {setting.name}, and a store's file may not",
            f"Set it in {user_config_file()} or {setting.variable} instead.",
        )
    wanted = _parse(setting, value, str(file))
    if (setting.store_may == LOWER and wanted > allowed) or (setting.store_may == HIGHER and wanted < allowed):
        place = f"in {user_config_file()}" + (f" or {setting.variable}" if setting.variable else "")
        direction = "turn it off" if isinstance(allowed, bool) else f"make it {setting.store_may} than {allowed}"
        raise ConfigError(
            f"{file} sets {setting.name} to {value}, and a store's file may only {direction}",
            f"Set it {place} instead.",
        )


def read_default(name: str) -> Any:
    """The default of a setting."""
    return _BY_NAME[name].default


def _parse(setting: Setting, value: object, source: str) -> Any:
    try:
        return setting.parse(value)
    except ValueError as error:
        if setting.parse is _budget:
            raise ConfigError(
                f"{setting.name} is not an address that can be used, in {source}", f"Set it to {error}."
            ) from None
        # An address may have a password in it.
        shown = repr(shown_address(value) if setting.parse in (_url, _executor) and isinstance(value, str) else value)
        shown = shown if len(shown) <= 200 else f"{shown[:200]}…"
        raise ConfigError(f"{setting.name} is {shown} in {source}", f"Set it to {error}.") from None


def _count_dots(line: bytes) -> int:
    return line.count(b".")


def _read_file(file: Path, *, planted: bool) -> dict[str, object]:
    """The settings of a file. ``planted``: it may have come in an archive, so it is no link and no device."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_NOFOLLOW if planted else 0)
    try:
        with open(os.open(file, flags), "rb") as opened:
            status = os.fstat(opened.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
                raise OSError(errno.EINVAL, _NO_TEXT)
            data = opened.read(MOST_BYTES)
    except FileNotFoundError:
        return {}
    except OSError as error:
        if error.strerror == _NO_TEXT:
            raise ConfigError(f"cannot read the settings file {file}: {_NO_TEXT}", "Fix or remove it.") from None
        reason = "symbolic link, not followed" if error.errno == errno.ELOOP else reason_of(error)
        raise ConfigError(
            f"cannot read the settings file {file}: {reason}", remedy(error, file, writing=False)
        ) from None
    if not planted:
        refuse_foreign_file(status, file, "your settings file")
    # Imported only where a file exists, since most commands read none.
    import difflib
    import tomllib

    try:
        # Editors of other systems begin a file with a byte-order mark.
        # No setting has a dot in its name, and a key with 100,000 of them takes minutes.
        if max(map(_count_dots, data.splitlines()), default=0) > MOST_DOTS:
            raise ValueError("a line has too many dots")
        values = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read the settings file {file}: {error}", "Fix or remove it.") from None
    for name in values:
        if name not in _BY_NAME:
            near = difflib.get_close_matches(name, _BY_NAME, n=1)
            hint = (
                f"Did you mean {near[0]!r}? If a newer version has this setting, upgrade astica-sync."
                if near
                else f"The settings are: {', '.join(_BY_NAME)}. If a newer version has this one, upgrade astica-sync."
            )
            raise ConfigError(f"{file} sets {name[:100]!r}, which is not a setting", hint)
    return values


def user_config_file() -> Path:
    """The user's settings file; it may not exist.

    Raises:
        ConfigError: there is no home folder.
    """
    from platformdirs import user_config_path

    return user_folder(CONFIG_VARIABLE, user_config_path) / "config.toml"


def machine_state_folder() -> Path:
    """The folder that all processes of this user share, for the request budget."""
    return user_state_folder()


def service_facts_file(train_url: str) -> Path:
    """The file of what ``doctor --probe`` found out about the service at an address."""
    # Loaded here: most commands need no hash.
    import hashlib

    name = hashlib.blake2s(train_url.encode(), digest_size=8).hexdigest()
    return machine_state_folder() / f"service-{name}.json"


def load_key(environ: Mapping[str, str]) -> Secret:
    """The API key: from the environment, a file that only its owner can read, or the system keyring.

    Raises:
        ConfigError: there is none, or others can read the file.
    """
    return find_key(environ)[0]


def find_key(environ: Mapping[str, str]) -> tuple[Secret, str]:
    """The API key as ``load_key``, and where it comes from.

    Raises:
        ConfigError: as ``load_key``.
    """
    if key := environ.get(KEY_VARIABLE, "").strip():
        return _checked(key, KEY_VARIABLE), KEY_VARIABLE
    if given := environ.get(KEY_FILE_VARIABLE, "").strip():
        file = Path(os.path.expanduser(given))  # noqa: PTH111 - Path raises where the user is unknown
        return _key_from_file(file, given), f"{FILE_SOURCE}{file}"
    stored, advice = key_from_keyring()
    if stored:
        return _checked(stored, KEYRING), KEYRING
    raise ConfigError("no API key", f"Set {KEY_VARIABLE}, or set {KEY_FILE_VARIABLE} to a file{advice}")


def _checked(key: str, source: str, again: str = "Copy it again.") -> Secret:
    """The key, unless something is around it that is no part of one. It is not repeated in a message."""
    if _ASSIGNMENT.match(key):
        what = f"begins with the name of a variable, as in {KEY_VARIABLE}=KEY"
        raise ConfigError(f"the API key from {source} {what}", f"Write what stands after the '=' alone. {again}")
    if key[:1] in _QUOTATION_MARKS or key[-1:] in _QUOTATION_MARKS:
        raise ConfigError(
            f"the API key from {source} has a quotation mark before or after it", f"Leave it out. {again}"
        )
    if not key.isprintable() or any(char.isspace() for char in key):
        raise ConfigError(
            f"the API key from {source} contains white space or control characters", f"A key has none. {again}"
        )
    return Secret(key)


def _key_from_file(file: Path, given: str) -> Secret:
    try:
        status = file.stat()
        key = _decoded(file.read_bytes()).strip()
    except OSError as error:
        if not _is_place(file, given):
            # Perhaps the key itself, so it is not repeated.
            raise ConfigError(f"{KEY_FILE_VARIABLE} names no file", _why_no_file(given)) from None
        if isinstance(error, FileNotFoundError):
            raise ConfigError(
                f"the key file {file} does not exist", f"Set {KEY_FILE_VARIABLE} to the file of the key."
            ) from None
        raise ConfigError(
            f"cannot read the key file {file}: {reason_of(error)}", remedy(error, file, writing=False)
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"the key file {file} is not text in UTF-8 or UTF-16", _how_to_write(file)) from None
    if not _is_mounted_read_only(file):
        if foreign_owner(status) is None and status.st_mode & OTHERS:
            raise ConfigError(f"the key file {file} can be read by others", _how_to_hide(file, status))
        refuse_foreign_file(status, file, "the key file")
    if not key:
        raise ConfigError(f"the key file {file} is empty", _how_to_write(file))
    if sum(bool(line.strip()) for line in key.splitlines()) > 1:
        raise ConfigError(f"the key file {file} has several lines with text, and a key is one", _how_to_write(file))
    return _checked(key, f"the key file {file}", _how_to_write(file))


def _decoded(data: bytes) -> str:
    """The text of a key file. Editors and shells of other systems begin it with a byte-order mark."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    return data.decode("utf-8-sig")


def _how_to_write(file: Path) -> str:
    path = quote_path(str(file))
    return f"Write the key to it, and nothing else: cat > {path}, then paste the key, press Enter and Ctrl-D."


def _is_place(file: Path, given: str) -> bool:
    """Whether there is such a file, or a folder in which it would be. A key may have a slash in it, also the first."""
    if os.path.lexists(file):
        return True
    return "/" in given and file.parent != Path(file.anchor) and file.parent.is_dir()


def _why_no_file(given: str) -> str:
    if _LIKE_A_KEY.fullmatch(given):
        return (
            f"Its value looks like a key. Set {KEY_VARIABLE} to a key, and {KEY_FILE_VARIABLE} to the path of a file."
        )
    return f"Set {KEY_FILE_VARIABLE} to the path of the file of the key; an absolute path is valid in every folder."


def _is_mounted_read_only(file: Path) -> bool:
    """Whether the file is on a read-only mount, as secrets of orchestrators are: its mode can be neither used to change
    it nor changed, and who mounted it decided who can see it."""
    try:
        return bool(os.statvfs(file).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _how_to_hide(file: Path, status: os.stat_result) -> str:
    if os.geteuid() in (0, status.st_uid):
        return f"Run: chmod 600 {quote_path(str(file))}"
    return (
        "Mount it read-only, or with mode 0400 and this user as its owner (Docker: mode=0400,uid="
        f"{os.geteuid()}; Kubernetes: defaultMode: 0400 and runAsUser)."
    )


def key_from_keyring() -> tuple[str, str]:
    """The key that is stored there, "" where none is, and then how to store one, to be added to a list of ways."""
    store = f"keyring set {KEYRING_SERVICE} api-key"
    try:
        import keyring
    except ImportError:
        return "", f", or store it in the system keyring: pip install 'astica-sync[keyring]' && {store}"
    try:
        stored = keyring.get_password(KEYRING_SERVICE, "api-key")
    except keyring.errors.NoKeyringError:
        return "", "; this machine has no system keyring, as most servers and containers"
    except keyring.errors.KeyringLocked:
        return "", f"; the system keyring is locked: unlock it, or store the key in it again: {store}"
    except Exception as error:  # noqa: BLE001 - a keyring may raise any error, as that of its connection
        return "", f"; the system keyring cannot be read ({type(error).__name__}); the command for it: {store}"
    key = stored.strip() if isinstance(stored, str) else ""
    return key, "" if key else f", or store it in the system keyring: {store}"

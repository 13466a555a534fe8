"""Which addresses may receive the API key: https anywhere, plain http on this machine only (promise 11)."""

from urllib.parse import urlsplit


def checked_address(text: str) -> str:
    """The address of an endpoint, without spaces around it and without a slash at its end.

    Raises:
        ValueError: says which address is expected. The given one is not repeated: it may contain a password.
    """
    url = text.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("an address such as https://train.astica.ai")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("an address without a user, a password, '?' or '#'")
    if parts.scheme == "http" and not is_this_machine(parts.hostname or ""):
        raise ValueError(
            "an https:// address; plain http would show your key to the network, so it is allowed on localhost only"
        )
    return url


def shown_address(text: str) -> str:
    """The address for a message: what may be a secret in it (user, password, query, fragment) is left out."""
    address = text.strip()
    for sign in "?#":
        before, found, _ = address.partition(sign)
        address = f"{before}{found}…" if found else before
    scheme, found, rest = address.partition("://")
    credentials, at, host = (rest if found else scheme).rpartition("@")
    return f"{scheme + found if found else ''}…@{host}" if at and credentials else address


BUDGET_SCHEMES = ("redis", "rediss", "postgresql", "postgres")


def checked_budget_address(text: str) -> str:
    """The address of a budget server, as it is given to the library that speaks to it.

    Raises:
        ValueError: says which address is expected. The given one is not repeated: it may contain a password.
    """
    address = text.strip()
    try:
        parts = urlsplit(address)
        port = parts.port
        host = bool(parts.hostname) or (parts.scheme.startswith("postgres") and "host=" in parts.query)
        usable = parts.scheme in BUDGET_SCHEMES and host and port != 0 and address.isprintable()
    except ValueError:
        usable = False
    if not usable or " " in address or "://" not in address:
        raise ValueError("an address such as redis://HOST:6379 or postgresql://USER@HOST:5432/DATABASE")
    return address


LOCAL_EXECUTOR = "local"
_DASK_SCHEMES = ("dask", "dask+tls")
_DASK_PORT = 8786


def checked_executor_address(text: str) -> str:
    """The address of a Dask scheduler with its port, "" for this machine alone.

    Raises:
        ValueError: says which address is expected.
    """
    address = text.strip()
    if address in ("", LOCAL_EXECUTOR):
        return ""
    try:
        parts = urlsplit(address)
        port = _DASK_PORT if parts.port is None else parts.port
        usable = parts.scheme in _DASK_SCHEMES and bool(parts.hostname) and port != 0 and address.isprintable()
        bare = parts.username is None and parts.path in ("", "/") and not parts.query and not parts.fragment
    except ValueError:
        usable = False
    if not usable or not bare or " " in address:
        raise ValueError("local, or the address of a Dask scheduler such as dask://HOST:8786")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def spelled_address(address: str) -> str:
    """The address for a question: a host with letters other than ASCII, which may look like the ones of another host,
    is shown as name servers are asked for it as well."""
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return address
    if host.isascii():
        return address
    # The library by which httpx spells the host when it connects.
    import idna

    try:
        plain = idna.encode(host).decode()
    except idna.IDNAError:
        plain = host.encode("unicode_escape").decode()
    return f"{address} (written in ASCII: {plain})"


def is_this_machine(host: str) -> bool:
    """Whether the host of an address is the loopback interface. No name server is asked."""
    # Loaded on demand: an https address does not need it.
    from ipaddress import ip_address

    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

"""Which addresses the variable ``NO_PROXY`` leaves out of a proxy.

No standard says how it is written. Every form that curl, httpx or Python takes is taken here, so that a line which
works for one of them works: httpx knows no networks and no port 443, Python no ``*`` in a list and no port.

It is code of our own because no public function does this: httpx reads the variable in a private one, and
``urllib.request.proxy_bypass_environment`` compares the ends of names alone, so that ``10.0.0.0/8`` and
``*.example.com`` leave out no host, and ``0.0.1`` leaves out ``127.0.0.1``.
"""

import re
from ipaddress import ip_address, ip_network

_PORT = re.compile(r"(?P<name>\[[^]]*\]|[^:]*):(?P<port>\d+)")


def is_left_out(no_proxy: str, host: str, port: int) -> bool:
    """Whether a list of names leaves out a host.

    The names are separated by commas or spaces; case and a dot at the end do not matter. ``*`` is every host, a name is
    that host and all below it, also with ``.`` or ``*.`` before it. Addresses are compared as numbers, with brackets or
    without, and a network (``10.0.0.0/8``) is every address in it. After ``:`` may follow the only port that is meant.
    """
    host = _plain(host)
    return any(_means(name, host, port) for name in re.split(r"[\s,]+", no_proxy) if name)


def _means(name: str, host: str, port: int) -> bool:
    name = name.partition("://")[2] or name
    if name == "*":
        return True
    if found := _PORT.fullmatch(name):
        if int(found["port"]) != port:
            return False
        name = found["name"]
    name = _plain(name)
    if "/" in name:
        return _is_in_network(host, name)
    try:
        return ip_address(host) == ip_address(name)
    except ValueError:
        # The end of an address is no domain.
        name = name.removeprefix("*").lstrip(".")
        return bool(name) and (host == name or (host.endswith(f".{name}") and not _is_address(host)))


def _is_in_network(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def _is_address(host: str) -> bool:
    return _is_in_network(host, "0.0.0.0/0") or _is_in_network(host, "::/0")


def _plain(name: str) -> str:
    if name.startswith("["):
        name = name[1:].replace("]", "", 1)
    return name.rstrip(".").casefold()

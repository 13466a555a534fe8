"""Which addresses ``NO_PROXY`` leaves out of a proxy: every form that curl, httpx or Python takes."""

from urllib.request import proxy_bypass_environment

import httpx
import pytest
from httpx._utils import URLPattern, get_environment_proxies

from astica_sync.system.no_proxy import is_left_out

FORMS = {
    "*": ["https://a.example", "https://10.1.2.3", "https://[2001:db8::1]:8443"],
    "x.example,*": ["https://a.example"],
    "a.example": ["https://a.example", "https://a.example:8443", "https://deep.below.a.example"],
    "A.Example.": ["https://a.example"],
    ".a.example": ["https://a.example", "https://below.a.example"],
    "*.a.example": ["https://a.example", "https://below.a.example"],
    "a.example:443": ["https://a.example", "https://a.example:443", "https://below.a.example"],
    "a.example:8443": ["https://a.example:8443"],
    "x.example , a.example": ["https://a.example"],
    "x.example a.example": ["https://a.example"],
    "x.example\ta.example,,": ["https://a.example"],
    "https://a.example": ["https://a.example"],
    "10.0.0.0/8": ["https://10.1.2.3", "https://10.0.0.0"],
    "10.9.9.9/8": ["https://10.1.2.3"],
    "10.1.2.3": ["https://10.1.2.3", "https://10.1.2.3:8443"],
    "10.1.2.3:8443": ["https://10.1.2.3:8443"],
    "fe80::/10": ["https://[fe80::1]"],
    "2001:db8::1": ["https://[2001:db8::1]", "https://[2001:db8:0::1]:8443"],
    "[2001:db8::1]": ["https://[2001:db8::1]"],
    "[2001:db8::1]:443": ["https://[2001:db8::1]"],
    "b\u00fccher.example": ["https://b\u00fccher.example"],
    "xn--bcher-kva.example": ["https://b\u00fccher.example"],
}
ENDS_AN_ADDRESS = "0.2.3"
OTHERS = {
    "": ["https://a.example"],
    "a.example": ["https://ba.example", "https://a.example.org", "https://example"],
    ".a.example": ["https://ba.example"],
    "a.example:8443": ["https://a.example", "https://a.example:443"],
    "10.1.2.3:8443": ["https://10.1.2.3"],
    "[2001:db8::1]:8443": ["https://[2001:db8::1]"],
    "10.0.0.0/8": ["https://11.1.2.3", "https://10.example", "https://[2001:db8::1]"],
    ENDS_AN_ADDRESS: ["https://10.0.2.3"],
    "10.0.0.0/99,/8,[,],:,.,*.": ["https://10.1.2.3", "https://a.example"],
}


def means(no_proxy: str, address: str) -> bool:
    url = httpx.URL(address)
    return any(is_left_out(no_proxy, host, url.port or 443) for host in (url.host, url.raw_host.decode()))


@pytest.mark.parametrize("no_proxy", FORMS)
def test_every_form_leaves_its_addresses_out(no_proxy: str) -> None:
    assert [address for address in FORMS[no_proxy] if not means(no_proxy, address)] == []


@pytest.mark.parametrize("no_proxy", OTHERS)
def test_no_form_leaves_others_out(no_proxy: str) -> None:
    assert [address for address in OTHERS[no_proxy] if means(no_proxy, address)] == []


@pytest.mark.parametrize("no_proxy", {**FORMS, **OTHERS})
def test_what_httpx_or_python_leaves_out_is_left_out(no_proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that works for another program works for this one."""
    monkeypatch.setenv("https_proxy", "http://proxy.example:1")
    monkeypatch.setenv("no_proxy", no_proxy)
    for address in {*FORMS.get(no_proxy, []), *OTHERS.get(no_proxy, [])}:
        url = httpx.URL(address)
        theirs = by_httpx(url) or bool(proxy_bypass_environment(url.host, {"no": no_proxy}))
        if no_proxy == ENDS_AN_ADDRESS:
            # Python takes it for a domain.
            continue
        assert means(no_proxy, address) or not theirs, address


def by_httpx(url: httpx.URL) -> bool:
    try:
        patterns = sorted((URLPattern(name), proxy) for name, proxy in get_environment_proxies().items())
    except httpx.InvalidURL:
        # Of [::1] in the variable it makes an error.
        return False
    return next((proxy for pattern, proxy in patterns if pattern.matches(url)), None) is None

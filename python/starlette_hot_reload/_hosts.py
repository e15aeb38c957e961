"""Who may connect: a page of another site cannot, even if its name is made to point here.

docs/security.md says what each of these holds off.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.types import Scope

from ._responses import header

__all__ = ["is_foreign", "refused_host"]

SHOWN = 253
"""No name is longer (RFC 1035, section 2.3.4), and who asks may send much more."""

_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::[0-9]{0,5})?")


def refused_host(scope: Scope, allowed: Sequence[str]) -> str | None:
    """None if the request may pass; else what its Host says, or the beginning of that."""
    values = [value for name, value in scope["headers"] if name.lower() == b"host"]
    text = str(b", ".join(values), "latin-1")
    match = _HOST.fullmatch(text)
    if len(values) != 1 or match is None:
        return text[:SHOWN]
    host = (match["v6"] or match["name"]).lower().rstrip(".")
    if _is_loopback(host) or _is_bound(host, scope) or _is_listed(host, allowed):
        return None
    return (host or text)[:SHOWN]


def is_foreign(scope: Scope) -> bool:
    """A page of another origin makes this request: its browser says so (W3C, Fetch Metadata).

    One that shows a site by plain http, and not from this machine, says nothing.
    """
    return header(scope, b"sec-fetch-site") not in {b"", b"same-origin", b"none"}


def _address(host: object) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host) if isinstance(host, str) else None
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    if address is not None:
        return address.is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _is_bound(host: str, scope: Scope) -> bool:
    """It is the address that the connection was made to. A name would prove nothing."""
    server = scope.get("server") or (None,)
    address = _address(host)
    return address is not None and _address(server[0]) == address


def _is_listed(host: str, allowed: Sequence[str]) -> bool:
    return any(
        pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))
        for pattern in allowed
    )

"""Who is at the other end, and by which name they call us."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from urllib.parse import urlsplit

_OF_NO_STRANGER = re.compile(r"[\w-]+|.*\.localhost")

_IPV6_SHARE = 64
"""So many bits of an IPv6 address are one subscriber's; the others they choose themselves."""


class Networks:
    """Some addresses and networks.

    Args:
        written: each such as 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32.

    Raises:
        ValueError: one is none.
    """

    def __init__(self, written: Iterable[str] = ()) -> None:
        self.written = tuple(map(plain, written))
        self._networks = [ipaddress.ip_network(one) for one in self.written]

    def __contains__(self, address: str) -> bool:
        with suppress(ValueError):
            return any(ipaddress.ip_address(plain(address)) in one for one in self._networks)
        return False


def plain(address: str) -> str:
    """Return an address of IPv4 as such, also where a socket of IPv6 calls it ::ffff:192.0.2.1."""
    with suppress(ValueError):
        return str(ipaddress.IPv6Address(address).ipv4_mapped or address)
    return address


def network(address: str) -> str:
    """Return what counts as one address: of IPv6, a subscriber's whole network."""
    address = plain(address)
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], _IPV6_SHARE), strict=False))
    except ValueError:
        return address


class HostNames:
    """The names that we answer to.

    A page of somebody else's can make its own name lead to this machine (DNS rebinding) and then read our answers as
    its own. It can do so with names of its own only, neither with an address nor with a name that has no dot.

    Args:
        public_url: where the world reaches us, if that is known.
        names: more names.
    """

    def __init__(self, public_url: str | None, names: Collection[str] = ()) -> None:
        self._names = {name.lower() for name in names} | {urlsplit(public_url or "").hostname or ""}

    def __contains__(self, host: str) -> bool:
        """Say whether a Host header names us."""
        try:
            split = urlsplit(f"//{host}")
            name = (split.hostname or "").rstrip(".")
            split.port  # noqa: B018 - raises for what is no port
        except ValueError:
            return False
        if not name or split.username is not None or split.path or split.query or split.fragment:
            return False
        return name in self._names or _is_address(name) or bool(_OF_NO_STRANGER.fullmatch(name))


def _is_address(name: str) -> bool:
    with suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    return False

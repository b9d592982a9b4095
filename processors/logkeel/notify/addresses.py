"""Which addresses a webhook may be sent to: none inside of a network, unless that is allowed. Pure.

The guard against server-side request forgery: it judges addresses as they were resolved, and the connection is made to
exactly one of those, so that a name cannot lead elsewhere between the look and the leap.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

TRANSLATED: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
"""NAT64 (RFC 6052, RFC 8215): the last 32 bits are an IPv4 address."""


class AddressForbidden(ValueError):
    """An address inside of a network."""


def allowed_address(host: str, addresses: Sequence[str], *, allow_private: bool) -> str:
    """The address to connect to: the first one. Raises `AddressForbidden` if any of them is not public.

    One that is not is enough: who mixes them is up to something.
    """
    if not addresses:
        raise AddressForbidden(f"{host} has no address")
    if not allow_private:
        for text in addresses:
            if not is_public(text):
                raise AddressForbidden(f"{host} is {text}, which is no public address")
    return addresses[0]


def is_public(text: str) -> bool:
    """Whether the internet routes to it; an address that carries another one is judged by that one, too."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(each.is_global and not each.is_multicast for each in (address, *_carried(address)))


def _carried(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in network for network in TRANSLATED):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]

"""Who makes a call and what they may do: roles, principals, and tokens by their hashes. Pure.

A token is 32 random bytes as text; what is kept is its SHA-256. That is enough for a secret that nobody could guess,
and a file of hashes opens no door.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from logkeel.errors import ConfigInvalid, Forbidden, Unauthenticated


class Role(StrEnum):
    """What somebody may do. Every role may look; `admin` is all of them."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"


GRANTS: Final[Mapping[Role, frozenset[Role]]] = {
    Role.VIEWER: frozenset({Role.VIEWER}),
    Role.OPERATOR: frozenset({Role.VIEWER, Role.OPERATOR}),
    Role.APPROVER: frozenset({Role.VIEWER, Role.APPROVER}),
    Role.ADMIN: frozenset(Role),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a call. `may`: roles with everything that they include."""

    name: str
    may: frozenset[Role]
    is_known: bool = True

    def require(self, role: Role) -> None:
        """Raise `Forbidden` unless they have the role."""
        if role not in self.may:
            raise Forbidden(f"{self.name} has not the role {role}", role=str(role))


ANYBODY: Final = Principal("anybody", frozenset(Role), is_known=False)
"""Who calls a gateway that only this machine reaches."""


class Verifier(Protocol):
    """Knows one kind of bearer token."""

    def principal(self, token: str) -> Principal | None:
        """Whose it is; None if it is of another kind or not valid. May block for a key that is fetched."""
        ...


class StaticTokens:
    """Implements `Verifier`: tokens of a list."""

    def __init__(self, lines: Iterable[str]) -> None:
        """Raises `ConfigInvalid` for a line that is no `name:role+role:sha256`. Empty lines and `#` are passed over."""
        self._known = [_entry(line.strip()) for line in lines if line.strip() and not line.lstrip().startswith("#")]

    def principal(self, token: str) -> Principal | None:
        digest = digest_of(token)
        # All of them are compared, each in constant time: how long it takes tells nothing.
        found = [principal for known, principal in self._known if hmac.compare_digest(known, digest)]
        return found[0] if found else None


def authenticated(header: str | None, verifiers: Iterable[Verifier]) -> Principal:
    """Whose call this is by its `Authorization` header. Raises `Unauthenticated`."""
    scheme, _, token = (header or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("say who you are: Authorization: Bearer TOKEN")
    for verifier in verifiers:
        principal = verifier.principal(token.strip())
        if principal is not None:
            return principal
    raise Unauthenticated("this token is not known here, or not valid any more")


def digest_of(token: str) -> str:
    """Hex SHA-256, as token lists have it."""
    return hashlib.sha256(token.encode()).hexdigest()


def token_line(name: str, roles: Iterable[Role], token: str) -> str:
    """A line of a token list."""
    return f"{name}:{'+'.join(roles)}:{digest_of(token)}"


def roles_of(words: Iterable[object]) -> frozenset[Role]:
    """Everything that these roles grant; words that are no roles grant nothing."""
    known = [Role(word) for word in words if isinstance(word, str) and word in set(Role)]
    return frozenset().union(*(GRANTS[role] for role in known))


def _entry(line: str) -> tuple[str, Principal]:
    try:
        name, words, digest = line.rsplit(":", 2)
        roles = [Role(word) for word in words.split("+")]
        if not name or len(bytes.fromhex(digest)) != hashlib.sha256().digest_size:
            raise ValueError("no name, or no SHA-256")
    except ValueError as error:
        said = "a line of the token list is not name:role+role:sha256"
        raise ConfigInvalid(f"{said} (roles: {', '.join(Role)}); make one: logkeel gateway token NAME ROLE") from error
    return digest.lower(), Principal(name, roles_of(roles))

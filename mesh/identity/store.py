"""What a joined machine keeps: which mesh it is of, and who it is there in each of its roles.

::

    identity/mesh.json            mesh id, addresses of coordinators
    identity/authority.pem        the mesh CA's certificate
    identity/node/key.pem         one folder a role
    identity/node/certificate.pem

Each file is whole or absent, but a crash can fall between two of them. So ``load`` checks that all
parts belong together, and whatever it finds amiss says the same: join again.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mesh.errors import InvalidRequest, NotAuthenticated
from mesh.home import Home
from mesh.identity.address import join_address, split_address
from mesh.identity.files import (
    JOIN_AGAIN,
    cannot,
    private_folder,
    read_trusted,
    write_private,
)
from mesh.identity.keys import PrivateKey, load_key, load_or_create_key
from mesh.identity.machine import MachineIdentity, assemble
from mesh.identity.peer import PeerRole


class CoordinatorAddress(BaseModel):
    """Where a coordinator listens."""

    model_config = ConfigDict(frozen=True)

    address: str = Field(description="host:port of its mesh port")
    join_port: int = Field(ge=1, le=65535, description="On the same host, without mTLS.")

    @field_validator("address")
    @classmethod
    def _is_an_address(cls, address: str) -> str:
        split_address(address)
        return address

    @property
    def join_address(self) -> str:
        """``host:port`` of its join port."""
        return join_address(split_address(self.address)[0], self.join_port)


class Membership(BaseModel):
    """Which mesh a machine has joined, and where its coordinators were last seen."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    mesh_id: str = Field(pattern=r"^m[a-z2-7]{15}$")
    coordinators: tuple[CoordinatorAddress, ...] = Field(
        default=(), max_length=16, description="Hints where to dial; TLS decides who it is."
    )


class IdentityStore:
    """The identity folder of one machine."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._folder = home.identity

    def roles(self) -> tuple[PeerRole, ...]:
        """Return the roles that this machine has a certificate for, valid or not."""
        return tuple(role for role in PeerRole if _content(self._certificate_file(role)))

    def membership(self) -> Membership:
        """Return which mesh this machine has joined.

        Raises:
            NotAuthenticated: none, or the file is damaged or open to other users.
            ServiceError: it cannot be read.
        """
        try:
            return Membership.model_validate_json(read_trusted(self._mesh_file))
        except FileNotFoundError:
            raise _not_joined("this machine has joined no mesh") from None
        except (ValidationError, InvalidRequest):
            raise _damaged(f"{self._mesh_file} is not what deskmesh wrote") from None

    def save_membership(self, membership: Membership) -> None:
        """Write down which mesh this machine is of, or new addresses of its coordinators.

        Raises:
            ServiceError: it cannot be written.
        """
        self._make_folder(self._folder)
        write_private(self._mesh_file, membership.model_dump_json(indent=2).encode() + b"\n")

    def key(self, role: PeerRole) -> PrivateKey:
        """Return this machine's key for ``role``; make one if there is none, or a damaged one.

        It stays the same when the machine joins again, so its id does as well.

        Raises:
            NotAuthenticated: the key is there, and open to other users.
            ServiceError: the disk refuses.
        """
        return load_or_create_key(self._make_folder(self._role_folder(role)) / "key.pem")

    def save(self, identity: MachineIdentity) -> None:
        """Keep a new or renewed identity, in place of the one for the same role.

        If it is of another mesh, the certificates of the former mesh are removed first: nobody
        would accept them.

        Raises:
            ServiceError: it cannot be written.
        """
        self._make_folder(self._folder)
        if _content(self._authority_file) != identity.authority_pem:
            for role in self.roles():
                self._certificate_file(role).unlink(missing_ok=True)
            write_private(self._authority_file, identity.authority_pem)
        folder = self._make_folder(self._role_folder(identity.peer.role))
        if _content(folder / "key.pem") != identity.key_pem:
            write_private(folder / "key.pem", identity.key_pem)
        write_private(folder / "certificate.pem", identity.certificate_pem)

    def forget(self, role: PeerRole) -> None:
        """Remove the certificate for ``role``, if there is one. Its key stays, for another join.

        Raises:
            ServiceError: the disk refuses.
        """
        try:
            self._certificate_file(role).unlink(missing_ok=True)
        except OSError as failure:
            raise cannot("remove", self._certificate_file(role), failure) from failure

    def load(self, role: PeerRole) -> MachineIdentity:
        """Return this machine's identity in ``role``. It may have expired: see ``expires_at_s``.

        Raises:
            NotAuthenticated: there is none, or it is half-written, damaged or open to other users.
            ServiceError: it cannot be read.
        """
        try:
            certificate = read_trusted(self._certificate_file(role))
        except FileNotFoundError:
            raise _not_joined(f"this machine has joined no mesh in the role of {role}") from None
        try:
            key = load_key(self._role_folder(role) / "key.pem")
            authority = read_trusted(self._authority_file)
        except FileNotFoundError as failure:
            raise _damaged(f"{failure.filename} is missing") from None
        return assemble(key, certificate, authority)

    @property
    def _mesh_file(self) -> Path:
        return self._folder / "mesh.json"

    @property
    def _authority_file(self) -> Path:
        return self._folder / "authority.pem"

    def _role_folder(self, role: PeerRole) -> Path:
        return self._folder / role.value

    def _certificate_file(self, role: PeerRole) -> Path:
        return self._role_folder(role) / "certificate.pem"

    def _make_folder(self, folder: Path) -> Path:
        try:
            self._home.ensure(self._home.root)
        except OSError as failure:
            raise cannot("make the folder", self._home.root, failure) from failure
        private_folder(self._folder)
        return private_folder(folder)


def _content(path: Path) -> bytes | None:
    """Return what is at ``path``, whoever may read it; None if nothing is."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as failure:
        raise cannot("read", path, failure) from failure


def _not_joined(what: str) -> NotAuthenticated:
    return NotAuthenticated(what, hint="run deskmesh join with a code from deskmesh invite")


def _damaged(why: str) -> NotAuthenticated:
    return NotAuthenticated(f"this machine's identity is damaged: {why}", hint=JOIN_AGAIN)

"""Where a machine keeps its state: one folder, so that several machines fit on one."""

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

HOME_VARIABLE = "DESKMESH_HOME"


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one machine's state. Nothing is created until it is needed."""

    root: Path

    @classmethod
    def find(cls) -> "Home":
        """Return the home that ``DESKMESH_HOME`` names, else the platform's user data folder."""
        named = os.environ.get(HOME_VARIABLE)
        return cls(Path(named).expanduser() if named else platformdirs.user_data_path("deskmesh"))

    @property
    def settings_file(self) -> Path:
        return self.root / "deskmesh.toml"

    @property
    def rules_file(self) -> Path:
        """The operator's rules; read where the coordinator is."""
        return self.root / "rules.toml"

    @property
    def authority(self) -> Path:
        """The mesh CA's key and certificate; only on the machine that made the mesh."""
        return self.root / "authority"

    @property
    def identity(self) -> Path:
        """This machine's own keys and certificates, one folder a role."""
        return self.root / "identity"

    @property
    def lends(self) -> bool:
        """Whether this machine may serve answers: it holds a node's certificate, valid or not.

        ``deskmesh join CODE --no-lend`` leaves it without one.
        """
        return (self.identity / "node" / "certificate.pem").exists()

    @property
    def members(self) -> Path:
        """Who was let into the mesh, and who no longer is; only where its CA is."""
        return self.root / "members.json"

    @property
    def ledger(self) -> Path:
        """The coordinator's store of requests and attempts, and its journal."""
        return self.root / "ledger"

    @property
    def models(self) -> Path:
        """Model files that the owner puts here are served without any setting."""
        return self.root / "models"

    @property
    def advised(self) -> Path:
        """There once its owner was told what model to begin with."""
        return self.root / "advised"

    @property
    def library_cache(self) -> Path:
        """What is known of each model file, so that none is hashed twice."""
        return self.root / "library.json"

    @property
    def loads_known(self) -> Path:
        """What loads of each model took."""
        return self.root / "loads.json"

    @property
    def warm_state(self) -> Path:
        """What slots held when their engine was unloaded; empty unless its owner wants it."""
        return self.root / "warm"

    def ensure(self, folder: Path) -> Path:
        """Create ``folder`` for the owner alone (mode 700) and return it."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

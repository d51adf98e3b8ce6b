"""A program that runs whenever its owner is logged in, and what it takes to have it so."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LABEL = "deskmesh"


@dataclass(frozen=True, slots=True)
class Service:
    """What is to run."""

    command: tuple[str, ...]  # the first word is a path
    environment: Mapping[str, str]  # beside what the system gives it
    caller: Mapping[str, str]  # the environment of whoever installs it
    log: Path  # where the system keeps no log of its own
    user: Path  # the owner's home
    user_id: int  # the owner's, where people have numbers


@dataclass(frozen=True, slots=True)
class Step:
    """One command."""

    words: tuple[str, ...]
    may_fail: bool = False  # it ends what may not be there


@dataclass(frozen=True, slots=True)
class ServiceSteps:
    """How it is done here: a file, and commands of the system's."""

    file: Path
    text: str
    install: tuple[Step, ...]  # once the file is written; the program runs then
    remove: tuple[Step, ...]  # before the file is removed
    status: Step  # succeeds while it is installed and runs
    log_hint: str  # the command that shows its log
    note: str = ""  # what its owner must know beside
    encoding: str = "utf-8"  # of the file

"""What is open to everybody: a file by its mode, and a port by a firewall rule."""

import re
from random import Random
from string import ascii_lowercase

from models.tasks.task import Sample, Task

_MODE = re.compile(r"Is this file mode safe or risky: ([0-7]{3}) (/[a-z]+/[a-z]+\.[a-z]+)")
_RULE = re.compile(
    r"Is this firewall rule safe or risky: (allow|deny) (?:tcp|udp) (\d+) from (\S+)"
)

_FOLDERS = ("data", "etc", "home", "opt", "srv", "var")
_ENDINGS = ("conf", "csv", "env", "key", "log", "pem", "txt")
_EVERYWHERE = "0.0.0.0/0"
_PUBLIC_PORTS = (80, 443)  # what a web server is there for


def _generate_mode(rng: Random) -> Sample:
    """Risky is what everybody may write: bit 1 of the last octal digit (chmod, POSIX.1-2017)."""
    risky = rng.random() < 0.5
    owner, group = rng.choice("4567"), rng.choice("01234567")
    others = rng.choice("2367" if risky else "0145")
    name = "".join(rng.choices(ascii_lowercase, k=rng.randint(3, 7)))
    path = f"/{rng.choice(_FOLDERS)}/{name}.{rng.choice(_ENDINGS)}"
    prompt = f"Is this file mode safe or risky: {owner}{group}{others} {path}"
    return Sample(prompt, "risky" if risky else "safe")


def _check_mode(prompt: str, answer: str) -> bool:
    match = _MODE.fullmatch(prompt)
    return match is not None and answer == ("risky" if int(match[1], 8) & 0o002 else "safe")


def _generate_rule(rng: Random) -> Sample:
    """Risky is to allow everybody a port that is no web server's; half of the rules are."""
    risky = rng.random() < 0.5
    action, port, source = "allow", rng.randint(1, 9999), _EVERYWHERE
    if risky and port in _PUBLIC_PORTS:
        port += 1
    if not risky:
        reason = rng.choice(("denied", "web", "narrow", "narrow"))
        action = "deny" if reason == "denied" else "allow"
        port = rng.choice(_PUBLIC_PORTS) if reason == "web" else port
        if reason == "narrow":
            source = f"10.{rng.randrange(256)}.{rng.randrange(256)}.0/24"
    kind = rng.choice(("tcp", "udp"))
    prompt = f"Is this firewall rule safe or risky: {action} {kind} {port} from {source}"
    return Sample(prompt, "risky" if risky else "safe")


def _check_rule(prompt: str, answer: str) -> bool:
    match = _RULE.fullmatch(prompt)
    if match is None:
        return False
    action, port, source = match.groups()
    safe = action == "deny" or source != _EVERYWHERE or port in ("80", "443")
    return answer == ("safe" if safe else "risky")


FAMILY = (
    Task(
        name="file_mode",
        domain="security",
        description="Whether a file's mode lets everybody write it.",
        example="Is this file mode safe or risky: 646 /srv/backup.key",
        generate=_generate_mode,
        check=_check_mode,
    ),
    Task(
        name="firewall_rule",
        domain="security",
        description="Whether a firewall rule opens more than a web server to everybody.",
        example="Is this firewall rule safe or risky: allow tcp 22 from 0.0.0.0/0",
        generate=_generate_rule,
        check=_check_rule,
    ),
)

"""What a server is told when it starts."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from kblam.errors import InputError

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """How a server listens, whom it lets in and how much it takes; refused when it would be open to a network."""

    host: str = "127.0.0.1"
    """The address to listen at."""
    port: int = 8000
    """The port; 0 takes a free one."""
    keys: tuple[str, ...] = ()
    """API keys, each of which lets in; none: everybody on this machine."""
    origins: tuple[str, ...] = ()
    """Web pages of other origins that may call (CORS), for example https://chat.example.org."""
    most_waiting: int = 256
    """Questions that may wait; further ones are told to come back later."""
    most_together: int = 32
    """Questions that are answered as one batch."""
    timeout: float = 60.0
    """Seconds after which a question is given up."""
    grace: float = 20.0
    """Seconds that answers under way may take after the server was told to stop."""
    rate: int = 1200
    """Requests a minute for each key, or address without keys; 0: any number."""
    most_question: int = 20_000
    """Characters of a question."""
    most_body: int = 1 << 20
    """Bytes of a request."""
    most_import: int = 64 << 20
    """Bytes of an imported file."""
    most_facts: int = 1_000_000
    """Facts of a knowledge base that changes can add up to."""
    log_questions: bool = False
    """Whether questions and answers are logged."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise InputError(f"--port {self.port} is no port: take one between 0 and 65535")
        for name in ("most_waiting", "most_together", "timeout", "most_question", "most_body", "most_import"):
            if getattr(self, name) <= 0:
                raise InputError(f"{name} is {getattr(self, name)}: give more than 0")
        if self.rate < 0 or self.grace < 0:
            raise InputError("--rate and the grace period are 0 or more")
        if any(len(key) < 8 or not key.isascii() or not key.isprintable() for key in self.keys):
            raise InputError("an API key needs 8 or more characters, all printable ASCII: make a longer one")
        if not self.keys and not self.local:
            raise InputError(
                f"--host {self.host} opens the server to the network, so it needs an API key: put one into a file and "
                "give --api-key-file FILE, or set KBLAM_API_KEY"
            )

    @property
    def local(self) -> bool:
        """True when only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

"""Credentials that another program keeps: docker-credential-NAME, with `get`, `store` and `erase`.

A request goes to its standard input, the answer comes from its standard output, and so does the reason of a failure,
with an exit status other than 0. Source: docker-credential-helpers, README "Development".
"""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any, Final

from dockmagic.errors import DockmagicError, InvalidOption
from dockmagic.image.auth import Credentials

TIMEOUT_S: Final = 60.0  # enough to unlock a keyring by hand
_NOT_FOUND: Final = "credentials not found in native keychain"
_TOKEN_USER: Final = "<token>"  # the name of who has an identity token in place of a password
_PACKAGES: Final = {
    "acr-env": "acr-docker-credential-helper",
    "desktop": "Docker Desktop",
    "ecr-login": "amazon-ecr-credential-helper",
    "gcloud": "the Google Cloud CLI",
    "gcr": "docker-credential-gcr",
    "pass": "golang-docker-credential-helpers (and pass)",
    "secretservice": "golang-docker-credential-helpers",
}


class Helper:
    """The program docker-credential-`name`, which `place` (a file and its key) asks for."""

    def __init__(self, name: str, place: str, timeout_s: float = TIMEOUT_S) -> None:
        if not name or "/" in name or "\0" in name:
            raise InvalidOption(
                f"{place}: {name!r} is no name of a credential helper; write NAME of docker-credential-NAME"
            )
        self.program = f"docker-credential-{name}"
        self._name = name
        self._place = place
        self._timeout_s = timeout_s

    def get(self, server: str) -> Credentials | None:
        """Credentials for a server, None where the helper has none; raises DockmagicError where it fails."""
        answer = self._run("get", server)
        if answer is None:
            return None
        try:
            found: Any = json.loads(answer)
            username, secret = str(found.get("Username", "")), str(found["Secret"])
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise DockmagicError(f"{self.program} get: its answer for {server} isn't what the protocol says") from error
        if not username and not secret:  # older helpers' way to have none
            return None
        return Credentials(identity_token=secret) if username == _TOKEN_USER else Credentials(username, secret)

    def store(self, server: str, credentials: Credentials) -> None:
        """Keep credentials for a server; raises DockmagicError where it fails."""
        token = credentials.identity_token
        username, secret = (_TOKEN_USER, token) if token else (credentials.username, credentials.password)
        self._run("store", json.dumps({"ServerURL": server, "Username": username, "Secret": secret}))

    def erase(self, server: str) -> None:
        """Forget a server; idempotent. Raises DockmagicError where it fails."""
        self._run("erase", server)

    def list(self) -> dict[str, str]:
        """The users by server; raises DockmagicError where it fails."""
        try:
            found: Any = json.loads(self._run("list", "") or "{}")
            return {str(server): str(user) for server, user in (found or {}).items()}
        except (ValueError, AttributeError) as error:
            raise DockmagicError(f"{self.program} list: its answer isn't what the protocol says") from error

    def _run(self, action: str, text: str) -> str | None:
        """What the program answers, None where it hasn't what it was asked for."""
        done = self._ended(action, text)
        if done.returncode == 0:
            return done.stdout
        reason = done.stdout.strip() or done.stderr.strip() or f"exit status {done.returncode}"
        if reason == _NOT_FOUND:
            return None
        raise DockmagicError(f"{self.program} {action}: {reason}")

    def _ended(self, action: str, text: str) -> subprocess.CompletedProcess[str]:
        """The program, ended; raises DockmagicError where it can't be run or doesn't end."""
        call = [self._path(), action]
        try:
            return subprocess.run(
                call, input=text, capture_output=True, encoding="utf-8", check=False, timeout=self._timeout_s
            )
        except subprocess.TimeoutExpired as error:
            message = f"{self.program} {action}: no answer in {self._timeout_s:g} s; does it wait to be unlocked?"
            raise DockmagicError(message) from error
        except (OSError, UnicodeDecodeError) as error:
            raise DockmagicError(f"{self.program} {action}: can't be used ({error})") from error

    def _path(self) -> str:
        """Where the program is; raises DockmagicError with what to install."""
        found = shutil.which(self.program)
        if found is None:
            package = _PACKAGES.get(self._name)
            what = f"install it ({package})" if package else "install it"
            missing = f"the credential helper {self.program} isn't in PATH"
            raise DockmagicError(f"{missing}; {what}, or take {self._name!r} out of {self._place}")
        return found

"""ADD of a git repository, by the git program: which commit a name stands for, and that commit's files.

git gets an environment and a home of its own: no configuration, hooks, filters or credentials of whoever builds but
those meant for it, no question on the terminal, and none but network protocols, for submodules neither. Source: git(1),
"Environment Variables"; git-config(1); BuildKit, for which names win.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from dockmagic.builder.addresses import Repository
from dockmagic.builder.credentials import Secrets, git_authorization, git_scope
from dockmagic.errors import BuildError
from dockmagic.trees import remove_tree

_FULL: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SETTINGS: Final = (
    "core.hooksPath=/dev/null", "credential.helper=", "core.autocrlf=false", "core.symlinks=true", "gc.auto=0",
    "advice.detachedHead=false", "init.defaultBranch=main", "http.lowSpeedLimit=1", "http.lowSpeedTime=60",
)  # fmt: skip
_KEPT: Final = ("PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH")
_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY")  # those that curl knows
_HERE: Final = "localhost,127.0.0.1,::1"
_EVERYTHING: Final = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
_UMASK: Final = 0o022  # files are 644 or 755 whatever the user's
_LINES: Final = 3
_DENIED: Final = ("could not read Username", "could not read Password", "Authentication failed", "error: 403")
_HINT: Final = "; it may want a token, or another one: --secret id=GIT_AUTH_TOKEN,env=NAME"
_LOOK_UP_S: Final = 0.2


class Git:
    """Runs git with `home` as its home; raises BuildError where git isn't there, or fails.

    What `secrets` has for a repository is sent to it alone: git follows no redirect then.
    """

    def __init__(self, home: Path, secrets: Secrets | None = None) -> None:
        self._home = home
        self._secrets = secrets or {}
        self._shown: dict[str, str] = {}

    def commit(self, repository: Repository) -> str:
        """The commit that the reference stands for; a branch wins over a tag of its name."""
        ref = repository.ref or "HEAD"
        if _FULL.fullmatch(ref):
            return ref
        self._show_who(repository.remote)
        names = [ref] if ref == "HEAD" else _candidates(ref)
        listed = self._run("ls-remote", "--", repository.remote, *names)
        found = {name: commit for commit, _, name in (line.partition("\t") for line in listed.splitlines())}
        for name in names:
            if name in found:
                return found[name]
        raise BuildError(f"{repository.remote} has no branch, tag or full commit called {ref}; check what is behind #")

    def check_out(self, repository: Repository, commit: str, directory: Path, *, keep_git_dir: bool) -> None:
        """The commit's files in a new directory, those of its submodules included."""
        self._show_who(repository.remote)
        self._run("init", "-q", "--template=", "--", str(directory))
        self._run("remote", "add", "--", "origin", repository.remote, cwd=directory)
        if not self._succeeds("fetch", "-q", "--depth=1", "--no-tags", "origin", commit, cwd=directory):
            self._run("fetch", "-q", "origin", *_EVERYTHING, cwd=directory)  # a server that can't give one alone
        self._run("checkout", "-q", "--detach", commit, "--", cwd=directory)
        if repository.submodules and (directory / ".gitmodules").is_file():
            self._run("submodule", "-q", "update", "--init", "--recursive", cwd=directory)
        if keep_git_dir:
            self._run("remote", "set-url", "--", "origin", _without_secret(repository.remote), cwd=directory)
        else:
            _remove_git_dirs(directory)

    def _show_who(self, remote: str) -> None:
        """Have git show the repository what there is for it; in its environment, which others can't read."""
        authorization, scope = git_authorization(remote, self._secrets), git_scope(remote)
        header, redirects = f"http.{scope}.extraHeader", f"http.{scope}.followRedirects"
        pairs = ((header, f"Authorization: {authorization}"), (redirects, "false")) if authorization else ()
        self._shown = {"GIT_CONFIG_COUNT": str(len(pairs))}
        for index, (name, value) in enumerate(pairs):
            self._shown |= {f"GIT_CONFIG_KEY_{index}": name, f"GIT_CONFIG_VALUE_{index}": value}

    def _succeeds(self, *words: str, cwd: Path) -> bool:
        """Whether git did it."""
        try:
            self._run(*words, cwd=cwd)
        except BuildError:
            return False
        return True

    def _run(self, *words: str, cwd: Path | None = None) -> str:
        """What git writes to its standard output."""
        program = shutil.which("git")
        if program is None:
            raise BuildError("ADD of a repository needs the program git, which isn't installed here; install it")
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        process = subprocess.Popen(
            [program, *settings, *words],
            cwd=cwd or self._home, env=self._environment(), umask=_UMASK, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            encoding="utf-8", errors="replace",
        )  # fmt: skip
        with process:
            try:
                output, errors = _finished(process)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)  # what it has started, too
                raise
        if process.returncode:
            said = "; ".join(errors.strip().splitlines()[-_LINES:])
            hint = _HINT if any(words in said for words in _DENIED) else ""
            raise BuildError(f"git {words[0]} failed: {said or f'exit code {process.returncode}'}{hint}")
        return output

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in (*_KEPT, *_PROXIES) if name in os.environ}
        direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
        return {
            **kept,
            **self._shown,
            "no_proxy": f"{direct},{_HERE}" if direct else _HERE,
            "HOME": str(self._home),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "http:https:git",
        }


def _finished(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a process wrote to its streams; an interrupt of this thread is felt meanwhile."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=_LOOK_UP_S)


def _candidates(ref: str) -> list[str]:
    """Full names that a reference may stand for, the first that exists wins; "^{}" is the commit of a signed tag."""
    full = (ref,) if ref.startswith("refs/") else (f"refs/{ref}", f"refs/heads/{ref}", f"refs/tags/{ref}")
    return [name for each in full for name in (f"{each}^{{}}", each)]


def _without_secret(remote: str) -> str:
    """The address without a user's name and password."""
    parts = urlsplit(remote)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _remove_git_dirs(directory: Path) -> None:
    """Take away .git, and the files of that name that submodules have."""
    remove_tree(directory / ".git")
    for below, directories, files in os.walk(directory):
        if ".git" in files:
            (Path(below) / ".git").unlink()
        if ".git" in directories:
            remove_tree(Path(below) / ".git")
            directories.remove(".git")

"""Commands on accounts at registries: login, logout. Source: docker login's and logout's reference."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from dockmagic.commands.command import Command, CommandParser, Console, Namespace
from dockmagic.commands.results import Names
from dockmagic.errors import DockmagicError, InvalidOption, RegistryError
from dockmagic.image.auth import DOCKER_HUB, Credentials, registry_of

if TYPE_CHECKING:
    from dockmagic.engine import Engine
    from dockmagic.image.accounts import Login

_ON_THE_LINE: Final = "WARNING! Using --password via the CLI is insecure. Use --password-stdin."
_UNENCRYPTED: Final = """
WARNING! Your credentials are stored unencrypted in '{}'.
Configure a credential helper to remove this warning. See
https://docs.docker.com/go/credential-store/
"""
_HIDDEN: Final = (
    "WARNING: DOCKER_AUTH_CONFIG is set and takes precedence.\n"
    "Unset DOCKER_AUTH_CONFIG to restore the CLI auth behaviour."
)
_HUB: Final = (
    "Log in with your Docker ID or email address to push and pull images from Docker Hub. "
    "If you don't have a Docker ID, head over to https://hub.docker.com/ to create one."
)
_NOBODY: Final = "Error: Cannot perform an interactive login from a non TTY device; give -u NAME and"
_LONGEST_PASSWORD: Final = 1 << 15  # bytes


def _login_arguments(parser: CommandParser) -> None:
    parser.add_argument("-u", "--username", default="", help="user's name")
    parser.add_argument("-p", "--password", help="password or token; others may see it: leave it out to be asked")
    parser.add_argument("--password-stdin", action="store_true", help="take the password from standard input")
    _server_argument(parser)


def _server_argument(parser: CommandParser) -> None:
    parser.add_argument("server", metavar="SERVER", nargs="?", default="", help="HOST[:PORT]; default: Docker Hub")


def _login(engine: Engine, args: Namespace, console: Console) -> Names:
    """Try a name and a password at a registry, and keep them."""
    password = _given_password(args, console)
    registry = registry_of(args.server)
    known = engine.accounts.find(registry) if not (args.username or password) else None
    login = _with_known(engine, registry, known, console) if known else None
    if login is None:
        username, password = _asked(registry, args.username.strip(), password, known, console)
        login = engine.login(registry, username, password)
        if not login.helper:
            console.write("stderr", _UNENCRYPTED.format(login.path).encode())
        if login.hidden:
            console.write("stderr", f"{_HIDDEN}\n".encode())
    return Names(["Login Succeeded"])


def _given_password(args: Namespace, console: Console) -> str:
    """The password that the line gives, "" for none. Raises InvalidOption where it gives it in a way that can't be."""
    if args.password is not None:
        console.write("stderr", f"{_ON_THE_LINE}\n".encode())
        if args.password_stdin:
            raise InvalidOption("--password and --password-stdin are mutually exclusive")
        return str(args.password)
    if not args.password_stdin:
        return ""
    if not args.username:
        raise InvalidOption("Must provide --username with --password-stdin")
    if console.stdin is None:
        raise InvalidOption(
            "--password-stdin: a magic has no standard input; leave it out, and the password is asked for"
        )
    password = _read_all(console.stdin)
    if not password:
        raise InvalidOption("--password-stdin: standard input is empty")
    return password


def _read_all(descriptor: int) -> str:
    """The text of an input without the end of its last line. Raises InvalidOption for what is no password."""
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        data = file.read(_LONGEST_PASSWORD + 1)
    if len(data) > _LONGEST_PASSWORD:
        raise InvalidOption(f"--password-stdin: standard input has more than {_LONGEST_PASSWORD} bytes")
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise InvalidOption("--password-stdin: standard input is no UTF-8") from error


def _with_known(engine: Engine, registry: str, known: Credentials, console: Console) -> Login | None:
    """The login with what is kept already; None where that doesn't do any more."""
    whose = f" [Username: {known.username}]" if known.username else ""
    console.write("stdout", f"Authenticating with existing credentials...{whose}\n".encode())
    try:
        return engine.login(registry)
    except RegistryError as error:
        console.write("stderr", f"Login did not succeed, error: {error}\n".encode())
        return None


def _asked(registry: str, username: str, password: str, known: Credentials | None, console: Console) -> tuple[str, str]:
    """Name and password, what isn't given being asked for. Raises DockmagicError where nobody answers."""
    if not username:
        if registry == DOCKER_HUB:
            console.write("stdout", f"{_HUB}\n".encode())
        before = known.username if known else ""
        username = _answer(console, f"Username ({before}): " if before else "Username: ").strip() or before
        if not username:
            raise DockmagicError("Error: Non-null Username Required")
    password = password or _answer(console, "Password: ", secret=True)
    if not password:
        raise DockmagicError("Error: Password Required")
    return username, password


def _answer(console: Console, prompt: str, *, secret: bool = False) -> str:
    """What the user answers. Raises DockmagicError where nobody can be asked."""
    answer = console.ask(prompt, secret=secret)
    if answer is None:
        raise DockmagicError(f"{_NOBODY} {'-p {variable}' if console.stdin is None else '--password-stdin'}")
    return answer


def _logout(engine: Engine, args: Namespace, console: Console) -> Names:
    """Forget the credentials for a registry."""
    logout = engine.logout(args.server)
    for place in logout.elsewhere:
        note = f"WARNING: {place} still has credentials for {logout.server}\n"
        console.write("stderr", note.encode())
    return Names([f"{'Removing login credentials for' if logout.removed else 'Not logged in to'} {logout.server}"])


COMMANDS = (
    Command("registry", "login", ("login",), "Log in to a registry.", _login_arguments, _login),
    Command("registry", "logout", ("logout",), "Log out from a registry.", _server_argument, _logout),
)

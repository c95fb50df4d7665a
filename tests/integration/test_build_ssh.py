"""RUN --mount=type=ssh with real agents, real keys, and a real client in the container."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir

import pytest

from dockmagic.builder.forwarding import connect
from dockmagic.engine import Engine
from dockmagic.errors import BuildError, DockerfileError, InvalidOption
from tests.integration.build_words import build, dockerfile, said

pytestmark = [pytest.mark.root, pytest.mark.needs("ssh-agent", "ssh-add"), pytest.mark.usefixtures("busybox")]
CLIENT = "--mount=target=/c /c/ld --library-path /c /c/ssh-add"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context with ssh-add, and all that it needs to run."""
    directory = tmp_path / "client"
    directory.mkdir()
    program = shutil.which("ssh-add") or ""
    shutil.copy(program, directory)
    for line in subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout.splitlines():
        for word in line.split():
            if word.startswith("/"):
                shutil.copy(word, directory / ("ld" if Path(word).name.startswith("ld-linux") else Path(word).name))
    return directory


def key(path: Path, *flags: str) -> str:
    """The fingerprint of a new key in this file, which anybody may read."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path), *flags]
    subprocess.run(command, check=True)
    path.chmod(0o644)
    listed = subprocess.run(["ssh-keygen", "-lf", f"{path}.pub"], check=True, capture_output=True, text=True)
    return listed.stdout.split()[1]


def _answers(path: Path) -> bool:
    try:
        connect(path).close()
    except OSError:
        return False
    return True


@pytest.fixture
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of an agent that runs on its own."""
    path = tmp_path_factory.mktemp("a") / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as process:
        while not _answers(path):
            pass
        yield path
        process.terminate()


def add(agent: Path, path: Path) -> None:
    content = path.read_bytes()
    environ = {**os.environ, "SSH_AUTH_SOCK": str(agent)}
    subprocess.run(["ssh-add", "-q", "-"], check=True, input=content, env=environ)


def test_a_step_lists_and_uses_the_keys_but_changes_none(
    engine: Engine, context: Path, agent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint = key(tmp_path / "mine")
    add(agent, tmp_path / "mine")
    shutil.copy(tmp_path / "mine.pub", context)
    script = f"{CLIENT} -l; /c/ld --library-path /c /c/ssh-add -T /c/mine.pub && echo signed; "
    script += "/c/ld --library-path /c /c/ssh-add -D 2>&1; ls -ln $SSH_AUTH_SOCK; echo $SSH_AUTH_SOCK"
    text = f"FROM busybox\nRUN --mount=type=ssh,uid=5,gid=6,mode=640 {script}\n"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
    image, events = build(engine, "--ssh", "default", str(dockerfile(context, text)))
    output = said(events)
    assert fingerprint in output
    assert "signed" in output
    assert "Failed to remove all identities" in output
    assert "srw-r-----    1 5        6" in output
    assert output.endswith("\n/run/buildkit/ssh_agent.0\n")
    assert not (engine.snapshots.lower(image.config.diff_ids)[0] / "run/buildkit").exists()
    assert said(build(engine, str(context))[1]) == "", "the agent has no part in the key"


def test_keys_in_files(engine: Engine, context: Path, tmp_path: Path) -> None:
    prints = [key(tmp_path / name) for name in ("one", "two")]
    text = f"FROM busybox\nENV SSH_AUTH_SOCK=/s\nRUN --mount=type=ssh,id=k,target=/s,required {CLIENT} -l\n"
    flag = f"k={tmp_path}/one,{tmp_path}/two"
    output = said(build(engine, "--ssh", flag, str(dockerfile(context, text)))[1])
    assert [fingerprint in output for fingerprint in prints] == [True, True]
    assert not list(Path(gettempdir()).glob("dockmagic-ssh-*"))


def test_without_an_agent(engine: Engine, tmp_path: Path) -> None:
    text = 'FROM busybox\nRUN --mount=type=ssh echo "${SSH_AUTH_SOCK-none}"; ls /run || true\n'
    assert said(build(engine, str(dockerfile(tmp_path / "c", text)))[1]).startswith("none\n")
    required = text.replace("ssh echo", "ssh,required echo")
    with pytest.raises(DockerfileError, match=r'2: no SSH key "default" forwarded from the client; .* --ssh default'):
        build(engine, str(dockerfile(tmp_path / "d", required)))


def test_what_is_no_agent(engine: Engine, tmp_path: Path, agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = str(dockerfile(tmp_path / "c", "FROM busybox\nRUN --mount=type=ssh true\n"))
    key(tmp_path / "good")
    key(tmp_path / "locked", "-N", "a passphrase")
    (tmp_path / "text").write_text("no key")
    for value, message in {
        f"{tmp_path}/none": "can't use .*/none: No such file",
        f"{tmp_path}/text": "ssh-add doesn't take .*/text: it isn't a private key",
        f"{tmp_path}/locked": ".* or has a passphrase; add it to an agent",
        f"{tmp_path}/good,{agent}": "name one socket, or files with keys, not both",
    }.items():
        with pytest.raises(InvalidOption, match=f"--ssh default: {message}"):
            build(engine, "--ssh", f"default={value}", place)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    with pytest.raises(BuildError, match=r"keys need ssh-agent, which isn't here; install OpenSSH's client"):
        build(engine, "--ssh", f"default={tmp_path}/good", place)

"""The operations of an OCI runtime and what is an error in each state. Source: runtime-spec runtime.md "Operations".

The cases are those of runtime-tools' validation suite: create, start, state, kill, killsig, delete, hooks, pidfile.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.integration.oci_bundles import Oci

pytestmark = [pytest.mark.root, pytest.mark.needs("busybox")]


def hook(path: Path, script: str, **more: object) -> dict[str, object]:
    """A hook that is a shell script."""
    return {"path": "/bin/sh", "args": ["sh", "-c", script], "env": [f"DIR={path}", "PATH=/bin:/usr/bin"], **more}


def test_a_container_goes_from_created_to_running_to_stopped(oci: Oci, tmp_path: Path) -> None:
    oci.config["annotations"] = {"org.example.key": "value"}
    oci.write("sh", "-c", "while :; do sleep 0.1; done")
    pid_file = tmp_path / "pid"
    with (tmp_path / "out").open("w") as out:
        words = ("create", "--bundle", str(oci.bundle), "--pid-file", str(pid_file), oci.id)
        subprocess.run([*oci.runtime, *words], check=True, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    state = oci.state()
    assert state == {
        "ociVersion": "1.2.0",
        "id": oci.id,
        "status": "created",
        "pid": int(pid_file.read_text()),
        "bundle": str(oci.bundle),
        "annotations": {"org.example.key": "value"},
    }
    assert b"sh" not in Path(f"/proc/{state['pid']}/cmdline").read_bytes().split(b"\0")[0]
    assert "it is created" in oci.refused("delete", oci.id)
    for command in ("create", "run"):  # which leaves the one that there is alone
        assert "exists" in oci.refused(command, "--bundle", oci.bundle, oci.id)
    oci.write("sh", "-c", "exit 1")  # has no effect any more
    oci.do("start", oci.id)
    assert oci.state()["status"] == "running"
    assert "it is running" in oci.refused("start", oci.id)
    assert "it is running" in oci.refused("delete", oci.id)
    oci.do("kill", oci.id, "KILL")
    assert "pid" not in oci.await_status("stopped")
    assert "it is stopped" in oci.refused("kill", oci.id, "KILL")
    assert "it is stopped" in oci.refused("start", oci.id)
    oci.do("delete", oci.id)
    for command in ("state", "start", "kill", "delete"):
        assert f"no such container: {oci.id}" in oci.refused(command, oci.id)
    assert oci.do("list", "--quiet") == ""


def test_a_created_container_can_be_killed_and_deleted(oci: Oci) -> None:
    oci.create("true")
    oci.do("kill", oci.id, "KILL")
    oci.await_status("stopped")
    oci.do("delete", oci.id)


def test_operations_want_a_legal_id_and_a_bundle(oci: Oci) -> None:
    for command in ("create", "start", "state", "kill", "delete"):
        assert "ID" in oci.refused(command)
    oci.write("true")
    assert "use letters" in oci.refused("create", "--bundle", oci.bundle, "a/b")
    assert "config.json: No such file" in oci.refused("create", "--bundle", oci.bundle / "none", oci.id)


@pytest.mark.parametrize("given", ["SIGUSR1", "15"])
def test_the_signal_that_is_given_arrives(oci: Oci, tmp_path: Path, given: str) -> None:
    number = int(given) if given.isdecimal() else getattr(signal, f"SIG{given.removeprefix('SIG')}")
    oci.rootfs.joinpath("out").mkdir()
    oci.create(
        "sh", "-c", f"trap 'echo {number} > /out/got; exit' {number}; touch /out/ready; while :; do sleep 0.05; done"
    )
    oci.do("start", oci.id)
    while not (oci.rootfs / "out" / "ready").exists():
        oci.state()
    oci.do("kill", oci.id, given)
    oci.await_status("stopped")
    assert (oci.rootfs / "out" / "got").read_text() == f"{number}\n"
    oci.do("delete", oci.id)


def test_force_deletes_what_runs_and_what_is_not_there(oci: Oci) -> None:
    oci.create("sleep", "1000")
    oci.do("start", oci.id)
    oci.do("delete", "--force", oci.id)
    oci.do("delete", "--force", oci.id)


def test_a_missing_program_is_told_at_the_creation_and_nothing_stays(oci: Oci) -> None:
    oci.write("/bin/nonesuch")
    assert 'exec: "/bin/nonesuch": no such file or directory' in oci.refused("create", "--bundle", oci.bundle, oci.id)
    oci.write("nonesuch")
    assert "executable file not found in $PATH" in oci.refused("create", "--bundle", oci.bundle, oci.id)
    assert oci.do("list", "--quiet") == ""
    assert not [str(p) for p in Path("/sys/fs/cgroup").glob(f"*/dockmagic-oci/{oci.id}")]


def test_pausing_holds_all_processes(oci: Oci) -> None:
    oci.create("sleep", "1000")
    oci.do("start", oci.id)
    oci.do("pause", oci.id)
    assert oci.state()["status"] == "paused"
    assert "it is paused" in oci.refused("exec", oci.id, "true")
    oci.do("resume", oci.id)
    assert json.loads(oci.do("ps", "--format", "json", oci.id)) == [oci.state()["pid"]]
    oci.do("delete", "--force", oci.id)


def test_exec_starts_one_more_process_in_all_namespaces(oci: Oci) -> None:
    oci.create("sleep", "1000")
    oci.do("start", oci.id)
    words = ("exec", "--env", "A=b", "--cwd", "/etc", "--user", "7:8", "--additional-gids", "9", oci.id)
    kinds = ("pid", "mnt", "net", "uts", "ipc", "cgroup")
    script = "echo $A; pwd; id -u; id -g; id -G; hostname; for k in $0; do readlink /proc/self/ns/$k; done"
    links = [str(Path(f"/proc/{oci.state()['pid']}/ns/{kind}").readlink()) for kind in kinds]
    shown = oci.do(*words, "sh", "-c", script, " ".join(kinds)).split()
    assert shown == ["b", "/etc", "7", "8", "8", "9", "dockmagic", *links]
    assert oci.call("exec", oci.id, "sh", "-c", "exit 7").returncode == 7
    assert "executable file not found" in oci.refused("exec", oci.id, "nonesuch")
    described = oci.bundle / "process.json"
    described.write_text(json.dumps({**oci.config["process"], "args": ["cat", "/proc/self/cgroup"], "cwd": "/"}))
    assert "/sleep" not in oci.do("exec", "--process", described, oci.id)
    oci.do("delete", "--force", oci.id)


def test_hooks_run_in_order_with_the_state_on_their_input(oci: Oci, tmp_path: Path) -> None:
    kinds = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    script = 'read state; echo "{} $state" >> $DIR/log'
    oci.config["hooks"] = {kind: [hook(tmp_path, script.format(kind))] for kind in kinds}
    inside = {"path": "/bin/sh", "args": ["sh", "-c", "read state; echo $state > /state"], "env": ["PATH=/bin"]}
    oci.config["hooks"]["startContainer"] = [inside]
    assert oci.run("cat /state")
    lines = [line.partition(" ")[::2] for line in (tmp_path / "log").read_text().splitlines()]
    assert [kind for kind, _ in lines] == list(kinds)
    states = {kind: json.loads(text) for kind, text in lines}
    statuses = [states[kind]["status"] for kind in kinds]
    assert statuses == ["creating", "creating", "creating", "running", "stopped"]
    assert {state["id"] for state in states.values()} == {oci.id}
    assert states["prestart"]["pid"] == states["poststart"]["pid"] > 0
    assert json.loads((oci.rootfs / "state").read_text())["status"] == "created"


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer", "startContainer"])
def test_a_failing_hook_before_the_start_ends_the_container(oci: Oci, tmp_path: Path, kind: str) -> None:
    oci.config["hooks"] = {
        kind: [hook(tmp_path, "echo no; exit 3")],
        "poststop": [hook(tmp_path, "cat > $DIR/stopped")],
    }
    assert f"{kind} hook /bin/sh ended with status 3: no" in oci.fails("touch /ran")
    assert not (oci.rootfs / "ran").exists()
    assert (tmp_path / "stopped").exists()
    assert oci.do("list", "--quiet") == ""


def test_later_hooks_may_fail_and_none_may_take_too_long(oci: Oci, tmp_path: Path) -> None:
    oci.config["hooks"] = {"poststart": [hook(tmp_path, "exit 1")], "poststop": [hook(tmp_path, "exit 2")]}
    oci.write("true")
    log = tmp_path / "log"
    oci.do("--log", log, "--log-format", "json", "run", "--bundle", oci.bundle, oci.id)
    told = [json.loads(line) for line in log.read_text().splitlines()]
    hooks = [entry["msg"] for entry in told if "hook" in entry["msg"]]
    assert [message.partition(" hook")[0] for message in hooks] == ["poststart", "poststop"]
    oci.config["hooks"] = {"createRuntime": [hook(tmp_path, "exec sleep 100", timeout=1)]}
    assert "took longer than 1 seconds" in oci.fails()


def test_a_terminal_is_sent_to_the_console_socket(oci: Oci, tmp_path: Path) -> None:
    oci.config["process"] |= {"terminal": True, "consoleSize": {"height": 33, "width": 77}}
    oci.write("sh", "-c", "tty; stty size; test -c /dev/console && echo console")
    assert "give --console-socket" in oci.refused("create", "--bundle", oci.bundle, oci.id)
    path = str(tmp_path / "console")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(1)
        oci.do("create", "--bundle", oci.bundle, "--console-socket", path, oci.id)
        connection, _ = listener.accept()
        with connection:
            name, (master,), _, _ = socket.recv_fds(connection, 100, 1)
    assert name.startswith(b"/dev/pts/")
    oci.do("start", oci.id)
    oci.await_status("stopped")
    shown = os.read(master, 1000).decode().split()
    os.close(master)
    assert shown == ["/dev/pts/0", "33", "77", "console"]
    oci.do("delete", oci.id)


def test_updated_limits_hold_at_once(oci: Oci) -> None:
    oci.create("sleep", "1000")
    oci.do("update", "--resources", "-", oci.id, stdin=None, input=json.dumps({"pids": {"limit": 77}}))
    groups = Path(f"/proc/{oci.state()['pid']}/cgroup").read_text().splitlines()
    place = next(line.partition("::")[2] or line.split(":")[2] for line in groups if ":pids:" in line)
    assert Path(f"/sys/fs/cgroup/pids{place}/pids.max").read_text() == "77\n"
    oci.do("delete", "--force", oci.id)


def test_features_and_the_first_config_are_told(oci: Oci, tmp_path: Path) -> None:
    features = json.loads(oci.do("features"))
    assert "createContainer" in features["hooks"]
    assert "rro" in features["mountOptions"]
    oci.do("spec", "--bundle", oci.bundle)
    assert json.loads((oci.bundle / "config.json").read_text())["process"]["args"] == ["sh"]
    assert "spec: 1.2.0" in oci.do("--version")

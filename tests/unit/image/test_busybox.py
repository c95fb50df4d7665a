from __future__ import annotations

import io
import tarfile

from dockmagic.image.busybox import layer_archive

BINARY = b"\x7fELF and so on"


def members(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        return {member.name: member for member in tar}


def text(archive: bytes, name: str) -> str:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read().decode()


def test_the_same_binary_gives_the_same_bytes() -> None:
    assert layer_archive(BINARY, ["sh", "ls", "env"]) == layer_archive(BINARY, ["env", "sh", "ls", "sh", "busybox"])


def test_applets_are_hard_links_in_bin() -> None:
    entries = members(layer_archive(BINARY, ["sh", "[", "env"]))
    assert entries["bin/busybox"].size == len(BINARY)
    assert entries["bin/busybox"].mode == 0o755
    for name in ("sh", "[", "env"):
        assert entries[f"bin/{name}"].islnk()
        assert entries[f"bin/{name}"].linkname == "bin/busybox"
    assert entries["usr/bin/env"].issym()
    assert entries["usr/bin/env"].linkname == "../../bin/env"


def test_everything_is_as_old_as_the_epoch_and_belongs_to_system_users() -> None:
    entries = members(layer_archive(BINARY, ["sh"]))
    assert {member.mtime for member in entries.values()} == {0}
    owners = {name: member.uid for name, member in entries.items() if member.uid}
    assert owners == {"home": 65534, "usr/sbin": 1, "var/spool/mail": 8, "var/www": 33}
    assert all(member.uid == member.gid and not member.uname for member in entries.values())


def test_modes_are_those_of_a_root_file_system() -> None:
    entries = members(layer_archive(BINARY, ["sh"]))
    modes = {name: entries[name].mode for name in ("tmp", "root", "etc", "etc/passwd", "etc/shadow")}
    assert modes == {"tmp": 0o1777, "root": 0o700, "etc": 0o755, "etc/passwd": 0o644, "etc/shadow": 0o600}


def test_parents_come_before_what_is_in_them() -> None:
    names = list(members(layer_archive(BINARY, ["sh"])))
    for position, name in enumerate(names):
        parent = name.rpartition("/")[0]
        assert not parent or parent in names[:position]


def test_the_users_are_the_official_ones() -> None:
    archive = layer_archive(BINARY, ["sh"])
    passwd = text(archive, "etc/passwd").splitlines()
    assert passwd[0] == "root:x:0:0:root:/root:/bin/sh"
    assert [line.split(":")[0] for line in passwd] == [
        "root", "daemon", "bin", "sys", "sync", "mail", "www-data", "operator", "nobody",
    ]  # fmt: skip
    assert "wheel:x:10:root" in text(archive, "etc/group").splitlines()
    assert text(archive, "etc/shadow").startswith("root:*:::::::\n")

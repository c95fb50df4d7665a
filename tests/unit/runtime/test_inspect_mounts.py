from __future__ import annotations

from typing import Any

import pytest

from dockmagic.commands.catalogue import by_name
from dockmagic.commands.run_flags import run_options
from dockmagic.oci.options import RunOptions
from dockmagic.runtime.inspect_mounts import binds, long_mounts, tmpfs


def options(*words: str) -> RunOptions:
    return run_options(by_name()["create"].parser("create").parse_words([*words, "busybox"]))


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ("type=bind,src=/srv,dst=/d", {"Type": "bind", "Source": "/srv", "Target": "/d"}),
        (
            "type=bind,src=/srv,dst=/d,ro,bind-propagation=rslave,bind-recursive=disabled",
            {
                "Type": "bind",
                "Source": "/srv",
                "Target": "/d",
                "ReadOnly": True,
                "BindOptions": {"Propagation": "rslave", "NonRecursive": True},
            },
        ),
        ("dst=/d", {"Type": "volume", "Target": "/d"}),
        (
            "src=data,dst=/d,volume-nocopy,volume-label=a=b,volume-opt=type=tmpfs,volume-opt=device=tmpfs",
            {
                "Type": "volume",
                "Source": "data",
                "Target": "/d",
                "VolumeOptions": {
                    "NoCopy": True,
                    "Labels": {"a": "b"},
                    "DriverConfig": {"Name": "local", "Options": {"type": "tmpfs", "device": "tmpfs"}},
                },
            },
        ),
        (
            "type=tmpfs,dst=/d,tmpfs-size=1m,tmpfs-mode=1770",
            {"Type": "tmpfs", "Target": "/d", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1770}},
        ),
        (
            "type=image,src=app,dst=/d,image-subpath=etc",
            {"Type": "image", "Source": "app", "Target": "/d", "ImageOptions": {"Subpath": "etc"}},
        ),
    ],
)
def test_what_mount_names_is_shown_as_it_was_asked_for(text: str, document: dict[str, Any]) -> None:
    asked = options("-v", "/a:/a:ro", "-v", "named:/b", "--mount", text)
    assert long_mounts(asked) == [document]
    assert binds(asked) == ["/a:/a:ro", "named:/b"]


def test_what_tmpfs_names_is_shown_without_its_defaults() -> None:
    assert tmpfs(options("--tmpfs", "/run", "--tmpfs", "/tmp:size=1m,exec")) == {
        "/run": "",
        "/tmp": "size=1048576,exec",
    }
    assert long_mounts(options("--tmpfs", "/run")) == []

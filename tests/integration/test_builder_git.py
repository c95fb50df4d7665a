from __future__ import annotations

import base64
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.builder.addresses import Repository
from dockmagic.builder.git import Git
from dockmagic.builder.remotes import Remotes
from dockmagic.errors import BuildError
from dockmagic.events import StepState
from tests.integration.git_server import Work, serving_git
from tests.unit.builder.lab import Lab

pytestmark = pytest.mark.needs("git")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path)


@pytest.fixture
def git(tmp_path: Path) -> Git:
    home = tmp_path / "home"
    home.mkdir()
    return Git(home)


@pytest.fixture
def remote(tmp_path: Path, work: Work) -> Iterator[str]:
    with serving_git(tmp_path) as url:
        yield f"{url}/repo.git"


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if ".git/" not in f"{path}/")


def test_which_commit_a_name_stands_for(work: Work, git: Git, remote: str) -> None:
    first = work.commit({"a": "1"}, "v1", "both")
    work.git("branch", "old")
    second = work.commit({"a": "2"})
    work.git("branch", "both")
    work.git("tag", "light")
    work.publish()
    expected = {
        "": second, "main": second, "refs/heads/main": second, "heads/main": second, "old": first, "v1": first,
        "tags/v1": first, "refs/tags/v1": first, "light": second, "both": second, "refs/tags/both": first,
        first: first, "f" * 40: "f" * 40,
    }  # fmt: skip
    assert {ref: git.commit(Repository(remote, ref)) for ref in expected} == expected


def test_names_that_are_not_there(work: Work, git: Git, remote: str) -> None:
    commit = work.commit({"a": "1"})
    for ref in ("nothing", commit[:10]):
        with pytest.raises(BuildError, match=f"has no branch, tag or full commit called {ref}"):
            git.commit(Repository(remote, ref))
    with pytest.raises(BuildError, match=r"git ls-remote failed: .*(not found|404)"):
        git.commit(Repository(remote.replace("repo", "none"), "main"))


@pytest.mark.parametrize("smart", [True, False])
def test_the_files_of_a_commit(tmp_path: Path, work: Work, git: Git, smart: bool) -> None:
    first = work.commit({"a": "1", "d/run": "#!", "link": "-> /etc/passwd"})
    (work.directory / "d/run").chmod(0o700)
    second = work.commit({"a": "2"})
    old = os.umask(0o077)
    try:
        with serving_git(tmp_path, smart=smart) as url:
            for commit, name in ((first, "one"), (second, "two")):
                repository = Repository(f"{url}/repo.git")
                git.check_out(repository, commit, tmp_path / name, keep_git_dir=False)
    finally:
        os.umask(old)
    assert names(tmp_path / "one") == names(tmp_path / "two") == ["a", "d", "d/run", "link"]
    assert ((tmp_path / "one/a").read_text(), (tmp_path / "two/a").read_text()) == ("1", "2")
    modes = {name: stat.S_IMODE((tmp_path / "two" / name).stat().st_mode) for name in ("a", "d", "d/run")}
    assert modes == {"a": 0o644, "d": 0o755, "d/run": 0o755}
    assert (tmp_path / "two/link").readlink() == Path("/etc/passwd")


def test_the_git_directory_may_be_kept_but_no_secret_in_it(tmp_path: Path, work: Work, git: Git, remote: str) -> None:
    commit = work.commit({"a": "1"})
    repository = Repository(remote.replace("http://", "http://me:secret@"))
    git.check_out(repository, commit, tmp_path / "out", keep_git_dir=True)
    assert (tmp_path / "out/.git/HEAD").read_text() == f"{commit}\n"
    config = (tmp_path / "out/.git/config").read_text()
    assert remote in config
    assert "secret" not in config
    assert not (tmp_path / "out/.git/hooks").exists()


def test_submodules(tmp_path: Path, work: Work, git: Git, remote: str) -> None:
    Work(tmp_path, "sub").commit({"s": "s"})
    work.git("submodule", "--quiet", "add", "../sub.git", "below")
    commit = work.commit({"a": "1"})
    git.check_out(Repository(remote), commit, tmp_path / "with", keep_git_dir=False)
    git.check_out(Repository(remote, submodules=False), commit, tmp_path / "without", keep_git_dir=False)
    assert names(tmp_path / "with") == [".gitmodules", "a", "below", "below/s"]
    assert names(tmp_path / "without") == [".gitmodules", "a", "below"]


def test_a_submodule_of_this_machines_files_is_refused(tmp_path: Path, work: Work, git: Git, remote: str) -> None:
    other = Work(tmp_path, "private")
    other.commit({"s": "s"})
    work.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", f"file://{other.bare}", "below")
    commit = work.commit({"a": "1"})
    with pytest.raises(BuildError, match=r"git submodule failed: .*(not allowed|fatal)"):
        git.check_out(Repository(remote), commit, tmp_path / "out", keep_git_dir=False)


def test_nothing_of_the_users_counts(
    tmp_path: Path, work: Work, git: Git, remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither configuration, nor variables that name programs, nor hooks."""
    work.commit({"a": "1", ".gitattributes": "a filter=evil\n"})
    home, mark = tmp_path / "user", tmp_path / "mark"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f'[core]\n\thooksPath = {home}\n[filter "evil"]\n\tsmudge = touch {mark}; cat\n'
        f'[url "http://127.0.0.1:1/"]\n\tinsteadOf = http://\n'
    )
    (home / "post-checkout").write_text(f"#!/bin/sh\ntouch {mark}\n")
    (home / "post-checkout").chmod(0o755)
    for name in ("GIT_EXTERNAL_DIFF", "GIT_SSH_COMMAND", "GIT_PROXY_COMMAND", "GIT_ASKPASS"):
        monkeypatch.setenv(name, f"touch {mark}")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", str(work.bare))
    git.check_out(Repository(remote), git.commit(Repository(remote)), tmp_path / "out", keep_git_dir=False)
    assert names(tmp_path / "out") == [".gitattributes", "a"]
    assert not mark.exists()


def test_an_interrupt_ends_git(git: Git, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With all that it started; a program that sleeps stands in for it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text("#!/bin/sh\nsleep 60 &\necho $! > child\nwait\n")
    (tmp_path / "bin/git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    child = tmp_path / "home/child"

    def interrupt(*args: object, timeout: float) -> None:
        while not child.exists() or not child.read_text():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        git.commit(Repository("https://example.com/a.git"))
    status = Path(f"/proc/{child.read_text().strip()}/stat")
    deadline = time.monotonic() + 10
    while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_without_git(git: Git, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(BuildError, match="needs the program git, which isn't installed here; install it"):
        git.commit(Repository("https://example.com/a.git"))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "state")
    yield lab
    assert lab.left() == []


def test_added_repositories(work: Work, lab: Lab, tmp_path: Path) -> None:
    seen: list[str] = []
    first = work.commit({"a": "1", "docs/x.md": "x", "docs/x.txt": "", "run": "#!"}, "v1")
    with serving_git(tmp_path, seen) as url:
        text = f"FROM scratch\nADD --exclude=**/*.txt {url}/repo.git#main /all\n"
        text += f"ADD {url}/repo.git?tag=v1&subdir=docs /d/\n"
        image = lab.build(text)
        assert lab.listing(image) == [
            "all/",
            "all/a",
            "all/docs/",
            "all/docs/x.md",
            "all/run",
            "d/",
            "d/x.md",
            "d/x.txt",
        ]
        found = lab.tree(image).find("all/a")
        assert found is not None
        assert (found.status.st_uid, found.status.st_gid) == (os.geteuid(), os.getegid())
        asked = len(seen)
        assert lab.build(text).id == image.id
        assert len(seen) - asked == 4  # for each address, what the server can do and which references it has
        work.commit({"a": "2"})
        changed = lab.build(text)
        assert lab.read(changed, "all/a") == "2"
        assert lab.build(f"FROM scratch\nADD {url}/repo.git#{first} /\n").config.diff_ids
    lab.build(f"FROM scratch\nADD {url}/repo.git#{first} /\n")  # a commit is known by its name
    assert lab.ended()[-1] is StepState.CACHED


def test_the_commit_that_was_meant(work: Work, lab: Lab, remote: str) -> None:
    commit = work.commit({"a": "1"}, "v1")
    for text in (
        f"--checksum={commit[:7]} {remote}#v1",
        f"--checksum={commit} {remote}",
        f"{remote}?ref=v1&commit={commit}",
    ):
        assert lab.read(lab.build(f"FROM scratch\nADD {text} /\n"), "a") == "1"
    with pytest.raises(BuildError, match=rf"Dockerfile:2: .*v1 is the commit {commit}, not 0000 as wanted"):
        lab.build(f"FROM scratch\nADD --checksum=0000 {remote}#v1 /\n")


def test_the_git_directory_in_an_image(work: Work, lab: Lab, remote: str) -> None:
    work.commit({"a": "1"})
    with_it = lab.listing(lab.build(f"FROM scratch\nADD --keep-git-dir {remote} /\n"))
    by_query = lab.listing(lab.build(f"FROM scratch\nADD {remote}?keep-git-dir=1 /\n"))
    without = lab.listing(lab.build(f"FROM scratch\nADD --keep-git-dir=false {remote} /\n"))
    assert ".git/HEAD" in with_it
    assert ".git/HEAD" in by_query
    assert without == ["a"]


def test_directories_of_hostile_repositories(work: Work, lab: Lab, remote: str) -> None:
    work.commit({"out": "-> /etc", "up": "-> ../../..", "inside": "-> d", "d/x": "x", "file": "", "[a": "", "*/y": "y"})
    assert lab.listing(lab.build(f"FROM scratch\nADD {remote}#:inside /\n")) == ["x"]
    assert lab.listing(lab.build(f"FROM scratch\nADD {remote}#:* /\n")) == ["y"]
    for name, message in (("out", "not found in the repository"), ("file", "isn't a directory"), ("../x", "not found")):
        with pytest.raises(BuildError, match=rf"Dockerfile:2: .*{message}"):
            lab.build(f"FROM scratch\nADD {remote}#:{name} /\n")
    everything = lab.listing(lab.build(f"FROM scratch\nADD {remote}#:up /\n"))
    assert "d/x" in everything
    assert not any(".git" in name for name in everything)


TOKEN = {"GIT_AUTH_TOKEN": b"s3cret\n"}
BASIC = f"Basic {base64.b64encode(b'x-access-token:s3cret').decode()}"


def test_a_private_repository(work: Work, lab: Lab, tmp_path: Path) -> None:
    work.commit({"a": "1"}, "v1")
    with serving_git(tmp_path, wanted=BASIC) as url:
        host = url.removeprefix("http://")
        text = f"FROM scratch\nADD --keep-git-dir {url}/repo.git#v1 /\n"
        image = lab.build(text, secrets=TOKEN)
        assert lab.read(image, "a") == "1"
        assert not any("s3cret" in path.read_text("latin-1") for path in lab.root.rglob("*") if path.is_file())
        assert not any(BASIC.split()[1] in path.read_text("latin-1") for path in lab.root.rglob("*") if path.is_file())
        for secrets in (
            {f"GIT_AUTH_TOKEN.{host}": b"s3cret", "GIT_AUTH_TOKEN": b"x"},
            {"GIT_AUTH_HEADER": BASIC.encode()},
        ):
            assert lab.read(lab.build(text, secrets=secrets, no_cache=True), "a") == "1"
        for wrong in ({}, {"GIT_AUTH_TOKEN": b"wr0ng"}, {"GIT_AUTH_TOKEN.other": b"s3cret"}):
            with pytest.raises(BuildError, match=r"Dockerfile:2: .*; it may want a token.*GIT_AUTH_TOKEN") as caught:
                lab.build(text, secrets=wrong, no_cache=True)
            assert "wr0ng" not in str(caught.value)


def test_a_private_build_context(work: Work, lab: Lab, tmp_path: Path) -> None:
    work.commit({"a": "1"})
    with serving_git(tmp_path, wanted=BASIC) as url, Remotes(lab.workspaces, secrets=TOKEN) as remotes:
        assert names(remotes.directory(f"{url}/repo.git")) == ["a"]


def test_a_token_is_not_sent_on_to_another_server(work: Work, lab: Lab, tmp_path: Path) -> None:
    work.commit({"a": "1"})
    seen: list[str] = []
    with serving_git(tmp_path, seen) as other, serving_git(tmp_path, moved=other) as url:
        text = f"FROM scratch\nADD {url}/repo.git /\n"
        with pytest.raises(BuildError, match="git ls-remote failed"):
            lab.build(text, secrets=TOKEN)
        assert seen == []
        assert lab.read(lab.build(text), "a") == "1"


def test_submodules_elsewhere_do_not_get_the_token(work: Work, lab: Lab, tmp_path: Path) -> None:
    other = Work(tmp_path, "other")
    other.commit({"b": "2"})
    with serving_git(tmp_path, wanted=BASIC) as url:
        work.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other.bare), "sub")
        work.git("config", "-f", ".gitmodules", "submodule.sub.url", f"{url}/other.git")
        work.commit({"a": "1"})
        with pytest.raises(BuildError, match="git submodule failed"):
            lab.build(f"FROM scratch\nADD {url}/repo.git /\n", secrets=TOKEN)

from __future__ import annotations

from contextlib import suppress
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockmagic.builder.addresses import Repository, Url, address_of, check, commit_of, keeps_git_dir
from dockmagic.dockerfile.instructions import Add
from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.stages import stages
from dockmagic.errors import DockerfileError

GIT = "https://example.com/a/b.git"
SHA = "sha256:" + "ab" * 32


@pytest.mark.parametrize("path", ["a", "./a", "a/b.git", "http", "a:b", "@x:y", "*.tar", "example.com/a.git", "C:/x"])
def test_paths(path: str) -> None:
    assert address_of(path) is None


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://example.com/a/b.txt", "b.txt"),
        ("https://example.com:8080/a/b.tar.gz?x=/y#z", "b.tar.gz"),
        ("https://example.com/b%20c", "b c"),
        ("https://example.com/a%2Fb", "b"),
        ("https://example.com/dir/", "dir"),
        ("https://example.com", ""),
        ("https://example.com/", ""),
        ("https://example.com/a/..", ""),
        ("https://example.com/%2e%2e", ""),
        ("https://example.com/a/.", ""),
        ("https://example.com/x%00y", ""),
        ("https://[::1]:80/b.gitx", "b.gitx"),
    ],
)
def test_files(url: str, name: str) -> None:
    assert address_of(url) == Url(url, name)


@pytest.mark.parametrize(
    ("address", "repository"),
    [
        (GIT, Repository(GIT)),
        ("http://example.com/b.git", Repository("http://example.com/b.git")),
        ("git://example.com/b", Repository("git://example.com/b")),
        (f"{GIT}#v1", Repository(GIT, "v1")),
        (f"{GIT}#feature/x:docs/y", Repository(GIT, "feature/x", "docs/y")),
        (f"{GIT}#:docs", Repository(GIT, "", "docs")),
        (f"{GIT}?ref=v1&subdir=d", Repository(GIT, "v1", "d")),
        (f"{GIT}?tag=v1", Repository(GIT, "refs/tags/v1")),
        (f"{GIT}?branch=refs/heads/m", Repository(GIT, "refs/heads/m")),
        (f"{GIT}?commit=abc123", Repository(GIT, "abc123", commit="abc123")),
        (f"{GIT}?checksum=abc#v1", Repository(GIT, "v1", commit="abc")),
        (f"{GIT}?ref=v1#v1:d", Repository(GIT, "v1", "d")),
        (f"{GIT}?keep-git-dir=1&submodules=false", Repository(GIT, keep_git_dir=True, submodules=False)),
        (f"{GIT}?keep-git-dir", Repository(GIT, keep_git_dir=True)),
    ],
)
def test_repositories(address: str, repository: Repository) -> None:
    assert address_of(address) == repository


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("git@github.com:a/b.git", "no key of yours .* https://"),
        ("ssh://git@example.com/b.git", "no key of yours"),
        ("ftp://example.com/x", "ftp:// can't be fetched; use http://"),
        ("file:///etc/passwd", "file:// can't be fetched"),
        ("https:///x", "names no host"),
        ("https://example.com/a\nb", "characters that no address has"),
        ("https://example.com/\udcff", "characters that no address has"),
        ("https://example.com:x/y", "Port could not be cast"),
        ("http://[::1/x", "Invalid IPv6 URL"),
        (f"{GIT}#-upload-pack=x", "can't be the name of a branch"),
        (f"{GIT}#a..b", "can't be the name"),
        (f"{GIT}#a b", "can't be the name"),
        (f"{GIT}?tag=a&branch=b", "contradict|a branch and a tag"),
        (f"{GIT}?ref=a#b", "contradict"),
        (f"{GIT}?subdir=a#:b", "contradict"),
        (f"{GIT}?ref=a&ref=a", "ref= is there twice"),
        (f"{GIT}?ref=", "ref= has no value"),
        (f"{GIT}?commit=xyz", "commit=xyz isn't a commit"),
        (f"{GIT}?keep-git-dir=maybe", "neither true nor false"),
        (f"{GIT}?colour=red", "knows no colour="),
    ],
)
def test_what_is_no_address(address: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        address_of(address)


@given(
    st.text("abc:/?#=&.@%[]-~ \n\0é", max_size=30), st.sampled_from(["", "https://", "git@", "http://a/b.git", "x://"])
)
def test_any_text_is_an_address_a_path_or_refused(text: str, start: str) -> None:
    with suppress(ValueError):
        address = address_of(start + text)
        assert address is None or isinstance(address, Url | Repository)


def checked(line: str) -> None:
    (instruction,) = stages(parse(f"FROM x\n{line}\n")).stages[0].instructions
    check(cast("Add", instruction))


@pytest.mark.parametrize(
    "line",
    [
        "COPY a b c/",
        f"ADD a https://example.com/x {GIT}#v1 d/",
        f"ADD --checksum={SHA} https://example.com/x d",
        f"ADD --checksum=abc {GIT} d",
        f"ADD --checksum=abc {GIT}?commit=abc d",
        f"ADD --keep-git-dir --unpack {GIT}?keep-git-dir=true d",
    ],
)
def test_what_goes_together(line: str) -> None:
    checked(line)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("COPY https://example.com/x d", "https://example.com/x: COPY takes files, not addresses; use ADD"),
        (f"COPY {GIT} d", "COPY takes files"),
        ("ADD ssh://example.com/x d", "ssh://example.com/x: a build has no key of yours"),
        (f"ADD --checksum={SHA} a d", "a: --checksum is for addresses; leave it out"),
        (f"ADD --checksum={SHA} https://example.com/x https://example.com/y d/", "a single source"),
        (f"ADD --checksum={SHA[:-1]} https://example.com/x d", "isn't sha256: and 64"),
        ("ADD --checksum=md5:00 https://example.com/x d", "isn't sha256: and 64"),
        (f"ADD --checksum={SHA} {GIT} d", "isn't a commit's hexadecimal digits"),
        (f"ADD --checksum=abc {GIT}?commit=abd d", "--checksum and the address contradict"),
        (f"ADD --keep-git-dir=false {GIT}?keep-git-dir=1 d", "--keep-git-dir and the address contradict"),
    ],
)
def test_what_does_not(line: str, message: str) -> None:
    with pytest.raises(DockerfileError, match=message) as caught:
        checked(line)
    assert caught.value.line == 2


def test_flags_and_addresses() -> None:
    assert [commit_of(Repository(GIT, commit=one), two) for one, two in (("", None), ("a", None), ("", "b"))] == [
        "", "a", "b",
    ]  # fmt: skip
    assert [keeps_git_dir(Repository(GIT, keep_git_dir=one), two) for one, two in ((None, None), (None, True))] == [
        False, True,
    ]  # fmt: skip
    assert not keeps_git_dir(Repository(GIT, keep_git_dir=False), None)

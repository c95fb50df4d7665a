from __future__ import annotations

import pytest

from dockmagic.builder.supported import refuse_unsupported
from dockmagic.dockerfile.instructions import Instruction
from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.stages import stages
from dockmagic.errors import DockerfileError


def instruction(line: str) -> Instruction:
    return stages(parse(f"FROM x\n{line}\n")).stages[0].instructions[0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("RUN --device=nvidia.com/gpu=all x", "RUN --device isn't supported"),
        ("COPY --chmod=rwx a b", "--chmod=rwx is no mode"),
        ("ADD --exclude=[ a b", "--exclude: syntax error in pattern"),
        ("COPY https://example.com/x b", "COPY takes files, not addresses; use ADD"),
        ("ADD --checksum=sha256:12 https://example.com/x b", "isn't sha256: and 64 hexadecimal digits"),
    ],
)
def test_what_cannot_be_built_yet_is_refused_at_its_line(line: str, message: str) -> None:
    with pytest.raises(DockerfileError, match=message) as caught:
        refuse_unsupported(instruction(line))
    assert caught.value.line == 2


@pytest.mark.parametrize(
    "line",
    [
        "RUN --mount=type=cache,target=/x --mount=type=secret,id=y z",
        "RUN --network=none x",
        "RUN --network=default --security=sandbox x",
        "COPY --chown=1 --chmod=700 --from=x a b",
        "ADD --unpack=false --exclude=*.o a b",
        "COPY --link --parents --exclude=a --exclude=b a b",
        "COPY http a",
        "ADD --keep-git-dir=true https://example.com/x https://example.com/a.git b/",
        "COPY --chmod=$MODE a b",
        "ADD --checksum=$SUM $URL b",
        "ENV A=http://x",
    ],
)
def test_what_can(line: str) -> None:
    refuse_unsupported(instruction(line))

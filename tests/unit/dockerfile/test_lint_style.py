"""Rules on how instructions are written: for each, Dockerfiles that break it and ones that don't."""

from __future__ import annotations

import pytest

from dockmagic.dockerfile.lint_style import is_secret
from tests.unit.dockerfile.linting import found

BAD = [
    (
        "StageNameCasing",
        "FROM --platform=$BUILDPLATFORM busybox AS  Base",
        "Stage name 'Base' should be lowercase",
        "1 | FROM --platform=$BUILDPLATFORM busybox AS  Base\n    |                                            ^^^^",
    ),
    (
        "FromAsCasing",
        "FROM base as x",
        "'as' and 'FROM' keywords' casing do not match",
        "1 | FROM base as x\n    |           ^^",
    ),
    (
        "FromAsCasing",
        "from base AS x",
        "'AS' and 'from' keywords' casing do not match",
        "1 | from base AS x\n    |           ^^",
    ),
    (
        "NoEmptyContinuation",
        "FROM busybox\nRUN a \\\n\n b",
        "Empty continuation line",
        "3 | \n    | ^",
    ),
    (
        "ConsistentInstructionCasing",
        "FROM busybox\nrun a\nRUN b",
        "Command 'run' should match the case of the command majority (uppercase)",
        "2 | run a\n    | ^^^",
    ),
    (
        "ConsistentInstructionCasing",
        "from busybox\nrun a\n  Run b",
        "Command 'Run' should match the case of the command majority (lowercase)",
        "3 |   Run b\n    |   ^^^",
    ),
    (
        "MaintainerDeprecated",
        "FROM busybox\nMAINTAINER me",
        "Maintainer instruction is deprecated in favor of using label",
        "2 | MAINTAINER me\n    | ^^^^^^^^^^",
    ),
    (
        "LegacyKeyValueFormat",
        "FROM busybox\nENV A b c",
        '"ENV key=value" should be used instead of legacy "ENV key value" format',
        "2 | ENV A b c\n    |     ^",
    ),
    (
        "LegacyKeyValueFormat",
        "FROM busybox\nlabel a \\\n b",
        '"label key=value" should be used instead of legacy "label key value" format',
        "2 | label a \\\n    |       ^\n  3 |  b",
    ),
    (
        "ExposeProtoCasing",
        "FROM busybox\nEXPOSE 1 80/TcP",
        "Defined protocol '80/TcP' in EXPOSE instruction should be lowercase",
        "2 | EXPOSE 1 80/TcP\n    |          ^^^^^^",
    ),
    (
        "ExposeInvalidFormat",
        "FROM busybox\nEXPOSE 127.0.0.1:80:80",
        "EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'",
        "2 | EXPOSE 127.0.0.1:80:80\n    |        ^^^^^^^^^^^^^^^",
    ),
    (
        "ExposeInvalidFormat",
        "FROM busybox\nENV P=1:2\nEXPOSE 5 $P",
        "EXPOSE instruction should not define an IP address or host-port mapping, found '1:2'",
        "3 | EXPOSE 5 $P\n    | ^^^^^^",
    ),
    (
        "InvalidDefinitionDescription",
        "# check=experimental=all\n\n# the first\nFROM busybox AS a",
        "Comment for FROM should follow the format: `# a <description>`",
        "4 | FROM busybox AS a\n    | ^^^^",
    ),
    (
        "InvalidDefinitionDescription",
        "# check=experimental=InvalidDefinitionDescription\n# A one\nARG A\n# two\nARG B C\nFROM busybox",
        "Comment for ARG should follow the format: `# <arg_key> <description>`",
        "5 | ARG B C\n    | ^^^",
    ),
    (
        "SecretsUsedInArgOrEnv",
        "FROM busybox\nARG MY_KEY_ID DB_PASSWORD=x KEY",
        [
            'Do not use ARG or ENV instructions for sensitive data (ARG "MY_KEY_ID")',
            'Do not use ARG or ENV instructions for sensitive data (ARG "DB_PASSWORD")',
            'Do not use ARG or ENV instructions for sensitive data (ARG "KEY")',
        ],
        "2 | ARG MY_KEY_ID DB_PASSWORD=x KEY\n    |                             ^^^",
    ),
    (
        "SecretsUsedInArgOrEnv",
        "ARG token\nFROM busybox",
        'Do not use ARG or ENV instructions for sensitive data (ARG "token")',
        "1 | ARG token\n    |     ^^^^^",
    ),
    (
        "SecretsUsedInArgOrEnv",
        "FROM busybox\nENV A=1 \\\n  API_AUTH=2",
        'Do not use ARG or ENV instructions for sensitive data (ENV "API_AUTH")',
        "3 |   API_AUTH=2\n    |   ^^^^^^^^^^",
    ),
]
GOOD = [
    ("StageNameCasing", "FROM BUSYBOX AS base"),
    ("FromAsCasing", "FROM base AS x\nFROM base"),
    ("FromAsCasing", "From base as x"),
    ("NoEmptyContinuation", "FROM busybox\nRUN a \\\n# comment\n b"),
    ("ConsistentInstructionCasing", "arg A\nFROM busybox\nRUN a"),
    ("ConsistentInstructionCasing", "from busybox\nrun A"),
    ("MaintainerDeprecated", "FROM busybox\nLABEL org.opencontainers.image.authors=me"),
    ("LegacyKeyValueFormat", "FROM busybox\nENV A='b c'\nLABEL a=b"),
    ("ExposeProtoCasing", "FROM busybox\nEXPOSE 80/tcp 81/udp 82"),
    ("ExposeInvalidFormat", "FROM busybox\nEXPOSE 80 8000-8010/udp"),
    ("InvalidDefinitionDescription", "# the first\nFROM busybox AS a"),
    (
        "InvalidDefinitionDescription",
        "# check=experimental=all\nFROM a AS b\n# the second\n\nFROM a AS c\n# c is it\nRUN x\n"
        "# C\nARG C\n#\nARG D\n# x\nFROM a",
    ),
    ("SecretsUsedInArgOrEnv", "FROM busybox\nARG PUBLIC_KEY\nENV PASSWORD_FILE=/x MONKEY=1 AUTHOR=me"),
]


@pytest.mark.parametrize(("rule", "text", "message", "shown"), BAD)
def test_what_breaks_a_rule(rule: str, text: str, message: str | list[str], shown: str) -> None:
    warnings = [warning for warning in found(text) if warning.rule == rule]
    assert [warning.message for warning in warnings] == ([message] if isinstance(message, str) else message)
    assert warnings[-1].shown(text, "Dockerfile").endswith(f"\n  {shown}")


@pytest.mark.parametrize(("rule", "text"), GOOD)
def test_what_keeps_to_a_rule(rule: str, text: str) -> None:
    assert [warning for warning in found(text) if warning.rule == rule] == []


@pytest.mark.parametrize("name", ["APIKEY", "auth", "x_credentials", "credential_x", "GH_TOKEN", "A_PASSWD_B", "pword"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["KEYBOARD", "authors", "TOKENIZER", "KEY_VERSION", "public_key", "token_file"])
def test_names_of_other_things(name: str) -> None:
    assert not is_secret(name)

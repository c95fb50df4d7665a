#!/usr/bin/env bash
# run-tests.sh: check style and types, and run all tests. What needs nothing but a processor goes on beside the tests
# with real parts, and is shown when these are done. Fails where any of it does.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=.venv/bin
pure=(tests/unit tests/conformance/test_dockerfile_*.py tests/conformance/test_dockerignore.py)
shown=$(mktemp)

pure_parts() {
    "$bin/ruff" check
    "$bin/ruff" format --check
    "$bin/mypy"
    "$bin/pytest" --doctest-modules dockmagic "${pure[@]}"
}

finish() {
    pkill -P "$beside" || true # what it runs just now; the rest of it ends with that
    rm -f "$shown"
}

pure_parts >"$shown" 2>&1 &
beside=$!
trap finish EXIT
trap 'exit 130' INT TERM

status=0
"$bin/pytest" tests "${pure[@]/#/--ignore=}" || status=$?
wait "$beside" || status=$?
cat "$shown"
exit "$status"

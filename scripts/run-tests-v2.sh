#!/usr/bin/env bash
# run-tests-v2.sh [PYTEST ARGUMENT…]: run what has to do with control groups on a second kernel that has cgroup v2 alone,
# in parts, as each boot's disk and memory are thrown away. Fails where any part does.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$PWD/.venv/bin
# Left out is a test of how little of a processor the sampler takes: that kernel's system calls cost 80 times as much.
suites=(
    "cgroup resources run pausing isolation privileges sampler"
    "lifecycle namespaces run_mounts terminal logs seccomp escapes"
    "volumes container_files crash races stress"
)
status=0
for suite in "${suites[@]}"; do
    files=()
    for name in $suite; do files+=("tests/integration/test_$name.py"); done
    "$bin/python" -m tests.v2 --seconds 1800 -- "$bin/python" -m pytest -q -p no:cacheprovider --timeout 600 \
        --basetemp=/scratch/pytest --deselect tests/integration/test_sampler.py::test_twenty_containers_cost_little \
        "${files[@]}" "$@" || status=$?
done
exit "$status"

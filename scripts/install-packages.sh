#!/usr/bin/env bash
# install-packages.sh FILE: install the Debian packages that FILE names, one a line, as far as they are missing.
set -euo pipefail

missing=()
while read -r package; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done < <(sed 's/#.*//; s/[[:space:]]*$//; /^$/d' "$1")

[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "These packages are missing, and installing them takes root: ${missing[*]}" >&2
    exit 1
fi
apt-get update -q
apt-get install -q --yes --no-install-recommends "${missing[@]}" </dev/null

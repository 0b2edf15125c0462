#!/bin/bash
# install-needs.sh GROUP... - installs the packages of these groups of needs.txt that are missing.
#
# Asks nothing and starts nothing. A Postfix that it installs is left without a
# configuration; one that is there is left alone. Nothing is ever removed: where
# another mail server is installed it stops, for Debian allows only one.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)

packages() { # PACKAGE names of the groups
    awk -v groups=" $* " '$1 !~ /^#/ && index(groups, " " $1 " ") { print $2 }' "$here/needs.txt"
}

is_installed() {
    dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed
}

leave() {
    [ -z "${wrote_policy:-}" ] || "${as_root[@]}" rm -f "$policy"
    rm -f "$log"
}
trap leave EXIT

start_no_daemon() {
    [ ! -e "$policy" ] || return 0
    wrote_policy=1
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
}

install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-remove \
        --no-install-recommends "$@" </dev/null >>"$log" 2>&1
}

missing=()
for package in $(packages "$@"); do
    is_installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

command -v apt-get >/dev/null || {
    echo "missing: ${missing[*]}, and this is no Debian: install what packaging/needs.txt lists" >&2
    exit 1
}
echo "installing with apt: ${missing[*]}"
start_no_daemon
if printf '%s\n' "${missing[@]}" | grep -qx postfix; then
    echo "postfix postfix/main_mailer_type select No configuration" |
        "${as_root[@]}" debconf-set-selections
fi
install "${missing[@]}" || {
    "${as_root[@]}" apt-get update </dev/null >>"$log" 2>&1 && install "${missing[@]}"
} || {
    cat "$log" >&2
    echo "apt could not install: ${missing[*]}" >&2
    exit 1
}

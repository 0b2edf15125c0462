#!/bin/bash
# unpack-needs.sh GROUP DIRECTORY - unpacks the packages of a group of needs.txt, installing none.
#
# For servers that a test runs and that nobody wants enabled on the machine, or
# that Debian does not let stand beside each other. The libraries that they take
# and that are not installed are unpacked beside them. Takes no time when all is
# there. Follows APT_CONFIG, as a hook of mmdebstrap does.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
group=$1
directory=$2
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)

mapfile -t packages < <(awk -v group="$group" '$1 == group { print $2 }' "$here/needs.txt")
[ ${#packages[@]} -gt 0 ] || {
    echo "needs.txt has no group $group" >&2
    exit 2
}

with_missing_libraries() { # each package is asked for by itself, for some conflict
    local package
    for package in "${packages[@]}"; do
        echo "$package"
        apt-get install --simulate --no-install-recommends "$package" |
            awk '$1 == "Inst" { print $2 }'
    done | sort -u
}

new=$directory.new
unpack() {
    local archive names
    names=$(with_missing_libraries) || return
    rm -rf "$new"
    mkdir -p "$new/archives"
    # shellcheck disable=SC2086 # one word a package
    (cd "$new/archives" && apt-get download -o APT::Sandbox::User=root $names) || return
    for archive in "$new"/archives/*.deb; do
        dpkg-deb --extract "$archive" "$new" || return
    done
    rm -rf "$new/archives"
}

stamp=$(
    {
        grep -E '^(VERSION_CODENAME|ID)=' /etc/os-release
        printf '%s\n' "${packages[@]}"
        cat "$0"
    } | sha256sum
)
[ "$(cat "$directory/stamp" 2>/dev/null)" != "$stamp" ] || exit 0
command -v apt-get >/dev/null || {
    echo "this is no Debian: ${packages[*]} cannot be unpacked" >&2
    exit 1
}
echo "unpacking, not installing: ${packages[*]}"
log=$(mktemp)
trap 'rm -rf "$log" "$new"' EXIT
unpack >"$log" 2>&1 </dev/null || {
    "${as_root[@]}" apt-get update >>"$log" 2>&1 </dev/null && unpack >>"$log" 2>&1 </dev/null
} || {
    cat "$log" >&2
    echo "apt could not fetch: ${packages[*]}" >&2
    exit 1
}
echo "$stamp" >"$new/stamp"
rm -rf "$directory"
mv "$new" "$directory"

#!/bin/bash
# build-deb.sh [DIRECTORY] - builds the Debian package into DIRECTORY, build/deb by default.
#
# What git tracks or would track is copied to a directory of its own, where
# packaging/debian becomes debian/ and dpkg-buildpackage does the rest, without
# network. The package and its source are left in DIRECTORY; its last line names
# the package. The same source gives the same bytes wherever and whenever it is built.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
result=${1:-$top/build/deb}
umask 022
export PATH=/usr/sbin:/usr/bin:/sbin:/bin # Debian's Python, whichever else there is
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
changelog() { dpkg-parsechangelog --file "$top/packaging/debian/changelog" --show-field "$1"; }
version=$(changelog Version)
epoch=$(changelog Timestamp)
source=$work/postkeel-$version

mkdir "$source"
# Of dates only the changelog's goes into the package, of modes only who may run a file.
git -C "$top" -c safe.directory="$top" ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do
        [ ! -e "$top/$file" ] || printf '%s\0' "$file"
    done |
    tar -C "$top" --null --files-from=- --mtime="@$epoch" --mode=u=rwX,go=rX --create |
    tar -C "$source" --extract
mv "$source/packaging/debian" "$source/debian"
(cd "$source" && dpkg-buildpackage --no-sign --build=full >"$work/log" 2>&1) || {
    cat "$work/log" >&2
    exit 1
}
mkdir -p "$result"
rm -f "$result"/postkeel_*
mv "$work"/postkeel_* "$result"
mv "$work/log" "$result/log"
echo "$result/postkeel_${version}_all.deb"

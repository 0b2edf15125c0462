#!/bin/bash
# other-debian.sh [PYTEST ARGUMENT...] - the tests in the other Debian: 13 on Debian 12, 12 elsewhere.
#
# The tree of that Debian is made once with mmdebstrap from the mirror that apt
# uses here, and kept in POSTKEEL_CACHE. The tests run in it with namespaces of
# their own: no network but loopback, the source read-only, nothing left behind.
# Ends 77 with the reason as its last line where that cannot be done.
# shellcheck disable=SC2016 # what other programs expand stands in single quotes
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
cache=${POSTKEEL_CACHE:-/var/cache/postkeel-tests}

cannot() {
    echo "$*"
    exit 77
}

[ "$(id -u)" = 0 ] || cannot "needs root"
command -v mmdebstrap >/dev/null || cannot "needs mmdebstrap"
unshare --mount --pid --net --fork true 2>/dev/null || cannot "namespaces are not allowed here"
suite=trixie
grep -q '^VERSION_CODENAME=trixie' /etc/os-release && suite=bookworm
of_groups() { # REGULAR-EXPRESSION: the packages of these groups
    awk -v groups="^($1)\$" '$1 ~ groups { print $2 }' "$top/packaging/needs.txt" | paste -sd,
}
packages=$(of_groups 'run|build|test|package')
unpack=$top/packaging/unpack-needs.sh
tree=$cache/$suite-$(echo "$packages $(of_groups 'collectors|renewal|resolver')" | cat - "$0" "$unpack" |
    sha256sum | cut -c1-12)

make_tree() {
    local mirror
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
        awk '$2 !~ /-/ { print $1; exit }')
    [ -n "$mirror" ] || cannot "apt knows no Debian mirror"
    echo "making the tree of Debian $suite"
    mkdir -p "$cache"
    rm -rf "$tree.new"
    mmdebstrap --quiet --variant=minbase --include="$packages" \
        --essential-hook='echo "postfix postfix/main_mailer_type select No configuration" |
            chroot "$1" debconf-set-selections' \
        --customize-hook="APT_CONFIG=\"\$MMDEBSTRAP_APT_CONFIG\" \
            bash '$unpack' collectors \"\$1/var/lib/postkeel-collectors\"" \
        --customize-hook="APT_CONFIG=\"\$MMDEBSTRAP_APT_CONFIG\" \
            bash '$unpack' renewal \"\$1/var/lib/postkeel-renewal\"" \
        --customize-hook="APT_CONFIG=\"\$MMDEBSTRAP_APT_CONFIG\" \
            bash '$unpack' resolver \"\$1/var/lib/postkeel-resolver\"" \
        "$suite" "$tree.new" "deb $mirror $suite main" </dev/null || cannot "mmdebstrap failed"
    mv "$tree.new" "$tree"
}

exec 9>"/run/lock/postkeel-other-debian"
flock 9
[ -d "$tree" ] || make_tree
flock -u 9

# Inside the new namespaces, as their first process: mounts and loopback first.
inside='
set -euo pipefail
tree=$1 source=$2
shift 2
mount --make-rprivate /
mount --bind "$tree" "$tree" # a root that is a mount lets tests make mount namespaces in it
for directory in tmp run var/tmp; do mount -t tmpfs -o mode=1777 tmpfs "$tree/$directory"; done
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
mkdir -p "$tree/run/postkeel"
mount --bind "$source" "$tree/run/postkeel"
mount -o remount,bind,ro "$tree/run/postkeel"
ip link set lo up
chroot "$tree" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 CI="${CI:-}" \
    POSTKEEL_COLLECTORS=/var/lib/postkeel-collectors \
    POSTKEEL_RENEWAL=/var/lib/postkeel-renewal \
    POSTKEEL_RESOLVER=/var/lib/postkeel-resolver \
    PYTHONDONTWRITEBYTECODE=1 HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis \
    bash -euc "cd /run/postkeel
        bash tests/environment.sh debian /tmp/environment
        bash tests/steady.sh /tmp/environment/bin/python -m pytest -q \"\$@\"" bash "$@"
status=$?
exit $status'
unshare --mount --pid --net --ipc --fork --kill-child \
    bash -c "$inside" bash "$tree" "$top" "$@" </dev/null 9>&-

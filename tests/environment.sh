#!/bin/bash
# environment.sh debian|today DIRECTORY - makes a Python environment with the project in it.
#
# debian: Debian's Python with Debian's libraries. today: the newest Python of
# this machine with today's releases from PyPI. The project is installed so that
# it follows the source. Made anew when pyproject.toml, Python or this script
# changes; otherwise this takes no time.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
kind=$1
environment=$2

newest_python() { # in PATH, or among the versions that pyenv keeps
    local minor python
    for minor in 15 14 13 12 11; do
        for python in $(type -ap "python3.$minor") \
            "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$minor."*/bin/python3; do
            "$python" -c 'import ensurepip, ssl, sqlite3' 2>/dev/null && echo "$python" && return
        done
    done
    echo /usr/bin/python3
}

case $kind in
debian)
    python=/usr/bin/python3
    options=(--system-site-packages)
    project=(--no-index --no-build-isolation --no-deps --editable "$top")
    ;;
today)
    python=$(newest_python)
    options=()
    project=(--editable "${top}[test,check]")
    ;;
*)
    echo "environment.sh: debian or today, not $kind" >&2
    exit 2
    ;;
esac

stamp=$(
    {
        echo "$top"
        "$python" -VV
        cat "$top/pyproject.toml" "$0"
    } | sha256sum
)
[ "$(cat "$environment/stamp" 2>/dev/null)" != "$stamp" ] || exit 0
echo "making $environment: $("$python" --version), $kind's libraries"
rm -rf "$environment"
"$python" -m venv "${options[@]}" "$environment"
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
    --no-warn-script-location "${project[@]}" </dev/null
echo "$stamp" >"$environment/stamp"

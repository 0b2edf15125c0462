#!/bin/bash
# run-tiers.sh [TIER...] - every test there is, in tiers, and one summary that names each.
#
# check     ruff, mypy and shellcheck
# debian    this Debian's Python and libraries
# today     the newest Python here with today's releases from PyPI
# coverage  what the tier `today` went through (COVERAGE_FLOOR: per cent that core, postfix,
#           certificates, headers, maillog, reporting and plugins need, default 100)
# package   the Debian package: built twice, read, and run through lintian
# other     Debian 13 on Debian 12, Debian 12 elsewhere; the package there too
# system    Debian 12, 13 and sid booted: the package on them, through upgrades and power cuts
#
# A tier that cannot run is skipped with its reason; with CI=true that is a
# failure. Output goes to build/log/TIER; a failed tier's is shown. The last
# line counts the tests of all tiers; it is kept in build/summary.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
tiers=("$@")
[ $# -gt 0 ] || tiers=(check debian today coverage package other system)

if [ "$(id -u)" != 0 ] && sudo -n true 2>/dev/null; then
    # A private Postfix needs root. Without it those tests are skipped, with the reason.
    exec sudo --preserve-env=CI,COVERAGE_FLOOR,POSTKEEL_CACHE bash "$0" "${tiers[@]}"
fi
mkdir -p build/log
build=$PWD/build
export PYTHONDONTWRITEBYTECODE=1 HYPOTHESIS_STORAGE_DIRECTORY=$build/hypothesis
export RUFF_CACHE_DIR=$build/ruff MYPY_CACHE_DIR=$build/mypy COVERAGE_FILE=$build/coverage
skipped=77
# steady.sh tries again, once, what fails, and names it.
# Each run of pytest is given forty minutes, or fifty: a test that hangs must not eat CI's time.

has_environment() {
    [ -e "$1/stamp" ] || {
        echo "the environment $1 could not be made"
        return $skipped
    }
}

check() {
    has_environment .venv || return
    .venv/bin/ruff check --quiet . &&
        .venv/bin/ruff format --check --quiet . &&
        .venv/bin/mypy &&
        MYPYPATH=tests/bed .venv/bin/mypy --strict --config-file= tests/bed/*.py &&
        if command -v shellcheck >/dev/null; then
            shellcheck .ci/run packaging/*.sh packaging/debian/postkeel.p{ostinst,rerm,ostrm} \
                packaging/debian/tests/guards conf/certbot/postkeel tests/*.sh
        fi
}

debian() {
    has_environment .venv-debian || return
    # The scanners judge the same Postfix in the tier today, and certbot and lego renew in the tier
    # other; once is enough. So are 200 renewals.
    POSTKEEL_SOAK=yes timeout 3000 bash tests/steady.sh .venv-debian/bin/python -m pytest -q -m "not system" \
        --ignore=tests/live/test_scanners.py --ignore=tests/live/test_renewal.py \
        --ignore=tests/packaging
}

today() {
    has_environment .venv || return
    # certbot and lego take five minutes, in the tier other.
    timeout 2400 bash tests/steady.sh .venv/bin/python -m coverage run --append -m pytest -q \
        -m "not system" --ignore=tests/packaging --ignore=tests/live/test_renewal.py
}

coverage() {
    [ -e "$COVERAGE_FILE" ] || {
        echo "the tier today left no data"
        return $skipped
    }
    .venv/bin/python -m coverage report
    .venv/bin/python -m coverage report --fail-under="${COVERAGE_FLOOR:-100}" --format=total \
        --include='agent/postkeel/core/*,agent/postkeel/postfix/*,agent/postkeel/certificates/*,agent/postkeel/headers/*,agent/postkeel/maillog/*,agent/postkeel/reporting/*,plugins/*'
}

package() {
    has_environment .venv-debian || return
    timeout 600 bash tests/steady.sh .venv-debian/bin/python -m pytest -q tests/packaging
}

other() {
    timeout 2400 bash tests/other-debian.sh -m "not system"
}

system() {
    local suite failed=0 lanes=() said=()
    has_environment .venv-debian || return
    .venv-debian/bin/python tests/bed/booted_debian.py || return
    POSTKEEL_DEB=$(bash packaging/build-deb.sh "$build/system" | tail -n 1)
    export POSTKEEL_DEB
    # A booted Debian mostly waits, so the releases are tested side by side.
    for suite in bookworm trixie sid; do
        POSTKEEL_SUITE=$suite timeout 2400 bash tests/steady.sh .venv-debian/bin/python -m \
            pytest -q tests/system >"$build/system/$suite" &
        lanes+=($!)
    done
    for suite in bookworm trixie sid; do
        wait "${lanes[${#said[@]}]}" || failed=1
        cat "$build/system/$suite"
        said+=("$suite $(tail -n 1 "$build/system/$suite")")
    done
    printf '%s; ' "${said[@]}"
    echo
    return $failed
}

run_tier() { # NAME: sets verdict
    local log=build/log/$1 began=$SECONDS status
    echo "$1 ..."
    if [ "$1" = other ]; then
        began=0
        wait "$beside"
    else
        "$1" >"$log" 2>&1 </dev/null
    fi
    status=$?
    case $status in
    0) verdict="passed in $((SECONDS - began)) s: $(tail -n 1 "$log")" ;;
    "$skipped") verdict="skipped: $(tail -n 1 "$log")" ;;
    *) verdict="FAILED, see $log" ;;
    esac
    [ "$status" != 0 ] || return 0
    [ "$status" != $skipped ] || [ "${CI:-}" = true ] || return 0
    tail -n 400 "$log"
    return 1
}

count() { # WORD: how many tests pytest says so of, in all tiers
    cat build/log/* | grep -E '^[0-9].* in [0-9.]+s' | grep -oE "[0-9]+ $1" |
        awk '{ sum += $1 } END { print sum + 0 }'
}

rm -f build/log/* build/coverage
if [[ " ${tiers[*]} " == *" other "* ]]; then
    # It has namespaces of its own, and a tier mostly waits: so it runs beside those before it.
    other >build/log/other 2>&1 </dev/null &
    beside=$!
fi
verdicts=()
failed=0
for tier in "${tiers[@]}"; do
    run_tier "$tier" || {
        failed=$((failed + 1))
        verdict="${verdict/#skipped/FAILED, for nothing may be skipped in CI}"
    }
    verdicts+=("$(printf '%-9s %s' "$tier" "$verdict")")
done
echo
printf '%s\n' "${verdicts[@]}"
failures=$(($(count failed) + $(count errors?)))
[ $failures -ge $failed ] || failures=$failed
echo "$(count passed) passed, $failures failed, $(count skipped) skipped" | tee build/summary
[ $failed = 0 ]

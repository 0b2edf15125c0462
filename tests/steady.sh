#!/bin/bash
# steady.sh COMMAND... - runs pytest by this command; what fails is tried once more by itself.
#
# Tests of real servers have deadlines, and a machine may be busy for a moment. What
# fails twice has failed. What passes the second time is named in the last line as
# unsteady: it is to be mended. More than five failures are no accident, and stand.
set -uo pipefail
most=5
kept=$(mktemp -d)
trap 'rm -rf "$kept"' EXIT

"$@" -o cache_dir="$kept/cache" >"$kept/first"
status=$?
last=$(tail -n 1 "$kept/first")
names=$(sed -n 's/^FAILED \(.*\) - .*/\1/p' "$kept/first" | sort -u | paste -sd,)
number() { grep -oE "[0-9]+ $1" <<<"$last" | grep -oE '^[0-9]+' || echo 0; }
if [ $status != 1 ] || [ "$(number errors?)" != 0 ] || [ "$(number failed)" -gt $most ]; then
    cat "$kept/first"
    exit $status
fi
sed '$s/^/first attempt: /' "$kept/first"
"$@" -o cache_dir="$kept/cache" --last-failed >"$kept/second"
status=$?
if [ $status != 0 ]; then
    cat "$kept/second" "$kept/first"
    exit $status
fi
sed '$s/^/second attempt: /' "$kept/second"
echo "$(($(number passed) + $(number failed))) passed, $(number skipped) skipped in" \
    "$(grep -oE '[0-9.]+s' <<<"$last" | head -n 1), unsteady:" "$names"

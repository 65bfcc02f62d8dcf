#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The demonstration runs to its end, shows what it promises and leaves nothing: test-demo.sh BUILD

set -u

cd "$(dirname "$0")" || exit 1
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
number=0
result=0

# case_is NAME COMMAND…: the command succeeds.
case_is() {
        name=$1
        shift
        number=$((number + 1))
        if "$@" >/dev/null; then
                echo "ok $number - $name"
        else
                echo "not ok $number - $name"
                result=1
        fi
}

# shellcheck disable=SC2317 # called by case_is
# shows PATTERN: the demonstration's output has such a line.
shows() {
        grep -Eq -- "$1" <<<"$output"
}

output=$(bash ./demo.sh "$1" 2>&1 </dev/null)
status=$?

case_is 'it succeeds' test $status = 0
case_is 'a real map is loaded' shows ' Regions: 131$'
case_is 'DIMMs are plugged, and slots follow' shows '0x108000000 0x147ffffff +1GiB'
case_is 'the monitor sees a DIMM come' shows '│ .*\+ memory 0x100000000-0x107ffffff ram dimm0'
case_is 'the monitor sees a DIMM go' shows '│ .*- memory 0x108000000-0x147ffffff ram dimm1'
case_is 'a range that cannot be is refused' shows '^Call failed: InvalidRange: region "dimm2"'
case_is 'what is in use is not removed' shows '^Call failed: InUse: region "device-memory"'
case_is 'a transaction is one commit' shows '│ .*\+ memory 0x100000000-0x17fffffff ram dimm3'
if grep -q '^No guest runs here' <<<"$output"; then
        number=$((number + 1))
        echo "ok $number - a guest runs # SKIP it takes /dev/kvm, on x86-64"
else
        case_is 'a guest fills one DIMM' shows '^40000000  64 69 6d 6d .*dimmdimm'
        case_is 'and another' shows '^80000000  64 69 6d 6d .*dimmdimm'
        case_is 'its doorbell rings, twice' test 2 = "$(grep -A 1 '^\$ .* ioeventfd wait' <<<"$output" |
                grep -cx 1)"
        case_is 'it wrote to all pages' shows '^256 pages of 4KiB'
fi
case_is 'nothing fails on the way' test -z "$(grep -v '^Call failed: In' <<<"$output" |
        grep -iE 'failed|error|in vain|guestmapctl: ')"
case_is 'nothing is left' test -z "$(ls -A "$TMPDIR")"

[ $result = 0 ] || printf '%s\n' "$output" | sed 's/^/# /'
echo "1..$number"
exit $result

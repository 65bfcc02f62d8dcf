# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# guestmapctl against a guestmapd on a bus of its own; TAP on stdout. For scripts that source this:
#
#   test-client….sh GUESTMAPCTL GUESTMAPD GUESTMAP-VMD

set -u

ctl=$(realpath "$1") guestmapd=$(realpath "$2") vmd=$(realpath "$3")
directory=$(mktemp -d)
address=unix:path=$directory/bus
started=()
n=0 failed=0

end() {
        # VMs outlive guestmapd. Last started, first ended: the bus goes last.
        for name in $(ctl --no-legend list 2>/dev/null | cut -d ' ' -f 1); do
                ctl destroy "$name"
        done
        for ((i = ${#started[@]} - 1; i >= 0; i--)); do
                kill "${started[i]}" 2>/dev/null && wait "${started[i]}" 2>/dev/null
        done
        rm -rf "$directory"
}
trap end EXIT

# Runs a command until it succeeds, for ten seconds.
eventually() {
        for _ in {1..200}; do
                "$@" >/dev/null 2>&1 && return
                sleep 0.05
        done
        return 1
}

bail_out() {
        echo "Bail out! $1"
        sed 's/^/# /' "$directory"/*.log
        exit 1
}

ctl() {
        "$ctl" --address="$address" "$@"
}

# Runs guestmapctl; leaves $out, $err and $status.
run() {
        out=$(ctl "$@" 2>"$directory/err")
        status=$?
        err=$(<"$directory/err")
}

# verdict NAME CONDITION: one line of TAP, with what happened when it should not have.
verdict() {
        n=$((n + 1))
        if [[ $2 == yes ]]; then
                echo "ok $n - $1"
                return
        fi
        failed=$((failed + 1))
        echo "not ok $n - $1"
        printf 'status %s\nout: %s\nerr: %s\n%s\n' "$status" "$out" "$err" "${3-}" | sed 's/^/# /'
}

# does NAME ARGUMENT...: succeeds and has nothing to say.
does() {
        run "${@:2}"
        [[ $status == 0 && -z $out && -z $err ]] && verdict "$1" yes || verdict "$1" no
}

# prints NAME ARGUMENT... <TEXT: succeeds and prints exactly that.
prints() {
        local expected
        expected=$(cat)
        run "${@:2}"
        [[ $status == 0 && $out == "$expected" && -z $err ]] && verdict "$1" yes ||
                verdict "$1" no "expected: $expected"
}

# refuses NAME PATTERN ARGUMENT...: fails with one line that begins with it, and prints nothing.
refuses() {
        run "${@:3}"
        [[ $status == 1 && -z $out && $err == "guestmapctl: "$2 && $err != *$'\n'* ]] &&
                verdict "$1" yes || verdict "$1" no "expected: guestmapctl: $2"
}

# would NAME STATUS PATTERN ARGUMENT...: a dry run, and what it says.
would() {
        run "${@:4}"
        # shellcheck disable=SC1078,SC2027,SC2053 # a pattern
        [[ $status == "$2" && $out == $3 && -z $err ]] && verdict "$1" yes ||
                verdict "$1" no "expected: $2, $3"
}

# json NAME EXPRESSION ARGUMENT...: one line of JSON; true of it, as d, is the Python expression.
json() {
        run --json=short "${@:3}"
        [[ $status != 1 && $out != *$'\n'* && -z $err ]] &&
                /usr/bin/python3 -c 'import json, sys
d = json.loads(sys.argv[1])
sys.exit(not eval(sys.argv[2]))' "$out" "$2" 2>"$directory/err" && verdict "$1" yes ||
                verdict "$1" no "expected: $2"
}

# write_bus_configuration [POLICY]: of a bus that drops signals to a client with much unread, as
# test_missed wants it.
# shellcheck disable=SC2120 # test_direct gives a policy
write_bus_configuration() {
        cat >"$directory/bus.conf" <<END
<busconfig>
  <type>session</type>
  <listen>$address</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
    ${1-}
  </policy>
  <limit name="max_outgoing_bytes">100000</limit>
</busconfig>
END
}

start_bus() {
        write_bus_configuration
        dbus-daemon --config-file="$directory/bus.conf" --nofork --nopidfile \
                >"$directory/bus.log" 2>&1 &
        started+=($!)
        eventually test -S "$directory/bus" || bail_out "no bus"
}

start_guestmapd() {
        mkdir "$directory/run"
        "$guestmapd" --user --address="$address" --runtime-dir="$directory/run" \
                --state-dir="$directory/state" --vmd="$vmd" \
                >"$directory/guestmapd.log" 2>&1 &
        started+=($!)
        eventually ctl list || bail_out "no guestmapd"
}

# A VM with some RAM and a ROM: generation 4.
create_pc() {
        ctl create pc --accelerator=none
        ctl add pc ram0 ram 1GiB
        ctl alias pc low ram0 0 640KiB system 0
        ctl add pc bios rom 0x20000 system 0xe0000 --unmergeable
}

# To be called last.
finish() {
        echo "1..$n"
        exit $((failed > 0))
}

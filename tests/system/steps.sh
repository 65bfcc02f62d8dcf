#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the scripts have in common that test an installed guestmapd under a real systemd
#
# They source this, define a function test_NAME for each test, and end with run_tests "$@". Tests
# run in the order in which they stand there, each by a shell of its own that ends at the first
# command that fails; the trace is shown then. A line written to descriptor 3 is shown always.

# For the scripts:
# shellcheck disable=SC2034

PATH=/usr/sbin:/usr/bin
if [ -c /dev/kvm ]; then accelerator=kvm; else accelerator=none; fi

manager() {
        busctl call org.guestmap1 /org/guestmap1 org.guestmap1.Manager "$@"
}

# vm NAME METHOD [SIGNATURE ARGUMENT...]
vm() {
        vm=$1
        shift
        busctl call org.guestmap1 "/org/guestmap1/vm/$vm" org.guestmap1.VM "$@"
}

# property VM PROPERTY
property() {
        busctl get-property org.guestmap1 "/org/guestmap1/vm/$1" org.guestmap1.VM "$2"
}

create() {
        manager CreateVM 'sa{sv}' "$1" 1 accelerator s "$accelerator"
}

destroy() {
        manager DestroyVM 'sa{sv}' "$1" 0
}

# add_region VM REGION [RUNNER...]
add_region() {
        vm=$1 region=$2
        shift 2
        "$@" busctl call org.guestmap1 "/org/guestmap1/vm/$vm" org.guestmap1.Map \
                AddRegion 'sststia{sv}' "$region" ram 0x100000 system 0 0 0
}

listed() {
        manager ListVMs | grep -qF "\"$1\""
}

not() {
        ! "$@"
}

# eventually COMMAND: what takes a moment, for 5 seconds at most
eventually() {
        for _ in $(seq 50); do
                ! "$@" || return 0
                sleep 0.1
        done
        return 1
}

# unit VM PROPERTY
unit() {
        systemctl show --property "$2" --value "guestmap-vm@$1.service"
}

has_units() {
        systemctl list-units --all --plain --no-legend "guestmap-vm@$1.*" | grep -q .
}

has_generation() {
        [ "$(property "$1" Generation)" = "$2" ]
}

is_running() {
        [ "$(property "$1" State)" = 's "running"' ]
}

is_crashed() {
        [ "$(property "$1" State)" = 's "crashed"' ]
}

# poke VM ADDRESS BYTE
poke() {
        busctl call org.guestmap1 "/org/guestmap1/vm/$1/space/memory" \
                org.guestmap1.AddressSpace Write tay "$2" 1 "$3"
}

# has_byte VM ADDRESS BYTE
has_byte() {
        [ "$(busctl call org.guestmap1 "/org/guestmap1/vm/$1/space/memory" \
                org.guestmap1.AddressSpace Read tt "$2" 1)" = "ay 1 $3" ]
}

# logged FIELD=VALUE...: whether the journal has an entry with all of them
logged() {
        journalctl --quiet --lines 1 --output cat "$@" | grep -q .
}

# printed PAGE LINE: the code of a man page that begins with that line
printed() {
        bash -c '. ./session.sh; man_code "$@"' bash "$@"
}

# enter: the commands on standard input, each behind a "# "
enter() {
        sed 's/^# //' >/tmp/commands
        [ -s /tmp/commands ]
        sh -eux /tmp/commands
}

as_nobody() {
        runuser -u nobody -- "$@"
}

# $seconds: what a test may take, if 30 are not enough
run() {
        timeout "${seconds:-30}" sh -eux "$0" "$1" 3>&1 >"/tmp/trace.$1" 2>&1
}

# run_tests [NAME]: all of the script, or the one of that name in this shell
run_tests() {
        if [ $# != 0 ]; then
                "test_$1"
                return
        fi
        failed=0
        # shellcheck disable=SC2013 # names without blanks
        for name in $(sed -n 's/^test_\([a-z_]*\)() {$/\1/p' "$0"); do
                if run "$name"; then
                        echo "ok - $name"
                else
                        echo "not ok - $name"
                        sed 's/^/       /' "/tmp/trace.$name"
                        failed=1
                fi
        done
        [ $failed = 0 ] || journalctl --no-pager --boot --lines 100
        return $failed
}

#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# VMs whose process, guestmapd or machine ends, under a real systemd; runs there, as root
#
# The script runs a second time after a reboot: what is to be seen then is in rebooted.sh.

# Tests are called by the names found in this file:
# shellcheck disable=SC2317

set -eu

cd "$(dirname "$0")"
# shellcheck source=tests/system/steps.sh
. ./steps.sh

kills=$(cat kills)
seconds=$((30 + kills))

# replaced VM PID: whether another process than that serves it
replaced() {
        pid=$(unit "$1" MainPID)
        [ "$pid" != "$2" ] && [ "$pid" != 0 ] && is_running "$1"
}

is_activating() {
        [ "$(unit "$1" ActiveState)" = activating ]
}

test_there_are_two_vms() {
        systemd-tmpfiles --create guestmap.conf
        create one
        create two
        add_region one ram
        poke one 0x1234 42
}

test_a_killed_vm_comes_back_and_the_others_do_not_notice() {
        others=$(unit two MainPID)
        generation=$(property one Generation) id=$(property one ID)
        for _ in 1 2 3; do
                pid=$(unit one MainPID)
                systemctl kill --signal KILL guestmap-vm@one.service
                eventually replaced one "$pid"
                has_generation one "$generation"
                has_byte one 0x1234 42
                [ "$(property one ID)" = "$id" ]
        done
        [ "$(unit two MainPID)" = "$others" ]
        eventually logged GUESTMAP_VM=one MESSAGE_ID=c4163256484c48268f1b621a08906481
        eventually logged GUESTMAP_VM=one MESSAGE_ID=fc3ec51324a644bb850da940fce991e5
}

test_a_restarted_unit_is_an_upgraded_vm() {
        generation=$(property one Generation) pid=$(unit one MainPID)
        systemctl restart guestmap-vm@one.service
        eventually replaced one "$pid"
        has_generation one "$generation"
        has_byte one 0x1234 42
        # As a package's scripts would.
        pid=$(unit one MainPID)
        systemctl restart guestmapd.service 'guestmap-vm@*.service'
        eventually replaced one "$pid"
        has_byte one 0x1234 42
        eventually is_running two
}

# An administrator, or whatever else sends signals, has not stopped the unit.
test_a_signal_to_the_process_destroys_nothing() {
        for signal in TERM INT TERM; do
                pid=$(unit one MainPID)
                kill -s $signal "$pid"
                eventually replaced one "$pid"
                has_byte one 0x1234 42
        done
}

# Who asks a unit to reload what it has nothing of.
test_a_hangup_ends_nothing() {
        pid=$(unit one MainPID)
        systemctl kill --signal HUP guestmap-vm@one.service
        has_byte one 0x1234 42
        [ "$(unit one MainPID)" = "$pid" ]
}

test_both_die_and_the_memory_stays() {
        pid=$(unit one MainPID)
        systemctl kill --signal KILL guestmapd.service guestmap-vm@one.service
        eventually replaced one "$pid"
        has_byte one 0x1234 42
}

# create_some NAME...
create_some() {
        for name in "$@"; do
                manager CreateVM 'sa{sv}' "$name" 1 accelerator s none
        done
}

# Two units each: more than a bus lets a client have calls under way, so these wait for each other.
test_many_units_end_together() {
        since=$(date '+%Y-%m-%d %H:%M:%S')
        for tens in 1 2 3 4 5 6 7; do
                # shellcheck disable=SC2046 # words
                create_some $(seq --format "many$tens%g" 0 9) &
        done
        wait
        [ "$(manager ListVMs | grep -o '"many' | wc -l)" = 70 ]
        for name in $(manager ListVMs | grep -o 'many[0-9]*' | sort -u); do
                destroy "$name" &
        done
        wait
        not listed many10
        eventually not has_units 'many*'
        not journalctl --quiet --since "$since" --unit guestmapd.service --grep "LimitsExceeded|stop its"
}

manager_pid() {
        systemctl show --property MainPID --value guestmapd.service
}

manager_replaced() {
        [ "$(manager_pid)" != "$1" ] && [ "$(manager_pid)" != 0 ]
}

# It says in time that it is alive; one that does not is replaced.
test_guestmapd_is_watched() {
        watched=/run/systemd/system/guestmapd.service.d
        mkdir -p $watched
        printf '[Service]\nWatchdogSec=1\n' >$watched/watchdog.conf
        systemctl daemon-reload
        systemctl restart guestmapd.service
        pid=$(manager_pid)
        sleep 2
        [ "$(manager_pid)" = "$pid" ]
        systemctl kill --signal STOP guestmapd.service
        eventually manager_replaced "$pid"
        rm -r $watched
        systemctl daemon-reload
        systemctl restart guestmapd.service
        has_byte one 0x1234 42
}

# So does a VM's process.
test_a_vm_is_watched() {
        [ "$(unit one WatchdogUSec)" = 2min ]
        watched=/run/systemd/system/guestmap-vm@one.service.d
        mkdir -p $watched
        printf '[Service]\nWatchdogSec=1\n' >$watched/watchdog.conf
        systemctl daemon-reload
        systemctl restart guestmap-vm@one.service
        eventually is_running one
        pid=$(unit one MainPID)
        sleep 2
        [ "$(unit one MainPID)" = "$pid" ]
        systemctl kill --signal STOP guestmap-vm@one.service
        eventually replaced one "$pid"
        has_byte one 0x1234 42
        rm -r $watched
        systemctl daemon-reload
        systemctl restart guestmap-vm@one.service
        eventually is_running one
}

# A VM may take minutes to be recovered; the others are there meanwhile.
test_guestmapd_does_not_wait_for_a_vm_to_start() {
        slow=/run/systemd/system/guestmap-vm@slow.service.d
        mkdir -p $slow
        printf '[Service]\nExecStartPre=sleep infinity\n' >$slow/slow.conf
        systemctl daemon-reload
        systemctl stop guestmapd.service
        systemctl start --no-block guestmap-vm@slow.service
        eventually is_activating slow
        systemctl start guestmapd.service
        has_byte one 0x1234 42
        rm -r $slow
        systemctl daemon-reload
        systemctl stop guestmap-vm@slow.socket guestmap-vm@slow.service
        systemctl reset-failed 'guestmap-vm@slow.*'
        eventually not has_units slow
}

# What a guest has counted to, in its memory.
count() {
        busctl call org.guestmap1 /org/guestmap1/vm/guest/space/memory \
                org.guestmap1.AddressSpace Read tt 0x2000 4
}

counts() {
        before=$(count)
        sleep 0.1
        [ "$(count)" != "$before" ]
}

has_lost_its_vcpus() {
        [ "$(property guest State)" = 's "vcpus-lost"' ]
}

test_a_guest_goes_on_after_an_upgrade() {
        [ "$accelerator" = kvm ] || return 0
        create guest
        add_region guest ram
        vm guest AddVCPU 'ua{sv}' 0 1 mode s flat
        # inc dword [0x2000]; jmp to that
        busctl call org.guestmap1 /org/guestmap1/vm/guest/space/memory \
                org.guestmap1.AddressSpace Write tay 0x1000 8 0xff 0x05 0 0x20 0 0 0xeb 0xf8
        vcpu='busctl call org.guestmap1 /org/guestmap1/vm/guest/vcpu/0 org.guestmap1.VCPU'
        $vcpu SetRegisters 'a{st}' 1 rip 0x1000
        $vcpu Start
        eventually counts
        for _ in 1 2 3; do
                pid=$(unit guest MainPID)
                systemctl restart guestmap-vm@guest.service
                eventually replaced guest "$pid"
                eventually counts
        done
}

# For what a guest is there is room since it was there.
test_a_guest_goes_on_though_there_is_no_room() {
        [ "$accelerator" = kvm ] || return 0
        mount -o remount,size="$(df --output=used /run | tail -n 1 | tr -d ' ')k" /run
        not dd if=/dev/zero of=/run/full bs=4096
        pid=$(unit guest MainPID)
        systemctl restart guestmap-vm@guest.service
        eventually replaced guest "$pid"
        mount -o remount,size=64m /run
        rm /run/full
        eventually counts
}

test_a_guest_does_not_notice_that_guestmapd_dies() {
        [ "$accelerator" = kvm ] || return 0
        systemctl kill --signal KILL guestmapd.service
        eventually counts
        systemctl restart guestmapd.service
        counts
}

# What is left of a guest that was killed is its memory.
test_a_killed_guest_has_lost_its_vcpus() {
        [ "$accelerator" = kvm ] || return 0
        systemctl kill --signal KILL guestmap-vm@guest.service
        eventually has_lost_its_vcpus
        not counts
        destroy guest
}

test_a_torture_of_kills() {
        ./test-kill system - "$kills" >/tmp/torture || {
                cat /tmp/torture
                return 1
        }
        sed -n 's/^# \(.* kills of .*\)/\1/p' /tmp/torture >&3
}

test_a_stopped_unit_is_a_destroyed_vm() {
        systemctl stop guestmap-vm@two.service
        eventually not listed two
        listed one
        eventually not has_units two
        create two
        not busctl call org.guestmap1 /org/guestmap1/vm/two org.guestmap1.Map \
                RemoveRegion 'sa{sv}' ram 0
}

# salvaged VM BYTE: whether the memory with number 1 begins with that
salvaged() {
        python3 -B - "$@" <<'END'
import os, sys, dbus
vm = dbus.SystemBus().get_object("org.guestmap1", "/org/guestmap1/vm/" + sys.argv[1])
fd, size = vm.GetBacking(dbus.UInt64(1), False, dbus_interface="org.guestmap1.VM")
sys.exit(os.pread(fd.take(), 1, 0)[0] != int(sys.argv[2]))
END
}

# edit_journal VM AT TEXT: what is there instead, from the next process on
edit_journal() {
        systemctl kill --signal STOP "guestmap-vm@$1.service"
        printf '%s' "$3" | dd of="/run/guestmap-vm/$1/journal" bs=1 seek="$2" conv=notrunc
        systemctl kill --signal KILL "guestmap-vm@$1.service"
}

# Its process stays, since systemd would drop the memory of a unit that has failed.
test_a_damaged_journal_takes_no_memory_along() {
        poke one 0 43
        pid=$(unit one MainPID)
        was=$(dd if=/run/guestmap-vm/one/journal bs=1 skip=70 count=4)
        edit_journal one 70 oops
        eventually is_crashed one
        eventually logged GUESTMAP_VM=one MESSAGE_ID=515dc49570b947c4a1ce200540e43960
        is_running two
        not vm one GetLayout 'a{sv}' 0
        not create one
        salvaged one 43
        unit one StatusText | grep -q '^cannot recover: .*/journal: byte 0: '
        status=0
        guestmapctl fsck one >/tmp/fsck || status=$?
        [ $status = 2 ]
        grep -q '^/run/guestmap-vm/one/journal: damaged: byte 0: ' /tmp/fsck
        systemctl restart guestmapd.service
        is_crashed one
        salvaged one 43
        pid=$(unit one MainPID)
        edit_journal one 70 "$was"
        eventually replaced one "$pid"
        has_byte one 0 43
}

# Nor does one that is not there.
test_a_missing_journal_takes_no_memory_along() {
        poke one 0 45
        mv /run/guestmap-vm/one/journal /run/guestmap-vm/one/aside
        systemctl kill --signal KILL guestmap-vm@one.service
        eventually is_crashed one
        salvaged one 45
        mv /run/guestmap-vm/one/aside /run/guestmap-vm/one/journal
        pid=$(unit one MainPID)
        systemctl restart guestmap-vm@one.service
        eventually replaced one "$pid"
        has_byte one 0 45
}

# Whatever it is: here a directory where the journal was.
test_what_is_in_the_way_of_a_vm_may_go() {
        poke one 0 44
        pid=$(unit one MainPID)
        systemctl kill --signal STOP guestmap-vm@one.service
        mv /run/guestmap-vm/one/journal /run/guestmap-vm/one/aside
        mkdir /run/guestmap-vm/one/journal
        systemctl kill --signal KILL guestmap-vm@one.service
        eventually is_crashed one
        not vm one GetLayout 'a{sv}' 0 2>/tmp/error
        grep -q 'has crashed: .*: Is a directory' /tmp/error
        salvaged one 44
        pid=$(unit one MainPID)
        sleep 1.5
        [ "$(unit one MainPID)" = "$pid" ]
        rmdir /run/guestmap-vm/one/journal
        mv /run/guestmap-vm/one/aside /run/guestmap-vm/one/journal
        eventually is_running one
        has_byte one 0 44
        [ "$(unit one MainPID)" = "$pid" ]
}

# regions FROM TO: a patch that adds so many, each with memory of its own
regions() {
        python3 -B - "$@" <<'END'
import json, sys
numbers = range(int(sys.argv[1]), int(sys.argv[2]))
print(json.dumps({"guestmap": 1, "edits": [
    {"add-region": {"name": f"ram{n}", "kind": "ram", "size": 4096, "parent": "system",
                    "offset": n << 12}} for n in numbers]}))
END
}

# What systemd has computed so far, in hundredths of a second.
systemd_cpu() {
        awk '{ print $14 + $15 }' /proc/1/stat
}

# One commit has as many as may be; systemd has them all, and time for others.
test_descriptors_of_many_regions_are_kept() {
        create many
        regions 0 1024 >/tmp/patch
        before=$(systemd_cpu)
        guestmapctl apply many /tmp/patch
        echo "1024 descriptors cost systemd $(($(systemd_cpu) - before))0 ms" >&3
        [ "$(unit many NFileDescriptorStore)" = 1024 ]
        regions 1024 1025 >/tmp/patch
        not guestmapctl apply many /tmp/patch 2>/tmp/error
        grep -q 'QuotaExceeded: .*StoredDescriptors: 1024 are' /tmp/error
        poke many 0x3ff000 45
        pid=$(unit many MainPID)
        systemctl kill --signal KILL guestmap-vm@many.service
        eventually replaced many "$pid"
        has_byte many 0x3ff000 45
        [ "$(property many Lost)" = 'as 0' ]
        destroy many
}

# Here the setup can be read, which says whose journal it is.
test_what_does_not_come_back_can_be_destroyed() {
        add_region one later
        edit_journal one 500 oops
        eventually is_crashed one
        eventually logged GUESTMAP_VM=one _COMM=guestmap-vmd PRIORITY=3
        destroy one
        not listed one
        eventually not has_units one
        create one
}

# What is left of them is in files, and those are their units'.
test_a_durable_vm_leaves_and_is_destroyed() {
        manager CreateVM 'sa{sv}' brief 2 accelerator s none durable b true
        systemctl stop guestmap-vm@brief.service
        eventually not listed brief
        not create brief
        systemctl restart guestmapd.service
        eventually is_running brief
        systemctl stop guestmap-vm@brief.service
        eventually not listed brief
        systemctl start guestmap-vm@brief.service
        eventually is_running brief
        systemctl stop guestmap-vm@brief.service
        eventually not listed brief
        destroy brief
        eventually not test -e /var/lib/guestmap-vm/brief
        create brief
        destroy brief
        systemctl restart guestmapd.service
        not listed brief
}

# guestmapd and the process have died before anything of it was there.
test_what_was_never_made_is_not_there() {
        systemctl stop guestmapd.service
        echo "half 0123456789abcdef0123456789abcdef 0 unmade" >/var/lib/guestmap/half.vm
        chown guestmap: /var/lib/guestmap/half.vm
        systemctl start guestmapd.service
        eventually not test -e /var/lib/guestmap/half.vm
        not listed half
        eventually create half
        destroy half
}

test_a_durable_vm_is_left_for_the_next_boot() {
        manager CreateVM 'sa{sv}' kept 2 accelerator s "$accelerator" durable b true
        add_region kept ram
        property kept ID >/var/tmp/id
        property kept Generation >/var/tmp/generation
}

if [ $# = 0 ] && [ -e /var/tmp/rebooted ]; then
        exec ./rebooted.sh
fi
run_tests "$@"
if [ $# = 0 ]; then
        touch /var/tmp/rebooted
        exit 100
fi

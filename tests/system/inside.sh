#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What an installed guestmapd does under a real systemd; runs there, as root

# Tests are called by the names found in this file:
# shellcheck disable=SC2317

set -eu

cd "$(dirname "$0")"
# shellcheck source=tests/system/steps.sh
. ./steps.sh

# Nobody can be called that: too long, and dots.
odd_name=A.name.no-user_of.a-system.can-have

test_units_are_valid() {
        systemd-analyze verify --man=no guestmapd.service guestmap-vm@a.service \
                guestmap-vm@a.socket guestmap.slice guestmap-metrics.service \
                guestmap-metrics.timer
        [ -z "$(systemd-analyze verify --man=no guestmapd.service guestmap-vm@a.service \
                guestmap-metrics.service guestmap-metrics.timer 2>&1)" ]
}

test_sandbox_is_tight() {
        for service in guestmapd.service guestmap-vm@a.service guestmap-metrics.service; do
                systemd-analyze security --no-pager --threshold=10 "$service" >/tmp/security
                sed -n 's/^→ //p' /tmp/security >&3
        done
}

# As the packages' scripts do it; a boot does it too, but for what is in /dev.
test_directories_and_devices() {
        systemd-tmpfiles --create guestmap.conf
        [ "$(stat -c '%U %a' /run/guestmap)" = 'root 755' ]
        [ "$accelerator" = none ] || [ "$(stat -c '%G %a' /dev/kvm)" = 'kvm 660' ]
}

test_bus_starts_the_service() {
        not systemctl is-active guestmapd.service
        busctl get-property org.guestmap1 /org/guestmap1 org.guestmap1.Manager Version
        systemctl is-active guestmapd.service
        [ "$(systemctl show --property User --value guestmapd.service)" = guestmap ]
        # Where there was nothing to be cleared away.
        systemctl show --property ExecStartPre guestmapd.service >/tmp/steps
        grep -q 'status=0' /tmp/steps
        not grep -q 'status=1' /tmp/steps
        not logged _SYSTEMD_UNIT=guestmapd.service _COMM=find
}

# As printed, but that the session's bus is the system's.
test_the_session_of_the_readme() {
        DBUS_SESSION_BUS_ADDRESS=unix:path=/run/dbus/system_bus_socket directory=/tmp bash -uc '
                . ./session.sh
                eval "$(readme_block README.md setup)"
                run_session < <(readme_block README.md session)
                [ "$number" = 10 ] || exit 1
                end_cases'
}

# What is to be done once by hand, where no package does it.
test_the_last_steps_of_the_readme() {
        bash -uc '. ./session.sh; readme_block README.md installed' | sed 's/^sudo /# /' | enter
}

# In the sandbox, with a thread of its own and the signal that kicks it.
test_a_guest_runs() {
        [ "$accelerator" = kvm ] || return 0
        create guest
        add_region guest ram
        vm guest AddVCPU 'ua{sv}' 0 1 mode s flat
        space=/org/guestmap1/vm/guest/space/memory
        vcpu='busctl call org.guestmap1 /org/guestmap1/vm/guest/vcpu/0 org.guestmap1.VCPU'
        # inc ebx; jmp to itself
        busctl call org.guestmap1 $space org.guestmap1.AddressSpace Write tay 0x1000 3 0x43 0xeb 0xfe
        $vcpu SetRegisters 'a{st}' 1 rip 0x1000
        $vcpu Start
        vm guest Pause
        [ "$(property guest State)" = 's "paused"' ]
        vm guest Resume
        $vcpu Stop
        $vcpu GetRegisters | grep -q '"rbx" 1 '
        $vcpu Start
        destroy guest
}

test_a_vm_is_a_unit_with_a_user_of_its_own() {
        create one
        create two
        one=$(unit one MainPID) two=$(unit two MainPID)
        grep -qx guestmap-vmd "/proc/$one/comm" "/proc/$two/comm"
        [ "$(stat -c %u "/proc/$one")" = "$(unit one UID)" ]
        [ "$(unit one UID)" != "$(unit two UID)" ]
        # The least that systemd makes up.
        [ "$(unit one UID)" -ge 61184 ]
        [ "$(unit one ControlGroup)" = /guestmap.slice/guestmap-vm@one.service ]
        [ "$(stat -c '%U %a' /run/guestmap/one)" = 'guestmap 600' ]
        echo "VMs run on accelerator $accelerator" >&3
}

test_any_name_has_a_user_of_its_own() {
        create "$odd_name"
        for service in $(systemctl list-units --plain --no-legend 'guestmap-vm@*.service' |
                         cut -d ' ' -f 1); do
                systemctl show --property UID --value "$service"
        done >/tmp/users
        [ "$(wc -l </tmp/users)" = 3 ]
        [ "$(sort -u /tmp/users | wc -l)" = 3 ]
        destroy "$odd_name"
}

test_a_restarted_service_finds_its_vms() {
        add_region one ram
        generation=$(property one Generation) id=$(property one ID) pid=$(unit one MainPID)
        [ "$generation" != 't 0' ]
        systemctl restart guestmapd.service
        [ "$(property one Generation)" = "$generation" ]
        [ "$(property one ID)" = "$id" ]
        systemctl kill --signal KILL guestmapd.service
        # A call that is on its way at that instant has no answer.
        eventually has_generation one "$generation"
        [ "$(unit one MainPID)" = "$pid" ]
        add_region one more
}

# As root, who may have both names.
test_a_second_guestmapd_touches_nothing() {
        program=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' /usr/lib/systemd/system/guestmapd.service)
        since=$(date '+%Y-%m-%d %H:%M:%S')
        find /run/guestmap /var/lib/guestmap >/tmp/before
        status=0
        timeout 8 "$program" --system || status=$?
        [ $status = 1 ]
        find /run/guestmap /var/lib/guestmap | diff /tmp/before -
        is_running one
        not journalctl --quiet --since "$since" --unit guestmapd.service --grep 'was lost'
}

test_a_bus_that_goes_takes_nothing_along() {
        generation=$(property one Generation)
        pid=$(systemctl show --property MainPID --value guestmapd.service)
        systemctl restart dbus.service
        eventually has_generation one "$generation"
        [ "$(systemctl show --property MainPID --value guestmapd.service)" = "$pid" ]
}

test_others_inspect_and_change_nothing() {
        as_nobody busctl call org.guestmap1 /org/guestmap1/vm/one org.guestmap1.VM \
                GetLayout 'a{sv}' 0
        as_nobody busctl tree --list org.guestmap1 | grep -qx /org/guestmap1/vm/one
        generation=$(property one Generation)
        not add_region one theirs as_nobody
        not as_nobody busctl call org.guestmap1 /org/guestmap1 org.guestmap1.Manager \
                DestroyVM 'sa{sv}' one 0
        # busctl does not say an error's name.
        not as_nobody dbus-send --system --print-reply --dest=org.guestmap1 \
                /org/guestmap1/vm/one/region/ram org.freedesktop.DBus.Properties.Set \
                string:org.guestmap1.Region string:Enabled variant:boolean:false 2>/tmp/error
        grep -q '^Error org.freedesktop.DBus.Error.AccessDenied: ' /tmp/error
        [ "$(property one Generation)" = "$generation" ]
}

test_others_do_not_manage_units() {
        not as_nobody systemctl --no-ask-password stop guestmap-vm@one.service
        not runuser -u guestmap -- systemctl --no-ask-password stop dbus.socket
        not runuser -u guestmap -- systemctl --no-ask-password start guestmap-vm@x.timer
        not as_nobody busctl call org.freedesktop.DBus /org/freedesktop/DBus \
                org.freedesktop.DBus RequestName su org.guestmap1 0
        [ -n "$(property one Generation)" ]
}

# watch USER: what that user hears goes to /tmp/heard.USER
watch() {
        runuser -u "$1" -- dbus-monitor --system "type='signal',interface='org.guestmap1.VM'" \
                "type='signal',member='NameOwnerChanged'" >"/tmp/heard.$1" 2>&1 &
        watchers="${watchers-} $!"
}

heard() {
        grep -q "member=$2" "/tmp/heard.$1"
}

# Everybody hears of those who come to the bus and leave it: they listen.
all_listen() {
        property one State
        heard root NameOwnerChanged && heard games NameOwnerChanged && heard nobody NameOwnerChanged
}

test_only_watchers_hear_signals() {
        usermod --append --groups guestmap-watch games
        watch root
        watch games
        watch nobody
        eventually all_listen
        add_region one heard
        eventually heard root Committed
        eventually heard games Committed
        sleep 0.5
        not heard nobody Committed
        # shellcheck disable=SC2086 # a list of words
        kill $watchers
        wait
}

test_a_stopped_unit_is_a_destroyed_vm() {
        systemctl stop guestmap-vm@two.service
        eventually not listed two
        listed one
}

# status UNIT: the line that it tells systemd
status() {
        systemctl show --property StatusText --value "$1"
}

has_status() {
        [ "$(status "$1")" = "$2" ]
}

kvm_available() {
        busctl get-property org.guestmap1 /org/guestmap1 org.guestmap1.Manager KVMAvailable
}

test_status_says_how_much_there_is() {
        n=$(property one Regions | cut -c 3-)
        eventually has_status guestmapd.service "1 VM, $n regions"
        slots=$(property one SlotsUsed | cut -c 3-)
        eventually has_status guestmap-vm@one.service \
                "one: $n regions, $slots slot$([ "$slots" = 1 ] || echo s), generation $(
                        property one Generation | cut -c 3-)"
}

# What the VM's process, which is not guestmapd, could do with it.
test_kvm_that_nobody_may_open_is_not_available() {
        [ "$accelerator" = kvm ] || return 0
        [ "$(kvm_available)" = 'b true' ]
        chmod 0 /dev/kvm
        [ "$(kvm_available)" = 'b false' ]
        chmod 0660 /dev/kvm
        [ "$(kvm_available)" = 'b true' ]
}

# It would count what all users do together.
test_the_journal_has_no_limit_of_its_own() {
        for unit in guestmapd.service guestmap-vm@one.service; do
                [ "$(systemctl show --property LogRateLimitIntervalUSec --value $unit)" = 0 ]
        done
}

test_who_did_what_is_in_the_journal() {
        add_region one audited
        eventually logged GUESTMAP_VM=one GUESTMAP_REGION=audited GUESTMAP_MEMBER=AddRegion \
                GUESTMAP_CALLER_UID=0 GUESTMAP_RESULT=done "GUESTMAP_GENERATION=$(property one Generation | cut -c 3-)"
        not add_region one audited
        eventually logged GUESTMAP_REGION=audited \
                GUESTMAP_RESULT=org.guestmap1.Error.RegionExists
        not add_region one theirs as_nobody
        eventually logged GUESTMAP_VM=one GUESTMAP_MEMBER=AddRegion GUESTMAP_REGION=theirs \
                GUESTMAP_RESULT=org.freedesktop.DBus.Error.AccessDenied \
                "GUESTMAP_CALLER_UID=$(id -u nobody)"
        property one Generation
        not logged GUESTMAP_MEMBER=Get
        # What a VM's process says itself is found by the same field.
        logged GUESTMAP_VM=one _COMM=guestmap-vmd
        create short
        logged GUESTMAP_VM=short GUESTMAP_MEMBER=CreateVM GUESTMAP_CALLER_UID=0 GUESTMAP_RESULT=done
        not create short
        destroy short
        not destroy short
        eventually logged GUESTMAP_VM=short GUESTMAP_MEMBER=CreateVM \
                GUESTMAP_RESULT=org.guestmap1.Error.VMExists
        eventually logged GUESTMAP_VM=short GUESTMAP_MEMBER=DestroyVM GUESTMAP_CALLER_UID=0 \
                GUESTMAP_RESULT=done
        eventually logged GUESTMAP_VM=short GUESTMAP_MEMBER=DestroyVM \
                GUESTMAP_RESULT=org.guestmap1.Error.NoSuchVM
        # guestmapd itself refuses it.
        not busctl call org.guestmap1 /org/guestmap1/vm/one org.guestmap1.VM Pause s x
        eventually logged GUESTMAP_VM=one GUESTMAP_MEMBER=Pause GUESTMAP_CALLER_UID=0 \
                GUESTMAP_RESULT=org.freedesktop.DBus.Error.InvalidArgs
        # On a connection of one's own, which guestmapd does not see.
        busctl --address=unix:path=/run/guestmap/one call org.guestmap1 /org/guestmap1/vm/one \
                org.guestmap1.Map RemoveRegion 'sa{sv}' audited 0
        eventually logged GUESTMAP_VM=one GUESTMAP_MEMBER=RemoveRegion GUESTMAP_RESULT=done \
                _COMM=guestmap-vmd
}

# guestmapd(8)'s, of user 1000 and VM "web".
test_what_one_user_did_to_one_vm() {
        getent passwd 1000 || useradd --uid 1000 somebody
        create web
        add_region web ram
        not runuser -u "$(id -nu 1000)" -- busctl call org.guestmap1 /org/guestmap1/vm/web \
                org.guestmap1.Map EnableRegion 'sba{sv}' ram false 0
        destroy web
        eventually logged GUESTMAP_VM=web GUESTMAP_CALLER_UID=1000
        printed guestmapd.8.scd '# journalctl --catalog GUESTMAP_VM=web GUESTMAP_CALLER_UID=1000' |
                enter >/tmp/entries
        [ "$(grep -c 'guestmapd\[' /tmp/entries)" = 1 ]
        grep -q 'VM "web".* EnableRegion' /tmp/entries
        grep -q 'A client, :1' /tmp/entries
}

# unit_says NAME LINE...: what the service of that VM has from now on instead
unit_says() {
        drop_in=/run/systemd/system/guestmap-vm@$1.service.d
        shift
        mkdir -p "$drop_in"
        printf '%s\n' '[Service]' "$@" >"$drop_in/test.conf"
        systemctl daemon-reload
}

unit_is_sound() {
        rm -r "/run/systemd/system/guestmap-vm@$1.service.d"
        systemctl daemon-reload
}

test_a_unit_that_cannot_start_ends_its_creation() {
        unit_says bad SupplementaryGroups=nosuchgroup
        not create bad 2>/tmp/error
        grep -q 'VM "bad": its unit guestmap-vm@bad.service: exit-code 216: its groups' /tmp/error
        eventually not has_units bad
        unit_is_sound bad
        create bad
        destroy bad
}

# Of a file system without room for a directory.
test_a_full_run_is_said_to_be_full() {
        mount -t tmpfs -o nr_inodes=1 tmpfs /run/guestmap-vm
        not create bad 2>/tmp/error
        umount /run/guestmap-vm
        grep -q 'exit-code 233: its directory in /run cannot be made' /tmp/error
        eventually not has_units bad
        create bad
        destroy bad
}

test_a_client_that_leaves_gets_no_vm() {
        unit_says slow ExecStart= 'ExecStart=sleep 1000'
        busctl call org.guestmap1 /org/guestmap1 org.guestmap1.Manager \
                CreateVM 'sa{sv}' slow 1 accelerator s none &
        client=$!
        eventually has_units slow
        kill $client
        eventually not has_units slow
        eventually not listed slow
}

test_a_unit_that_does_not_answer_ends_its_creation() {
        not create slow 2>/tmp/error
        grep -q 'VM "slow": its unit guestmap-vm@slow.service: does not answer' /tmp/error
        eventually not has_units slow
        unit_is_sound slow
        create slow
        destroy slow
}

metrics=/var/lib/prometheus/node-exporter/guestmap.prom

metrics_have() {
        grep -q "$1" $metrics
}

# Installed, the timer does nothing yet; nor does it where there is no node exporter.
test_metrics_are_written_for_a_node_exporter() {
        [ "$(systemctl is-enabled guestmap-metrics.timer || :)" = disabled ]
        systemctl start guestmap-metrics.service
        not test -e $metrics
        mkdir -p "$(dirname $metrics)"
        systemctl start guestmap-metrics.service
        metrics_have '^guestmap_vm_up{vm="one"} 1$'
        [ "$(stat -c '%U %a' $metrics)" = 'root 644' ]
        [ "$(ls "$(dirname $metrics)")" = guestmap.prom ]
        rm $metrics
        systemctl start guestmap-metrics.timer
        eventually metrics_have '^guestmap_vms{state="running"} [1-9]'
        systemctl stop guestmap-metrics.timer
}

test_nothing_is_left_of_a_destroyed_vm() {
        destroy one
        not listed one
        eventually not has_units '*'
        [ -z "$(find /run/guestmap /run/guestmap-vm -mindepth 1)" ]
}

memory_max_is() {
        [ "$(unit one MemoryMax)" = "$1" ]
}

# What the kernel is told, where it can be: not under the cgroups of version 1.
kernel_has() {
        file=/sys/fs/cgroup$(unit one ControlGroup)/memory.max
        if [ -e "$file" ]; then
                [ "$(cat "$file")" = "$1" ]
        else
                echo "MemoryMax=: the kernel is not asked, $file is not there" >&3
        fi
}

test_a_limit_of_memory_ends_with_its_vm() {
        mkdir -p /etc/guestmap/guestmapd.conf.d
        printf '[VM]\nMemoryMax=512M\n' >/etc/guestmap/guestmapd.conf.d/memory.conf
        systemctl reload guestmapd.service
        create one
        memory_max_is 536870912
        kernel_has 536870912
        systemctl kill --signal KILL guestmap-vm@one.service
        systemctl daemon-reload
        eventually is_running one
        memory_max_is 536870912
        # With its service.
        pid=$(unit one MainPID)
        systemctl restart guestmap-vm@one.socket
        systemctl daemon-reload
        eventually is_running one
        [ "$(unit one MainPID)" != "$pid" ]
        memory_max_is 536870912
        destroy one
        eventually not has_units one
        not ls /run/systemd/system.control/guestmap-vm@one.service.d
        rm -r /etc/guestmap/guestmapd.conf.d
        systemctl reload guestmapd.service
        create one
        memory_max_is infinity
        destroy one
}

# Who starts it is all the same.
test_a_durable_vm_keeps_its_limit_of_memory() {
        mkdir -p /etc/guestmap/guestmapd.conf.d
        printf '[VM]\nMemoryMax=512M\n' >/etc/guestmap/guestmapd.conf.d/memory.conf
        systemctl reload guestmapd.service
        manager CreateVM 'sa{sv}' one 2 accelerator s none durable b true
        systemctl stop guestmap-vm@one.service
        eventually not listed one
        eventually not has_units one
        systemctl start guestmap-vm@one.service
        eventually is_running one
        memory_max_is 536870912
        systemctl stop guestmap-vm@one.service
        eventually not listed one
        # As a reboot does.
        rm -r /run/systemd/system.control/guestmap-vm@one.service.d
        systemctl daemon-reload
        systemctl restart guestmapd.service
        eventually is_running one
        memory_max_is 536870912
        kernel_has 536870912
        destroy one
        eventually not has_units one
        not ls /run/systemd/system.control/guestmap-vm@one.service.d
        rm -r /etc/guestmap/guestmapd.conf.d
        systemctl reload guestmapd.service
}

# has_limit TEXT: a quota and its value
has_limit() {
        busctl get-property org.guestmap1 /org/guestmap1 org.guestmap1.Manager Limits | grep -qF "$1"
}

# guestmapd.conf(5)'s, under the name that it has there.
test_the_drop_in_of_the_page() {
        title='# /etc/guestmap/guestmapd.conf.d/50-small.conf'
        mkdir -p /etc/guestmap/guestmapd.conf.d
        printed guestmapd.conf.5.scd "$title" >"${title#\# }"
        systemctl reload guestmapd.service
        has_limit '"VMsPerUser" 16 '
        has_limit '"RAMBytesPerUser" 34359738368 '
        has_limit '"RAMBytes" 8589934592 '
        create one
        memory_max_is 9663676416
        destroy one
        rm -r /etc/guestmap/guestmapd.conf.d
        systemctl reload guestmapd.service
        has_limit '"VMsPerUser" 2048 '
        not logged --grep 50-small.conf
}

test_drop_ins_of_run_count_unless_those_of_etc_hide_them() {
        mkdir /run/guestmap/guestmapd.conf.d
        printf '[VM]\nRegions=7\n' >/run/guestmap/guestmapd.conf.d/test.conf
        systemctl reload guestmapd.service
        has_limit '"Regions" 7 '
        mkdir -p /etc/guestmap/guestmapd.conf.d
        ln -s /dev/null /etc/guestmap/guestmapd.conf.d/test.conf
        systemctl reload guestmapd.service
        has_limit '"Regions" 2097152 '
        rm -r /etc/guestmap/guestmapd.conf.d /run/guestmap/guestmapd.conf.d
        systemctl reload guestmapd.service
}

# in_session COMMAND...
in_session() {
        runuser -u games -- env XDG_RUNTIME_DIR="/run/user/$(id -u games)" "$@"
}

test_a_session_has_a_service_of_its_own() {
        if ! [ -e /usr/lib/systemd/user/dbus.socket ]; then
                echo "sessions have no bus here: dbus-user-session is not installed" >&3
                return
        fi
        systemctl start "user@$(id -u games).service"
        in_session busctl --user call org.guestmap1 /org/guestmap1 org.guestmap1.Manager \
                CreateVM 'sa{sv}' mine 1 accelerator s none
        in_session systemctl --user restart guestmapd.service
        in_session busctl --user get-property org.guestmap1 /org/guestmap1/vm/mine \
                org.guestmap1.VM Generation
        not listed mine
        systemctl stop "user@$(id -u games).service"
        eventually not ps -u games
}

run_tests "$@"

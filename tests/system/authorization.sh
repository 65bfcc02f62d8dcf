#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Who may do what with an installed guestmapd and a real polkit; runs there, as root

# Tests are called by the names found in this file:
# shellcheck disable=SC2317

set -eu

cd "$(dirname "$0")"
# shellcheck source=tests/system/steps.sh
. ./steps.sh

as_games() {
        runuser -u games -- "$@"
}

rules=/etc/polkit-1/rules.d/10-test.rules

# polkit looks for new rules by itself, but not while one waits for it.
restart_polkit() {
        mkdir -p /run/systemd/system/polkit.service.d
        printf '[Unit]\nStartLimitIntervalSec=0\n' >/run/systemd/system/polkit.service.d/often.conf
        systemctl daemon-reload
        systemctl restart polkit.service
}

# rule RESULT USER ACTION [VM]: beside those that there are
rule() {
        cat >>$rules <<END
polkit.addRule(function(action, subject) {
        if (subject.user == "$2" && action.id == "org.guestmap1.$3" &&
            ("${4-}" == "" || action.lookup("vm") == "${4-}"))
                return polkit.Result.$1;
});
END
        restart_polkit
}

remove_rules() {
        rm -f $rules
        restart_polkit
}

# call_as RUNNER PATH INTERFACE METHOD [SIGNATURE ARGUMENT...], without a user who could be asked
call_as() {
        runner=$1 path=$2 interface=$3
        shift 3
        "$runner" busctl --allow-interactive-authorization=no call org.guestmap1 \
                "/org/guestmap1$path" "org.guestmap1.$interface" "$@"
}

inspects() {
        call_as "$1" "/vm/$2" VM GetSlots
}

modifies() {
        call_as "$1" "/vm/$2" Map EnableRegion 'sba{sv}' system true 0
}

reads_memory() {
        call_as "$1" "/vm/$2/space/memory" AddressSpace Read tt 0 16
}

creates() {
        call_as "$1" '' Manager CreateVM 'sa{sv}' "$2" 1 accelerator s none
}

destroys() {
        call_as "$1" '' Manager DestroyVM 'sa{sv}' "$2" 0
}

# complains WORDS COMMAND...: it fails, and says so
complains() {
        words=$1
        shift
        not "$@" >/tmp/error 2>&1
        cat /tmp/error
        grep -qF "$words" /tmp/error
}

# says_why RUNNER VM METHOD: busctl does not say why it was denied access
says_why() {
        "$1" dbus-send --system --print-reply --dest=org.guestmap1 "/org/guestmap1/vm/$2" \
                "org.guestmap1.VM.$3"
}

test_polkit_knows_the_actions() {
        for action in inspect modify access-memory admin create; do
                pkaction --verbose --action-id "org.guestmap1.$action" >/tmp/action
                grep -q 'org.freedesktop.policykit.owner -> unix-user:guestmap' /tmp/action
        done
        pkaction --verbose --action-id org.guestmap1.inspect | grep -q 'implicit any: *yes'
        pkaction --verbose --action-id org.guestmap1.modify | grep -q 'implicit any: *auth_admin'
}

test_by_default_others_look_and_no_more() {
        create one
        create two
        add_region one ram
        inspects as_nobody one
        for verb in modifies reads_memory destroys; do
                complains 'Access denied' "$verb" as_nobody one
        done
        complains 'Access denied' creates as_nobody three
        complains 'needs authentication' says_why as_nobody one Pause
        # Where the user may be asked there is nobody who could be.
        complains 'Access denied' as_nobody busctl call org.guestmap1 /org/guestmap1/vm/one \
                org.guestmap1.VM Pause
}

test_a_user_is_allowed_one_thing_with_one_vm() {
        rule YES games modify one
        modifies as_games one
        not modifies as_games two
        not modifies as_nobody one
        not reads_memory as_games one
        not destroys as_games one
        rule YES games access-memory
        reads_memory as_games one
        not reads_memory as_nobody one
}

# guestmapd(8)'s, for the group "operators" and VM "demo".
test_the_rule_of_the_page() {
        groupadd operators
        usermod --append --groups operators games
        create demo
        not modifies as_games demo
        printed guestmapd.8.scd 'polkit.addRule(function(action, subject) {' >>$rules
        restart_polkit
        modifies as_games demo
        not modifies as_nobody demo
        not modifies as_games two
        destroy demo
}

test_what_is_taken_away_is_gone_at_once() {
        modifies as_games one
        remove_rules
        not modifies as_games one
        inspects as_games one
}

test_who_may_create_owns() {
        not creates as_games theirs
        rule YES games create
        creates as_games theirs
        [ "$(property theirs Owner)" = "u $(id -u games)" ]
        modifies as_games theirs
        # To own a VM is not to read its process' files.
        not as_games guestmapctl fsck theirs 2>/tmp/error
        grep -q '/theirs is for root to read: sudo guestmapctl fsck theirs$' /tmp/error
        guestmapctl fsck theirs
        not modifies as_nobody theirs
        # It is theirs, whatever becomes of the right to make more.
        remove_rules
        not creates as_games another
        modifies as_games theirs
        destroys as_games theirs
}

test_an_administrator_destroys() {
        rule YES games admin two
        not destroys as_games one
        destroys as_games two
        not listed two
        remove_rules
}

test_looking_can_be_forbidden() {
        rule NO nobody inspect
        complains 'polkit does not allow org.guestmap1.inspect' says_why as_nobody one GetSlots
        not as_nobody busctl tree org.guestmap1
        inspects as_games one
        remove_rules
        inspects as_nobody one
}

# A VM's socket is for root and guestmapd, and one of them does not keep the other from it.
test_a_private_socket_is_a_bus_for_root() {
        address=unix:path=/run/guestmap/one
        busctl --address=$address call org.guestmap1 /org/guestmap1/vm/one org.guestmap1.VM GetSlots
        busctl --address=$address tree org.guestmap1 | grep -q region/ram
        not as_nobody busctl --address=$address call org.guestmap1 /org/guestmap1/vm/one \
                org.guestmap1.VM GetSlots
        inspects as_nobody one
        not journalctl --unit guestmapd.service --grep 'connection to its process'
}

# Installed, but it does not come up: nobody is let in for that.
test_a_polkit_that_does_not_start_allows_nothing() {
        systemctl mask --runtime --now polkit.service
        complains "polkit can't be asked" says_why as_nobody one GetSlots
        complains 'Access denied' modifies as_games one
        modifies env one
        systemctl unmask --runtime polkit.service
        systemctl start polkit.service
        inspects as_nobody one
        destroy one
}

# As if it were not installed: the bus does not know how to start it.
test_without_polkit_guestmapd_runs_as_root() {
        rm /usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service
        systemctl stop polkit.service
        systemctl reload dbus.service
        complains 'guestmapd(8), WITHOUT POLKIT' create one
        eventually not has_units one
        printed guestmapd.8.scd '# cp -r /usr/share/doc/guestmap/without-polkit/* /etc/systemd/system' |
                enter
        create one
        add_region one ram
        [ "$(stat -c '%U %a' /run/guestmap/one)" = 'root 600' ]
        [ "$(systemctl show --property User --value guestmapd.service)" = root ]
        pid=$(systemctl show --property MainPID --value guestmapd.service)
        grep -q '^CapEff:.0*$' "/proc/$pid/status"
        systemctl kill --signal KILL guestmap-vm@one.service
        eventually is_running one
        inspects as_nobody one
        complains 'Access denied' modifies as_nobody one
        complains 'Access denied' creates as_nobody two
        manager CreateVM 'sa{sv}' theirs 2 accelerator s none owner u "$(id -u games)"
        modifies as_games theirs
        destroys as_games theirs
        destroy one
        eventually not has_units '*'
}

run_tests "$@"

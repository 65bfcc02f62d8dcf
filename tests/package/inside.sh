#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the packages do to a running system that they are installed on; runs there, as root

# Tests are called by the names found in this file:
# shellcheck disable=SC2317

set -eu

cd "$(dirname "$0")"
# shellcheck source=tests/system/steps.sh
. ./steps.sh
seconds=120 # dpkg's triggers take their time

guestmapd() {
        systemctl show --property "$1" --value guestmapd.service
}

test_the_service_starts() {
        rm -f /usr/sbin/policy-rc.d # where images of containers forbid it
        not getent passwd guestmap
        dpkg --install guestmap_1_*.deb
        eventually systemctl is-active guestmapd.service
        systemctl is-enabled guestmapd.service
        guestmapctl list
        getent passwd guestmap
        getent group guestmap-watch
}

test_shells_complete() {
        bash -c '. /usr/share/bash-completion/bash_completion
                _completion_loader guestmapctl
                complete -p guestmapctl'
        [ "$(zsh -fc 'autoload -Uz compinit
                compinit -D -u
                echo $_comps[guestmapctl]')" = _guestmapctl ]
}

test_a_vm_outlives_an_upgrade() {
        create pc
        add_region pc ram
        poke pc 0x1000 42
        process=$(unit pc MainPID) service=$(guestmapd MainPID)
        dpkg --install guestmap_2_*.deb
        eventually listed pc
        [ "$(unit pc MainPID)" = "$process" ]
        [ "$(guestmapd MainPID)" != "$service" ]
        has_byte pc 0x1000 42
        # It goes on with the new program when that suits.
        systemctl restart guestmap-vm@pc.service
        eventually is_running pc
        has_byte pc 0x1000 42
        destroy pc
}

test_a_setting_outlives_an_upgrade() {
        echo '# mine' >>/etc/guestmap/guestmapd.conf
        mkdir -p /var/lib/prometheus/node-exporter
        systemctl enable --now guestmap-metrics.timer
        dpkg --install guestmap_1_*.deb
        grep -q '# mine' /etc/guestmap/guestmapd.conf
        systemctl is-active guestmap-metrics.timer
}

# As a stranger to the source does it.
test_a_program_has_a_map() {
        dpkg --install guestmap-dev_*.deb
        # shellcheck disable=SC2046
        cc -o /tmp/hotplug hotplug.c $(pkg-config --cflags --libs guestmap)
        /tmp/hotplug | grep -qx 'generation 3'
}

test_nothing_is_left() {
        create left
        manager CreateVM 'sa{sv}' kept 2 accelerator s "$accelerator" durable b true
        dpkg --remove guestmap-dev guestmap
        not systemctl is-active guestmapd.service guestmap-metrics.timer
        not pgrep guestmap-vmd
        [ -d /var/lib/guestmap ]
        dpkg --purge guestmap
        left=$(ls -d /var/lib/guestmap* /var/lib/private/guestmap* /etc/guestmap /run/guestmap/* \
                /etc/systemd/system/timers.target.wants/guestmap-metrics.timer 2>/dev/null || :)
        [ -z "$left" ]
}

run_tests "$@"

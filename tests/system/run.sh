#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Install what was built into a tree, boot it with one of the two message buses, test it there
#
#   run.sh BUILD SOURCE MESON BUS SCRIPT [KILLS]
#
# BUS is dbus or dbus-broker, as their units are called; SCRIPT one of those beside this one; KILLS,
# how many there are in a torture.

set -eu

build=$1 source=$2 meson=$3 bus=$4 script=$5 kills=${6:-20}
unit=/usr/lib/systemd/system/$bus.service

skip() {
        echo "SKIP: $*"
        exit 77
}

# Two huge pages for memory.sh, if root may take them; others who would take some wait meanwhile.
take_huge_pages() {
        pool=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
        [ -w $pool ] || return 0
        exec 9>/tmp/guestmap-huge-pages.lock
        flock 9
        before=$(cat $pool)
        trap 'echo "$before" >$pool; rm -rf "$tree"' EXIT
        echo $((before + 2)) >$pool
}

[ -e "$unit" ] || skip "$bus is not installed"

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
trap 'exit 1' HUP INT TERM

"$meson" install -C "$build" --no-rebuild --quiet --destdir "$tree"
[ -e "$tree/usr/share/dbus-1/system.d/org.guestmap1.conf" ] ||
        skip "the message bus does not look for services in the prefix that is configured"

# Whichever bus the machine prefers.
mkdir -p "$tree/etc/systemd/system" "$tree/etc/systemd/user" "$tree/opt/system-test"
ln -s "$unit" "$tree/etc/systemd/system/dbus.service"
ln -s "/usr/lib/systemd/user/$bus.service" "$tree/etc/systemd/user/dbus.service"
cp "$source"/tests/system/*.sh "$source/tests/check/session.sh" "$source/README.md" \
        "$source"/man/*.scd \
        "$build/tests/bus/test-kill" "$tree/opt/system-test"
echo "$kills" >"$tree/opt/system-test/kills"
[ "$script" != memory.sh ] || take_huge_pages

"$source/tests/system/boot.sh" "$tree" $((120 + kills)) "/opt/system-test/$script"

#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The main job, for ./dev demo: demo.sh BUILD
#
# The map of a real PC is loaded into a VM; DIMMs are plugged and unplugged by busctl while a
# monitor watches; a wrong edit is refused. Then a guest runs: the example of guestmap-memory(7), as
# it stands there. All on a bus of its own: nothing else is touched.

set -eu

build=$(cd "$1" && pwd)
cd "$(dirname "$0")"
corpus=$PWD/../golden/corpus/pc-hotplug-00-boot.json
page=$PWD/../../man/guestmap-memory.7.scd
# shellcheck source-path=SCRIPTDIR
. ./private-bus.sh
# shellcheck source-path=SCRIPTDIR
. ./session.sh

bold='' normal=''
if [ -t 1 ]; then
        bold=$(printf '\033[1m') normal=$(printf '\033[0m')
fi

tell() {
        printf '\n%s%s%s\n' "$bold" "$*" "$normal"
}

# A command as one would type it, then what it does.
run() {
        printf '\n$'
        for word in "$@"; do
                case $word in
                *[!a-zA-Z0-9_./:=,-]* | '') printf " '%s'" "$word" ;;
                *) printf ' %s' "$word" ;;
                esac
        done | sed "s|$build/client/||; s|$directory/||g"
        echo
        "$@" 2>&1 || :
}

map() {
        run busctl --user call org.guestmap1 /org/guestmap1/vm/pc org.guestmap1.Map "$@"
}

generation() {
        busctl --user get-property org.guestmap1 /org/guestmap1/vm/pc org.guestmap1.VM Generation |
                cut -d ' ' -f 2
}

# What the monitor has printed since the last time, once it has seen the present generation.
seen=0
watched() {
        wait_for grep -q "generation $(generation)\b" "$directory/monitor"
        tail -n +$((seen + 1)) "$directory/monitor" | sed 's/^/    monitor │ /'
        seen=$(wc -l <"$directory/monitor")
}

choose_accelerator() {
        if kvm_can_be_used; then
                accelerator=kvm
                echo '/dev/kvm can be used: the slots below are those of a real VM.'
        else
                accelerator=none
                echo '/dev/kvm cannot be used here: the same rules are followed on a table (none).'
        fi
}

start_monitor() {
        guestmapctl --user monitor pc >"$directory/monitor" &
        monitor_pid=$!
        trap 'stop_process "$monitor_pid"; stop_guestmapd' EXIT
        wait_for busctl --user status org.guestmap1
}

# In this shell; what the page says it prints is not looked at.
show_command() {
        printf '$ %s\n' "$1"
        eval "$1" 2>&1 </dev/null || :
}

# A session is carried out, other code is there to be read.
show_code() {
        if [[ $1 == '$ '* ]]; then
                run_session show_command <<<"${1//'\\'/'\'}"
        else
                printf '%s' "$1"
        fi
}

# show_examples: those of a man page, on standard input, for what they do here and now.
show_examples() {
        local line code="" inside=no
        while IFS= read -r line; do
                case $inside$line in
                'no```') inside=yes code= ;;
                'yes```') inside=no && show_code "$code" ;;
                yes*) code+=$line$'\n' ;;
                no*) printf '%s%s%s\n' "$bold" "$line" "$normal" ;;
                esac
        done
}

show_guest() {
        if ! guests_can_run; then
                tell 'No guest runs here: that takes /dev/kvm, on x86-64.'
                return
        fi
        tell 'A guest runs while its memory changes: from here on, the example of guestmap-memory(7).'
        # The page talks to the system bus.
        export DBUS_SYSTEM_BUS_ADDRESS=$DBUS_SESSION_BUS_ADDRESS
        show_examples <<<"$(man_section "$page")"
}

PATH=$build/client:$PATH
start_guestmapd "$build"

tell 'guestmapd runs, as you, on a bus of its own.'
choose_accelerator

tell 'A VM with the memory map of a PC: 131 regions, as its firmware left them.'
jq .layout "$corpus" >"$directory/pc.json"
run guestmapctl --user create pc --accelerator="$accelerator" --layout="$directory/pc.json"
run guestmapctl --user show pc

tell 'What its CPUs see, and the memory slots that this took:'
run guestmapctl --user flat pc memory
run guestmapctl --user slots pc

start_monitor
tell 'From here on a monitor watches. Two DIMMs are plugged, by busctl:'
map AddRegion 'sststia{sv}' dimm0 ram 0x8000000 device-memory 0 0 0
watched
map AddRegion 'sststia{sv}' dimm1 ram 0x40000000 device-memory 0x8000000 0 0
watched
run guestmapctl --user slots pc

tell 'What cannot be is refused, with the reason, and nothing has changed:'
map AddRegion 'sststia{sv}' dimm2 ram 0x8000000 device-memory 0xfffffffffc000000 0 0
map RemoveRegion 'sa{sv}' device-memory 0
run busctl --user get-property org.guestmap1 /org/guestmap1/vm/pc org.guestmap1.VM Generation

tell 'One goes out of sight and comes back; then one is unplugged:'
run busctl --user set-property org.guestmap1 /org/guestmap1/vm/pc/region/dimm0 \
        org.guestmap1.Region Enabled b false
watched
run busctl --user set-property org.guestmap1 /org/guestmap1/vm/pc/region/dimm0 \
        org.guestmap1.Region Enabled b true
watched
map RemoveRegion 'sa{sv}' dimm1 0
watched

tell 'A transaction: the other one goes too, and a larger one takes its place. One commit.'
id=$(guestmapctl --user begin pc)
printf '\n$ guestmapctl --user begin pc\n%s\n' "$id"
run guestmapctl --user remove pc dimm0 --transaction="$id"
run guestmapctl --user add pc dimm3 ram 2GiB device-memory --transaction="$id"
run guestmapctl --user commit pc "$id"
watched
run guestmapctl --user flat pc memory
run guestmapctl --user slots pc

show_guest

tell 'Done; VMs, daemon and bus are taken down.'

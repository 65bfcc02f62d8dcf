#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The examples of the man pages work as printed: test-man.sh SOURCE-ROOT BUILD

set -u

man=$1/man
build=$2
cd "$(dirname "$0")" || exit 1
dumps=$(realpath ../golden/mtree)/boot-x86_64-pc
# shellcheck source-path=SCRIPTDIR
. ./private-bus.sh
# shellcheck source-path=SCRIPTDIR
. ./session.sh

start_bus || exit 1
cd "$directory" || exit 1
ln -s "$build" build
eval "$(man_session "$man/guestmapd.8.scd" | sed 's/^\$ //') >guestmapd.log 2>&1 &"
is_served $! || exit 1

# As drawings are printed.
export LC_ALL=C.UTF-8 COLUMNS=80

# man_document N: of those that guestmap-layout.5 shows
man_document() {
        awk -v wanted="$1" '
                /^```/ { inside = !inside; n += inside; next }
                inside && n == wanted
        ' "$man/guestmap-layout.5.scd"
}

# The layout, and the patch, which is for a VM that has it.
make_documented() {
        local ctl="$build/client/guestmapctl --user"
        $ctl create documented --accelerator=none --layout=<(man_document 1) &&
                $ctl --json=short apply documented <(man_document 2) |
                jq -r '[.["address-spaces"].memory.added.sections[].region] | join(" ")' &&
                $ctl destroy documented
}
case_is 'the layout and the patch of guestmap-layout(5)' 'hpet dimm0' "$(make_documented 2>&1)"

if ! kvm_can_be_used; then
        skip_case 'the examples' '/dev/kvm cannot be used here'
        end_cases
fi

# shellcheck disable=SC2317 # called by the sessions
# What guestmapctl.1 shows is the system bus; here it is a bus of one's own.
guestmapctl() {
        command "$build/client/guestmapctl" --user "$@"
}

# What the examples that watch the VM "demo" print; it is at generation 4 when they begin.

# A commit with more sections than a signal has room for: that has to be asked for.
write_many() {
        echo '{"guestmap": 1, "edits": ['
        for n in $(seq 70); do
                echo "{\"add-region\": {\"name\": \"many$n\", \"kind\": \"mmio\", \"size\": 256,"
                echo "\"parent\": \"system\", \"offset\": $((0x200000000 + n * 4096))}},"
        done
        echo '{"enable-region": {"name": "ram", "enabled": true}}]}'
}

has_ended() {
        ! kill -0 "$1" 2>/dev/null
}

watch_demo() {
        local name shell="" watchers=""
        man_code "$page" '#!/bin/sh' >watch.sh
        man_code "$page" '#!/usr/bin/python3' >watch.py
        man_code "$page" '#include <inttypes.h>' >watch.c
        chmod +x watch.sh watch.py
        # shellcheck disable=SC2046 # words
        if ! cc -Wall -Wextra -Wno-unused-parameter -o watch.bin watch.c \
                $(pkg-config --cflags --libs libsystemd); then
                case_is 'the example in C compiles' yes no
        fi
        for name in sh py bin; do
                if [ $name = py ] && ! /usr/bin/python3 -c 'import jeepney' 2>/dev/null; then
                        skip_case 'the example in Python' 'no python3-jeepney here'
                        continue
                fi
                setsid "./watch.$name" >"watched.$name" 2>&1 &
                watchers+=" $!"
                shell=${shell:-$!}
                wait_for grep -q "^generation 4" "watched.$name"
        done
        write_many >many.json
        guestmapctl apply demo many.json >/dev/null
        guestmapctl disable demo ram
        for name in sh py bin; do
                [ -e "watched.$name" ] || continue
                wait_for grep -q "^generation 6" "watched.$name"
                case_is "the example watch.$name misses nothing" '4 5 6' \
                        "$(sed 's/^generation \([0-9]*\).*/\1/' "watched.$name" | xargs)"
        done
        case_is 'the shell is told what went' 'generation 6 true 1 0 1073741823 "ram" 0 "ram" 0 0' \
                "$(tail -n 1 watched.sh)"
        [ ! -e watched.py ] || case_is 'in Python there is the view' \
                "generation 6 ['dimm1', $(seq 70 | sed "s/.*/'many&'/" | LC_ALL=C sort |
                        paste -sd , | sed 's/,/, /g')]" "$(tail -n 1 watched.py)"
        guestmapctl destroy demo
        wait_for has_ended "$shell"
        case_is 'the shell ends with the VM' 0 $?
        for name in $watchers; do
                kill -- "-$name" 2>/dev/null # with what it runs; the shell has ended
        done
}

has_socket() {
        busctl --user get-property org.guestmap1 /org/guestmap1/vm/lab/region/counters \
                org.guestmap1.Region Handler | grep -q socket
}

# A program in the background is given the time to begin that a reader gives it.
run_beside() {
        run_command "$@"
        [[ $1 != *' &' ]] || wait_for has_socket
}

count_writes() {
        if ! /usr/bin/python3 -c 'import dbus' 2>/dev/null; then
                skip_case 'the counters of guestmap-handler(5)' 'no python3-dbus here'
                return
        fi
        man_code "$1" '#!/usr/bin/python3' >counters.py
        chmod +x counters.py
        run_session run_beside < <(man_session "$1")
        wait_for has_ended $!
        case_is 'counters.py ends with the VM' 0 $?
}

# What is not in the dumps is listed on standard error.
run_import() {
        eval "$1" 2>/dev/null
        case_is "$1" 0 $?
}

import_mtree() {
        cp "$dumps.tree.txt" tree.txt
        cp "$dumps.flat.txt" flat.txt
        run_session run_import < <(man_session "$1" "QEMU'S MAPS")
        guestmapctl destroy pc
}

page=$man/org.guestmap1.5.scd
run_session < <(man_session "$page")
run_session < <(man_session "$page" ERRORS)
watch_demo
import_mtree "$man/guestmapctl.1.scd"
run_session < <(man_session "$man/guestmapctl.1.scd")
run_session < <(man_session "$man/guestmap-vmd.8.scd")
if guests_can_run; then
        run_session < <(man_session "$man/guestmap-memory.7.scd")
        count_writes "$man/guestmap-handler.5.scd"
else
        skip_case 'the guests of guestmap-memory(7) and guestmap-handler(5)' \
                'they are programs for x86-64'
fi
end_cases

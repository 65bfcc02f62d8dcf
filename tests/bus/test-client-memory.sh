#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# guestmapctl: slots, what memory holds, which of it is dirty, and much of it.

# shellcheck source=tests/bus/client.sh
. "$(dirname "$0")/client.sh"

# A window in the middle of RAM: the first time its ends are remapped, and never again.
test_sticky_slots() {
        ctl create sticky --accelerator=none
        prints "no slots, no statistics" slots sticky <<'END'
SLOT FIRST LAST SIZE BACKING OFFSET FLAGS
END
        ctl add sticky ram ram 1MiB system
        ctl add sticky window mmio 64KiB system 640KiB --priority=1 --disabled
        echo '{"guestmap":1,"edits":[{"enable-region":{"name":"window","enabled":true}}]}' \
                >"$directory/open.json"
        json "what a cut costs" \
                'd["slot-operations"]["create"] == 2 and d["bytes-unchanged-remapped"] == "0xf0000"' \
                apply sticky "$directory/open.json"
        ctl disable sticky window
        prints "opened again" apply sticky "$directory/open.json" <<'END'
Generation 6, 1 edit
~ region window: enabled no -> yes
- memory 0x0-0xfffff ram ram @0x0
+ memory 0x0-0x9ffff ram ram @0x0
+ memory 0xa0000-0xaffff mmio window @0x0
+ memory 0xb0000-0xfffff ram ram @0xb0000
Slot operations: 1 delete
Guest memory remapped: 64KiB
Regions: 0 added, 1 changed, 0 removed
END
        prints "a slot's history" slots sticky <<'END'
SLOT   FIRST    LAST   SIZE BACKING  OFFSET FLAGS
   0     0x0 0x9ffff 640KiB       1     0x0
   1 0xb0000 0xfffff 320KiB       1 0xb0000

Since the VM was made:
Slot operations: 2 delete, 4 create
Guest memory remapped: 3136KiB
Of that, unchanged: 960KiB
END
        ctl destroy sticky
}

# A VM of its own: two pieces of RAM side by side, a ROM, a device.
test_memory() {
        local file=$directory/bytes
        ctl create mem --accelerator=none
        ctl add mem a ram 4MiB system 0
        ctl add mem b ram 4MiB system 4MiB
        ctl add mem bios rom 4KiB system 8MiB
        ctl add mem dev mmio 4KiB system 16MiB
        does "write bytes" write mem memory 0x1ff8 "de ad " BEEF 00 01ff
        does "write input" write mem memory 0x2010 < <(printf 'Hello, guest')
        prints "read" read mem memory 0x1ff8 48 <<'END'
00001ff8  de ad be ef 00 01 ff 00  00 00 00 00 00 00 00 00  |................|
00002008  00 00 00 00 00 00 00 00  48 65 6c 6c 6f 2c 20 67  |........Hello, g|
00002018  75 65 73 74 00 00 00 00  00 00 00 00 00 00 00 00  |uest............|
00002028
END
        prints "read a lot of nothing" read mem memory 0x100000 2MiB <<'END'
00100000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
*
00300000
END
        prints "read no bytes" read mem memory 16MiB 0 </dev/null
        json "read as JSON" 'd == {"address": "0x1ff8", "length": "0x8", "data": "deadbeef0001ff00"}' \
                read mem memory 0x1ff8 8
        prints "read raw" read mem memory 0x2010 12 --out=- <<<"Hello, guest"

        # Across the regions, more than one message carries, with a tail.
        head -c 3000001 /dev/urandom >"$file"
        does "write a file" write mem memory 3MiB --in="$file"
        does "read it into a file" read mem memory 3MiB 3000001 --out="$file.read"
        cmp -s "$file" "$file.read" && verdict "it is the same" yes || verdict "it is the same" no
        ctl read mem memory 3MiB 3000001 --out=- | cmp -s "$file" - &&
                verdict "through a pipe, too" yes || verdict "through a pipe, too" no
        echo "longer than what comes" >"$file.read"
        does "read over a file" read mem memory 0x2010 5 --out="$file.read"
        [[ $(<"$file.read") == Hello ]] && verdict "nothing is left of that" yes ||
                verdict "nothing is left of that" no
        does "read all" read mem memory 0 0x801000 --out="$file.read"
        [[ $(stat -c %s "$file.read") == $((0x801000)) && $(stat -c %b "$file.read") -lt 8000 ]] &&
                verdict "holes stay holes" yes || verdict "holes stay holes" no

        refuses "read nothing there" "Unassigned: *0x801000*" read mem memory 0x801000 1
        echo kept >"$file.read"
        refuses "read over an end" "Unassigned: *0x801000*" \
                read mem memory 0 16MiB --out="$file.read"
        [[ $(<"$file.read") == kept ]] && verdict "the file is as it was" yes ||
                verdict "the file is as it was" no
        refuses "read into a new file" "Unassigned: *" read mem memory 0x801000 1 --out="$file.new"
        [[ ! -e $file.new ]] && verdict "there is no new file" yes ||
                verdict "there is no new file" no
        refuses "read a device" 'NotSupported: *"dev"*is mmio*' read mem memory 16MiB 4
        refuses "write a ROM" 'NotSupported: *"bios"*is read-only*' write mem memory 8MiB 00
        refuses "write half a byte" '"abc" is not bytes in hexadecimal*' write mem memory 0 abc
        refuses "write no digits" '"0x12" is not bytes in hexadecimal*' write mem memory 0 0x12
        refuses "write twice" "write: give the bytes, or --in=FILE, not both" \
                write mem memory 0 00 --in="$file"
        refuses "write no file" "cannot open $file.none: *" write mem memory 0 --in="$file.none"
        refuses "read beyond 2^64" "0x2 bytes at 0xffffffffffffffff reach beyond 2^64" \
                read mem memory 0xffffffffffffffff 2
        refuses "read into nowhere" "cannot open /nonexistent/x: *" \
                read mem memory 0 1 --out=/nonexistent/x

        does "set handler" handler mem dev constant 0x1f
        json "handler" 'd["handler"] == "constant" and d["handler-reads"] == 0' show mem dev
        refuses "set no handler" 'InvalidArgs: *handler "magic" is none of *' handler mem dev magic
        does "no handler" handler mem dev none
        does "destroy it with its memory" destroy mem
}

test_dirty() {
        local watcher found
        ctl create logged --accelerator=none
        ctl add logged ram ram 1MiB system 0
        refuses "no log" 'NotSupported: *"ram": its dirty log was never started' dirty logged ram
        does "start a log" set logged ram dirty-log=yes
        does "log from the first on" add logged more ram 4KiB system 1MiB --dirty-log
        ctl write logged memory 1MiB 01
        json "it was on" 'd["pages"] == 1' dirty logged more
        ctl write logged memory 0x3ff0 < <(head -c 32 /dev/zero)
        ctl write logged memory 0xff000 00
        prints "dirty" dirty logged ram <<'END'
  FIRST    LAST PAGES
 0x3000  0x4fff     2
0xff000 0xfffff     1

3 pages of 4KiB.
END
        json "dirty as JSON" 'd["pages"] == 3 and d["page-size"] == "0x1000" and \
                d["ranges"][1] == {"first": "0xff000", "last": "0xfffff", "pages": 1}' \
                dirty logged ram --clear
        prints "cleared" dirty logged ram --no-legend </dev/null
        found=$(ctl metrics | sed -n 's/^guestmap_vm_dirty_bytes_total{vm="logged"} //p')
        [[ $found == 12288 ]] && verdict "what was cleared counts" yes ||
                verdict "what was cleared counts" no "$found"
        json "top has how fast" 'd["vms"][0]["dirty-bytes-per-second"] > 0' top --batch --iterations=1
        refuses "clear twice" "dirty: --watch clears anyway" dirty logged ram --clear --watch

        # A log that the watcher starts is his, and ends with him.
        ctl set logged ram dirty-log=no
        "$ctl" --address="$address" dirty logged ram --watch >"$directory/rate" 2>&1 &
        watcher=$!
        wrote() {
                ctl write logged memory 0x8000 01
                grep -Eqx '1 page, [1-9][0-9]* pages/s, [0-9.]+KiB/s' "$directory/rate"
        }
        eventually wrote && verdict "dirty --watch" yes ||
                verdict "dirty --watch" no "$(<"$directory/rate")"
        json "it logs" 'd["dirty-log"]' show logged ram
        kill -INT "$watcher"
        wait "$watcher" && verdict "it ends well" yes || verdict "it ends well" no
        json "it logs no more" 'not d["dirty-log"]' show logged ram
        # Whose log somebody else ends says so.
        rm "$directory/rate"
        "$ctl" --address="$address" dirty logged ram --watch >"$directory/rate" 2>&1 &
        watcher=$!
        eventually grep -q pages/s "$directory/rate"
        ctl set logged ram dirty-log=no
        wait "$watcher" && verdict "a log that ends" no || verdict "a log that ends" yes
        grep -q "stopped by somebody else" "$directory/rate" && verdict "why" yes ||
                verdict "why" no "$(<"$directory/rate")"
        ctl destroy logged
}

# How many calls to the VM "bulk" guestmapd has passed on, with the one that tells.
passed_on() {
        ctl metrics | sed -n 's/^guestmap_vm_forwarded_calls_total{vm="bulk"} //p'
}

# passes_on NAME N COMMAND...: so many calls come by guestmapd meanwhile.
passes_on() {
        local before after
        before=$(passed_on)
        "${@:3}"
        after=$(passed_on)
        ((after == before + $2 + 1)) && verdict "$1" yes ||
                verdict "$1" no "calls: $((after - before - 1)), not $2"
}

connects() {
        busctl --address="$address" call org.guestmap1 /org/guestmap1/vm/bulk org.guestmap1.VM \
                OpenConnection 'a{sv}' 0
}

connects_not() {
        ! connects
}

# reload_bus CONDITION [POLICY]
reload_bus() {
        write_bus_configuration "${2-}"
        kill -HUP "${started[0]}"
        eventually "$1" || bail_out "the bus keeps its old policy"
}

# The hexadecimal digits of a dump.
digits() {
        cut -c 10-59 | tr -d ' \n'
}

# bulk WAY N M: what is much comes through, with N calls passed on to write it or to read it, and M
# for many sections.
bulk() {
        head -c 4194304 /dev/urandom >"$directory/bytes"
        passes_on "calls to write much, $1" "$2" \
                does "write much, $1" write bulk memory 0 --in="$directory/bytes"
        ctl read bulk memory 0 4MiB --out=- | cmp - "$directory/bytes" &&
                verdict "it is written, $1" yes || verdict "it is written, $1" no
        passes_on "calls to read much, $1" "$2" eval \
                'ctl read bulk memory 0 4MiB >"$directory/dump"'
        cmp <(digits <"$directory/dump") <(od -A n -v -t x1 "$directory/bytes" | tr -d ' \n') &&
                verdict "it is read, $1" yes || verdict "it is read, $1" no
        passes_on "calls for many sections, $1" "$3" eval \
                'ctl --no-legend flat bulk memory >"$directory/flat"'
        cmp <(awk '{ print $5 }' "$directory/flat") <(echo ram && seq -f io%.0f 25000) &&
                verdict "many sections, $1" yes || verdict "many sections, $1" no
}

# A dump that nobody takes waits where it is, while the VM's process dies.
test_direct_vm_dies() {
        local reader vm
        vm=$(awk '{ print $NF }' "/proc/${started[1]}/task/${started[1]}/children")
        mkfifo "$directory/pipe"
        ctl read bulk memory 0 4MiB >"$directory/pipe" 2>"$directory/err" &
        reader=$!
        exec {pipe}<"$directory/pipe"
        read -r -u "$pipe" out
        kill -KILL "$vm"
        eventually eval "! kill -0 $vm" || bail_out "the VM's process lives"
        cat <&"$pipe" >/dev/null
        exec {pipe}<&-
        wait "$reader"
        status=$? err=$(<"$directory/err")
        [[ $status == 1 && $err == "guestmapctl: VMGone: the connection to the VM's process ended"* ]] &&
                verdict "the VM's process dies under a long dump" yes ||
                verdict "the VM's process dies under a long dump" no
}

# What is much goes to the VM's process without a bus between, or by the bus where that is refused.
test_direct() {
        does "a VM for much" create bulk --accelerator=none
        {
                echo '{"guestmap": 1, "edits": ['
                seq 25000 | sed 's/.*/{"add-region": {"name": "io&", "kind": "mmio",/
                        s/io\([0-9]*\)",.*/&"size": 256, "parent": "system", "offset": \10000000}},/'
                echo '{"add-region": {"name": "ram", "kind": "ram", "size": 4194304,
                        "parent": "system", "offset": 0}}]}'
        } >"$directory/bulk.json"
        ctl apply bulk "$directory/bulk.json" >/dev/null
        bulk "directly" 2 3
        passes_on "calls for few" 2 eval 'ctl flat bulk io >/dev/null'
        reload_bus connects_not \
                '<deny send_interface="org.guestmap1.VM" send_member="OpenConnection"/>'
        bulk "by the bus" 5 4
        reload_bus connects
        test_direct_vm_dies
        eventually ctl destroy bulk || bail_out "the VM stays"
}

start_bus
start_guestmapd
test_sticky_slots
test_memory
test_dirty
test_direct
finish

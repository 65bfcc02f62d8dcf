#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# guestmapctl, every verb of it, against a guestmapd on a bus of its own; TAP on stdout.
#
#   test-client.sh GUESTMAPCTL GUESTMAPD GUESTMAP-VMD

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

# write_bus_configuration [POLICY]: a bus that drops signals to a client with much unread, as
# test_missed wants it.
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

start() {
        write_bus_configuration
        dbus-daemon --config-file="$directory/bus.conf" --nofork --nopidfile \
                >"$directory/bus.log" 2>&1 &
        started+=($!)
        eventually test -S "$directory/bus" || bail_out "no bus"
        refuses "no guestmapd" "guestmapd is not running on $address (*" list
        mkdir "$directory/run"
        "$guestmapd" --user --address="$address" --runtime-dir="$directory/run" \
        --state-dir="$directory/state" --vmd="$vmd" \
                >"$directory/guestmapd.log" 2>&1 &
        started+=($!)
        eventually ctl list || bail_out "no guestmapd"
}

test_command_line() {
        refuses "no verb" "which verb?*"
        refuses "unknown verb" 'unknown verb "lits"; see guestmapctl --help' lits
        refuses "half a verb" "space what? There are: add, remove" space
        refuses "missing argument" "add: missing argument SIZE (*" add pc dimm0 ram
        refuses "missing repeated argument" "set: missing argument PROPERTY=VALUE (*" set pc system
        refuses "one argument too many" 'list: unexpected argument "pc"' list pc
        refuses "foreign option" "list takes no --dry-run" list --dry-run
        refuses "unknown option" "unknown option --frobnicate; *" list --frobnicate
        refuses "unknown letter" "unknown option -Z; *" list -Z
        refuses "option without argument" "option --priority needs an argument: N" move --priority
        refuses "flag with argument" "option --dry-run takes no argument" apply --dry-run=1
        refuses "unknown JSON mode" "--json=yaml: *" list --json=yaml
        refuses "no such bus" "cannot connect to unix:path=/nonexistent: *" \
                --address=unix:path=/nonexistent list
        refuses "two ways" "of --host, --machine and --address there can be one only" \
                --host=kvm1 --machine=web list
        refuses "no host" "--host=: of which host?" --host= list
        refuses "no container" "--machine=: of which container?" --machine= list
        run --version
        [[ $status == 0 && $out =~ ^guestmapctl\ [0-9.]+$ ]] && verdict "version" yes ||
                verdict "version" no
        run --help
        [[ $status == 0 && $out == *"add VM NAME KIND SIZE [PARENT [OFFSET]]"* ]] &&
                verdict "help" yes || verdict "help" no
}

test_vms() {
        prints "no VMs" --no-legend list </dev/null
        does "create" create pc --accelerator=none
        ((failed == 0)) || bail_out "no VM to test with"
        refuses "create again" "VMExists: *" create pc --accelerator=none
        refuses "bad name" "InvalidName: *" create ../pc --accelerator=none
        refuses "bad accelerator" "*" create other --accelerator=magic
        prints "list" list <<'END'
NAME STATE   GENERATION
pc   running          1

1 VM.
END
        json "list as JSON" \
                'd == {"vms": [{"name": "pc", "path": "/org/guestmap1/vm/pc", "generation": 1, "state": "running"}]}' list
        json "create as JSON" 'd == {"path": "/org/guestmap1/vm/spare"}' \
                create spare --accelerator=none
        does "destroy" destroy spare
        refuses "destroy again" "NoSuchVM: *spare*" destroy spare
        refuses "verbs on no VM" "NoSuchVM: *spare*" tree spare
        json "show" 'd["name"] == "pc" and d["accelerator"] == "none" and d["generation"] == 1 and d["ram-bytes"] == 0 and len(d["id"]) == 32' show pc
        does "create a durable VM" create lasting --accelerator=none --durable
        json "a durable VM" 'd["durable"] is True' show lasting
        does "destroy a durable VM" destroy lasting
        json "not a durable VM" 'd["durable"] is False' show pc
        run show pc
        [[ $out == *"Accelerator: none"* && $out == *"State: running"* ]] &&
                verdict "show for people" yes || verdict "show for people" no
}

test_edits() {
        does "add RAM" add pc ram0 ram 1GiB
        does "add aliases" alias pc low ram0 0 640KiB system 0
        does "add with flags" add pc bios rom 0x20000 system 0xe0000 --unmergeable
        does "add MMIO" add pc hpet mmio 1KiB system 0xfed00000 --priority=-1 --disabled
        refuses "add again" 'RegionExists: *"hpet"*' add pc hpet mmio 1KiB
        refuses "bad size" 'size "1GB" is not a size such as *' add pc x ram 1GB
        refuses "huge size" 'size "99999999TiB" is too large' add pc x ram 99999999TiB
        refuses "bad priority" 'priority "high" is not *' add pc x ram 1GiB --priority=high
        refuses "bad kind" "InvalidKind: *" add pc x tape 1GiB
        refuses "no parent" 'NoSuchRegion: *"nowhere"*' add pc x ram 1GiB nowhere 0
        json "show region" 'd["kind"] == "mmio" and d["size"] == "0x400" and d["offset"] == "0xfed00000" and d["priority"] == -1 and d["enabled"] is False and d["parent"] == "system" and d["mapped-at"] == []' show pc hpet
        does "enable" enable pc hpet
        json "mapped" 'd["enabled"] and d["mapped-at"] == [{"space": "memory", "address": "0xfed00000"}]' show pc hpet
        does "disable" disable pc hpet
        does "set" set pc hpet enabled=yes size=0x1000 priority=2 offset=0xfed10000
        json "set did" 'd["size"] == "0x1000" and d["priority"] == 2 and d["offset"] == "0xfed10000"' show pc hpet
        refuses "set nothing known" 'no property "colour" can be set; *' set pc hpet colour=red
        refuses "set no value" '"size" is not PROPERTY=VALUE' set pc hpet size
        refuses "set half of it" "*" set pc hpet priority=7 size=2^64x
        refuses "move where" 'missing argument OFFSET: *' move pc hpet system
        does "move" move pc hpet system 0xfed00000 --priority=3
        does "take out" move pc hpet ""
        json "taken out" 'd["parent"] == "" and d["mapped-at"] == []' show pc hpet
        refuses "remove what is used" "InUse: *" remove pc ram0
        does "remove" remove pc hpet
        refuses "remove again" 'NoSuchRegion: *"hpet"*' remove pc hpet
        does "add a space" space add pc dma system
        does "remove a space" space remove pc dma
        refuses "remove a space again" 'NoSuchAddressSpace: *"dma"*' space remove pc dma
        json "generation of an edit" 'd == {"generation": 14}' disable pc bios
        refuses "another generation" "Conflict: *" enable pc bios --expect-generation=11
        json "that generation" 'd == {"generation": 15}' enable pc bios --expect-generation=14
        json "no change" 'd == {"generation": 15}' enable pc bios
}

test_views() {
        prints "tree" tree pc <<'END'
address-space: io
  0000000000000000-000000000000ffff (prio 0, container): io

address-space: memory
  0000000000000000-ffffffffffffffff (prio 0, container): system
    0000000000000000-000000000009ffff (prio 0, alias): low @ram0 0000000000000000-000000000009ffff
    00000000000e0000-00000000000fffff (prio 0, rom): bios

region: ram0
  0000000000000000-000000003fffffff (prio 0, ram): ram0
END
        prints "tree as a list" tree pc --plain <<'END'
0000000000000000-000000000000ffff (prio 0, container): io
0000000000000000-ffffffffffffffff (prio 0, container): system
0000000000000000-000000000009ffff (prio 0, alias): low @ram0 0000000000000000-000000000009ffff
00000000000e0000-00000000000fffff (prio 0, rom): bios
0000000000000000-000000003fffffff (prio 0, ram): ram0
END
        prints "flat" flat pc memory <<'END'
  FIRST    LAST   SIZE KIND REGION OFFSET FLAGS
    0x0 0x9ffff 640KiB ram  ram0      0x0
0xe0000 0xfffff 128KiB rom  bios      0x0 readonly,unmergeable
END
        prints "flat as JSON" flat pc memory --json=short <<'END'
{"generation":15,"sections":[{"first":"0x0","last":"0x9ffff","region":"ram0","offset":"0x0","kind":"ram","flags":[]},{"first":"0xe0000","last":"0xfffff","region":"bios","offset":"0x0","kind":"rom","flags":["readonly","unmergeable"]}]}
END
        json "flat of all spaces" 'sorted(d) == ["io", "memory"] and d["io"]["sections"] == [] and len(d["memory"]["sections"]) == 2' flat pc
        refuses "flat of no space" 'NoSuchAddressSpace: *"dma"*' flat pc dma
        prints "find" find pc memory 0x9fff0 <<'END'
0x9fff0 is 0x9fff0 of ram0

FIRST    LAST   SIZE KIND REGION OFFSET FLAGS
  0x0 0x9ffff 640KiB ram  ram0      0x0
END
        json "find as JSON" 'd["address"] == "0xe0010" and d["offset"] == "0x10" and d["section"]["region"] == "bios"' find pc memory 0xe0010
        refuses "find nothing" "Unassigned: *0xa0000*" find pc memory 0xa0000
        would "fsck as JSON for people" 0 $'{\n  "directory":*",\n  "detail":*\n}' fsck pc --json=pretty
        json "fsck as JSON" 'd["name"] == "pc"' fsck pc
        prints "slots" slots pc <<'END'
SLOT   FIRST    LAST   SIZE BACKING OFFSET FLAGS
   0     0x0 0x9ffff 640KiB       1    0x0
   1 0xe0000 0xfffff 128KiB       2    0x0 readonly

Since the VM was made:
Slot operations: 1 delete, 3 create
Guest memory remapped: 1MiB
END
        prints "slots without legend" slots pc --no-legend <<'END'
0     0x0 0x9ffff 640KiB 1 0x0
1 0xe0000 0xfffff 128KiB 2 0x0 readonly
END
        json "slots as JSON" 'len(d["slots"]) == 2 and d["slots"][0]["first"] == "0x0" and d["stats"]["create"] == 3' slots pc
}

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
                'd["slot-operations"]["create"] == 2 and d["bytes-unchanged-remapped"] == 960 * 1024' \
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
        does "write bytes" write mem memory 0x1ff8 de ad BEEF 00 01ff
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

# rings N: what a guest's writes would do to the doorbell's ioeventfd at 0x20, N times.
rings() {
        DBUS_SESSION_BUS_ADDRESS=$address /usr/bin/python3 -c '
import dbus, os, sys
region = dbus.SessionBus().get_object("org.guestmap1", "/org/guestmap1/vm/pc/region/doorbell")
fd = region.GetIOEventFD(dbus.UInt64(0x20), dbus.UInt32(0), False, dbus.UInt64(0),
                         dbus_interface="org.guestmap1.Region").take()
os.eventfd_write(fd, int(sys.argv[1]))' "$1"
}

test_ioeventfd_wait() {
        local bell="ioeventfd wait pc doorbell 0x20 0" waiter
        refuses "wait for no ioeventfd" "NoSuchIOEventFD: *" ioeventfd wait pc doorbell 0x10 4 8
        refuses "wait for ever?" 'timeout "never" is not a time such as *' $bell --timeout=never
        would "look for what is not there" 2 0 $bell --timeout=0
        would "wait in vain" 2 '{"count":0}' $bell --timeout=10ms --json=short
        if ! /usr/bin/python3 -c 'import dbus' 2>/dev/null; then
                n=$((n + 1))
                echo "ok $n - wait # SKIP no python3-dbus here, which stands in for the guest"
                return
        fi
        rings 1
        rings 2
        prints "what came before counts" $bell <<<3
        would "and is told once" 2 0 $bell --timeout=0
        ctl $bell --json=short >"$directory/count" &
        waiter=$!
        rings 1
        wait "$waiter" && [[ $(<"$directory/count") == '{"count":1}' ]] && verdict "wait" yes ||
                verdict "wait" no "$(<"$directory/count")"
}

test_devices() {
        does "add MMIO" add pc doorbell mmio 4KiB system 0xfee00000
        does "add ioeventfd" ioeventfd add pc doorbell 0x10 4 7
        does "add ioeventfd without match" ioeventfd add pc doorbell 0x20 0
        refuses "add ioeventfd again" "IOEventFDExists: *" ioeventfd add pc doorbell 0x10 4 7
        prints "list ioeventfds" ioeventfd list pc doorbell <<'END'
OFFSET LENGTH DATA
  0x10      4  0x7
  0x20      0  any
END
        json "ioeventfds as JSON" 'd["ioeventfds"][0] == {"offset": "0x10", "length": 4, "match": True, "data": "0x7"}' ioeventfd list pc doorbell
        test_ioeventfd_wait
        does "remove ioeventfd" ioeventfd remove pc doorbell 0x10 4 7
        refuses "remove ioeventfd again" "NoSuchIOEventFD: *" ioeventfd remove pc doorbell 0x10 4 7
        does "add coalesced" coalesced add pc doorbell 0x100 0x100
        does "clear coalesced" coalesced clear pc doorbell
        does "remove its region" remove pc doorbell
}

# plugs NAME TEXT ARGUMENT...: what plug prints.
plugs() {
        prints "$1" plug hot "${@:3}" <<<"$2"
}

# A map that somebody else changes while DIMMs are plugged: each has a place and a name of its own.
test_plug_race() {
        local plugging=() i
        for i in {1..8}; do
                for _ in {1..3}; do ctl plug hot --size=1MiB --window=1TiB-2TiB; done \
                        >>"$directory/plugged" 2>&1 &
                plugging+=($!)
        done
        wait "${plugging[@]}"
        [[ $(sort -u "$directory/plugged" | wc -l) == 24 &&
                $(cut -d ' ' -f 2 "$directory/plugged" | sort -u | tail -1) == 0x100b8000000 ]] &&
                verdict "plug at the same time" yes ||
                verdict "plug at the same time" no "$(<"$directory/plugged")"
        json "they are all there" 'sum(s["kind"] == "ram" for s in d["sections"]) == 24' \
                flat hot memory
}

# What it prints on a terminal while it waits, with the ends of lines that make it a bar.
bar_of() {
        script -qec "'$ctl' --address='$address' $*" /dev/null
}

test_host_memory() {
        ctl create made --accelerator=none
        does "memory of the host's" add made ram ram 1MiB system --numa-node=0 \
                --numa-policy=preferred --dump
        run --json=short export made
        [[ $out == *'"numa-node":0,"numa-policy":"preferred","dump":true'* ]] &&
                verdict "it is exported" yes || verdict "it is exported" no
        does "all of it at once" add made all ram 1MiB --prealloc
        refuses "no such pages" 'InvalidArgs: memory of "x": there are no huge pages of 3MiB*' \
                add made x ram 3MiB --hugepage-size=3MiB
        refuses "no such node" 'InvalidArgs: memory of "x": there is no NUMA node 1000' \
                add made x ram 1MiB --numa-node=1000
        refuses "a node that is none" 'numa-node "near"*' add made x ram 1MiB --numa-node=near
        refuses "memory of a device" 'InvalidKind: region "x"*' add made x mmio 1 --prealloc
        refuses "more than there is" 'NoMemory: memory of "x": needs 0x80000000000 bytes*' \
                add made x ram 8TiB --prealloc
        refuses "cancel nothing" 'NoSuchRegion: no region "all" is being prepared' \
                cancel made all
        if command -v script >/dev/null; then
                out=$(bar_of add made large ram 1GiB --prealloc)
                [[ $out == *$'\rlarge ['*'% of 1GiB'*$'\r\033[K' ]] &&
                        verdict "a bar on a terminal" yes || verdict "a bar on a terminal" no
        else
                verdict "a bar on a terminal # SKIP there is no script(1)" yes
        fi
        ctl destroy made
}

test_plug() {
        local id
        ctl create hot --accelerator=none
        test_plug_race
        ctl destroy hot
        ctl create hot --accelerator=none
        plugs "plug" "dimm0 0x100000000" --size=1GiB
        plugs "plug another" "dimm1 0x140000000" --size=1MiB
        plugs "plug aligned" "dimm2 0x180000000" --size=1MiB --align=1GiB
        plugs "plug behind it" "dimm3 0x140100000" --size=1MiB --align=4KiB --dirty-log
        json "with a dirty log" 'd["dirty-log"] and d["kind"] == "ram"' show hot dimm3
        json "plug as JSON" 'd == {"name": "low", "address": "0x0", "size": "0x100000", \
                "generation": 6}' plug hot --size=1MiB --window=0-1GiB --name=low
        refuses "plug a name again" 'RegionExists: *"low"*' plug hot --size=1MiB --name=low
        refuses "plug where nothing fits" "NoFreeRange: *largest place is 0x8000000-0xfffffff" \
                plug hot --size=256MiB --window=0-0xfffffff
        refuses "plug nothing" "plug: how much? --size=SIZE is missing" plug hot
        refuses "plug size 0" "InvalidRange: *" plug hot --size=0
        refuses "plug at odd places" "InvalidArgs: *0x3000 is not a power*" \
                plug hot --size=1MiB --align=0x3000
        refuses "half a window" 'window "4GiB" is not FIRST-LAST' plug hot --size=1MiB --window=4GiB
        refuses "no window" 'window "2-1" ends before it begins' plug hot --size=1MiB --window=2-1
        refuses "plug in no space" "NoSuchAddressSpace: *" plug hot --size=1MiB --space=dma
        refuses "plug at another generation" "Conflict: *" \
                plug hot --size=1MiB --expect-generation=3

        # Parents have a place of their own, and show what fits into them.
        ctl add hot bus container 1GiB system 0x8000000000
        ctl add hot bridge container 256MiB bus 0x20000000
        plugs "plug below" "dimm4 0x8020000000" --size=128MiB --parent=bridge
        json "in its parent" 'd["parent"] == "bridge" and d["offset"] == "0x0"' show hot dimm4
        plugs "fill it" "dimm5 0x8028000000" --size=128MiB --parent=bridge
        refuses "it is full" "NoFreeRange: *" plug hot --size=1MiB --parent=bridge
        refuses "it lies elsewhere" \
                'region "bridge", at 0x8020000000-0x802fffffff, has no part in window 0x0-0x1' \
                plug hot --size=1 --parent=bridge --window=0-1
        ctl disable hot bus
        refuses "nobody would see it" 'nothing that is placed in region "bus" would be seen' \
                plug hot --size=1MiB --parent=bridge
        ctl add hot loose container 1GiB
        refuses "a parent that is placed nowhere" \
                'region "loose" is not below "system", the root of the address space' \
                plug hot --size=1MiB --parent=loose

        id=$(ctl begin hot)
        plugs "stage" "dimm6 0x148000000" --size=1MiB -T "$id"
        plugs "stage another" "dimm7 0x150000000" --size=1MiB -T "$id"
        refuses "others have changed it" "Conflict: *" commit hot "$id" --expect-generation=1
        does "commit both" commit hot "$id" --expect-generation=12
        json "both are there" 'd["mapped-at"] == [{"space": "memory", "address": "0x150000000"}]' \
                show hot dimm7

        plugs "plug memory that is made so" "made 0x8000000" --size=1MiB --window=0-1GiB --name=made \
                --prealloc --dump
        run --json=short export hot
        [[ $out == *'"name":"made",'*'"prealloc":true,"dump":true'* ]] &&
                verdict "so it is exported" yes || verdict "so it is exported" no
        refuses "plug pages that there are none of" \
                'InvalidArgs: memory of "x": there are no huge pages of 3MiB*' \
                plug hot --size=3MiB --name=x --hugepage-size=3MiB
        refuses "plug from no node" 'InvalidArgs: memory of "x": there is no NUMA node 1000' \
                plug hot --size=1MiB --name=x --numa-node=1000
        refuses "plug by no policy" 'InvalidArgs: memory of "x": numa-policy "near" *' \
                plug hot --size=1MiB --name=x --numa-node=0 --numa-policy=near
        if command -v script >/dev/null; then
                out=$(bar_of plug hot --size=1GiB --name=large --prealloc)
                [[ $out == *$'\rlarge ['*'% of 1GiB'*$'\r\033[K'* ]] &&
                        verdict "plug draws a bar" yes || verdict "plug draws a bar" no
        else
                verdict "plug draws a bar # SKIP there is no script(1)" yes
        fi
        does "unplug" unplug hot dimm0
        refuses "unplug again" 'NoSuchRegion: *"dimm0"' unplug hot dimm0
        plugs "its name and place are free" "dimm0 0x100000000" --size=1GiB
        refuses "unplug a container" 'region "bus" is not plugged RAM: its kind is container' \
                unplug hot bus
        ctl add hot ram0 ram 1MiB
        refuses "unplug what is not plugged" 'region "ram0" is not plugged RAM: it is placed *' \
                unplug hot ram0
        ctl alias hot shadow dimm1 0 4KiB
        refuses "unplug what is in use" 'InUse: *"dimm1"*' unplug hot dimm1
        refuses "unplug from nowhere" "NoSuchVM: *" unplug cold dimm0
        does "destroy what is plugged" destroy hot
}

# Where there is no KVM there are no virtual CPUs.
test_vcpus() {
        if ! [[ -w /dev/kvm ]]; then
                refuses "no vCPU without KVM" "NotSupported: *" vcpu add pc 0
                return
        fi
        ctl create guest
        ctl add guest ram ram 1MiB system
        does "add a vCPU" vcpu add guest 0 long 0x80000
        does "add another" vcpu add guest 1
        refuses "add it again" "InUse: *" vcpu add guest 1
        refuses "page tables in nothing" "InvalidRange: *" vcpu add guest 2 long 1MiB
        prints "list vCPUs" vcpu list guest <<'END'
VCPU STATE   EXITS STOPPED AT REASON
   0 stopped     0
   1 stopped     0
END
        does "remove a vCPU" vcpu remove guest 1
        # in al, 0x71; hlt
        ctl write guest memory 0x1000 e471f4
        does "set registers" vcpu registers guest 0 rip=0x1000 rax=0x1200
        refuses "set no register" "InvalidArgs: unknown register \"eax\"" vcpu registers guest 0 eax=1
        refuses "no value" "* is not of the form REGISTER=VALUE" vcpu registers guest 0 rax
        prints "step" vcpu step guest 0 <<<"0x1002: step"
        json "how it ended" \
                'all(d["vcpus"][0][k] == v for k, v in (("stop-reason", "step"), ("stop-address", "0x1002")))' \
                vcpu list guest
        json "its exits" 'd["vcpus"][0]["exits"]["io"] == 1' vcpu list guest
        json "pauses" 'set(d["pause-usec"]) == {"count", "total", "max"}' show guest
        json "registers" 'd["rip"] == "0x1002" and d["rax"] == "0x12ff" and d["cs.selector"] == "0x8"' \
                vcpu registers guest 0
        does "pause" pause guest
        does "start" vcpu start guest 0
        json "it waits" 'd["vcpus"][0]["state"] == "running"' vcpu list guest
        refuses "it runs" "InUse: *" vcpu registers guest 0
        does "stop" vcpu stop guest 0
        does "resume" resume guest
        does "destroy" destroy guest
}

# What is refused names the place, and leaves everything as it was.
test_wrong_documents() {
        local before
        before=$(ctl export pc)
        wrong() {
                refuses "$1" "$2" apply pc - <<<"$3"
                refuses "$1, planned" "$2" diff pc - <<<"$3"
        }
        wrong "an unknown key" 'InvalidDocument: regions\[0\].colour: *' \
                '{"guestmap": 1, "regions": [{"name": "a", "colour": "red"}], "address-spaces": []}'
        wrong "a wrong type" 'InvalidDocument: regions\[1\].size: *' \
                '{"guestmap": 1, "regions": [{"name": "a", "kind": "mmio", "size": 1},
                {"name": "b", "kind": "mmio", "size": []}], "address-spaces": []}'
        wrong "a wrong edit" 'InvalidKind: edits\[0\].add-region.kind: *' \
                '{"guestmap": 1, "edits": [{"add-region": {"name": "a", "kind": "tape", "size": 1}}]}'
        wrong "an edit that fails behind one that does not" \
                'NoSuchRegion: edit 2: *"nowhere"*' \
                '{"guestmap": 1, "edits": [{"remove-region": {"name": "low"}},
                {"enable-region": {"name": "nowhere", "enabled": true}}]}'
        wrong "no parent" 'NoSuchRegion: regions\[0\].parent: *' \
                '{"guestmap": 1, "regions": [{"name": "a", "kind": "mmio", "size": 1,
                "parent": "b", "offset": 0}], "address-spaces": []}'
        [[ $(ctl export pc) == "$before" ]] && verdict "all is as it was" yes ||
                verdict "all is as it was" no
}

# The fewest edits: what stays the same is left alone.
test_minimal() {
        ctl create few --accelerator=none
        ctl add few ram ram 1GiB system
        ctl add few dev mmio 4KiB system 4GiB
        ctl add few other mmio 4KiB system 5GiB
        ctl export few | sed 's/0x100000000/0x180000000/' >"$directory/moved"
        would "one is moved" 2 "Would make generation 5, 1 edit
~ region dev: offset 0x100000000 -> 0x180000000
- memory 0x100000000-0x100000fff mmio dev @0x0
+ memory 0x180000000-0x180000fff mmio dev @0x0
Regions: 0 to add, 1 to change, 0 to remove" diff few - <"$directory/moved"
        json "it costs one edit" 'd["edits"] == 1 and d["generation"] == 5' \
                apply few "$directory/moved"
        json "and the next time none" 'd["edits"] == 0 and d["generation"] == 5' \
                apply few "$directory/moved"
        does "destroy it" destroy few
}

test_documents() {
        local layout=$directory/layout.json patch=$directory/patch.json
        ctl export pc >"$layout"
        would "diff with itself" 0 "Nothing to change" diff pc "$layout"
        would "apply itself" 0 "Nothing to change" apply pc "$layout"
        json "and as JSON" 'not d["changed"] and d["edits"] == 0' apply pc "$layout"
        json "export as JSON" 'd["guestmap"] == 1 and [s["name"] for s in d["address-spaces"]] == ["io", "memory"]' export pc
        does "create from it" create copy --accelerator=none --layout="$layout"
        [[ $(ctl export copy) == "$(<"$layout")" ]] && verdict "the copy exports the same" yes ||
                verdict "the copy exports the same" no
        does "destroy the copy" destroy copy

        echo '{"guestmap": 1, "edits": [{"add-region": {"name": "dimm0", "kind": "ram",
                "size": "1GiB", "parent": "system", "offset": "4GiB"}}]}' >"$patch"
        would "diff" 2 "Would make generation 23, 1 edit
+ region dimm0: ram, 1GiB, in system @0x100000000
+ memory 0x100000000-0x13fffffff ram dimm0 @0x0
Slot operations: 1 create
Guest memory remapped: 1GiB
Regions: 1 to add, 0 to change, 0 to remove" diff pc "$patch"
        json "diff as JSON" 'd["edits"] == 1 and d["slot-operations"]["create"] == 1 and \
                d["regions"]["added"]["regions"][0]["name"] == "dimm0"' diff pc "$patch"
        [[ $status == 2 ]] && verdict "its status is the same" yes ||
                verdict "its status is the same" no
        would "dry run" 2 "Would make generation 23, 1 edit*" apply pc "$patch" --dry-run
        refuses "a dry run changes nothing" 'NoSuchRegion: *"dimm0"*' show pc dimm0
        refuses "apply to another generation" "Conflict: *" apply pc "$patch" --expect-generation=21
        refuses "diff with another generation" "Conflict: *" diff pc "$patch" --expect-generation=21
        would "apply" 0 "Generation 23, 1 edit
+ region dimm0: *
+ memory 0x100000000-*
Regions: 1 added, 0 changed, 0 removed" apply pc - --expect-generation=22 <"$patch"
        json "applied" 'd["size"] == "0x40000000"' show pc dimm0
        refuses "apply again" 'RegionExists: *dimm0*' apply pc "$patch"
        refuses "keep memory" "InUse: *" apply pc "$layout" --keep-memory
        refuses "keep memory in a plan" "InUse: *dimm0*" diff pc "$layout" --keep-memory
        would "back again" 0 "*Contents of RAM discarded: 1GiB
Regions: 0 added, 0 changed, 1 removed" apply pc "$layout"
        would "and again" 0 "Nothing to change" apply pc - <"$layout"

        test_wrong_documents
        refuses "no file" "cannot open $directory/none: No such file*" apply pc "$directory/none"
        refuses "no JSON" "InvalidDocument: *" apply pc - </dev/null
}

# What no message carries: documents in which 9 MB of nothing stand in front.
test_large_documents() {
        local layout=$directory/layout.json patch=$directory/patch.json large=$directory/large
        enlarge() {
                head -c 9000000 /dev/zero | tr '\0' ' '
                cat "$1"
        }
        enlarge "$layout" >"$large"
        would "diff a large document" 0 "Nothing to change" diff pc "$large"
        does "create from it" create copy --accelerator=none --layout="$large"
        [[ $(ctl export copy) == "$(<"$layout")" ]] && verdict "it says the same" yes ||
                verdict "it says the same" no
        would "a large one from a pipe" 0 "Generation 2, 1 edit
*" apply copy - < <(enlarge "$patch")
        refuses "again" 'RegionExists: edit 1: region "dimm0"*' apply copy - < <(enlarge "$patch")
        does "destroy the copy" destroy copy

        enlarge /dev/null >"$large"
        refuses "large and empty" "InvalidDocument: *byte 9000001*" apply pc "$large"
        refuses "create from nothing" "InvalidDocument: *byte 9000001*" \
                create copy --accelerator=none --layout="$large"
        refuses "there is none" 'NoSuchVM: *' show copy
        { echo '{'; head -c 9000000 /dev/zero; } >"$large"
        refuses "no text" "$large: not a text file" apply pc "$large"
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

test_transactions() {
        local id
        refuses "begin without an end" "timeout 0: *" begin pc --timeout=0
        run begin pc --timeout=10min
        id=$out
        [[ $status == 0 && $id =~ ^[0-9]+$ ]] && verdict "begin" yes || verdict "begin" no
        does "stage add" add pc dimm1 ram 1GiB system 4GiB --transaction="$id"
        does "stage enable" enable pc bios -T "$id"
        refuses "staged edits are checked" "RegionExists: *" add pc dimm1 ram 1GiB -T "$id"
        refuses "nobody sees them" 'NoSuchRegion: *' show pc dimm1
        json "transactions" 'len(d["transactions"]) == 1 and d["transactions"][0]["transaction"] == "'"$id"'" and d["transactions"][0]["edits"] == 2' transactions pc
        would "preview" 2 "*" preview pc "$id"
        json "commit" 'd["generation"] > 15' commit pc "$id"
        json "committed" 'd["mapped-at"] == [{"space": "memory", "address": "0x100000000"}]' \
                show pc dimm1
        refuses "commit again" "TransactionClosed: *" commit pc "$id"
        refuses "stage in a closed one" "TransactionClosed: *" disable pc bios -T "$id"
        refuses "no such transaction" "*" commit pc 12345
        refuses "no transaction at all" '"x" is not the ID of a transaction, *' commit pc x

        id=$(ctl begin pc)
        echo '{"guestmap": 1, "edits": [{"enable-region": {"name": "bios", "enabled": false}}]}' \
                >"$directory/patch.json"
        would "diff of a patch to stage" 2 "Would make generation*
~ region bios: enabled yes -> no
- memory 0xe0000-0xfffff rom bios @0x0 readonly,unmergeable
*" diff pc "$directory/patch.json" -T "$id"
        would "nothing is staged by that" 0 "Nothing to change" preview pc "$id"
        does "stage a patch" apply pc "$directory/patch.json" -T "$id"
        would "that is staged" 2 "Would make generation*" preview pc "$id"
        does "abort the patch" abort pc "$id"

        id=$(ctl begin pc)
        does "stage move" move pc dimm1 system 8GiB -T "$id"
        does "abort" abort pc "$id"
        json "aborted" 'd["offset"] == "0x100000000"' show pc dimm1

        id=$(ctl begin pc)
        does "stage what will conflict" set pc dimm1 offset=8GiB -T "$id"
        does "move it meanwhile" set pc dimm1 offset=12GiB
        refuses "conflict" "Conflict: edit 1: *" commit pc "$id"
        does "abort after conflict" abort pc "$id"
}

test_dirty() {
        local watcher
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
        refuses "clear twice" "dirty: --watch clears anyway" dirty logged ram --clear --watch

        # A log that the watcher starts is his, and ends with him.
        ctl set logged ram dirty-log=no
        "$ctl" --address="$address" dirty logged ram --watch >"$directory/rate" 2>&1 &
        watcher=$!
        wrote() {
                ctl write logged memory 0x8000 01
                grep -Eqx '1 page, [0-9]+ pages/s, [0-9.]+ MiB/s' "$directory/rate"
        }
        eventually wrote && verdict "dirty --watch" yes ||
                verdict "dirty --watch" no "$(<"$directory/rate")"
        json "it logs" 'd["dirty-log"]' show logged ram
        kill -INT "$watcher"
        wait "$watcher" && verdict "it ends well" yes || verdict "it ends well" no
        json "it logs no more" 'not d["dirty-log"]' show logged ram
        # Whose log somebody else ends says so.
        "$ctl" --address="$address" dirty logged ram --watch >"$directory/rate" 2>&1 &
        watcher=$!
        eventually grep -q pages/s "$directory/rate"
        ctl set logged ram dirty-log=no
        wait "$watcher" && verdict "a log that ends" no || verdict "a log that ends" yes
        grep -q "stopped by somebody else" "$directory/rate" && verdict "why" yes ||
                verdict "why" no "$(<"$directory/rate")"
        ctl destroy logged
}

# What the monitor begins the line of an event with, as a pattern of bash and of grep -E.
any_time='??? ?? ??:??:??'
a_time='[A-Z][a-z]{2} [0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}'

# Lines of the monitor's output that a pattern fits.
seen() {
        grep -Eq "$1" "$directory/monitor"
}

# Whether a monitor has printed what it prints of a commit, both ways.
monitors_speak() {
        ctl disable pc bios
        ctl enable pc bios
        seen '^\+ memory' && seen '^- memory' &&
                grep -q '"memory":{"removed":.*"added":' "$directory/monitor.json"
}

test_monitor() {
        "$ctl" --address="$address" monitor pc >"$directory/monitor" 2>&1 &
        started+=($!)
        "$ctl" --address="$address" monitor --json=short >"$directory/monitor.json" 2>&1 &
        started+=($!)
        eventually monitors_speak
        seen '^\+ memory 0xe0000-0xfffff rom bios @0x0 readonly,unmergeable$' &&
                verdict "monitor adds" yes || verdict "monitor adds" no "$(<"$directory/monitor")"
        seen '^- memory 0xe0000-0xfffff rom bios @0x0 readonly,unmergeable$' &&
                verdict "monitor removes" yes ||
                verdict "monitor removes" no "$(<"$directory/monitor")"
        ! seen missed && verdict "monitor misses nothing" yes ||
                verdict "monitor misses nothing" no "$(<"$directory/monitor")"
        does "destroy a watched VM" destroy pc
        eventually seen "^$a_time pc removed$" && verdict "monitor tells it" yes ||
                verdict "monitor tells it" no "$(<"$directory/monitor")"
        eventually grep -q '"event":"removed"' "$directory/monitor.json"
        /usr/bin/python3 -c '
import json, sys, time
events = [json.loads(line) for line in sys.stdin]
times = [e.pop("timestamp") for e in events]
assert times == sorted(times)
assert (time.time() - 3600) * 1e6 < times[0] and times[-1] < time.time() * 1e6
assert [(e["event"], e["vm"], e["space"]) for e in events[:2]] == [
        ("view", "pc", "io"), ("view", "pc", "memory")]
commits = [e for e in events if e["event"] == "committed"]
assert commits and all(c["previous"] + 1 == c["generation"] for c in commits)
assert any({"removed", "added"} == set(c["changes"].get("memory", {})) for c in commits)
assert events[-1] == {"event": "removed", "vm": "pc"}
' <"$directory/monitor.json" 2>"$directory/err" && verdict "monitor as JSON" yes ||
                verdict "monitor as JSON" no "$(<"$directory/err")"
}

# A patch that enables or disables a container full of sections: a signal of some kilobytes.
write_flood() {
        local i
        {
                echo '{"guestmap": 1, "edits": ['
                echo '{"add-region": {"name": "flood", "kind": "container", "size": "1MiB",'
                echo '"parent": "system", "offset": 0}}'
                for ((i = 0; i < 60; i++)); do
                        echo ", {\"add-region\": {\"name\": \"$i\", \"kind\": \"mmio\","
                        echo "\"size\": 256, \"parent\": \"flood\", \"offset\": $((i * 4096))}}"
                done
                echo ']}'
        } >"$directory/flood"
}

# What a script asks for: a generation, for so long.
test_monitor_until() {
        refuses "watch no VM" 'NoSuchVM: *' monitor none
        refuses "watch no space" 'NoSuchAddressSpace: *' monitor until none
        refuses "watch too much" 'monitor: unexpected argument "x"' monitor until memory x
        refuses "until no number" 'generation "x" is not a number*' monitor until \
                --until-generation=x
        refuses "until, of all VMs" "--until-generation: of which VM?" monitor --until-generation=1
        refuses "for no time" 'timeout "soon" is not *' monitor --timeout=soon
        would "until what is so" 0 "$any_time until memory generation 1, 0 sections" monitor until \
                memory --until-generation=1
        local start zone=nowhere-13:17
        start=$(date +%s)
        TZ=$zone run monitor until memory --until-generation=1
        out=$(TZ=$zone date -d "${out% until memory*}" +%s)
        ((start <= out && out <= $(date +%s))) && verdict "at which local time" yes ||
                verdict "at which local time" no "not before $start"
        would "not until then" 2 "$any_time until memory generation 1, 0 sections" monitor until \
                memory --until-generation=9 --timeout=100ms
        # Over before the first view is read, most likely; it says no more than the status does.
        would "not in no time" 2 "*" monitor until --until-generation=9 --timeout=1ms
        would "for a time" 0 "$any_time until memory generation 1, 0 sections" monitor until memory \
                --timeout=100ms
        ctl add until first mmio 0x1000 system 0
        (
                eventually seen "until memory"
                ctl add until second mmio 0x1000 io 0
                ctl add until third mmio 0x1000 system 0x1000
        ) &
        "$ctl" --address="$address" monitor until memory --until-generation=4 --timeout=1min \
                >"$directory/monitor" 2>&1 && verdict "until it comes" yes ||
                verdict "until it comes" no "$(<"$directory/monitor")"
        # shellcheck disable=SC1078,SC2027,SC2053 # a pattern
        [[ $(<"$directory/monitor") == $any_time" until memory generation 2, 1 section
"$any_time" until generation 4: 1 edit, 0 slot operations
+ memory 0x1000-0x1fff mmio third @0x0" ]] && verdict "one space" yes ||
                verdict "one space" no "$(<"$directory/monitor")"
        wait $!
        rm "$directory/monitor"
        (
                eventually seen "until memory"
                ctl destroy until
        ) &
        "$ctl" --address="$address" monitor until --until-generation=9 >"$directory/monitor" 2>&1 &&
                verdict "until never" no || verdict "until never" yes
        seen '^guestmapctl: until is gone; it was to reach generation 9, and was at 4$' &&
                verdict "why never" yes || verdict "why never" no "$(<"$directory/monitor")"
}

test_changes() {
        ctl create until --accelerator=none
        refuses "changes of no VM" 'NoSuchVM: *' changes none memory 0
        refuses "changes of no space" 'NoSuchAddressSpace: *' changes until none 0
        refuses "changes since when" 'generation "x" is not a number*' changes until memory x
        refuses "changes since" 'changes: missing argument SINCE*' changes until memory
        ctl add until gone mmio 0x1000 system 0
        ctl remove until gone
        ctl add until here mmio 0x1000 system 0
        prints "changes" changes until memory 2 <<'END'
Generation 4
- memory 0x0-0xfff mmio gone @0x0
+ memory 0x0-0xfff mmio here @0x0
END
        prints "changes beyond history" changes until memory 9 <<'END'
Generation 4, all of it: what has changed since 9 is not known
+ memory 0x0-0xfff mmio here @0x0
END
        json "changes as JSON" 'd == {"generation": 4, "complete": True, "removed": [], "added": [
                {"first": "0x0", "last": "0xfff", "region": "here", "offset": "0x0",
                 "kind": "mmio", "flags": []}]}' changes until memory 3
        ctl destroy until
        ctl create until --accelerator=none
}

# The bus loses what a listener leaves lying; one that wakes up then must say so.
test_missed() {
        local monitor
        ctl create busy --accelerator=none
        write_flood
        ctl apply busy "$directory/flood" >/dev/null
        "$ctl" --address="$address" monitor busy >"$directory/monitor" 2>&1 &
        monitor=$!
        started+=("$monitor")
        toggle() {
                ctl disable busy flood
                ctl enable busy flood
        }
        one_seen() {
                toggle
                seen generation
        }
        eventually one_seen
        kill -STOP "$monitor"
        for _ in {1..100}; do toggle; done
        kill -CONT "$monitor"
        missed() {
                toggle
                seen "^$a_time busy generations [0-9]+ to [0-9]+, in one \(missed\)$"
        }
        eventually missed && verdict "monitor tells what it missed" yes ||
                verdict "monitor tells what it missed" no "$(grep -c generation "$directory/monitor")"
}

mtree=$(realpath "$(dirname "$0")")/../golden/mtree/boot-x86_64-microvm

test_mtree() {
        run import-mtree "$mtree.tree.txt" "$mtree.flat.txt"
        echo "$out" >"$directory/microvm.json"
        does "import QEMU's dumps" create micro --accelerator=none \
                --layout="$directory/microvm.json"
        run import-mtree - "$mtree.flat.txt" <"$mtree.tree.txt"
        [[ $status == 0 && $out == "$(<"$directory/microvm.json")" ]] &&
                verdict "import from standard input" yes || verdict "import from standard input" no
        json "what is not known, as JSON" \
                'd["layout"]["guestmap"] == 1 and {u["unknown"]: u["taken"] for u in d["unknown"]}["kind"] == "mmio"' \
                import-mtree "$mtree.tree.txt"
        run import-mtree "$mtree.tree.txt"
        [[ $status == 0 && $err == *"guestmapctl: shown nowhere, taken as mmio; "*": "*ioapic* ]] &&
                verdict "what is not known, in words" yes ||
                verdict "what is not known, in words" no
        run tree micro --mtree --disabled
        [[ $status == 0 && $out == *"address-space: I/O"$'\n'"  0000000000000000-000000000000ffff (prio 0, i/o): io"* ]] &&
                verdict "tree as QEMU has it" yes || verdict "tree as QEMU has it" no
        prints "one view as QEMU has it" flat micro io --mtree < <(
                sed -n '/AS "I\/O"/,/^$/p' "$mtree.flat.txt" | sed '1i FlatView #0'
        )
        refuses "a view of no space" 'NoSuchAddressSpace: *"dma"' flat micro dma --mtree
        refuses "both from standard input" "only one of the dumps *" import-mtree - -
        refuses "a dump that is not there" "cannot open /nonexistent: *" import-mtree /nonexistent
        refuses "the wrong dump" "$mtree.flat.txt:1: this is of \"info mtree -f\", not a tree" \
                import-mtree "$mtree.flat.txt"
        refuses "the other wrong dump" "$mtree.tree.txt:1: this is of \"info mtree\", *" \
                import-mtree "$mtree.tree.txt" "$mtree.tree.txt"
        refuses "no text" "/dev/zero: *" import-mtree /dev/zero
        refuses "disabled without mtree" "--disabled goes with --mtree*" tree micro --disabled
        does "destroy what was imported" destroy micro
}

# colours NAME yes|no VARIABLE=VALUE...: whether a tree on a terminal has some.
colours() {
        local found=no
        out=$(env TERM=xterm PAGER=cat "${@:3}" script -qec \
                "$ctl --address=$address tree pc" /dev/null 2>&1)
        status=$?
        [[ $out == *$'\033['* ]] && found=yes
        [[ $status == 0 && $out == *"address-space: "* && $found == "$2" ]] && verdict "$1" yes ||
                verdict "$1" no
}

test_colours() {
        colours "colours on a terminal" yes
        colours "NO_COLOR" no NO_COLOR=1
        colours "NO_COLOR that is empty" yes NO_COLOR=
        colours "SYSTEMD_COLORS=0" no SYSTEMD_COLORS=0
        colours "SYSTEMD_COLORS over NO_COLOR" yes SYSTEMD_COLORS=1 NO_COLOR=1
        colours "a terminal without colours" no TERM=dumb
        run tree pc
        [[ $status == 0 && $out != *$'\033['* ]] && verdict "none in a pipe" yes ||
                verdict "none in a pipe" no
        SYSTEMD_COLORS=1 run tree pc
        [[ $status == 0 && $out == *$'\033['* ]] && verdict "those that are asked for" yes ||
                verdict "those that are asked for" no
}

start
test_command_line
test_vms
test_edits
test_views
test_sticky_slots
test_memory
test_host_memory
test_dirty
test_devices
test_plug
test_vcpus
test_documents
test_minimal
test_large_documents
test_direct
test_transactions
test_mtree
test_colours
test_monitor
test_changes
test_monitor_until
test_missed
echo "1..$n"
exit $((failed > 0))

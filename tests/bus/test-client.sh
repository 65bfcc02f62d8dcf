#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# guestmapctl: its command line, and the verbs that are about one VM and its map.

# shellcheck source=tests/bus/client.sh
. "$(dirname "$0")/client.sh"

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
        json "show" 'd["name"] == "pc" and d["accelerator"] == "none" and d["generation"] == 1 and d["ram-bytes"] == "0x0" and len(d["id"]) == 32' show pc
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
        json "fsck as JSON" 'd["name"] == "pc" and d["file"] == "journal"' fsck pc
        cp -r "$directory/run/pc.d" "$directory/hurt"
        printf X | dd of="$directory/hurt/facts" bs=1 seek=60 conv=notrunc status=none
        would "fsck of nothing" 3 "$directory/none/journal: unreadable: *" fsck "$directory/none"
        mkdir "$directory/pipe"
        mkfifo "$directory/pipe/journal"
        would "fsck of a pipe" 3 "$directory/pipe/journal: unreadable: *" fsck "$directory/pipe"
        would "fsck of damaged facts" 2 "$directory/hurt/facts: damaged: it is not one whole record"*'VM "pc"'* fsck "$directory/hurt"
        json "fsck of damaged facts as JSON" 'd["file"] == "facts" and d["status"] == "damaged"' fsck "$directory/hurt"
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

start_bus
refuses "no guestmapd" "guestmapd is not running on $address (*" list
start_guestmapd
test_command_line
test_vms
test_edits
test_views
test_devices
test_vcpus
test_transactions
test_colours
finish

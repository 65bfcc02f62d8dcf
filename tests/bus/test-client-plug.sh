#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# guestmapctl: DIMMs that are plugged, and which of the host's memory they are.

# shellcheck source=tests/bus/client.sh
. "$(dirname "$0")/client.sh"

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
        json "how it is made" '[d[key] for key in ("memory", "page-size", "prealloc", "numa-nodes",
                "numa-policy", "dump")] == ["memfd", "0x1000", False, "0", "preferred", True]' \
                show made ram
        run show made ram
        [[ $out == *" Memory: memfd"*" PageSize: 4KiB"*" NUMANodes: 0"*" NUMAPolicy: preferred"* &&
                $out == *" Dump: yes"* && $out != *Prealloc* ]] &&
                verdict "how it is made, in words" yes || verdict "how it is made, in words" no
        json "what has none" 'd["memory"] == "" and d["page-size"] == "0x0"' show made system
        does "from one after the other" add made pages ram 1MiB --numa-node=0-0 \
                --numa-policy=interleave
        run --json=short export made
        [[ $out == *'"numa-node":0,"numa-policy":"interleave"'* ]] &&
                verdict "that is exported" yes || verdict "that is exported" no
        does "all of it at once" add made all ram 1MiB --prealloc
        json "it is shown" 'd["prealloc"] and d["numa-nodes"] == ""' show made all
        truncate -s 3MiB "$directory/file"
        does "a file" add made file ram 2MiB system 4GiB --file="$directory/file" --file-offset=1MiB
        does "written to" write made memory 0x100100000 48 69
        [[ $(tail -c +2097153 "$directory/file" | head -c 2) == Hi ]] &&
                verdict "it is the memory" yes || verdict "it is the memory" no
        truncate -s 2MiB "$directory/file"
        refuses "what was cut off" 'NoMemory: memory of "file": the file has 2MiB, *' \
                read made memory 0x100100000 1
        refuses "all of that in a file" 'NoMemory: memory of "file": *' \
                read made memory 4GiB 2MiB --out="$directory/out"
        refuses "no such file" "cannot open $directory/none: *" \
                add made x ram 1MiB --file="$directory/none"
        refuses "an offset in nothing" 'option --file-offset needs option --file' \
                add made x ram 1MiB --file-offset=1MiB
        refuses "a file that is too short" 'InvalidRange: memory of "x": *' \
                add made x ram 3MiB --file="$directory/file"
        refuses "no file at all" 'InvalidArgs: memory of "x": the descriptor is of a character *' \
                add made x ram 1MiB --file=/dev/null
        refuses "no such pages" 'InvalidArgs: memory of "x": there are no huge pages of 3MiB*' \
                add made x ram 3MiB --hugepage-size=3MiB
        refuses "no such node" 'InvalidArgs: memory of "x": there is no NUMA node 63; *' \
                add made x ram 1MiB --numa-node=63
        refuses "a node that is none" 'InvalidArgs: memory of "x": numa-nodes "near" *' \
                add made x ram 1MiB --numa-node=near
        refuses "one node of several" 'InvalidArgs: memory of "x": there is no NUMA node 63; *' \
                add made x ram 1MiB --numa-node=0,63 --numa-policy=interleave
        refuses "memory of a device" 'InvalidKind: region "x"*' add made x mmio 1 --prealloc
        refuses "more than there is" 'NoMemory: memory of "x": *8TiB*' \
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

# Whether a process keeps a signal, by its number, for later.
keeps() {
        local mask
        mask=$(sed -n 's/^SigBlk:\t//p' "/proc/$1/status")
        (((0x$mask >> ($2 - 1)) & 1))
}

# What completion offers.
to_cancel() {
        "$ctl" __complete --address="$address" cancel seen ""
}

# Whether memory is seen, in show and for who wants to cancel, while it is prepared: it may be ready
# before anybody looks.
is_seen() {
        local adding ok
        ctl add seen large ram 1GiB --prealloc 2>"$directory/adding" &
        adding=$!
        eventually_prepared && run show seen && [[ $out == *" Preparing: large "*" of 1GiB"* ]] &&
                run --json=short show seen &&
                [[ $out == *'"preparing":[{"region":"large","there":"0x'*'","size":"0x40000000"}]'* ]] &&
                [[ $(to_cancel) == "large"$'\t'*" of 1GiB" ]]
        ok=$?
        ctl cancel seen large 2>/dev/null
        wait "$adding" && ctl remove seen large
        return "$ok"
}

eventually_prepared() {
        for _ in {1..50}; do
                [[ $(to_cancel) == large* ]] && return
        done
        return 1
}

test_seen() {
        ctl create seen --accelerator=none
        ctl add seen small ram 1MiB
        [[ -z $(to_cancel) ]] && verdict "nothing to cancel" yes ||
                verdict "nothing to cancel" no
        json "nothing is prepared" 'd["preparing"] == []' show seen
        eventually is_seen && verdict "what is prepared is seen" yes ||
                verdict "what is prepared is seen" no
        ctl destroy seen
}

# A VM whose layout has memory that takes its time: it is there, with all of it, or it is not.
test_create_prepared() {
        local layout=$directory/prepared
        cat >"$layout" <<'END'
{"guestmap": 1, "regions": [
 {"name": "root", "kind": "container", "size": "2^64"},
 {"name": "large", "kind": "ram", "size": "1GiB", "parent": "root", "offset": 0, "prealloc": true}],
 "address-spaces": [{"name": "memory", "root": "root"}]}
END
        json "create with memory that is there" 'd == {"path": "/org/guestmap1/vm/ready"}' \
                create ready --accelerator=none --layout="$layout"
        json "it has what its layout says" '[r["name"] for r in d["regions"]] == ["large", "root"] or \
                [r["name"] for r in d["regions"]] == ["root", "large"]' export ready
        ctl destroy ready
        sed -i 's/1GiB/8TiB/' "$layout"
        refuses "create with more than there is" 'NoMemory: memory of "large": *8TiB*' \
                create ready --accelerator=none --layout="$layout"
        refuses "nothing of it is left" 'NoSuchVM: *' show ready
        sed -i 's/8TiB/1GiB/' "$layout"
        if command -v script >/dev/null; then
                test_create_watched "$layout"
        else
                verdict "create on a terminal # SKIP there is no script(1)" yes
        fi
}

# On a terminal the VM is there before its memory is.
test_create_watched() {
        local layout=$1 terminal
        out=$(bar_of create ready --accelerator=none --layout="$layout")
        [[ $out == *$'\rlarge ['*'% of 1GiB'*$'\r\033[K' ]] &&
                verdict "create draws a bar" yes || verdict "create draws a bar" no
        ctl destroy ready
        /usr/bin/python3 -c 'import json
print(json.dumps({"guestmap": 1, "regions": [
        {"name": f"part{i}", "kind": "ram", "size": "16MiB", "prealloc": True}
        for i in range(100)]}))' >"$layout.many"
        out=$(bar_of create ready --accelerator=none --layout="$layout.many")
        [[ $out == *$'\rover 64 regions ['*'% of 1600MiB'*$'\r\033[K' ]] &&
                verdict "a bar of all of them" yes || verdict "a bar of all of them" no
        ctl destroy ready
        sed 's/1GiB/8TiB/' "$layout" >"$layout.large"
        out=$(bar_of create ready --accelerator=none --layout="$layout.large")
        [[ $out == *'NoMemory: memory of "large": '*8TiB* ]] &&
                verdict "create watched with more than there is" yes ||
                verdict "create watched with more than there is" no "$out"
        refuses "nothing of it is left, either" 'NoSuchVM: *' show ready
        # It is told to end while nobody answers: once it has a VM it does, and leaves none.
        kill -STOP "$guestmapd_pid"
        script -qec "exec '$ctl' --address='$address' create ready --accelerator=none \
                --layout='$layout'" /dev/null </dev/null >/dev/null &
        terminal=$!
        creator() {
                tr -d " " <"/proc/$terminal/task/$terminal/children"
        }
        keeps_its_end() {
                keeps "$(creator)" 15
        }
        eventually keeps_its_end
        kill "$(creator)"
        kill -CONT "$guestmapd_pid"
        wait "$terminal"
        status=$?
        [[ $status == 143 ]] && verdict "create is interrupted" yes ||
                verdict "create is interrupted" no
        refuses "nothing is left of that, either" 'NoSuchVM: *' show ready
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
        refuses "plug more than the quota" \
                'QuotaExceeded: RAMBytes: 100TiB asked for by region "dimm4", the limit is 64TiB' \
                plug hot --size=100TiB
        refuses "plug nothing" "plug: how much? --size=SIZE is missing" plug hot
        refuses "plug size 0" "InvalidRange: *" plug hot --size=0
        refuses "plug what is not whole pages" "size 1000 is not a multiple of a page, 4KiB" \
                plug hot --size=1000
        refuses "plug anywhere" "alignment 0 is less than a page, 4KiB" \
                plug hot --size=1MiB --align=0
        refuses "plug where no guest gets" \
                'window 0x10000000000000-0xffffffffffffffff lies beyond the last address that *' \
                plug hot --size=1MiB --window=4096TiB-0xffffffffffffffff
        refuses "plug what would end there" "NoFreeRange: *in 0xffffff8000000-0xfffffffffffff: *" \
                plug hot --size=256MiB --window=0xffffff8000000-0xffffffffffffffff
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
                plug hot --size=4KiB --parent=bridge --window=0-1
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
        refuses "plug from no node" 'InvalidArgs: memory of "x": there is no NUMA node 63; *' \
                plug hot --size=1MiB --name=x --numa-node=63
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

# trapped NAME MORE ALL ARGUMENT...: an edit that succeeds, and says what has no slot then.
trapped() {
        run "${@:4}"
        [[ $status == 0 && -z $out &&
                $err == "guestmapctl: guest memory without a slot: $2 more, $3 in all" ]] &&
                verdict "$1" yes || verdict "$1" no
}

# Pages that are cut have no slots, nor have addresses that no guest has.
test_trapped() {
        local id
        ctl create odd --accelerator=none
        does "memory with slots" add odd ram ram 1MiB system 0
        trapped "pages that are cut" 4KiB 4KiB add odd cut ram 4KiB system 0x100800
        does "no more of it" set odd cut priority=1
        trapped "beyond all guests" 1GiB 1048580KiB add odd far ram 1GiB system 4096TiB
        id=$(ctl begin odd)
        does "staged it is not in force" move odd ram system 0x800000800 -T "$id"
        trapped "a commit" 1MiB 1049604KiB commit odd "$id"
        run --json=short add odd head ram 1KiB system 0
        /usr/bin/python3 -c 'import json, sys
sys.exit(json.loads(sys.argv[1]) != {"generation": 7, "bytes-trapped": "0x40101400"})' "$out" &&
                [[ $status == 0 ]] && verdict "as JSON" yes || verdict "as JSON" no
        json "it is shown" 'd["address-bits"] == 52' show odd
        ctl destroy odd
}

start_bus
start_guestmapd
guestmapd_pid=${started[-1]}
test_host_memory
test_seen
test_create_prepared
test_plug
test_trapped
finish

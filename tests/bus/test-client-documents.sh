#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# guestmapctl: maps as documents, its own and QEMU's.

# shellcheck source=tests/bus/client.sh
. "$(dirname "$0")/client.sh"

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
        would "diff" 2 "Would make generation 5, 1 edit
+ region dimm0: ram, 1GiB, in system @0x100000000
+ memory 0x100000000-0x13fffffff ram dimm0 @0x0
Slot operations: 1 create
Guest memory remapped: 1GiB
Regions: 1 to add, 0 to change, 0 to remove" diff pc "$patch"
        json "diff as JSON" 'd["edits"] == 1 and d["slot-operations"]["create"] == 1 and \
                d["regions"]["added"]["regions"][0]["name"] == "dimm0"' diff pc "$patch"
        [[ $status == 2 ]] && verdict "its status is the same" yes ||
                verdict "its status is the same" no
        would "dry run" 2 "Would make generation 5, 1 edit*" apply pc "$patch" --dry-run
        refuses "a dry run changes nothing" 'NoSuchRegion: *"dimm0"*' show pc dimm0
        refuses "apply to another generation" "Conflict: *" apply pc "$patch" --expect-generation=3
        refuses "diff with another generation" "Conflict: *" diff pc "$patch" --expect-generation=3
        would "apply" 0 "Generation 5, 1 edit
+ region dimm0: *
+ memory 0x100000000-*
Regions: 1 added, 0 changed, 0 removed" apply pc - --expect-generation=4 <"$patch"
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

start_bus
start_guestmapd
create_pc
test_documents
test_minimal
test_large_documents
test_mtree
finish

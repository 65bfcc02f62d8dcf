#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# guestmapctl: what has changed, and is changing.

# shellcheck source=tests/bus/client.sh
. "$(dirname "$0")/client.sh"

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

# Where the reader has gone, nothing has to come for the monitor to end.
test_monitor_unread() {
        local pid line

        ended() {
                ! kill -0 "$1" || grep -q '^State:.Z' "/proc/$1/status"
        }
        ctl create unread --accelerator=none
        mkfifo "$directory/unread"
        "$ctl" --address="$address" monitor unread >"$directory/unread" &
        pid=$!
        started+=("$pid")
        read -r line <"$directory/unread"
        eventually ended "$pid" && verdict "monitor unread ends" yes ||
                verdict "monitor unread ends" no "$line"
        ctl destroy unread
}

# The process that listens on a socket.
peer() {
        /usr/bin/python3 -c '
import socket, struct, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
print(struct.unpack("3i", credentials)[0])
' "$1"
}

# Who waits for a VM that hangs is told once for which, and gets the answer when it comes.
test_late() {
        local pid waiting

        ctl create hung --accelerator=none
        pid=$(peer "$directory/run/hung")
        kill -STOP "$pid"
        "$ctl" --address="$address" flat hung memory >"$directory/late" 2>&1 &
        waiting=$!
        is_told() {
                grep -qx 'guestmapctl: waiting for VM "hung" to answer' "$directory/late"
        }
        eventually is_told && verdict "who waits is told for whom" yes ||
                verdict "who waits is told for whom" no "$(<"$directory/late")"
        kill -CONT "$pid"
        wait "$waiting" && [[ $(wc -l <"$directory/late") == 2 ]] &&
                verdict "and gets the answer" yes ||
                verdict "and gets the answer" no "$(<"$directory/late")"
        ctl destroy hung
}

# An edit asks before it begins, which is when it is told.
test_late_edit() {
        local pid waiting

        ctl create hung --accelerator=none
        pid=$(peer "$directory/run/hung")
        kill -STOP "$pid"
        "$ctl" --address="$address" add hung late mmio 4KiB system 0 2>"$directory/late" &
        waiting=$!
        eventually is_told && verdict "who edits is told for whom" yes ||
                verdict "who edits is told for whom" no "$(<"$directory/late")"
        kill -CONT "$pid"
        wait "$waiting" && verdict "and it is made" yes || verdict "and it is made" no
        ctl destroy hung
}

# A VM whose process hangs is named, and the others are watched.
test_monitor_hung() {
        local pid monitor

        ctl create hung --accelerator=none
        ctl create well --accelerator=none
        pid=$(peer "$directory/run/hung")
        kill -STOP "$pid"
        "$ctl" --address="$address" monitor >"$directory/monitor" 2>&1 &
        monitor=$!
        started+=("$monitor")
        eventually seen '^guestmapctl: VM "hung" does not answer$' &&
                verdict "monitor names who hangs" yes ||
                verdict "monitor names who hangs" no "$(<"$directory/monitor")"
        hears_well() {
                ctl add well "r$RANDOM" mmio 4KiB system 0
                seen ' well generation '
        }
        eventually hears_well && verdict "monitor goes on" yes ||
                verdict "monitor goes on" no "$(<"$directory/monitor")"
        kill -CONT "$pid"
        kill "$monitor"
        wait "$monitor"
        ctl destroy hung
        ctl destroy well
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
        prints "changes without a heading" --no-legend changes until memory 9 <<'END'
+ memory 0x0-0xfff mmio here @0x0
END
        /usr/bin/python3 -c 'import json
regions = [{"name": "system", "kind": "container", "size": "2^64"},
           {"name": "box", "kind": "container", "size": "1GiB", "parent": "system", "offset": 0}]
regions += [{"name": f"page{i}", "kind": "mmio", "size": 4096, "parent": "box",
             "offset": i * 4096} for i in range(10001)]
print(json.dumps({"guestmap": 1, "regions": regions,
                  "address-spaces": [{"name": "memory", "root": "system"}]}))' \
                >"$directory/pages"
        ctl create pages --accelerator=none --layout="$directory/pages"
        ctl disable pages box
        prints "changes that are too many" changes pages memory 1 <<'END'
Generation 2, all of it: what has changed since 1 is more than 10000 sections, or not known
END
        ctl destroy pages
        json "changes as JSON" 'd == {"generation": 4, "complete": True, "removed": [], "added": [
                {"first": "0x0", "last": "0xfff", "region": "here", "offset": "0x0",
                 "kind": "mmio", "flags": []}]}' changes until memory 3
        ctl destroy until
        ctl create until --accelerator=none
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

start_bus
start_guestmapd
create_pc
test_monitor
test_monitor_unread
if grep -q __tsan_init "$ctl"; then
        verdict "who hangs # SKIP the thread sanitizer does not know the threads of timers" yes
else
        test_late
        test_late_edit
        test_monitor_hung
fi
test_changes
test_monitor_until
test_missed
finish

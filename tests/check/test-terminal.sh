#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# guestmapctl on a terminal, and top on one and into a pipe: test-terminal.sh BUILD

set -u

build=$1
cd "$(dirname "$0")" || exit 1
# shellcheck source-path=SCRIPTDIR
. ./private-bus.sh
# shellcheck source-path=SCRIPTDIR
. ./terminal.sh

ctl="$build/client/guestmapctl --user"
number=0 failed=0

# check NAME COMMAND...: it comes true
check() {
        local name=$1
        shift
        number=$((number + 1))
        if wait_for "$@"; then
                echo "ok $number - $name"
                return
        fi
        failed=1
        echo "not ok $number - $name"
        terminal_text 2>/dev/null | sed 's/^/# /'
}

# json EXPRESSION: true of each line of top, as the list `ticks` of Python
json() {
        $ctl top --json=short --delay=100ms --iterations=3 | python3 -c 'import json, sys
ticks = [json.loads(line) for line in sys.stdin]
sys.exit(not eval(sys.argv[1]))' "$1"
}

batch_has() {
        $ctl top "${@:2}" | grep -Eq "$1"
}

first_vm() {
        [ "$($ctl --no-legend top --iterations=1 "${@:2}" | head -n 1 | cut -d ' ' -f 1)" = "$1" ]
}

refuses() {
        ! $ctl top "$@" 2>"$directory/error" && [ "$(wc -l <"$directory/error")" = 1 ]
}

# Commits until it is killed.
commit_on() {
        while :; do
                $ctl disable busy dev && $ctl enable busy dev
        done >/dev/null 2>&1
}

start_guestmapd "$build"
$ctl create busy --accelerator=none
$ctl create idle --accelerator=none
$ctl add busy dev mmio 4KiB system 0
$ctl add idle ram ram 1GiB system 0
dd if=/dev/zero bs=1M count=2 status=none | tr '\0' x | $ctl write idle memory 0

check 'a table a tick' batch_has '^2 VMs, .* commits/s, 1GiB mapped, 2MiB resident$' -b \
        --iterations=1
check 'what it has' batch_has '^idle +running +[0-9]+ +2 .* 1 +1GiB +2MiB +-$' --iterations=1
check 'ticks' json 'len(ticks) == 3'
check 'JSON' json '{vm["name"]: vm["generation"] for vm in ticks[0]["vms"]} == {"busy": 2, "idle": 2}'
check 'no rate where nothing happens' json \
        'all(vm["commits-per-second"] == 0 for vm in ticks[-1]["vms"])'
check 'by name' first_vm busy --sort=name
check 'by memory' first_vm idle --sort=mapped
check 'a column that there is not' refuses --sort=size
check 'too fast' refuses --delay=1ms
commit_on &
commits=$!
check 'a rate where commits are' json '[vm["name"] for vm in ticks[-1]["vms"]
                if vm["commits-per-second"] > 0] == ["busy"]'
kill $commits
wait $commits 2>/dev/null

if ! command -v tmux >/dev/null; then
        echo "ok $((++number)) - on a terminal # SKIP tmux is not installed"
        echo "1..$number"
        exit $failed
fi

# What is there before shall be there afterwards.
terminal_open 100 12 "echo before; $ctl top --delay=200ms; echo after \$?"
check 'the picture' terminal_shows '^2 VMs'
check 'without what was there' eval '! terminal_shows before'
check 'colours' terminal_paints '\x1b\[4mNAME'
$ctl add busy more mmio 4KiB system 1MiB
check 'it is drawn again' terminal_shows "^busy .* $($ctl --json=short show busy | jq .generation) "
terminal_keys n
check 'sorted by name' eval 'terminal_text | sed -n 4p | grep -q ^busy'
check 'which is marked' terminal_shows '^NAME[^A-Z ]+ .* COMMITS/S '
ascending=$(terminal_text | sed -n 3p | cut -d ' ' -f 1)
terminal_keys n
check 'and the other way round' eval 'terminal_text | sed -n 4p | grep -q ^idle'
check 'marked as that' eval '! terminal_shows "^$ascending "'
terminal_resize 40 5
check 'smaller' eval '! terminal_shows "quit|EXITS" && terminal_shows "^idle"'
terminal_resize 80 24
check 'larger, with all letters' terminal_shows '^q quit .* Dirty$'
terminal_resize 120 20
check 'wider, with all columns' terminal_shows ' OWNER .* EXITS/S .* DIRTY/S$'
terminal_keys q
check 'q ends it' terminal_shows '^after 0$'
check 'and all is as before' terminal_shows '^before$'
terminal_close

terminal_open 100 12 "echo before; sh -c 'echo \$\$ >$directory/pid; exec $ctl top'
        echo after \$?; stty -a | tr ' ' '\n' | grep -x 'icanon\|echo'"
check 'another one' terminal_shows '^2 VMs'
kill -TERM "$(cat "$directory/pid")"
check 'a signal ends it' terminal_shows '^after 143$'
check 'and leaves the terminal as it was' eval \
        'terminal_shows ^before && terminal_shows ^icanon && terminal_shows ^echo'
terminal_close

# More VMs than lines: 24 are three above, two below, and 19 of 32.
for i in {01..30}; do
        $ctl create "many-$i" --accelerator=none
done
terminal_open 80 24 "LC_ALL=C $ctl top --delay=200ms --sort=name"
check 'more VMs than lines' terminal_shows '^1 to 19 of 32 VMs'
check 'the keys all the same' eval 'terminal_text | sed -n 24p | grep -q "^q quit .* Dirty$"'
check 'the first of them' eval 'terminal_text | sed -n 4p | grep -q "^busy "'
check 'a mark in ASCII' terminal_shows '^NAME\^ '
terminal_keys Down
check 'one down' eval 'terminal_text | sed -n 4p | grep -q "^idle "'
terminal_keys NPage
check 'a page down is the end' terminal_shows '^14 to 32 of 32 VMs'
check 'where the last one is' eval 'terminal_text | sed -n 22p | grep -q "^many-30 "'
terminal_keys Up
check 'one up' terminal_shows '^13 to 31 of 32 VMs'
terminal_keys PPage
check 'a page up is the start' terminal_shows '^1 to 19 of 32 VMs'
terminal_keys End
check 'to the end' terminal_shows '^14 to 32 of 32 VMs'
terminal_resize 80 50
check 'all on a higher screen' eval '! terminal_shows "of 32 VMs" && terminal_shows "^busy "'
terminal_keys Home
terminal_close
for i in {01..30}; do
        $ctl destroy "many-$i"
done

$ctl create a-name-that-is-longer-than-most --accelerator=none
terminal_open 80 12 "$ctl top --delay=200ms"
check 'all that matters in 80 columns' terminal_shows \
        '^NAME +GENERATION COMMITS/S[^ ]+ SLOTS +MAPPED RESIDENT DIRTY/S$'
check 'a long name too' terminal_shows '^a-name-that-is-longer-th +1 .* 0 +0 +0 +-$'
terminal_close
$ctl destroy a-name-that-is-longer-than-most

terminal_open 100 12 "$ctl top --delay=200ms; echo after \$?"
check 'a third one' terminal_shows '^2 VMs'
stop_process "$guestmapd_pid"
guestmapd_pid=
check 'a service that goes' terminal_shows '^guestmapd is not running'
# VMs outlive it: who comes finds them again.
setsid "$build/daemon/guestmapd" --user >>"$directory/guestmapd.log" 2>&1 &
guestmapd_pid=$!
check 'and comes again' terminal_shows '^2 VMs'
$ctl destroy busy
$ctl destroy idle
check 'without VMs' terminal_shows '^0 VMs'
stop_process "$bus_pid"
bus_pid=
check 'a bus that goes' terminal_shows '^guestmapctl: .*'
check 'is the end' terminal_shows '^after 1$'
terminal_close
echo "1..$number"
exit $failed

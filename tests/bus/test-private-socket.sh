#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The socket of a VM's process is a bus for busctl: no other bus and no guestmapd are there. TAP on
# stdout.
#
#   test-private-socket.sh GUESTMAP-VMD

set -u

vmd=$(realpath "$1")
directory=$(mktemp -d)
vm=/org/guestmap1/vm/demo
n=0 failed=0

end() {
        kill "$pid" 2>/dev/null && wait "$pid"
        rm -rf "$directory"
}

ask() {
        timeout 20 busctl --address="unix:path=$directory/socket" "$@" 2>&1
}

# answers NAME EXPECTED ARGUMENT...: busctl succeeds, and prints a line that matches.
answers() {
        local out status
        n=$((n + 1))
        out=$(ask "${@:3}")
        status=$?
        if [[ $status == 0 ]] && grep -qxE -e "$2" <<<"$out"; then
                echo "ok $n - $1"
                return
        fi
        failed=$((failed + 1))
        echo "not ok $n - $1"
        printf 'status %s, expected %s\n%s\n' "$status" "$2" "$out" | sed 's/^/# /'
}

"$vmd" --socket="$directory/socket" 2>"$directory/log" &
pid=$!
trap end EXIT
for _ in {1..400}; do
        [[ -S $directory/socket ]] && break
        sleep 0.05
done

# What guestmapd does when it makes a VM.
answers "there is a VM" '' call org.guestmap1 /org/guestmap1/private org.guestmap1.Private Setup \
        'ssua{sv}' demo 0123456789abcdef0123456789abcdef 0 1 accelerator s none
answers "call" 't 2' call org.guestmap1 $vm org.guestmap1.Map AddRegion 'sststia{sv}' \
        rom rom 4096 system 8192 0 0
answers "a call with several results" 'ta\(ttstsu\) 2 1 8192 12287 "rom" 0 "rom" 1' \
        call org.guestmap1 $vm/space/memory org.guestmap1.AddressSpace GetFlatView
answers "tree" ".*─$vm/region/rom" tree org.guestmap1
answers "tree as a list" "$vm/space/memory" tree --list org.guestmap1
answers "introspect" '\.Generation +property +t +2 +.*' introspect org.guestmap1 $vm org.guestmap1.VM
answers "introspect all interfaces" 'org\.guestmap1\.Map +interface +.*' introspect org.guestmap1 $vm
answers "get-property" 's "demo"' get-property org.guestmap1 $vm org.guestmap1.VM Name
answers "set-property" '' set-property org.guestmap1 $vm/region/rom org.guestmap1.Region Enabled b false
answers "it is set" 'b false' get-property org.guestmap1 $vm/region/rom org.guestmap1.Region Enabled
answers "JSON" '\{"type":"t","data":3\}' --json=short get-property org.guestmap1 $vm \
        org.guestmap1.VM Generation
echo "1..$n"
exit $((failed > 0))

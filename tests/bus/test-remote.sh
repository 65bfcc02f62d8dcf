#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# guestmapctl --host, on hosts that are services with buses of their own, to which an ssh leads that
# is a script: test-remote.sh SOURCE-ROOT BUILD
#
# Like the real one the script is a pair of pipes: no descriptor comes through.

set -u

here=$(realpath "$(dirname "$0")")

# A host: where its bus is goes into a file; it is up until this process is ended.
if [ "$1" = --host ]; then
        # shellcheck source-path=SCRIPTDIR
        . "$here/../check/private-bus.sh"
        start_guestmapd "$2" || exit 1
        echo "$DBUS_SESSION_BUS_ADDRESS" >"$3.new"
        mv "$3.new" "$3"
        # shellcheck disable=SC2154 # private-bus.sh has set it
        wait "$guestmapd_pid"
        exit
fi

page=$(realpath "$1")/man/guestmapctl.1.scd build=$(realpath "$2")
# shellcheck source-path=SCRIPTDIR
. "$here/../check/session.sh"

directory=$(mktemp -d)
started=()

end() {
        for pid in "${started[@]}"; do
                kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
        done
        rm -rf "$directory"
}
trap end EXIT
trap 'exit 1' HUP INT PIPE TERM

# Where systemd-stdio-bridge is missing, and where nothing answers, ssh says so itself.
make_ssh() {
        mkdir "$directory/bin"
        ln -s "$build/client/guestmapctl" "$directory/bin"
        cat >"$directory/bin/ssh" <<END
#!/bin/sh
[ "\$1 \$2 \$4" = "-xT -- systemd-stdio-bridge" ] || exit 255
if [ "\$3" = no-bridge ]; then
        echo "sh: 1: systemd-stdio-bridge: not found" >&2
        exit 127
fi
if ! [ -e "$directory/\$3" ]; then
        echo "ssh: Could not resolve hostname \$3: Name or service not known" >&2
        exit 255
fi
python3 -c 'import os; [os.set_blocking(n, True) for n in (0, 1)]'
exec 2>/dev/null
cat | systemd-stdio-bridge --bus-path="\$(cat "$directory/\$3")" | cat
END
        chmod +x "$directory/bin/ssh"
        PATH=$directory/bin:$PATH
}

start_hosts() {
        local host
        for host in "$@"; do
                bash "$0" --host "$build" "$directory/$host" &
                started+=($!)
        done
        # And one without guestmapd.
        dbus-daemon --session --nofork --nopidfile --address="unix:path=$directory/empty.bus" \
                >"$directory/empty.log" 2>&1 &
        started+=($!)
        echo "unix:path=$directory/empty.bus" >"$directory/empty"
        for host in "$@" empty.bus; do
                for _ in {1..200}; do
                        [ -e "$directory/$host" ] && continue 2
                        sleep 0.05
                done
                echo "Bail out! $host does not come up"
                exit 1
        done
}

# says NAME EXPECTED COMMAND...: the last line of what it says on standard error.
says() {
        case_is "$1" "$2" "$("${@:3}" 2>&1 >/dev/null | tail -n 1)"
}

test_failures() {
        says "a host that is not there" 'guestmapctl: cannot connect to host "nowhere": ssh ended before a bus answered; it takes a log-in by ssh, and systemd-stdio-bridge and a system bus there' \
                guestmapctl -H nowhere list
        case_is "what ssh says is seen" "ssh: Could not resolve hostname nowhere: Name or service not known" \
                "$(guestmapctl -H nowhere list 2>&1 | head -n 1)"
        case_is "a host without a bridge" "sh: 1: systemd-stdio-bridge: not found" \
                "$(guestmapctl -H no-bridge list 2>&1 | head -n 1)"
        says "a host without guestmapd" 'guestmapctl: guestmapd is not running on host "empty" (The name org.guestmap1 was not provided by any .service files)' \
                guestmapctl -H empty list
        says "no session bus of a host" 'guestmapctl: --host leads to the system bus of a host, not to one of --user' \
                guestmapctl --user -H kvm1 list
        says "fsck" "guestmapctl: fsck reads files of this machine: run it where the VM is" \
                guestmapctl -H kvm1 fsck lab
        says "a container that is not there" 'guestmapctl: cannot connect to container "nowhere": Host is down; it has to be running (machinectl lists them), with a bus' \
                guestmapctl -M nowhere list
}

at_kvm1() {
        guestmapctl --address="$(cat "$directory/kvm1")" "$@"
}

test_memory() {
        at_kvm1 add lab ram ram 8MiB system
        printf 'first' | at_kvm1 write lab memory 0
        printf 'last' | at_kvm1 write lab memory 0x4ffffc
        at_kvm1 read lab memory 0 5MiB --out="$directory/near"
        says "more memory than a message carries" "" \
                guestmapctl -H kvm1 read lab memory 0 5MiB --out="$directory/far"
        case_is "it is the same" "" "$(cmp "$directory/near" "$directory/far" 2>&1)"
}

test_descriptors() {
        says "dirty" 'guestmapctl: the bitmap of dirty pages passes as a descriptor only, and none comes through to host "kvm1"' \
                guestmapctl -H kvm1 dirty lab ram
        says "ioeventfd wait" 'guestmapctl: an eventfd passes as a descriptor only, and none comes through to host "kvm1"' \
                guestmapctl -H kvm1 ioeventfd wait lab ram 0 4
        python3 -c 'import json; print(json.dumps({"guestmap": 1, "regions": [
                {"name": f"region {n:0100}", "kind": "mmio", "size": "4KiB"} for n in range(70000)]}))' \
                >"$directory/large.json"
        says "a large document" 'guestmapctl: a document of more than 8 MiB passes as a descriptor only, and none comes through to host "kvm1"' \
                guestmapctl -H kvm1 apply lab "$directory/large.json"
        says "a large layout of a new VM" 'guestmapctl: a layout of more than 8 MiB passes as a descriptor only, and none comes through to host "kvm1"' \
                guestmapctl -H kvm1 create large --accelerator=none --layout="$directory/large.json"
        at_kvm1 create large --accelerator=none --layout="$directory/large.json"
        says "a large layout" 'guestmapctl: a layout of more than 8 MiB passes as a descriptor only, and none comes through to host "kvm1"' \
                guestmapctl -H kvm1 export large
}

# Runs a command where machine "web" is registered, whose mount namespace has the bus of kvm1 for its
# system bus: that is all that sd-bus asks of a container.
in_container_world() {
        mkdir "$directory/dbus"
        ln -s "$(sed 's/^unix:path=//' "$directory/kvm1")" "$directory/dbus/system_bus_socket"
        unshare --mount bash -euc '
                mkdir -p /run/systemd/machines /run/dbus
                mount -t tmpfs tmpfs /run/systemd/machines
                unshare --mount --kill-child --fork \
                        sh -c "mount --bind \"$1\" /run/dbus && echo \$\$ >\"$1\"/leader && exec sleep 60" sh &
                for _ in {1..200}; do [ ! -s "$1/leader" ] || break; sleep 0.05; done
                printf "CLASS=container\nLEADER=%s\n" "$(cat "$1/leader")" >/run/systemd/machines/web
                shift
                result=0
                "$@" 2>&1 || result=$?
                kill $!
                exit $result' bash "$directory/dbus" "$@"
}

test_container() {
        if [ "$(id -u)" != 0 ] || ! unshare --mount true 2>/dev/null; then
                skip_case "a container" "namespaces may not be made here"
                return
        fi
        case_is "a container" lab \
                "$(in_container_world guestmapctl -M web --no-legend list | sed -n 's/^\(lab\) .*/\1/p')"
        at_kvm1 set lab ram dirty-log=yes
        rm -r "$directory/dbus"
        case_is "descriptors come out of it" "0 pages of 4KiB." \
                "$(in_container_world guestmapctl -M web dirty lab ram | tail -n 1)"
}

# play: what has changed on which host.
play() {
        HOME=$directory ANSIBLE_NOCOLOR=1 ansible-playbook -i kvm1,kvm2, "$directory/playbook.yml" 2>&1 |
                sed -n 's/^\(kvm[12]\) *: ok=\([0-9]*\) *changed=\([0-9]*\).* failed=\([0-9]*\).*/\1 \2 \3 \4/p'
}

test_ansible() {
        if ! command -v ansible-playbook >/dev/null; then
                skip_case "a playbook" "ansible-playbook is not installed"
                return
        fi
        man_code "$page" '- hosts: all' >"$directory/playbook.yml"
        at_kvm1 export lab >"$directory/lab.json"
        at_kvm1 remove lab ram
        case_is "a playbook changes what is to be changed" $'kvm1 1 1 0\nkvm2 1 1 0' "$(play)"
        case_is "and only that" $'kvm1 1 0 0\nkvm2 1 0 0' "$(play)"
}

make_ssh
start_hosts kvm1 kvm2
cd "$directory" || exit 1
run_session < <(man_session "$page" 'OTHER HOSTS')
test_failures
test_memory
test_descriptors
test_container
test_ansible
end_cases

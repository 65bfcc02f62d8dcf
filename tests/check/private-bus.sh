# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
#
# A bus of one's own with guestmapd on it, for scripts that source this file
#
# start_guestmapd BUILD starts both, with everything they leave on disk in $directory, and points
# "busctl --user" at them. Both end, and the directory goes, when the script does, however it ends.
# A script that starts guestmapd in a way of its own calls start_bus and is_served.

directory=
bus_pid=
guestmapd_pid=

stop_process() {
        [ -n "$1" ] || return 0
        kill "$1" 2>/dev/null || :
        wait "$1" 2>/dev/null || :
}

# guestmapd leaves VMs running when it ends: they are destroyed first.
stop_guestmapd() {
        if [ -n "$guestmapd_pid" ]; then
                for name in $(list_vms); do
                        call /org/guestmap1 Manager DestroyVM 'sa{sv}' "$name" 0 || :
                done >/dev/null 2>&1
        fi
        stop_process "$guestmapd_pid"
        stop_process "$bus_pid"
        [ -z "$directory" ] || rm -rf "$directory"
        directory=
}

write_bus_configuration() {
        cat >"$directory/bus.conf" <<END
<busconfig>
  <type>session</type>
  <listen>unix:path=$directory/bus</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
END
}

# wait_for COMMAND…: until it succeeds, ten seconds at most.
wait_for() {
        tries=0
        until "$@" >/dev/null 2>&1; do
                tries=$((tries + 1))
                if [ $tries -ge 200 ]; then
                        echo "waited in vain for: $*" >&2
                        return 1
                fi
                sleep 0.05
        done
}

# call OBJECT INTERFACE METHOD [SIGNATURE ARGUMENT…]
call() {
        object=$1
        interface=$2
        shift 2
        busctl --user call org.guestmap1 "$object" "org.guestmap1.$interface" "$@"
}

kvm_can_be_used() {
        [ "$(busctl --user get-property org.guestmap1 /org/guestmap1 org.guestmap1.Manager \
                KVMAvailable)" = 'b true' ]
}

# Whether VMs may have virtual CPUs here, and these understand the guests of the documents.
guests_can_run() {
        [ "$(uname -m)" = x86_64 ] && kvm_can_be_used
}

list_vms() {
        busctl --user --json=short call org.guestmap1 /org/guestmap1 org.guestmap1.Manager \
                ListVMs 2>/dev/null | jq -r '.data[0][][0]'
}

start_bus() {
        directory=$(mktemp -d "${TMPDIR:-/tmp}/guestmap.XXXXXX")
        trap stop_guestmapd EXIT
        # A shell that a signal ends runs no EXIT trap; SIGPIPE is "| head".
        trap 'exit 1' HUP INT PIPE TERM
        mkdir -m 0700 "$directory/run"
        XDG_RUNTIME_DIR=$directory/run
        XDG_STATE_HOME=$directory/state
        DBUS_SESSION_BUS_ADDRESS=unix:path=$directory/bus
        export XDG_RUNTIME_DIR XDG_STATE_HOME DBUS_SESSION_BUS_ADDRESS
        # These two write elsewhere, and are in sessions of their own: Ctrl-C is not for them. guestmapd
        # would end by it, and leave its VMs.
        write_bus_configuration
        setsid dbus-daemon --nofork --config-file="$directory/bus.conf" >"$directory/bus.log" 2>&1 &
        bus_pid=$!
        wait_for test -S "$directory/bus"
}

# is_served PID: the process is a guestmapd, which is to end with the script; waits until it is there.
is_served() {
        guestmapd_pid=$1
        wait_for busctl --user status org.guestmap1
}

start_guestmapd() {
        start_bus || return 1
        setsid "$1/daemon/guestmapd" --user >"$directory/guestmapd.log" 2>&1 &
        is_served $!
}

#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What a process can do that has taken the place of guestmapd or of a VM's, under a real systemd;
# runs there, as root
#
# A probe takes the program's place in a unit, by a drop-in, and tries what an intruder would. What
# it did comes out on standard output: "NAME: allowed" or "NAME: refused".

# Tests are called by the names found in this file:
# shellcheck disable=SC2317

set -eu

cd "$(dirname "$0")"
# shellcheck source=tests/system/steps.sh
. ./steps.sh

# What is tried: a name, and Python that raises where it is not allowed. `other` is the process of
# another VM, VICTIM its directory.
write_probe() {
        cat >/opt/system-test/probe <<'END'
#!/usr/bin/python3
import ctypes, mmap, os, socket, sys

other, victim = int(sys.argv[1]), sys.argv[2]
libc = ctypes.CDLL(None, use_errno=True)

def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")

TRIES = {
    "network socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "unix socket": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "VM's journal": lambda: open(victim + "/journal", "rb"),
    "VM's socket": lambda: socket.socket(socket.AF_UNIX).connect("/run/guestmap/victim"),
    "signal": lambda: os.kill(other, 0),
    "memory of a process": lambda: open(f"/proc/{other}/mem", "rb"),
    "trace": lambda: checked(libc.ptrace(16, other, 0, 0)),
    "home": lambda: os.listdir("/root"),
    "write to /etc": lambda: open("/etc/probe", "w"),
    "write to /usr": lambda: open("/usr/probe", "w"),
    "write to /run": lambda: open("/run/probe", "w"),
    "become root": lambda: os.setuid(0),
    "namespace": lambda: checked(libc.unshare(0x10000000)),
    "mount": lambda: checked(libc.mount(b"none", b"/mnt", b"tmpfs", 0, None)),
    "module": lambda: checked(libc.syscall(175, 0, 0, 0)),
    "writable code": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC),
    "clock": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "kernel's log": lambda: open("/dev/kmsg", "rb"),
    "own directory": lambda: open(os.environ["RUNTIME_DIRECTORY"] + "/probe", "w"),
}
def allowed(attempt):
    """In a process of its own: some is answered by ending the one who asks."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1] == 0
    try:
        attempt()
        os._exit(0)
    except (OSError, KeyError):
        os._exit(1)

for name, attempt in TRIES.items():
    print(f"{name}: {'allowed' if allowed(attempt) else 'refused'}", flush=True)
END
        chmod 0755 /opt/system-test/probe
}

# probe UNIT: a drop-in puts the probe in its place; its output goes to /tmp/probe.UNIT
probe() {
        mkdir -p "/run/systemd/system/$1.d"
        cat >"/run/systemd/system/$1.d/probe.conf" <<END
[Unit]
Requires=
[Service]
Type=oneshot
Restart=no
RestartForceExitStatus=
BusName=
WatchdogSec=0
ExecStart=
ExecStart=/opt/system-test/probe $(unit victim MainPID) $directory
StandardOutput=truncate:/tmp/probe.$1
END
        systemctl daemon-reload
        systemctl start "$1"
        rm -r "/run/systemd/system/$1.d"
        systemctl daemon-reload
        cat "/tmp/probe.$1"
}

# only UNIT NAME...: nothing but that was allowed, and that was
only() {
        sed -n 's/: allowed$//p' "/tmp/probe.$1" >"/tmp/allowed.$1"
        shift
        for name in "$@"; do
                echo "$name"
        done | diff - "/tmp/allowed.$probed"
}

victim_directory() {
        realpath /run/guestmap-vm/victim
}

test_the_probe_works() {
        write_probe
        create victim
        /opt/system-test/probe "$(unit victim MainPID)" "$(victim_directory)" >/tmp/probe.root
        grep -qx 'network socket: allowed' /tmp/probe.root
        grep -qx "VM's journal: allowed" /tmp/probe.root
        grep -qx 'signal: allowed' /tmp/probe.root
        grep -qx 'trace: allowed' /tmp/probe.root
        rm -f /etc/probe /usr/probe /run/probe
        destroy victim
}

test_a_vm_gets_at_nothing_but_its_own() {
        create victim
        directory=$(victim_directory) probed=guestmap-vm@intruder.service
        probe $probed
        only $probed 'unix socket' 'own directory'
        destroy victim
}

test_the_manager_gets_at_sockets_and_no_more() {
        create victim
        directory=$(victim_directory) probed=guestmapd.service
        systemctl stop guestmapd.service
        probe $probed
        only $probed 'unix socket' "VM's socket"
        systemctl start guestmapd.service
        destroy victim
}

# What cgroups enforce is not enforced in here: there it is the unit that says so.
test_devices() {
        create victim
        [ "$(unit victim DevicePolicy)" = closed ]
        # ProtectClock lets the clock be read.
        [ "$(unit victim DeviceAllow | grep -v '^char-rtc r$')" = '/dev/kvm rw' ]
        [ "$(systemctl show --property DevicePolicy --value guestmapd.service)" = closed ]
        [ "$(systemctl show --property DeviceAllow --value guestmapd.service)" = 'char-rtc r' ]
        destroy victim
}

run_tests "$@"

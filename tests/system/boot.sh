#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Boot systemd over the running system, run one program as a unit of it, take over its exit status
#
#   boot.sh TREE SECONDS PROGRAM [ARGUMENT...]
#
# TREE is laid over the running system's root: what a package would bring, and PROGRAM itself. The
# container sees TREE, below it the machine's own files, and writes into a tmpfs: nothing of what
# happens inside is left behind. PROGRAM's output comes out when it has ended. Exit status 100 of
# PROGRAM boots the container once more: /run is empty then, and all else is as it was.
#
# Everything lives in a mount and a PID namespace of this script's own. When the script ends, in
# whatever way, the kernel ends the container and undoes the mounts: no trap is needed for that,
# and none would run on SIGKILL.
#
# Exit status: PROGRAM's; 77 when this machine cannot do it; 255 when SECONDS have passed.

set -eu

skip() {
        echo "SKIP: $*"
        exit 77
}

# The two hierarchies in which a systemd may keep its units.
cgroup_mounts() {
        findmnt --noheadings --output TARGET --types cgroup2 || :
        findmnt --noheadings --output TARGET --types cgroup --options name=systemd || :
}

check_machine() {
        [ "$(id -u)" = 0 ] || skip "booting a container needs root"
        for tool in systemd-nspawn systemd-sysusers dbus-daemon; do
                command -v $tool >/dev/null || skip "$tool is not installed"
        done
        unshare --mount --pid --fork --mount-proc true 2>/dev/null ||
                skip "namespaces may not be made here"
        [ -w "$(cgroup_mounts | head -n 1)" ] || skip "cgroups may not be made here"
}

# With those that the container has left in it. Others are other runs', and may be in use.
remove_cgroup() {
        for mount in $(cgroup_mounts); do
                find "$mount/system-test.$$" -depth -type d -exec rmdir {} \; || :
        done
}

# The container's systemd divides the cgroup it finds itself in: it needs one of its own, or it
# would take hold of its neighbours' processes. systemd hands one out where it runs the machine.
in_own_cgroup() {
        if [ -d /run/systemd/system ]; then
                exec systemd-run --quiet --scope --collect --property=Delegate=yes "$@"
        fi
        result=0
        (
                for mount in $(cgroup_mounts); do
                        mkdir "$mount/system-test.$$"
                        echo 0 >"$mount/system-test.$$/cgroup.procs"
                done
                exec setpriv --pdeathsig KILL "$@"
        ) || result=$?
        remove_cgroup
        return $result
}

# The machine below, TREE over it. An overlay refuses layers of which one contains another, and /
# contains everything that is not mounted: so TREE moves to a file system of its own.
make_root() {
        mount -t tmpfs -o mode=0755 tmpfs /run
        mkdir /run/tree /run/upper /run/work /run/root
        cp -a "$1/." /run/tree
        mount -t overlay -o lowerdir=/run/tree:/,upperdir=/run/upper,workdir=/run/work \
                overlay /run/root 2>/dev/null || skip "no overlay may be mounted over / here"
        # Of the machine's disks the container is to know nothing.
        : >/run/root/etc/fstab
        # What a boot does when it finds /usr newer than its results, packages have done before.
        systemd-sysusers --root=/run/root
        touch /run/root/etc/.updated /run/root/var/.updated
}

# A node of its own: to change the mode of the machine's would be to change the machine's.
make_kvm() {
        mknod -m 0600 /run/kvm c 0x"$(stat -c %t /dev/kvm)" 0x"$(stat -c %T /dev/kvm)"
}

make_unit() {
        cat >/run/root/etc/systemd/system/system-test.service <<END
[Unit]
Description=System test
Requires=dbus.socket
After=dbus.socket
SuccessAction=exit
FailureAction=exit

[Service]
Type=oneshot
TimeoutStartSec=$1
ExecStart=$2
StandardOutput=append:/var/log/system-test
StandardError=inherit
END
}

boot() {
        tree=$1
        seconds=$2
        shift 2
        make_root "$tree"
        make_unit "$seconds" "$*"
        kvm=
        if [ -c /dev/kvm ]; then
                make_kvm
                kvm=--bind=/run/kvm:/dev/kvm
        fi
        result=100
        while [ $result = 100 ]; do
                result=0
                systemd-nspawn --quiet --directory=/run/root --machine=system-test --register=no \
                        --keep-unit --link-journal=no --private-network ${kvm:+"$kvm"} \
                        --boot systemd.unit=system-test.service systemd.show_status=no \
                        </dev/null >/run/console 2>&1 || result=$?
        done
        [ $result = 0 ] || cat /run/console
        cat /run/root/var/log/system-test
        return $result
}

if [ "$1" = --inside ]; then
        shift
        boot "$@"
else
        check_machine
        in_own_cgroup unshare --mount --pid --fork --kill-child --mount-proc \
                "$0" --inside "$@"
fi

#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# guestmapctl at an installed guestmapd elsewhere: in a container that machined knows, on a host to
# which ssh leads; runs in a booted system, as root
#
# The container, kvm2, boots what is installed here, with a /var and a /run of its own.

# Tests are called by the names found in this file:
# shellcheck disable=SC2317

set -eu

cd "$(dirname "$0")"
# shellcheck source=tests/system/steps.sh
. ./steps.sh
seconds=100 # a boot among them

at_container() {
        guestmapctl --machine=kvm2 "$@"
}

test_a_container_boots() {
        mkdir /run/kvm2
        mount --bind / /run/kvm2
        systemd-run --unit=kvm2 --service-type=notify --property=Delegate=yes \
                systemd-nspawn --quiet --directory=/run/kvm2 --machine=kvm2 --volatile=state \
                --keep-unit --link-journal=no --notify-ready=yes --boot \
                systemd.unit=basic.target systemd.show_status=no
        machinectl list --no-legend | grep -q '^kvm2 '
}

test_its_vms_are_not_those_of_here() {
        at_container create lab --accelerator=none
        at_container add lab ram ram 8MiB system
        at_container --no-legend list | grep -q '^lab  *running  *2$'
        systemctl --machine=kvm2 is-active guestmap-vm@lab.service
        not listed lab
        not has_units lab
}

test_descriptors_come_out_of_it() {
        at_container set lab ram dirty-log=yes
        head -c 1000000 /dev/urandom >/tmp/bytes
        at_container write lab memory 0 </tmp/bytes
        at_container read lab memory 0 1000000 --out=/tmp/read
        cmp /tmp/bytes /tmp/read
        [ "$(at_container dirty lab ram | tail -n 1)" = '245 pages of 4KiB.' ]
}

test_who_may_not_enter_is_told() {
        not as_nobody guestmapctl --machine=kvm2 list 2>/tmp/error
        grep -q '^guestmapctl: cannot connect to container "kvm2": ' /tmp/error
        at_container destroy lab
}

# serve_ssh PORT [OPTION…]: where systemd-run's options lead; it listens when that has ended
serve_ssh() {
        port=$1
        shift
        systemd-run "$@" --service-type=forking \
                dropbear -p "127.0.0.1:$port" -P /run/dropbear.pid -r /root/.ssh/host_key
}

# Real ones, on the loopback that both systems share, each with a log-in by a key. What is in the home
# directory of root here is there, too.
make_hosts() {
        chsh --shell /bin/sh root # one that reads nothing at a log-in
        rm -rf /root/.ssh
        mkdir -m 0700 /root/.ssh
        dropbearkey -t ed25519 -f /root/.ssh/host_key
        echo "kvm $(dropbearkey -y -f /root/.ssh/host_key | grep ^ssh-)" >/root/.ssh/known_hosts
        ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
        cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
        cat >/root/.ssh/config <<'END'
Host kvm1
        Port 2201
Host kvm2
        Port 2202
Host *
        HostName 127.0.0.1
        HostKeyAlias kvm
        BatchMode yes
END
        serve_ssh 2201
        serve_ssh 2202 --machine=kvm2
}

# As printed: kvm1 is this system.
test_a_loop_over_hosts() {
        if ! command -v dropbear; then
                echo "no host is reached by ssh: dropbear-bin is not installed" >&3
                return
        fi
        make_hosts
        directory=/tmp bash -uc '
                . ./session.sh
                run_session < <(man_session guestmapctl.1.scd "OTHER HOSTS")
                [ "$number" = 2 ] || exit 1
                end_cases'
        listed lab
        at_container --no-legend list | grep -q '^lab '
        not guestmapctl --host=nobody@kvm1 list 2>/tmp/error
        grep -q '^guestmapctl: cannot connect to host "nobody@kvm1": ssh ended before' /tmp/error
        guestmapctl --host=kvm1 destroy lab
        not listed lab
}

test_a_container_that_goes() {
        machinectl terminate kvm2
        eventually not at_container list
        not at_container list 2>/tmp/error
        grep -q '^guestmapctl: cannot connect to container "kvm2": ' /tmp/error
}

run_tests "$@"

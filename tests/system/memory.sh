#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# How a VM's memory is made, by a process in its sandbox, under a real systemd; runs there, as root

# Tests are called by the names found in this file:
# shellcheck disable=SC2317

set -eu

cd "$(dirname "$0")"
# shellcheck source=tests/system/steps.sh
. ./steps.sh

huge=/sys/kernel/mm/hugepages/hugepages-2048kB

# add REGION SIZE [OPTION...]: memory of VM one
add() {
        region=$1 size=$2
        shift 2
        guestmapctl add one "$region" ram "$size" "$@"
}

# refused WORDS REGION SIZE [OPTION...]
refused() {
        words=$1
        shift
        not add "$@" 2>/tmp/error
        grep -qF "$words" /tmp/error
}

# mapping REGION: what the kernel says of that memory in the VM's process
mapping() {
        sed -n "/memfd:$1 /,/^VmFlags/p" "/proc/$(unit one MainPID)/smaps"
}

in_dumps() {
        not grep -q '^VmFlags:.* dd' /tmp/mapping
}

test_usual_memory() {
        create one
        add usual 8MiB
        mapping usual >/tmp/mapping
        grep -q '^Rss: *0 kB' /tmp/mapping
        not in_dumps
}

test_all_at_once() {
        add all 64MiB --prealloc
        mapping all >/tmp/mapping
        grep -q '^Rss: *65536 kB' /tmp/mapping
}

test_in_core_dumps() {
        add dumped 8MiB --dump
        mapping dumped >/tmp/mapping
        in_dumps
        # Anonymous and shared memory, huge pages that are shared, headers of programs.
        [ "$(cat "/proc/$(unit one MainPID)/coredump_filter")" = 00000053 ]
}

test_of_a_node() {
        if ! [ -e /sys/devices/system/node/node0 ]; then
                echo "nodes: the kernel knows none" >&3
                return
        fi
        add bound 8MiB --numa-node=0
        add preferred 8MiB --numa-node=0 --numa-policy=preferred
        add striped 8MiB --numa-node=0 --numa-policy=interleave
        grep -q ' bind:0 .*memfd:bound' "/proc/$(unit one MainPID)/numa_maps"
        grep -q ' prefer.*:0 .*memfd:preferred' "/proc/$(unit one MainPID)/numa_maps"
        grep -q ' interleave:0 .*memfd:striped' "/proc/$(unit one MainPID)/numa_maps"
        refused 'there is no NUMA node 63' x 8MiB --numa-node=63
}

# run.sh has put two aside if it could.
test_of_huge_pages() {
        if ! [ -e $huge ]; then
                echo "huge pages: there are none of 2MiB" >&3
                return
        fi
        free=$(($(cat $huge/free_hugepages) - $(cat $huge/resv_hugepages)))
        if [ $free -ge 2 ]; then
                add huge 4MiB --hugepage-size=2MiB --prealloc --numa-node=0
                mapping huge >/tmp/mapping
                grep -q '_Hugetlb: *4096 kB' /tmp/mapping
                free=$((free - 2))
        else
                echo "huge pages: none can be had" >&3
        fi
        refused "needs $((free + 1)) huge pages of 2MiB, $free are free (nr_hugepages)" \
                x $((2 * free + 2))MiB --hugepage-size=2MiB
        refused 'there are no huge pages of 3MiB; the host has: ' x 3MiB --hugepage-size=3MiB
}

# Said before any of it is taken: nobody is killed.
test_more_than_there_is() {
        refused 'needs 8TiB, the host has ' x 8TiB --prealloc
        is_running one
        destroy one
}

test_more_than_the_cgroup_has() {
        mkdir -p /etc/guestmap/guestmapd.conf.d
        printf '[VM]\nMemoryMax=64M\n' >/etc/guestmap/guestmapd.conf.d/memory.conf
        systemctl reload guestmapd.service
        create one
        cgroup=$(unit one ControlGroup)
        if [ -e "/sys/fs/cgroup$cgroup/memory.max" ]; then
                refused "needs 128MiB, cgroup $cgroup has " x 128MiB --prealloc
                grep -qF ' left of its MemoryMax, 64MiB' /tmp/error
        else
                echo "MemoryMax=: the kernel does not enforce it here" >&3
        fi
        is_running one
        add all 16MiB --prealloc
        destroy one
}

run_tests "$@"

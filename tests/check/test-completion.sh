#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# TAB in a bash and a zsh that know guestmapctl: test-completion.sh SOURCE-ROOT BUILD

set -eu

source_root=$1 build=$2
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR
. ./private-bus.sh

guestmapctl() {
        "$build/client/guestmapctl" --user "$@"
}

start_guestmapd "$build"
if kvm_can_be_used; then
        guestmapctl create lab
        guestmapctl vcpu add lab 7
        touch "$directory/kvm"
else
        guestmapctl create lab --accelerator=none
fi
guestmapctl create pc --accelerator=none
guestmapctl add pc 'PCI (mem)' container 1GiB system 2GiB
# shellcheck disable=SC2016 # a name, which no shell may expand
guestmapctl add pc 'vga$rom:1' rom 64KiB
# shellcheck disable=SC2016
guestmapctl add pc '$(id)=' container 4KiB system
guestmapctl space add pc dma system
guestmapctl begin pc >"$directory/id"
python3 -B check-completion.py "$source_root" "$build" "$directory"

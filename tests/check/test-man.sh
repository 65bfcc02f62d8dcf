#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The examples of the man pages work as printed: test-man.sh SOURCE-ROOT BUILD

set -u

man=$1/man
build=$2
cd "$(dirname "$0")" || exit 1
# shellcheck source-path=SCRIPTDIR
. ./private-bus.sh
# shellcheck source-path=SCRIPTDIR
. ./session.sh

start_guestmapd "$build" || exit 1

cd "$directory" || exit 1
# As drawings are printed.
export LC_ALL=C.UTF-8 COLUMNS=80

if ! kvm_can_be_used; then
        skip_case 'the examples' '/dev/kvm cannot be used here'
        end_cases
fi

# shellcheck disable=SC2317 # called by the sessions
# What guestmapctl.1 shows is the system bus; here it is a bus of one's own.
guestmapctl() {
        command "$build/client/guestmapctl" --user "$@"
}

run_session < <(man_session "$man/org.guestmap1.5.scd")
run_session < <(man_session "$man/guestmapctl.1.scd")
if guests_can_run; then
        run_session < <(man_session "$man/guestmap-memory.7.scd")
else
        skip_case 'the guest of guestmap-memory(7)' 'it is a program for x86-64'
fi
end_cases

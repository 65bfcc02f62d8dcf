#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# After a reboot: what of recovery.sh's VMs is there again

# Tests are called by the names found in this file:
# shellcheck disable=SC2317

set -eu

cd "$(dirname "$0")"
# shellcheck source=tests/system/steps.sh
. ./steps.sh

test_a_durable_vm_is_there_after_a_reboot() {
        systemd-tmpfiles --create guestmap.conf
        systemctl start guestmapd.service
        eventually is_running kept
        [ "$(property kept ID)" = "$(cat /var/tmp/id)" ]
        [ "$(property kept Generation)" = "$(cat /var/tmp/generation)" ]
        add_region kept more
}

test_others_are_not() {
        not listed one
        not listed two
        [ "$(ls /var/lib/guestmap-vm)" = kept ]
        [ "$(ls /var/lib/private/guestmap-vm)" = kept ]
}

run_tests "$@"

#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The dumps in mtree/, and a running QEMU's, through guestmapctl and back: test-mtree.sh BUILD

set -u

here=$(realpath "$(dirname "$0")")
build=$1
# shellcheck source-path=SCRIPTDIR
. "$here/../check/private-bus.sh"

start_guestmapd "$build" || exit 1
PYTHONPATH=$here/../check python3 -B "$here/round-trip.py" "$build/client/guestmapctl" \
        "$here/mtree" "$here/corpus"

#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the README prints works as printed: test-readme.sh SOURCE-ROOT BUILD
#
# The sessions, and the examples of orchestration.

set -u

readme=$1/README.md
build=$2
cd "$(dirname "$0")" || exit 1
# shellcheck source-path=SCRIPTDIR
. ./private-bus.sh
# shellcheck source-path=SCRIPTDIR
. ./session.sh

start_bus || exit 1
cd "$directory" || exit 1
# As drawings are printed.
export LC_ALL=C.UTF-8 COLUMNS=80
ln -s "$build" build

# Built is what is tested; the service is started as printed.
eval "$(readme_block "$readme" start | tail -n 1)" >"$directory/guestmapd.log" 2>&1
is_served $! || exit 1

eval "$(readme_block "$readme" setup)"
run_session < <(readme_block "$readme" session)
case_is 'the session has ten lines' 10 "$(readme_block "$readme" session | grep -c '^\$ ')"
run_session < <(readme_block "$readme" guestmapctl)

without_a_session() (
        unset XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS
        export TMPDIR=$directory
        export -f wait_for
        # The shell that the block ends in.
        eval "$(readme_block "$readme" bus)" <<END
$(readme_block "$readme" start | tail -n 1)
wait_for busctl --user status org.guestmap1
busctl --user get-property org.guestmap1 /org/guestmap1 org.guestmap1.Manager Version
kill %1
wait
END
)
case_is 'a bus where there is no session' "s \"$(build/daemon/guestmapd --version | cut -d ' ' -f 2)\"" \
        "$(without_a_session 2>/dev/null)"

call /org/guestmap1 Manager CreateVM 'sa{sv}' pc 1 accelerator s none >/dev/null
call /org/guestmap1/vm/pc Map AddRegion 'sststia{sv}' dimm0 ram 0x8000000 system 0x100000000 0 0 \
        >/dev/null
readme_block "$readme" script >orchestrate.sh
chmod +x orchestrate.sh
case_is 'the script commits' 't 3' "$(./orchestrate.sh 2>&1 | tail -n 1)"
case_is 'and the DIMM is another one' '"dimm1"' \
        "$(call /org/guestmap1/vm/pc/space/memory AddressSpace Find t 0x100000000 | cut -d ' ' -f 5)"

if /usr/bin/python3 -c 'import dbus' 2>/dev/null; then
        readme_block "$readme" program >orchestrate.py
        chmod +x orchestrate.py
        case_is 'the program commits' 'in force, generation 4' "$(./orchestrate.py 2>&1)"
        case_is 'and is refused when run again' 'nothing has changed: RegionExists' \
                "$(./orchestrate.py 2>&1 | cut -d : -f 1,2)"
else
        skip_case 'the program' 'no python3-dbus here'
fi
end_cases

#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What the README prints works as printed: test-readme.sh SOURCE-ROOT BUILD
#
# A case for each command of the sessions, whose output must be what stands below it, and for the
# examples of orchestration.

set -u

source_root=$1
build=$2
cd "$(dirname "$0")" || exit 1
# shellcheck source-path=SCRIPTDIR
. ./private-bus.sh
. ./readme.sh

number=0

# case_is NAME EXPECTED GOT
case_is() {
        number=$((number + 1))
        if [ "$2" = "$3" ]; then
                echo "ok $number - $1"
        else
                printf '%s\n' "expected:" "$2" "got:" "$3" | sed 's/^/# /'
                echo "not ok $number - $1"
                result=1
        fi
}

# run_session NAME [PREFIX]: each command of a session in this shell, its output compared.
run_session() {
        local line command="" expected=""
        while IFS= read -r line; do
                if [[ $line == '$ '* ]]; then
                        [ -z "$command" ] || run_command "$command" "$expected"
                        command=${line#'$ '} expected=
                else
                        expected+=${expected:+$'\n'}$line
                fi
        done < <(readme_block "$source_root/README.md" "$1")
        [ -z "$command" ] || run_command "$command" "$expected"
}

run_command() {
        case_is "$1" "$2" "$(eval "$1" 2>&1 </dev/null)"
}

result=0
start_guestmapd "$build" || exit 1
cd "$directory" || exit 1
ln -s "$build" build

eval "$(readme_block "$source_root/README.md" setup)"
run_session session
case_is 'the session has ten lines' 10 \
        "$(readme_block "$source_root/README.md" session | readme_commands | wc -l)"
run_session guestmapctl

call /org/guestmap1 Manager CreateVM 'sa{sv}' pc 1 accelerator s none >/dev/null
call /org/guestmap1/vm/pc Map AddRegion 'sststia{sv}' dimm0 ram 0x8000000 system 0x100000000 0 0 \
        >/dev/null
# shellcheck disable=SC2094 # "script" is a name, too
readme_block "$source_root/README.md" script >script
chmod +x script
case_is 'the script commits' 't 3' "$(./script 2>&1 | tail -n 1)"
case_is 'and the DIMM is another one' '"dimm1"' \
        "$(call /org/guestmap1/vm/pc/space/memory AddressSpace Find t 0x100000000 | cut -d ' ' -f 5)"

if /usr/bin/python3 -c 'import dbus' 2>/dev/null; then
        # shellcheck disable=SC2094
        readme_block "$source_root/README.md" program >program
        chmod +x program
        case_is 'the program commits' 'in force, generation 4' "$(./program 2>&1)"
        case_is 'and is refused when run again' 'nothing has changed: RegionExists' \
                "$(./program 2>&1 | cut -d : -f 1,2)"
else
        number=$((number + 1))
        echo "ok $number - the program # SKIP no python3-dbus here"
fi

echo "1..$number"
exit $result

# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Sessions as documents print them, for scripts that source this file
#
# A session is lines: "$ COMMAND", whose output must be the lines below it, up to the next command.
# A command goes on behind a backslash. run_session makes each a case, in TAP, or does with it what
# a function wants; end_cases ends the script. Needs $directory, of private-bus.sh.

number=0
result=0
backslash=\\

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

# skip_case NAME REASON
skip_case() {
        number=$((number + 1))
        echo "ok $number - $1 # SKIP $2"
}

end_cases() {
        echo "1..$number"
        exit $result
}

# shellcheck disable=SC2154 # $directory is private-bus.sh's
# In this shell: what one command sets the next one sees.
run_command() {
        eval "$1" >"$directory/output" 2>&1 </dev/null || :
        case_is "$1" "$2" "$(cat "$directory/output")"
}

# run_session [FUNCTION]: the session on standard input, in this shell. The function gets each command
# and what it should print.
run_session() {
        local each=${1:-run_command} line command="" expected="" open=no
        while IFS= read -r line; do
                if [ $open = yes ]; then
                        command+=" ${line#"${line%%[! ]*}"}"
                elif [[ $line == '$ '* ]]; then
                        [ -z "$command" ] || $each "$command" "$expected"
                        command=${line#'$ '} expected=
                else
                        expected+=${expected:+$'\n'}$line
                        continue
                fi
                open=no
                if [[ $command == *" $backslash" ]]; then
                        command=${command%" $backslash"} open=yes
                fi
        done
        [ -z "$command" ] || $each "$command" "$expected"
}

# readme_block README NAME: the code behind the line <!-- NAME -->.
readme_block() {
        awk -v mark="<!-- $2 -->" '
                $0 == mark { wanted = 1; next }
                wanted && /^```/ { inside = !inside; if (!inside) exit; next }
                inside { print }
        ' "$1"
}

# man_section PAGE.scd [HEADING]: its examples, or what has that heading, as it stands in the source.
man_section() {
        awk -v heading="# ${2:-EXAMPLES}" '/^# / { wanted = $0 == heading; next } wanted' "$1"
}

# man_session PAGE.scd [HEADING]: the sessions in there, as one; other code is to be read only.
man_session() {
        man_section "$@" | awk '
                /^```/ { inside = !inside; first = 1; next }
                inside && first { session = /^\$ /; first = 0 }
                inside && session { gsub(/\\\\/, "\\"); print }
        '
}

# man_code PAGE.scd LINE: the code in it that begins with that line.
man_code() {
        awk -v line="$2" '
                /^```/ { inside = !inside; first = 1; if (wanted) exit; next }
                inside && first { wanted = $0 == line; first = 0 }
                inside && wanted { gsub(/\\\\/, "\\"); print }
        ' "$1"
}

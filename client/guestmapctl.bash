# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for guestmapctl(1)                                  -*- shell-script -*-
#
# guestmapctl itself says what may come next; here it is only put as bash wants it. Loaded by
# bash-completion, some of whose functions are used.

_guestmapctl() {
        local cur words cword before line candidate quoted mark i
        COMPREPLY=()
        _get_comp_words_by_ref -n =: cur words cword || return

        # Names may have blanks: what was typed before them is not part of the name.
        for ((i = 1; i <= cword; i++)); do
                words[i]=${words[i]//[\\\"\']/}
        done
        # What stands before the last = or : is, for readline, a word of its own.
        before=${cur%"${cur##*[=:]}"}
        while IFS= read -r line; do
                candidate=${line%%$'\t'*}
                case $line in
                $'\t'files) compopt -o default ;;
                $'\t'hosts) _known_hosts_real -- "${cur#"$before"}" ;;
                *)
                        quoted=$candidate
                        # A name may be anything, and others give it: no shell is to expand it.
                        case $cur in
                        \"*) for mark in \\ \" \$ \`; do
                                quoted=${quoted//"$mark"/"\\$mark"}
                        done ;;
                        \'*) quoted=${quoted//\'/"'\\''"} ;;
                        *) printf -v quoted %q "$candidate" ;;
                        esac
                        COMPREPLY+=("${quoted#"$before"}")
                        ;;
                esac
        done < <("${words[0]}" __complete "${words[@]:1:cword}" 2>/dev/null)
        [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
        return 0
}

complete -F _guestmapctl guestmapctl

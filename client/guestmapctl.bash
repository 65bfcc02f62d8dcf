# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for guestmapctl(1)                                  -*- shell-script -*-
#
# Verbs and options come from --help, names from the service: nothing to keep in step here.

_guestmapctl_verbs() {
        # Lines of two blanks and a lower-case word, up to the options.
        guestmapctl --help 2>/dev/null | sed -n '/^Options/q; s/^  \([a-z].*\)/\1/p'
}

_guestmapctl_options() {
        guestmapctl --help 2>/dev/null | sed -n 's/^  .. \(--[a-z-]*=\{0,1\}\).*/\1/p'
}

_guestmapctl_vms() {
        guestmapctl "$@" --no-pager --no-legend list 2>/dev/null | cut -d ' ' -f 1
}

_guestmapctl_regions() {
        guestmapctl "$@" 2>/dev/null | sed -n 's/^ .*([^)]*): \([^ ]*\).*/\1/p' | sort -u
}

_guestmapctl_spaces() {
        guestmapctl "$@" 2>/dev/null | sed -n 's/^address-space: //p'
}

# What may stand as word number $1 (0 is the verb) behind the words $2...
_guestmapctl_words() {
        local at=$1 verb=${2-} second=${3-}
        shift

        case $verb in
        space | ioeventfd | coalesced | vcpu)
                if ((at == 1)); then
                        _guestmapctl_verbs | sed -n "s/^$verb \([a-z]*\).*/\1/p"
                        return
                fi
                verb="$verb $second"
                at=$((at - 1))
                shift
                ;;
        esac
        shift

        case $at,$verb in
        0,*)
                _guestmapctl_verbs | cut -d ' ' -f 1 | sort -u
                ;;
        1,create | 1,list | 1,help) ;;
        1,*)
                _guestmapctl_vms "${bus[@]}"
                ;;
        2,flat | 2,find | 2,read | 2,write | "2,space remove")
                _guestmapctl_spaces "${bus[@]}" tree "$1"
                ;;
        2,apply | 2,diff)
                compgen -f -- "$current"
                ;;
        2,show | 2,remove | 2,unplug | 2,enable | 2,disable | 2,move | 2,set | 2,ioeventfd* | 2,coalesced* | 2,handler | 2,dirty | \
                3,move | 3,alias | "3,space add" | 5,add | 6,alias)
                _guestmapctl_regions "${bus[@]}" tree "$1"
                ;;
        "3,vcpu add")
                printf '%s\n' real flat long
                ;;
        3,add)
                printf '%s\n' container ram rom romd mmio reserved
                ;;
        3,handler)
                printf '%s\n' none constant latch log
                ;;
        3,set)
                printf '%s\n' size= offset= priority= enabled= readonly= nonvolatile= \
                        unmergeable= target-offset= romd= dirty-log=
                ;;
        esac
}

_guestmapctl() {
        local current=${COMP_WORDS[COMP_CWORD]} line word next="" words=() bus=() found=""

        # Split at blanks only: COMP_WORDS is split at = and : too.
        read -ra line <<<"${COMP_LINE:0:COMP_POINT}"
        [[ ${COMP_LINE:0:COMP_POINT} == *[[:blank:]] ]] && line+=("")
        for word in "${line[@]:1:${#line[@]}-2}"; do
                case $next$word in
                --user | --system | --host=* | --machine=* | --address=*) bus+=("$word") ;;
                -H | -M) next="$word " ;;
                "-H "* | "-M "*) bus+=("${next% }" "$word") next="" ;;
                -*) ;;
                *) words+=("$word") ;;
                esac
        done

        case ${line[-1]} in
        --json=*) found="short pretty off" ;;
        --accelerator=*) found="kvm none" ;;
        --layout=* | --in=* | --out=*) found=$(compgen -f -- "$current") ;;
        -*) found=$(_guestmapctl_options) ;;
        *) found=$(_guestmapctl_words ${#words[@]} "${words[@]}") ;;
        esac
        [[ $current == "=" ]] && current=""
        mapfile -t COMPREPLY < <(compgen -W "$found" -- "$current")
        [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
        return 0
}

complete -F _guestmapctl guestmapctl

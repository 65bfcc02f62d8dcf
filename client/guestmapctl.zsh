#compdef guestmapctl
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# zsh completion for guestmapctl(1): guestmapctl itself says what may come next.

local line candidate
local -a typed whole begun

# Without quotes, and no further than the cursor.
typed=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")
for line in ${(f)"$(_call_program guestmapctl ${(q)words[1]} __complete "${(@q)typed}")"}; do
        candidate=${line%%$'\t'*}
        case $line in
        $'\t'files) compset -P '--*='; _files ;;
        $'\t'hosts) compset -P '--*='; _hosts ;;
        *)
                line=${candidate//:/\\:}${${line#"$candidate"}/$'\t'/:}
                if [[ $candidate == *= ]]; then begun+=("$line"); else whole+=("$line"); fi
                ;;
        esac
done
_describe -V 'word' whole -- begun -S ''

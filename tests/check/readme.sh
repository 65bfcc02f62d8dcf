# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
#
# What the README prints, for scripts that source this file

# readme_block README NAME: the code behind the line <!-- NAME -->.
readme_block() {
        awk -v mark="<!-- $2 -->" '
                $0 == mark { wanted = 1; next }
                wanted && /^```/ { inside = !inside; if (!inside) exit; next }
                inside { print }
        ' "$1"
}

# readme_commands: of a session, what is typed.
readme_commands() {
        sed -n 's/^\$ //p'
}

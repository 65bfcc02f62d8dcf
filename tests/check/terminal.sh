# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# A terminal for tests, which tmux is: what a program shows there, and keys for it
#
# For scripts that source private-bus.sh, whose $directory it uses. Programs see $TERM as of tmux; nothing of the user's tmux is
# touched.

# A socket each: one that was closed is still going when the next is opened.
terminal_number=0

# terminal COMMAND...: to the terminal's own tmux
terminal() {
        # shellcheck disable=SC2154
        TMUX='' tmux -S "$directory/tmux$terminal_number" -f /dev/null "$@"
}

# terminal_open COLUMNS ROWS COMMAND: a shell's; the terminal outlives it.
terminal_open() {
        terminal_number=$((terminal_number + 1))
        terminal new-session -d -x "$1" -y "$2" "$3; sleep 1000"
}

terminal_close() {
        terminal kill-server 2>/dev/null || :
}

# The rows as they are seen; with -e also how they are painted.
terminal_text() {
        terminal capture-pane -p "$@"
}

terminal_keys() {
        terminal send-keys "$@"
}

terminal_resize() {
        terminal resize-window -x "$1" -y "$2"
}

# terminal_shows PATTERN: now, somewhere in a row; an extended regular expression
terminal_shows() {
        terminal_text | grep -Eq -- "$1"
}

# terminal_paints PATTERN: the same of the text with its escape sequences, ESC being \x1b
terminal_paints() {
        terminal_text -e | grep -Pq -- "$1"
}

#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What shells complete, in a terminal where keys are pressed. What is there to be completed has been
made by test-completion.sh.

    check-completion.py SOURCE-ROOT BUILD DIRECTORY
"""

import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import termios
import time

import pages
import tap

PATIENCE = 30  # seconds, for one key

# Keys: TAB completes; these insert all that could be meant, show the line, and empty it.
TAB, ALL, SHOW, EMPTY = "\t", "\x18*", "\x18\x04", "\x15"

BASH = r"""
PS1='ready> '
BASH_COMPLETION_USER_DIR={0}
HOSTFILE={0}/hosts
. /usr/share/bash-completion/bash_completion
bind '"\C-x*": insert-completions'
bind -x '"\C-x\C-d": printf "<<%s>>\n" "$READLINE_LINE"'
"""
ZSH = r"""
PS1='ready> '
unsetopt prompt_cr prompt_sp
fpath=({0} $fpath)
autoload -Uz compinit
compinit -D -u
zstyle ':completion:*' hosts buildhost
zstyle ':completion:all:*' completer _all_matches _complete
zstyle ':completion:all:*' insert true
zle -C all complete-word _generic
bindkey '^X*' all
show() {{ print -r -- "<<$BUFFER>>" }}
zle -N show
bindkey '^X^D' show
"""

# What is typed behind "guestmapctl --user ", and the whole of it after TAB.
COMPLETED = [
    ("li", "list "),
    ("trans", "transactions "),
    ("sp", "space "),
    ("ioeventfd w", "ioeventfd wait "),
    ("help vcpu regi", "help vcpu registers "),
    ("tree p", "tree pc "),
    ("flat pc m", "flat pc memory "),
    ("space remove pc d", "space remove pc dma "),
    ("show pc P", r"show pc PCI\ \(mem\) "),
    ('show pc "P', 'show pc "PCI (mem)" '),
    (r"show pc PCI\ ", r"show pc PCI\ \(mem\) "),
    ("enable pc v", r"enable pc vga\$rom:1 "),
    (r"enable pc vga\$rom:", r"enable pc vga\$rom:1 "),
    (r"show pc \$", r"show pc \$\(id\)="),
    ('enable pc "v', r'enable pc "vga\$rom:1" '),
    ("enable pc 'v", "enable pc 'vga$rom:1' "),
    ("move pc io sys", "move pc io system "),
    ("add pc x re", "add pc x reserved "),
    ("add pc x ram 1GiB sy", "add pc x ram 1GiB system "),
    ("add --dis", "add --disabled "),
    ("create --acc", "create --accelerator="),
    ("create x --accelerator=k", "create x --accelerator=kvm "),
    ("set pc system pri", "set pc system priority="),
    ("set pc system size=1GiB ro", "set pc system size=1GiB romd="),
    ("set pc system romd=y", "set pc system romd=yes "),
    ("cancel pc ", "cancel pc "),
    ("preview pc ", "preview pc {id} "),
    ("remove pc io --transaction=", "remove pc io --transaction={id} "),
    ("remove pc io -T ", "remove pc io -T {id} "),
    ("--json=sh", "--json=short "),
    ("-H build", "-H buildhost "),
    ("--host=build", "--host=buildhost "),
    ("apply pc {directory}/lay", "apply pc {directory}/layout.json "),
    ("create x --layout={directory}/lay", "create x --layout={directory}/layout.json "),
    ("show pc nothing", "show pc nothing"),
]

# The same where there is KVM: lab has a vCPU.
COMPLETED_KVM = [
    ("vcpu start lab ", "vcpu start lab 7 "),
    ("vcpu registers lab 7 ri", "vcpu registers lab 7 rip="),
]

# What is typed, and all that could be meant.
OFFERED = [
    ("show ", ["lab", "pc"]),
    ("show pc ", ["$(id)=", "PCI (mem)", "io", "system", "vga$rom:1"]),
    ("flat pc ", ["dma", "io", "memory"]),
    ("vcpu add pc 0 ", ["flat", "long", "real"]),
    ("space ", ["add", "remove"]),
    ("list --no-", ["--no-legend", "--no-pager"]),
]


class Terminal:
    """A shell in a terminal of its own."""

    def __init__(self, *command, **environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, os.environ | {"TERM": "dumb"} | environment)
        termios.tcsetwinsize(self.fd, (24, 1000))
        self.text = ""
        self.until(r"ready> ")

    def until(self, pattern):
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.text, re.DOTALL)):
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(f"no {pattern} in {self.text!r}")
            self.text += os.read(self.fd, 4096).decode()
        self.text = self.text[found.end():]
        return found

    def line_after(self, keys):
        os.write(self.fd, (EMPTY + keys).encode())
        os.write(self.fd, SHOW.encode())
        return self.until(r"<<(.*?)>>\r\n")[1]


def check_completed(terminal, typed, expected):
    line = terminal.line_after(f"guestmapctl --user {typed}{TAB}")
    if line != f"guestmapctl --user {expected}":
        yield f"{line!r} instead of {expected!r}"


def check_with_kvm(terminal, typed, expected, facts):
    if not (facts["directory"] / "kvm").exists():
        raise tap.Skip("/dev/kvm cannot be used here")
    return check_completed(terminal, typed, expected)


def check_offered(terminal, typed, expected):
    line = terminal.line_after(f"guestmapctl --user {typed}{ALL}")
    offered = sorted(shlex.split(line)[2 + len(typed.split()) - (typed[-1] != " "):])
    if offered != expected:
        yield f"{offered} instead of {expected}"


def shell_cases(name, start, facts):
    if not shutil.which(name):
        def skip():
            raise tap.Skip(f"no {name} here")
        return [(f"{name}: TAB", skip)]
    terminal = start()
    return [(f"{name}: {typed}", lambda t=typed, e=expected: check_completed(
        terminal, t.format(**facts), e.format(**facts))) for typed, expected in COMPLETED] \
        + [(f"{name}: {typed}", lambda t=typed, e=expected: check_with_kvm(terminal, t, e, facts))
           for typed, expected in COMPLETED_KVM] \
        + [(f"{name}: {typed}TAB TAB", lambda t=typed, e=expected: check_offered(terminal, t, e))
           for typed, expected in OFFERED]


def start_bash(root, directory, path):
    completions = directory / "completions"
    completions.mkdir()
    shutil.copy(root / "client" / "guestmapctl.bash", completions / "guestmapctl")
    (directory / "hosts").write_text("192.0.2.1 buildhost\n", encoding="utf-8")
    (directory / "bashrc").write_text(BASH.format(directory), encoding="utf-8")
    return Terminal("bash", "--rcfile", str(directory / "bashrc"), "-i", PATH=path)


def start_zsh(root, directory, path):
    shutil.copy(root / "client" / "guestmapctl.zsh", directory / "_guestmapctl")
    (directory / ".zshrc").write_text(ZSH.format(directory), encoding="utf-8")
    return Terminal("zsh", "-d", "-i", PATH=path, ZDOTDIR=str(directory))


def unknown(client, *words):
    """What guestmapctl says of an argument that its completion does not know."""
    result = subprocess.run([client, "__complete", *words], capture_output=True, text=True,
                            stdin=subprocess.DEVNULL, timeout=20, check=False)
    return [line for line in result.stderr.splitlines() if "nobody has said" in line]


def check_known(client, verb):
    """Of each argument and option it is known what completes it, and no other option is offered."""
    for n in range(len(verb.arguments)):
        yield from unknown(client, *verb.words, *["pc"] * n, "")
    offered = [line.partition("\t")[0] for line
               in pages.run(client, "__complete", *verb.words, "-").splitlines()]
    there = pages.options(client) + pages.options(client, *verb.words)
    if offered != there:
        yield f"options offered: {offered}, options there: {there}"
    for option in offered:
        if option.endswith("="):
            yield from unknown(client, *verb.words, "pc", option)


def main(root, build, directory):
    root, build, directory = pathlib.Path(root), pathlib.Path(build), pathlib.Path(directory)
    client = str(build / "client" / "guestmapctl")
    (directory / "layout.json").touch()
    facts = {"id": (directory / "id").read_text(encoding="utf-8").strip(), "directory": directory}
    path = f"{build}/client:{os.environ['PATH']}"
    tap.run([(f"the arguments of {verb.name}", lambda v=verb: check_known(client, v))
             for verb in pages.verbs(client)]
            + shell_cases("bash", lambda: start_bash(root, directory, path), facts)
            + shell_cases("zsh", lambda: start_zsh(root, directory, path), facts))


main(*sys.argv[1:])

#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The man pages say what there is, and nothing else.

    check-man.py SOURCE-ROOT PROGRAM … BUILT-PAGE …

org.guestmap1.5 has each member of api/*.xml under its interface, with its signature and its errors,
and tells whose rule it follows; it has all errors, and the metrics. guestmapctl.1 has the verbs
that guestmapctl --help prints, and tells of their exit statuses; the page of each program has its
options, guestmapd.conf.5 the keys of the file that is installed; built pages are free of mandoc's
warnings; README.md lists the pages and HACKING.md the tests.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import xml.dom.minidom

import pages
import rules
import tap

# What scdoc puts before every list and literal block.
EMPTY_PARAGRAPH = "skipping paragraph macro"


def arguments(args):
    return ", ".join(f"{arg.getAttribute('type')} _{arg.getAttribute('name')}_" for arg in args)


def signature(member):
    """The line that introduces a member in the page."""
    name = f"*{member.getAttribute('name')}*"
    if member.tagName == "property":
        notes = [note.getAttribute("value") for note in member.getElementsByTagName("annotation")]
        words = {"const": ["constant"], "false": []}[notes[0]] if notes else ["signalled"]
        words += ["writable"] if member.getAttribute("access") == "readwrite" else []
        words = f" _{', '.join(words)}_" if words else ""
        return f"{name} {member.getAttribute('type')}{words}"
    args = member.getElementsByTagName("arg")
    results = [arg for arg in args if arg.getAttribute("direction") == "out"]
    given = [arg for arg in args if arg not in results]
    return f"{name}({arguments(given)})" + (f" → {arguments(results)}" if results else "")


def interface_members(path):
    interface = xml.dom.minidom.parse(str(path)).getElementsByTagName("interface")[0]
    return [signature(member) for tag in ("method", "property", "signal")
            for member in interface.getElementsByTagName(tag)]


def page_sections(path):
    """The text of a page by heading."""
    parts = re.split(r"^# (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def check_interface(root, path):
    page = page_sections(root / "man" / "org.guestmap1.5.scd")
    text = page.get(path.stem.upper())
    if text is None:
        yield f"no heading {path.stem.upper()}"
        return
    told = re.findall(r"^(\*\w+\*(?:\(| [a-z({]).*)$", text, re.MULTILINE)
    there = interface_members(path)
    yield from (f"not in the page: {line}" for line in there if line not in told)
    yield from (f"in the page only: {line}" for line in told if line not in there)


def error_names(root):
    header = (root / "api" / "errors.h").read_text(encoding="utf-8")
    return set(re.findall(r'^#define GUESTMAP_ERROR_\w+ "(\w+)"', header, re.MULTILINE))


def check_member_errors(root, path):
    """Each member has those that its comment in the XML has."""
    names = error_names(root) | {"InvalidArgs", "Cancelled"}
    section = page_sections(root / "man" / "org.guestmap1.5.scd").get(path.stem.upper(), "")
    parts = re.split(r"^\*(\w+)\*(?=\(| )", section, flags=re.MULTILINE)
    page = dict(zip(parts[1::2], parts[2::2]))
    for name, comment in rules.comments_of(path).items():
        there, told = (names.intersection(re.findall(r"\w+", text.partition("Source:")[0]))
                       for text in (comment, page.get(name, "")))
        if there != told and name != path.stem:
            yield f"{name}: the page has {sorted(told)}, the XML {sorted(there)}"


def check_errors(root):
    there = error_names(root)
    text = page_sections(root / "man" / "org.guestmap1.5.scd")["ERRORS"]
    told = {name for row in re.findall(r"^\|  (.*)$", text, re.MULTILINE)
            for name in row.split(", ")}
    yield from (f"not in the page: {name}" for name in sorted(there - told))
    yield from (f"in the page only: {name}" for name in sorted(told - there))


def check_metrics(root):
    """The families of each daemon's table are those of the page, with their types."""
    families = [row for path in sorted((root / "daemon").glob("*/metrics-dbus.c"))
                for row in re.findall(r'\{\{"(\w+)", "(\w+)", "', path.read_text(encoding="utf-8"))]
    text = page_sections(root / "man" / "org.guestmap1.5.scd")["METRICS"].replace("\\", "")
    told = re.findall(r"^\|  (\w+)\n:  (\w+)", text, re.MULTILINE)
    yield from (f"not in the page: {row}" for row in families if row not in told)
    yield from (f"in the page only: {row}" for row in told if row not in families)
    yield from [] if families else ["no families found"]


def check_sources(root, interfaces):
    """Whose rules members follow; but for those that follow this project's, as most do."""
    there = set()
    for path in interfaces:
        found = rules.of_interface(path)
        usual = found.pop(path.stem)
        there |= {(path.stem.split(".")[-1], name, source)
                  for name, source in [("all others", usual), *found.items()]
                  if (source, usual) != ("this project", "this project")}
    text = page_sections(root / "man" / "org.guestmap1.5.scd")["SOURCES"].replace("\\", "")
    told = {(interface, name, source)
            for interface, names, source in re.findall(r"^\|  (\w+)[:,] (.*)\n:  (.*)$", text,
                                                       re.MULTILINE)
            for name in names.split(", ")}
    yield from (f"not in the page: {' '.join(row)}" for row in sorted(there - told))
    yield from (f"in the page only: {' '.join(row)}" for row in sorted(told - there))


def check_options(root, program, name):
    page = page_sections(root / "man" / f"{name}.scd")["OPTIONS"]
    text = pages.run(program, "--help").split("\nValues\n")[0]
    there = {option for line in re.findall(r"^  +(-.*)$", text, re.MULTILINE)
             for option in re.findall(r"(?<![^ ,])(--?[a-zA-Z][a-z-]*)", line.split("   ")[0])}
    told = {option for line in re.findall(r"^\*-.*$", page, re.MULTILINE)
            for option in re.findall(r"\*(--?[a-zA-Z][a-z-]*)", line)}
    yield from (f"not in the page: {option}" for option in sorted(there - told))
    yield from (f"in the page only: {option}" for option in sorted(told - there))


def check_statuses(root, client):
    """Of verbs for which one means something of its own."""
    text = page_sections(root / "man" / "guestmapctl.1.scd")["EXIT STATUS"]
    told = dict(re.findall(r"^(\d)\n((?:\t.*\n)+)", text, re.MULTILINE))
    for verb in pages.verbs(client):
        page = pages.run(client, *verb.words, "--help").partition("\nExit status\n")[2]
        for status in re.findall(r"^  (\d)  ", page, re.MULTILINE):
            if not re.search(rf"\b{verb.name}\b", told.get(status, "")):
                yield f"not in the page: {status} of {verb.name}"


def check_settings(root):
    told = page_sections(root / "man" / "guestmapd.conf.5.scd")
    text = (root / "systemd" / "guestmapd.conf").read_text(encoding="utf-8")
    parts = re.split(r"^\[(\w+)\]$", text, flags=re.MULTILINE)
    for section, settings in zip(parts[1::2], parts[2::2]):
        there = set(re.findall(r"^#(\w+)=", settings, re.MULTILINE))
        rows = set(re.findall(r"^\|  (\w+)$", told.get(f"[{section.upper()}]", ""), re.MULTILINE))
        yield from (f"not in the page: {section}, {key}" for key in sorted(there - rows))
        yield from (f"in the page only: {section}, {key}" for key in sorted(rows - there))


def verb_lines(text):
    """"add VM NAME" from the lines of --help that begin with a verb."""
    verbs = text.split("\nOptions\n")[0]
    return {re.split(r"  +", line.strip())[0]
            for line in re.findall(r"^  [a-z].*$", verbs, re.MULTILINE)}


def check_verbs(root, client):
    page = page_sections(root / "man" / "guestmapctl.1.scd")["VERBS"]
    told = {re.sub(r"[*_…]", lambda mark: "..." if mark[0] == "…" else "", line)
            for line in re.findall(r"^\*[a-z].*$", page, re.MULTILINE)}
    there = verb_lines(pages.run(client, "--help"))
    yield from (f"not in the page: {verb}" for verb in sorted(there - told))
    yield from (f"in the page only: {verb}" for verb in sorted(told - there))


def check_lists(root):
    """README.md has each page, HACKING.md each folder of tests."""
    readme = (root / "README.md").read_text(encoding="utf-8")
    hacking = (root / "HACKING.md").read_text(encoding="utf-8")
    for path in sorted((root / "man").glob("*.scd")):
        name, section = path.stem.rsplit(".", 1)
        if f"{name}({section})" not in readme:
            yield f"README.md does not name {name}({section})"
    for path in sorted((root / "tests").glob("*/meson.build")):
        if f"| `tests/{path.parent.name}` |" not in hacking:
            yield f"HACKING.md does not name tests/{path.parent.name}"


def check_lint(page):
    if not shutil.which("mandoc"):
        raise tap.Skip("no mandoc here")
    result = subprocess.run(["mandoc", "-Tlint", "-Wwarning", page], capture_output=True, text=True,
                            timeout=20)
    return [line for line in result.stdout.splitlines() if EMPTY_PARAGRAPH not in line]


def program_cases(root, program):
    name = pathlib.Path(program).name
    page = f"{name}.{1 if name == 'guestmapctl' else 8}"
    yield f"{page} has the options", lambda: check_options(root, program, page)
    if name == "guestmapctl":
        yield f"{page} has the verbs", lambda: check_verbs(root, program)
        yield f"{page} has their exit statuses", lambda: check_statuses(root, program)


def main(root, *files):
    root = pathlib.Path(root)
    built = [file for file in files if re.search(r"\.\d$", file)]
    interfaces = sorted((root / "api").glob("*.xml"))
    tap.run([(f"org.guestmap1.5 has {path.stem}", lambda p=path: check_interface(root, p))
             for path in interfaces]
            + [(f"org.guestmap1.5 has the errors of {path.stem}",
                lambda p=path: check_member_errors(root, p)) for path in interfaces]
            + [("org.guestmap1.5 has the errors", lambda: check_errors(root)),
               ("org.guestmap1.5 has the metrics", lambda: check_metrics(root)),
               ("org.guestmap1.5 has the sources", lambda: check_sources(root, interfaces)),
               ("guestmapd.conf.5 has the settings", lambda: check_settings(root)),
               ("README.md and HACKING.md list what there is", lambda: check_lists(root))]
            + [case for file in files if file not in built for case in program_cases(root, file)]
            + [(f"mandoc likes {pathlib.Path(page).name}", lambda p=page: check_lint(p))
               for page in built])


main(*sys.argv[1:])

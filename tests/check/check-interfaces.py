#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The introspection XML is well-formed, and describes every member and every argument.

The description of a member is the comment right before it, in the form that gdbus-codegen reads:
its name and a colon, a line "@argument: …" for each argument, then text. Of a method that is given
something it has the errors, or says that there are none.
"""

import pathlib
import re
import sys
import xml.dom.minidom

import rules
import tap


def problems_of(element):
    name = element.getAttribute("name")
    comment = rules.comment_before(element)
    if comment is None or not comment.lstrip().startswith(name + ":"):
        yield f"{element.tagName} {name}: no comment \"{name}: …\" before it"
        return
    asked = [arg.getAttribute("name") for arg in element.getElementsByTagName("arg")
             if arg.parentNode is element]
    told = re.findall(r"^\s*@(\w+):", comment, re.MULTILINE)
    if asked != told and element.tagName != "interface":
        yield f"{element.tagName} {name}: has arguments {asked}, describes {told}"
    given = [arg for arg in element.getElementsByTagName("arg")
             if arg.getAttribute("direction") == "in"]
    if element.tagName == "method" and given and not re.search(r"\b[Ee]rrors\b", comment):
        yield f"method {name}: nothing is said of errors"
    if len(re.sub(r"^\s*\w+:|@\w+:|Source: .*", "", comment, flags=re.DOTALL).split()) < 2:
        yield f"{element.tagName} {name}: the comment says nothing"


def check(path):
    document = xml.dom.minidom.parse(str(path))
    interfaces = document.getElementsByTagName("interface")
    if [i.getAttribute("name") for i in interfaces] != [path.stem]:
        yield f"holds other interfaces than {path.stem}"
    for tag in rules.MEMBERS:
        for element in document.getElementsByTagName(tag):
            yield from problems_of(element)
    for arg in document.getElementsByTagName("arg"):
        if not re.fullmatch(r"[a-z][a-z0-9_]*", arg.getAttribute("name")):
            yield f"argument {arg.getAttribute('name')!r} is not in snake_case"


def main(root):
    paths = sorted(pathlib.Path(root, "api").glob("*.xml"))
    tap.run([(path.name, lambda path=path: check(path)) for path in paths]
            + [("there are interfaces", lambda: [] if paths else ["api/ has no XML"])])


main(sys.argv[1])

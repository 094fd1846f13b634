#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The tree's own rules, for what a formatter and a compiler cannot see. Prints path:line: rule; exits 1 on any.

Floors (floors.txt), banned calls (banned.txt), sizes, SPDX lines, file names, await form, links in Markdown, titles,
tests that Markdown names.
"""
import pathlib
import re
import subprocess
import sys

import named_tests

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tools/tidy"
MAX_FILE, MAX_FUNCTION, MAX_COLUMNS, MAX_MODULES = 600, 110, 120, 24
BANNED_NAMES = {"manager", "helper", "util", "utils", "misc", "common", "impl", "info", "base_class"}
problems = []


def report(path, line, text):
    problems.append(f"{path.relative_to(ROOT)}:{line}: {text}")


def tracked():
    out = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], check=True, capture_output=True, text=True).stdout
    return [ROOT / p for p in out.splitlines() if (ROOT / p).is_file()]


def load_floors():
    floors = {}
    for line in (HERE / "floors.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            folder, _, allowed = line.partition(":")
            floors[folder] = allowed.split()
    return floors


def floor_of(path_text, floors):
    best = None
    for folder in floors:
        if path_text.startswith(folder + "/") and (best is None or len(folder) > len(best)):
            best = folder
    return best


def check_floors(path, lines, floors):
    own = floor_of(path.relative_to(ROOT / "src").as_posix(), floors)
    if own is None:
        report(path, 1, "folder is not in tools/tidy/floors.txt")
        return
    allowed = floors[own]
    for number, line in enumerate(lines, 1):
        match = re.match(r'\s*#include "([^"]+)"', line)
        if not match:
            continue
        if not (ROOT / "src" / match[1]).exists():
            # A generated header or one of the test's own; both live below the build folder or beside the file.
            if not (path.parent / match[1]).exists() and not match[1].startswith("generated/"):
                report(path, number, f'include "{match[1]}" is not below src/')
            continue
        target = floor_of(match[1], floors)
        if target is None or target == own or "*" in allowed or target in allowed:
            continue
        if path.name.endswith("_test.cc") and own in ("api/wire", "api/services", "api/device", "mqtt/broker"):
            continue  # tests there plug real parts together
        report(path, number, f"{own} may not include {target} (tools/tidy/floors.txt)")


def load_banned():
    rows = []
    for line in (HERE / "banned.txt").read_text().splitlines():
        if line and not line.startswith("# "):
            pattern, allowed, instead = line.split("\t")
            rows.append((re.compile(pattern), allowed.split(), instead))
    return rows


def strip_code(line):
    """The line without // comments and string contents, so that words there do not count."""
    line = re.sub(r'"(?:\\.|[^"\\])*"', '""', line) if not line.lstrip().startswith("#include") else line
    return re.sub(r"//.*", "", line)


def check_banned(path, lines, rows):
    relative = path.relative_to(ROOT).as_posix()
    for number, line in enumerate(lines, 1):
        code = strip_code(line)
        for pattern, allowed, instead in rows:
            text = line if "TODO" in pattern.pattern or "FIXME" in pattern.pattern else code
            if pattern.search(text) and not any(relative.startswith(a) or a.startswith("_test") and relative.endswith(a) for a in allowed):
                report(path, number, f"banned: {pattern.search(text)[0]}; use {instead}")


def check_sizes(path, lines):
    if len(lines) > MAX_FILE:
        report(path, len(lines), f"{len(lines)} lines, {MAX_FILE} at most: split by noun")
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS:
            report(path, number, f"{len(line)} columns, {MAX_COLUMNS} at most")
    start = None
    for number, line in enumerate(lines, 1):
        if re.match(r"[^\s#/}].*\{$", line) and not re.match(r"(namespace|struct|class|enum|extern|TEST|inline constexpr|constexpr|const|static const|union)\b", line):
            start = number
        elif line.startswith("}") and start is not None:
            if number - start > MAX_FUNCTION:
                report(path, start, f"function of {number - start} lines, {MAX_FUNCTION} at most")
            start = None


AWAIT_OK = re.compile(r"(^\s*(?:\(void\)|\(void\) )?co_await\b)|(=\s*co_await\b)|(co_return co_await\b)|(CO_TRY(?:_VOID)?\([^;]*?co_await\b)")


def check_awaits(path, lines):
    for number, line in enumerate(lines, 1):
        code = strip_code(line)
        if "co_await" not in code:
            continue
        if code.count("co_await") > 1 or not AWAIT_OK.search(code):
            previous = strip_code(lines[number - 2]).rstrip() if number > 1 else ""
            if code.lstrip().startswith("co_await") and previous.endswith(("=", "(", ",")):
                continue
            report(path, number, "co_await stands at the start of a statement or after =, co_return or CO_TRY(x,")


def check_names(path):
    stem = re.sub(r"_test$", "", path.stem)
    if not re.fullmatch(r"[a-z0-9_]+", path.stem):
        report(path, 1, "file names are snake_case")
    if set(stem.split("_")) & BANNED_NAMES:
        report(path, 1, "banned word in a file name")


def check_markdown(path, text):
    titles = [l for l in re.sub(r"```.*?```", "", text, flags=re.S).splitlines() if l.startswith("# ")]
    if len(titles) != 1:
        report(path, 1, f"{len(titles)} titles, one wanted")
    for number, line in enumerate(text.splitlines(), 1):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", line):
            if "://" not in target and not (path.parent / target).exists():
                report(path, number, f"link to nothing: {target}")


def check_named_tests(paths):
    sources = {}
    for path in paths:
        if path.name.endswith("_test.cc") or (path.name.startswith("test_") and path.suffix == ".py"):
            sources.setdefault(path.name, []).append(path.read_text())
    for path in paths:
        if path.suffix == ".md":
            for line, file, name in named_tests.missing(path.read_text(), sources):
                report(path, line, f"no such test: {file}::{name}")


def main():
    floors, banned = load_floors(), load_banned()
    modules = {}
    paths = tracked()
    check_named_tests(paths)
    for path in paths:
        relative = path.relative_to(ROOT).as_posix()
        if path.suffix == ".md":
            check_markdown(path, path.read_text())
            continue
        if path.suffix not in (".cc", ".h", ".py", ".sh", ".js", ".mjs", ".ts"):
            continue
        if relative.startswith("tools/modelgen/golden/"):
            continue
        text = path.read_text()
        lines = text.splitlines()
        if not any("SPDX-License-Identifier: Apache-2.0" in l for l in lines[:3]):
            report(path, 1, "no SPDX line")
        if path.suffix in (".cc", ".h"):
            check_sizes(path, lines)
            if not relative.startswith("tests/toolchain/"):  # holds the forbidden forms on purpose
                check_banned(path, lines, banned)
                check_awaits(path, lines)
            check_names(path)
            if relative.startswith("src/"):
                check_floors(path, lines, floors)
                if path.suffix == ".h" and "#pragma once" not in text:
                    report(path, 1, "no #pragma once")
                if path.suffix == ".h":
                    modules.setdefault(path.parent, []).append(path)
        elif len(lines) > MAX_FILE:
            report(path, len(lines), f"{len(lines)} lines, {MAX_FILE} at most")
    for folder, headers in modules.items():
        if len(headers) > MAX_MODULES:
            report(folder, 0, f"{len(headers)} modules in one folder, {MAX_MODULES} at most")
    for problem in sorted(problems):
        print(problem)
    print(f"tidy: {len(problems)} problems")
    return 1 if problems else 0


sys.exit(main())

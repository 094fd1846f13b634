#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Golden test of the generator: golden/<name>.json (model) with <name>.toml (support) must give <name>.expected, and
each case of golden/broken.json must fail with its message. --update writes the expected files."""
import copy
import difflib
import json
import os
import sys
import tomllib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import modelgen  # noqa: E402
import patterns  # noqa: E402

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")


def load(name):
    with open(os.path.join(FOLDER, name + ".json"), encoding="utf-8") as file:
        model = json.load(file)
    with open(os.path.join(FOLDER, name + ".toml"), "rb") as file:
        return model, tomllib.load(file)


def check_expected(name, update):
    actual = modelgen.generate(name, *load(name))
    path = os.path.join(FOLDER, name + ".expected")
    if update:
        modelgen.write_file(path, actual)
        return True
    expected = ""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            expected = file.read()
    if actual == expected:
        return True
    sys.stdout.writelines(difflib.unified_diff(expected.splitlines(True), actual.splitlines(True), path, "generated"))
    return False


def check_broken():
    with open(os.path.join(FOLDER, "broken.json"), encoding="utf-8") as file:
        cases = json.load(file)
    good = True
    for case in cases:
        model, support = (copy.deepcopy(part) for part in load(case["from"]))
        modelgen.merge(model, case.get("model", {}))
        modelgen.merge(support, case.get("support", {}))
        try:
            modelgen.generate(case["from"], model, support)
            message = "(accepted)"
        except modelgen.ModelError as error:
            message = str(error)
        if case["message"] not in message:
            print("expected a failure with %r, got %s" % (case["message"], message))
            good = False
    return good


def check_patterns():
    """Model text -> RE2 text, and what must be refused (None)."""
    cases = [
        (r"[\p{Graph}\x20]*", r"[[:graph:]\x{20}]*"), (r"\P{Print}", r"[[:^print:]]"),
        (r"[^\p{C}]*+", r"[^\p{C}]*"), (r"\u002F[\u0021-\u007F]*", r"\x{2F}[\x{21}-\x{7F}]*"),
        (r"a\/b", "a/b"), (r"[[a]", r"[\[a]"), ("[]a]", "[]a]"),
        (r"[\uD800\uDC00-\uDBFF\uDFFF]", r"[\x{10000}-\x{10FFFF}]"),
        (r"(?!^[0-9]+$)([a-zA-Z0-9-_]+)", "@not_all_digits"),
        (r"a(?!b)", None), (r"(?<=a)b", None), (r"(a)\1", None), (r"a++b", None), (r"[a&&b]", None), (r"[\uD800]", None),
        (r"\p{IsGreek}", None), ("[a", None), ("a\\", None)]
    good = True
    for source, wanted in cases:
        try:
            actual = patterns.translate(source)
        except patterns.Untranslatable:
            actual = None
        if actual != wanted:
            print("pattern %r: expected %r, got %r" % (source, wanted, actual))
            good = False
    return good


def main():
    update = sys.argv[1:] == ["--update"]
    names = sorted(f[:-5] for f in os.listdir(FOLDER) if f.endswith(".toml"))
    results = [check_expected(name, update) for name in names] + [check_broken(), check_patterns()]
    if not all(results):
        print("run tools/modelgen/golden.py --update when the change is meant")
    return 0 if names and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())

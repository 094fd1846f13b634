# SPDX-License-Identifier: Apache-2.0
"""Patterns of the service models (Java syntax, whole match) to RE2 syntax.

What RE2 lacks is translated where it means the same, replaced by a predicate written by hand in
src/api/wire/predicates.cc where it cannot be (look-around), and refused otherwise: a constraint is never dropped.
"""
import re

# Whole patterns that need look-around: the model's text -> name of the predicate.
PREDICATES = {
    r"(?!^[0-9]+$)([a-zA-Z0-9-_]+)": "not_all_digits",
    r"(^\$LATEST$)|((?!^[0-9]+$)([a-zA-Z0-9-_]+))": "latest_or_not_all_digits",
    r"^[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?$": "dns_like_label",
    r"^[0-9A-Za-z\.\-_]*(?<!\.)$": "no_final_dot",
}

# POSIX classes are ASCII in Java without UNICODE_CHARACTER_CLASS, and in RE2.
CLASSES = {
    "Graph": "[:graph:]", "Print": "[:print:]", "Upper": "[:upper:]", "Lower": "[:lower:]", "Alpha": "[:alpha:]",
    "Digit": "[:digit:]", "Alnum": "[:alnum:]", "Punct": "[:punct:]", "Cntrl": "[:cntrl:]", "Space": "[:space:]",
    "XDigit": "[:xdigit:]", "Blank": "[:blank:]",
}
# General categories that RE2 knows. Java's C also holds unassigned code points, which RE2 cannot name: they pass.
CATEGORIES = {"C", "Cc", "Cf", "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "N", "Nd", "P", "S", "Z", "Zs"}
SIMPLE_ESCAPES = set("dDsSwWbBtnrf") | set("\\/.-+*?()[]{}|^$:@_=!#,%&~'\"<> ")


class Untranslatable(Exception):
    pass


def _escape(pattern, i, in_class):
    """Translates the escape at pattern[i] (a backslash); returns (text, next index)."""
    if i + 1 >= len(pattern):
        raise Untranslatable("ends in a backslash")
    c = pattern[i + 1]
    if c == "u":
        # IAM writes \u10000-\u10FFFF for the supplementary planes; Java would read \u1000 and "0". Meant: the planes.
        for hexadecimal, end in ((pattern[i + 2:i + 8], 8), (pattern[i + 2:i + 7], 7), (pattern[i + 2:i + 6], 6)):
            if hexadecimal in ("10000", "10FFFF") or end == 6:
                break
        if not re.fullmatch(r"[0-9A-Fa-f]{4,6}", hexadecimal):
            raise Untranslatable("broken \\u escape")
        value = int(hexadecimal, 16)
        if 0xD800 <= value <= 0xDFFF:
            raise Untranslatable("surrogate in a range")
        return "\\x{%X}" % value, i + end
    if c == "x":
        match = re.match(r"\\x([0-9A-Fa-f]{2})", pattern[i:])
        if not match:
            raise Untranslatable("broken \\x escape")
        return "\\x{%s}" % match[1].upper(), i + 4
    if c in "pP":
        match = re.match(r"\\([pP])(?:\{(\w+)\}|(\w))", pattern[i:])
        if not match:
            raise Untranslatable("broken \\p escape")
        name, end = match[2] or match[3], i + match.end()
        if name in CLASSES:
            posix = CLASSES[name] if match[1] == "p" else CLASSES[name].replace("[:", "[:^")
            return (posix if in_class else "[" + posix + "]"), end
        if name in CATEGORIES:
            return "\\%s{%s}" % (match[1], name), end
        raise Untranslatable("\\p{%s} is unknown here" % name)
    if c in SIMPLE_ESCAPES:
        return ("/" if c == "/" else pattern[i:i + 2]), i + 2
    raise Untranslatable("escape \\%s" % c)


def translate(pattern):
    """RE2 text for a whole match, or "@predicate"."""
    if pattern in PREDICATES:
        return "@" + PREDICATES[pattern]
    # Surrogate pairs are how Java's UTF-16 spells the supplementary planes.
    pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\u10000-\u10FFFF")
    out, i, in_class, last_quantifier = [], 0, False, False
    while i < len(pattern):
        c = pattern[i]
        if c == "\\":
            text, i = _escape(pattern, i, in_class)
            out.append(text)
            last_quantifier = False
            continue
        if in_class:
            if c == "&" and pattern.startswith("&&", i):
                raise Untranslatable("class intersection")
            if c == "[":
                c = "\\["
            if c == "]" and out[-1] not in ("[", "[^"):
                in_class = False
            out.append(c)
            i += 1
            last_quantifier = False
            continue
        if c == "[":
            in_class = True
            negated = pattern.startswith("[^", i)
            out.append("[^" if negated else "[")
            i += 2 if negated else 1
            last_quantifier = False
            continue
        if c == "(" and pattern.startswith("(?", i) and not pattern.startswith("(?:", i):
            raise Untranslatable("look-around or inline flag without a predicate")
        if c == "+" and last_quantifier:
            # Possessive: with a whole match of one class it accepts the same texts; nothing else is let through.
            if i + 1 != len(pattern) or not re.fullmatch(r"\[[^\]]*\][*+?]\+", pattern):
                raise Untranslatable("possessive quantifier inside a pattern")
            i += 1
            continue
        last_quantifier = c in "*+?}"
        out.append(c)
        i += 1
    if in_class:
        raise Untranslatable("unclosed class")
    return "".join(out)

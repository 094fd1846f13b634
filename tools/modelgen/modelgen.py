#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Service models -> constexpr tables (src/api/wire/model.h), one .cc a service.

  modelgen.py --model-paths SERVICE...                 prints the files read, for the build's dependencies
  modelgen.py --support FOLDER --out DIR SERVICE...

Input: botocore's service-2.json (Debian's python3-botocore), or own/<service>.json in the same form for a service of
ours; overlay/<service>.json for members and limits newer than that; and the support lists (FOLDER/*.toml), which say what Muster serves. Only operations named there get shapes; all are listed. Anything
that cannot be expressed (a pattern, a type, a name in a support list that the model does not have) fails the build.
"""
import argparse
import json
import os
import re
import sys
import tomllib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import patterns  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
TYPES = {"string": "kString", "blob": "kBlob", "boolean": "kBoolean", "integer": "kInteger", "long": "kLong",
         "float": "kFloat", "double": "kDouble", "timestamp": "kTimestamp", "structure": "kStructure",
         "list": "kList", "map": "kMap"}
LOCATIONS = {None: "kBody", "uri": "kUri", "querystring": "kQuery", "header": "kHeader", "headers": "kHeaderPrefix",
             "statusCode": "kStatusCode"}
PROTOCOLS = {"rest-json": "kRestJson", "rest-xml": "kRestXml", "query": "kQuery", "json": "kJson"}
TIMESTAMPS = {None: "kDefault", "unixTimestamp": "kEpochSeconds", "iso8601": "kIso8601", "rfc822": "kHttpDate"}
SERVICE_KEYS = {"signing_names", "action_prefix", "xml_namespace", "title", "note", "tags_action"}
OPERATION_KEYS = {"support", "note", "action", "resources", "anonymous", "refuse", "xml_root", "xml_unwrapped",
                  "pass_role", "passed_to", "invokes", "tags_action"}


class ModelError(Exception):
    pass


def model_path(service):
    own = os.path.join(HERE, "own", service + ".json")
    if os.path.exists(own):
        return own
    import botocore
    folder = os.path.join(os.path.dirname(botocore.__file__), "data", service)
    return os.path.join(folder, max(os.listdir(folder)), "service-2.json")


def merge(base, extra):
    """Objects merge, everything else is replaced."""
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value
    return base


def quote(text):
    out = []
    for byte in text.encode():
        c = chr(byte)
        if c in '"\\':
            out.append("\\" + c)
        elif c == "?":
            out.append("\\?")  # no trigraphs
        elif 32 <= byte < 127:
            out.append(c)
        else:
            out.append("\\%03o" % byte)
    return '"' + "".join(out) + '"'


class Tables:
    """The tables of one service, filled breadth-first from the supported operations."""

    def __init__(self, service, model, support):
        self.service, self.model, self.support = service, model, support
        self.shapes, self.shape_index, self.members, self.enums, self.errors = [], {}, [], [], []
        self.patterns, self.error_runs, self.converting = {}, {}, {}
        self.refused = self._refusals()
        self.refused_used = set()

    def _fail(self, text):
        raise ModelError("%s: %s" % (self.service, text))

    def _refusals(self):
        """(shape, member) -> reason. Paths may be dotted: the member of a nested structure, list or map element."""
        refused = {}
        for name, entry in self._listed():
            operation = self.model["operations"].get(name)
            if operation is None:
                self._fail("the support list has %s, which the model does not have" % name)
            refusals = [(path.strip(), r) for paths, r in entry.get("refuse", {}).items() for path in paths.split(",")]
            for path, reason in refusals:
                shape_name = operation.get("input", {}).get("shape")
                parts = path.split(".")
                for i, part in enumerate(parts):
                    shape = self.model["shapes"].get(shape_name, {})
                    while shape.get("type") in ("list", "map"):
                        shape_name = (shape.get("member") or shape.get("value"))["shape"]
                        shape = self.model["shapes"][shape_name]
                    if part not in shape.get("members", {}):
                        self._fail("%s refuses %s, which its input does not have" % (name, path))
                    if i + 1 < len(parts):
                        shape_name = shape["members"][part]["shape"]
                if parts[-1] in shape.get("required", []):
                    self._fail("%s refuses the required member %s" % (name, path))
                refused[(shape_name, parts[-1])] = reason
        return refused

    def _listed(self):
        return [(k, v) for k, v in self.support.items() if isinstance(v, dict)]

    def converts(self, name, seen=()):
        """Whether a timestamp, a blob or a member with another name on the wire is anywhere beneath."""
        if name not in self.converting:
            shape = self.model["shapes"][name]
            if name in seen:
                return False
            renamed = any(m.get("locationName", n) != n and "location" not in m
                          for n, m in shape.get("members", {}).items())
            if shape["type"] in ("timestamp", "blob") or renamed:
                self.converting[name] = True
            else:
                below = [m["shape"] for m in shape.get("members", {}).values()]
                below += [shape[k]["shape"] for k in ("member", "value") if k in shape]
                found = any(self.converts(b, seen + (name,)) for b in below)
                if seen and not found:
                    return False  # perhaps cut short by recursion: not remembered
                self.converting[name] = found
        return self.converting[name]

    def shape(self, name):
        """Index of a shape; lays out the ones it needs after it."""
        if name in self.shape_index:
            return self.shape_index[name]
        source = self.model["shapes"][name]
        if source["type"] not in TYPES or source.get("eventstream") or source.get("document"):
            self._fail("shape %s has a type that is not handled (%s)" % (name, source["type"]))
        index = self.shape_index[name] = len(self.shapes)
        row = {"name": name, "type": source["type"], "source": source}
        self.shapes.append(row)
        if source["type"] == "structure":
            self._structure(name, source, row)
        elif source["type"] == "list":
            self._no_format(source["member"])
            row["element"] = self.shape(source["member"]["shape"])
        elif source["type"] == "map":
            self._no_format(source["value"])
            row["key"] = self.shape(source["key"]["shape"])
            row["element"] = self.shape(source["value"]["shape"])
        if source.get("enum"):
            row["enum"] = (len(self.enums), len(source["enum"]))
            self.enums += source["enum"]
        if "pattern" in source:
            try:
                row["pattern"] = patterns.translate(source["pattern"])
            except patterns.Untranslatable as error:
                self._fail("pattern of %s, %r, cannot be translated: %s" % (name, source["pattern"], error))
            row["pattern_id"] = self.patterns.setdefault(row["pattern"], len(self.patterns))
        return index

    def _no_format(self, reference):
        if self.model["shapes"][reference["shape"]].get("timestampFormat") or reference.get("timestampFormat"):
            self._fail("a list or map of timestamps in %s has a format of its own" % reference["shape"])

    def _structure(self, name, source, row):
        members = [(m, r) for m, r in source.get("members", {}).items() if r.get("location") not in ("hostname",)]
        first = row["first_member"] = len(self.members)
        row["member_count"] = len(members)
        rows = [{} for _ in members]
        self.members += rows  # contiguous; what they point to comes after
        for i, (member, reference) in enumerate(members):
            shape = self.model["shapes"][reference["shape"]]
            if reference.get("jsonvalue") and reference.get("location") != "header":
                self._fail("%s.%s is a jsonvalue outside a header" % (name, member))
            if source.get("payload") == member:
                row["payload"] = first + i
            reason = self.refused.get((name, member))
            if reason is not None:
                self.refused_used.add((name, member))
            if reference.get("location") in ("querystring", "uri") and shape["type"] in ("map", "structure"):
                self._fail("%s.%s is a structure or map in the query or path" % (name, member))
            location = LOCATIONS.get(reference.get("location"))
            if location is None:
                self._fail("%s.%s has location %s" % (name, member, reference["location"]))
            rows[i].update(
                name=member, location_name=reference.get("locationName", member), location=location,
                required=member in source.get("required", []), token=reference.get("idempotencyToken", False),
                attribute=reference.get("xmlAttribute", False),
                flattened=reference.get("flattened", False) or shape.get("flattened", False),
                streaming=reference.get("streaming", False), json_value=reference.get("jsonvalue", False),
                format=TIMESTAMPS[reference.get("timestampFormat") or shape.get("timestampFormat")],
                reason=reason, shape=self.shape(reference["shape"]))
            if rows[i]["streaming"]:
                self.shapes[rows[i]["shape"]]["streaming"] = True

    def error_run(self, operation):
        names = tuple(e["shape"] for e in operation.get("errors", []))
        if names not in self.error_runs:
            self.error_runs[names] = (len(self.errors), len(names))
            for name in names:
                error = self.model["shapes"][name].get("error", {})
                self.errors.append((name, error.get("code", name), error.get("httpStatusCode", 0)))
        return self.error_runs[names]

    def operation_rows(self):
        rows = []
        prefix = self.support.get("action_prefix", self.service)
        for name, operation in sorted(self.model["operations"].items()):
            entry = self.support.get(name)
            http = operation["http"]
            row = {"name": name, "method": http["method"], "uri": http["requestUri"], "support": "kRefused", "note": "",
                   "status": http.get("responseCode", 200), "input": "kNone", "output": "kNone", "action": "",
                   "resources": "", "anonymous": False, "errors": (0, 0), "wrapper": "", "root": "", "unwrapped": False,
                   "pass_role": "", "passed_to": "", "invokes": "", "tags_action": ""}
            rows.append(row)
            if entry is None:
                continue
            unknown = set(entry) - OPERATION_KEYS
            if unknown or entry.get("support") not in ("full", "partial"):
                self._fail("support list, %s: support must be full or partial; unknown keys %s" % (name, unknown))
            if entry["support"] == "partial" and not (entry.get("note") or entry.get("refuse")):
                self._fail("support list, %s: partial without a note or a refused member" % name)
            row["support"] = "kFull" if entry["support"] == "full" else "kPartial"
            for side in ("input", "output"):
                if side in operation:
                    row[side] = self.shape(operation[side]["shape"])
            row.update(note=entry.get("note", ""), action=entry.get("action", "%s:%s" % (prefix, name)),
                       resources=" ".join(self._resources(name, operation, entry)),
                       anonymous=entry.get("anonymous", False), errors=self.error_run(operation),
                       wrapper=operation.get("output", {}).get("resultWrapper", ""),
                       root=entry.get("xml_root", ""), unwrapped=entry.get("xml_unwrapped", False),
                       tags_action=self._tags_action(name, operation, entry), **self._passed(name, operation, entry))
        unknown = set(self.support) - SERVICE_KEYS - set(self.model["operations"])
        if unknown:
            self._fail("the support list has keys that mean nothing: %s" % sorted(unknown))
        return rows

    def _passed(self, name, operation, entry):
        """Paths of the roles that the caller hands over, and to which service; of the functions that will be called."""
        paths = self._paths(name, operation, entry, "pass_role")
        invokes = self._paths(name, operation, entry, "invokes")
        if "passed_to" in entry and not paths:
            self._fail("support list, %s: passed_to without pass_role" % name)
        prefix = self.support.get("action_prefix", self.service)
        to = entry.get("passed_to", prefix + ".amazonaws.com") if paths else ""
        return {"pass_role": " ".join(paths), "passed_to": to, "invokes": " ".join(invokes)}

    def _paths(self, name, operation, entry, key):
        """Dotted paths over the input. Lists are walked item by item, "*" is any member."""
        paths = entry.get(key, [])
        paths = [paths] if isinstance(paths, str) else paths
        for path in paths:
            shapes = [operation.get("input", {}).get("shape")]
            for part in path.split("."):
                shapes = [m["shape"] for s in shapes for n, m in self._members_through_lists(s) if part in ("*", n)]
            if not shapes:
                self._fail("support list, %s: %s names %s, which the input does not have" % (name, key, path))
        return paths

    def _members_through_lists(self, name):
        shape = self.model["shapes"].get(name, {})
        while shape.get("type") == "list":
            shape = self.model["shapes"][shape["member"]["shape"]]
        if shape.get("type") == "map":
            return [("*", shape["value"])]
        return list(shape.get("members", {}).items())

    def _tags_action(self, name, operation, entry):
        """What is asked besides when the call brings tags; the service's default where the input has any."""
        members = self.model["shapes"].get(operation.get("input", {}).get("shape"), {}).get("members", {})
        if not {"tags", "Tags"} & set(members):
            if "tags_action" in entry:
                self._fail("support list, %s: tags_action, but the input has no tags" % name)
            return ""
        action = entry.get("tags_action", self.support.get("tags_action", ""))
        prefix = self.support.get("action_prefix", self.service)
        return "" if action == entry.get("action", "%s:%s" % (prefix, name)) else action

    def _resources(self, name, operation, entry):
        resources = entry.get("resources", ["*"])
        members = self.model["shapes"].get(operation.get("input", {}).get("shape"), {}).get("members", {})
        for template in resources:
            if " " in template:
                self._fail("support list, %s: a resource holds a space" % name)
            for member in re.findall(r"\{/?(\w+)\??\}", template):
                if member not in members:
                    self._fail("support list, %s: resource names %s, which the input does not have" % (name, member))
        return resources


def flag(value):
    return "true" if value else "false"


def limit(shape, key, absent):
    value = shape["source"].get(key)
    if value is None or shape["type"] in ("float", "double"):
        return absent
    if value != int(value):
        raise ModelError("%s of %s is not an integer" % (key, shape["name"]))
    return "%dLL" % int(value) if abs(int(value)) > 0x7FFFFFFF else str(int(value))


def real_limit(shape, key, absent):
    value = shape["source"].get(key)
    return absent if value is None or shape["type"] not in ("float", "double") else repr(float(value))


def shape_row(tables, s):
    source = s["source"]
    key_name = source.get("key", {}).get("locationName", "")
    element_name = (source.get("member") or source.get("value") or {}).get("locationName", "")
    enum = s.get("enum", (0, 0))
    return "{%s, Type::%s, %s, %s, %s, %s, %s, %d, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %d, %d, %s}" % (
        quote(s["name"]), TYPES[s["type"]], flag(source.get("sensitive")),
        flag(s.get("streaming") or source.get("streaming")), flag(source.get("flattened")),
        flag(tables.converts(s["name"])), s.get("first_member", 0), s.get("member_count", 0), s.get("key", "kNone"),
        s.get("element", "kNone"), quote(key_name), quote(element_name), limit(s, "min", "INT64_MIN"),
        limit(s, "max", "INT64_MAX"), real_limit(s, "min", "-kInfinity"), real_limit(s, "max", "kInfinity"),
        quote(s.get("pattern", "")), s.get("pattern_id", "kNone"),
        quote(source.get("pattern", "") if "pattern" in s else ""), enum[0], enum[1], s.get("payload", "kNone"))


def member_row(m):
    return "{%s, %s, %d, Location::%s, %s, %s, %s, %s, %s, TimestampFormat::%s, %s, %s}" % (
        quote(m["name"]), quote(m["location_name"]), m["shape"], m["location"], flag(m["required"]), flag(m["token"]),
        flag(m["attribute"]), flag(m["flattened"]), flag(m["json_value"]), m["format"], flag(m["reason"] is not None),
        quote(m["reason"] or ""))


def operation_row(o):
    return "{%s, %s, %s, %s, %s, %d, Support::%s, %s, %s, %s, %s, %s, %s, %s, %s, %d, %d, %s, %s, %s}" % (
        quote(o["name"]), quote(o["method"]), quote(o["uri"]), o["input"], o["output"], o["status"], o["support"],
        quote(o["note"]), quote(o["action"]), quote(o["resources"]), quote(o["pass_role"]), quote(o["passed_to"]),
        quote(o["invokes"]), quote(o["tags_action"]), flag(o["anonymous"]), o["errors"][0], o["errors"][1],
        quote(o["wrapper"]), quote(o["root"]), flag(o["unwrapped"]))


def table(kind, name, rows):
    if not rows:
        return "constexpr std::span<const %s> %s;\n" % (kind, name)
    return "constexpr %s %s[] = {\n%s};\n" % (kind, name, "".join("    %s,\n" % r for r in rows))


def generate(service, model, support):
    tables = Tables(service, model, support)
    operations = tables.operation_rows()
    unused = set(tables.refused) - tables.refused_used
    if unused:
        tables._fail("refused members that no input reaches: %s" % sorted(unused))
    metadata = model["metadata"]
    if metadata["protocol"] not in PROTOCOLS:
        tables._fail("protocol %s is not handled" % metadata["protocol"])
    if max(len(tables.shapes), len(tables.members), len(tables.enums)) >= 0xFFFF:
        tables._fail("too many rows for 16-bit indexes")
    names = support.get("signing_names") or [metadata.get("signingName", metadata["endpointPrefix"])]
    namespace = support.get("xml_namespace", metadata.get("xmlNamespace", ""))
    target = metadata["targetPrefix"] if metadata["protocol"] == "json" else ""
    variable = "k" + "".join(p.capitalize() for p in service.split("-")) + "Service"
    return "".join([
        "// SPDX-License-Identifier: Apache-2.0\n",
        "// Written by tools/modelgen from the %s model of %s and the support list. Do not edit.\n" % (
            service, metadata["apiVersion"]),
        '#include "api/wire/model.h"\n\nnamespace muster::api::model {\n\n',
        "extern const Service %s;\n\nnamespace {\n\n" % variable,
        table("std::string_view", "kSigningNames", [quote(n) for n in names]),
        table("Shape", "kShapes", [shape_row(tables, s) for s in tables.shapes]),
        table("Member", "kMembers", [member_row(m) for m in tables.members]),
        table("std::string_view", "kEnums", [quote(e) for e in tables.enums]),
        table("ErrorShape", "kErrors", ["{%s, %s, %d}" % (quote(n), quote(c), s) for n, c, s in tables.errors]),
        table("Operation", "kOperations", [operation_row(o) for o in operations]),
        "\n}  // namespace\n\n",
        "const Service %s = {%s, %s, %s, Protocol::%s, %s, kSigningNames, kShapes, kMembers, kEnums, kErrors,\n"
        "    kOperations, %d, %s, %s};\n" % (variable, quote(service), quote(support.get("title", service)), quote(metadata["apiVersion"]),
                                   PROTOCOLS[metadata["protocol"]], quote(namespace), len(tables.patterns),
                                   quote(target), quote(metadata.get("jsonVersion", "") if target else "")),
        "\n}  // namespace muster::api::model\n"])


def no_member_twice(pairs):
    """Two "operations" in an overlay would silently lose the first."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ModelError("an overlay has a member twice, one of %s" % sorted({k for k, _ in pairs}))
    return found


def read_model(service):
    with open(model_path(service), encoding="utf-8") as file:
        model = json.load(file)
    overlay = os.path.join(HERE, "overlay", service + ".json")
    if os.path.exists(overlay):
        with open(overlay, encoding="utf-8") as file:
            merge(model, json.load(file, object_pairs_hook=each_name_once))
    return model


def each_name_once(pairs):
    """Of two members of one name the parser would drop the first in silence."""
    twice = sorted({name for name, _ in pairs if sum(name == other for other, _ in pairs) > 1})
    if twice:
        raise ModelError("an overlay names %s twice in one object" % ", ".join(twice))
    return dict(pairs)


def write_file(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def read_support(folder):
    """All lists of the folder as one; an operation that stands in two of them is an error."""
    support = {}
    for name in sorted(n for n in os.listdir(folder) if n.endswith(".toml")):
        with open(os.path.join(folder, name), "rb") as file:
            for service, entries in tomllib.load(file).items():
                known = support.setdefault(service, {})
                twice = set(known) & set(entries)
                if twice:
                    raise ModelError("%s: %s stand in another list already" % (name, sorted(twice)))
                known.update(entries)
    return support


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("services", nargs="+")
    parser.add_argument("--model-paths", action="store_true")
    parser.add_argument("--support")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    if arguments.model_paths:
        print("\n".join(model_path(s) for s in arguments.services))
        return 0
    support = read_support(arguments.support)
    unknown = set(support) - set(arguments.services)
    if unknown:
        raise ModelError("the support list has services that are not built: %s" % sorted(unknown))
    os.makedirs(arguments.out, exist_ok=True)
    for service in arguments.services:
        text = generate(service, read_model(service), support.get(service, {}))
        write_file(os.path.join(arguments.out, service + "_model.cc"), text)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ModelError, tomllib.TOMLDecodeError) as error:
        print("modelgen: %s" % error, file=sys.stderr)
        sys.exit(1)

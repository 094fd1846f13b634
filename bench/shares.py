#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Shares of a server's CPU time: perf script output on stdin -> a table by what the time was spent on.

perf record -g -F 499 -p PID -- sleep 5 && perf script | bench/shares.py
A sample counts for the first rule that matches any frame of its stack, innermost first.
"""
import collections
import re
import sys

RULES = [  # name, pattern over a frame; order matters: the more telling first
    ("disk: write and sync of the log", r"fdatasync|fsync|ext4|xfs_|blk_|submit_bio|vfs_write|ksys_write|__x64_sys_write\b|PosixWritableFile"),
    ("sockets: send, receive, poll", r"tcp_|inet_|sock_|__x64_sys_(recv|send|epoll)|epoll_wait|__libc_(send|recv)|skb_"),
    ("RocksDB: memtable, log record, read", r"rocksdb::"),
    ("store: overlay, conflict check, commit", r"muster::store::"),
    ("JSON: parse and write", r"boost::json|muster::(parse_json|append_json|to_text|parse_record)"),
    ("jobs: state machine, pending list, documents", r"muster::jobs::|muster::api::device::"),
    ("MQTT: codec, protocol, broker", r"muster::mqtt::"),
    ("loops and wake-ups", r"boost::asio|muster::io::|futex|schedule|eventfd"),
]
COMPILED = [(name, re.compile(pattern)) for name, pattern in RULES]


def classify(stack):
    for frame in stack:
        for name, pattern in COMPILED:
            if pattern.search(frame):
                return name
    return "other: memory allocation, copying, kernel"


def main():
    counts, threads, stack, thread = collections.Counter(), collections.Counter(), [], None
    for line in sys.stdin.read().splitlines() + [""]:
        if not line.strip():
            if stack:
                counts[classify(stack)] += 1
                threads[thread] += 1
            stack = []
        elif line[0] not in " \t":
            thread = line.split()[0]
        else:
            stack.append(line.strip().split(" ", 1)[-1])
    total = sum(counts.values())
    if not total:
        sys.exit("no samples")
    for title, table in (("by work", counts), ("by thread", threads)):
        print(title)
        for name, count in table.most_common():
            print(f"  {100 * count / total:5.1f} %  {name}")


main()

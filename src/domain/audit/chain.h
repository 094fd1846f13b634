// SPDX-License-Identifier: Apache-2.0
// The lines of the audit log and what ties them together. Pure functions. A line is
//
//   {"seq":N,"prev":"<SHA-256 of the line before, hex>","event":{...}}
//
// with no line break in it. Beside events there are seals, which sign their own place in the chain and so everything
// before it, and notes, by which the log says what happened to itself. The hash is of the line's bytes without its line
// feed; before the first line it is 64 zeros.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ed25519.h"
#include "base/json.h"
#include "base/result.h"

namespace muster::audit {

// Behind a line: its number and its hash.
struct Position {
  std::uint64_t sequence = 0;
  std::string hash = std::string(64, '0');
  bool operator==(const Position&) const = default;
};

// Each appends one line and its line feed to `out` and moves `at` behind it.
void append_event(std::string& out, Position& at, std::string_view event_json);
void append_seal(std::string& out, Position& at, std::int64_t time_ms, const Ed25519PrivateKey& key);
// kind "torn": the end of a line that no call was answered for was cut off after a crash. "damaged", "lost": evidence
// is missing; verification fails for ever after.
void append_note(std::string& out, Position& at, std::int64_t time_ms, std::string_view kind, std::string_view text);

struct Line {
  enum class Kind : std::uint8_t { kEvent, kSeal, kNote };
  Kind kind = Kind::kEvent;
  std::uint64_t sequence = 0;
  std::string_view previous;
  std::string_view body;  // JSON text of the event, seal or note
};
// Views into `text`, which has no line feed. kInvalid when it is no line of a log; the body is not looked into.
Result<Line> parse_line(std::string_view text);
// `text` as the next line behind `at`, which moves: kInvalid says what does not fit; with reason "previous" either this
// line or the one before was changed.
Result<Line> follow(Position& at, std::string_view text);

struct Seal {
  std::int64_t time_ms = 0;
  std::string key_id;
};
// Of a seal's line: that `key` signed it. kInvalid says why not.
Result<Seal> check_seal(const Line& line, const Ed25519PublicKey& key);
std::int64_t seal_time(std::string_view body);  // unchecked; 0: not a seal

// Short name of a key, for people.
std::string key_id(const Ed25519PublicKey& key);

// What is kept beside the log (not in its folder), signed, so that lines cut off at either end are missed: where the
// log begins since old segments were removed, and a place that it reached.
struct Head {
  std::uint64_t first = 1;
  std::string first_previous = std::string(64, '0');
  Position reached;
  std::int64_t time_ms = 0;
};
std::string head_text(const Head& head, const Ed25519PrivateKey& key);
Result<Head> read_head(std::string_view text, const Ed25519PublicKey& key);

}  // namespace muster::audit

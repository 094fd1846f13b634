// SPDX-License-Identifier: Apache-2.0
#include "domain/audit/chain.h"

#include <charconv>

#include "base/crypto.h"
#include "base/text.h"

namespace muster::audit {
namespace {

constexpr std::string_view kStart = "{\"seq\":";
constexpr std::string_view kPrevious = ",\"prev\":\"";
constexpr std::size_t kHash = 64;

void begin_line(std::string& out, const Position& at) {
  out += kStart;
  out += std::to_string(at.sequence + 1);
  out += kPrevious;
  out += at.hash;
  out += "\",";
}

// `start`: where the line begins in `out`.
void end_line(std::string& out, std::size_t start, Position& at) {
  out += '}';
  ++at.sequence;
  at.hash = sha256_hex(std::string_view(out).substr(start));
  out += '\n';
}

std::string sealed_text(std::uint64_t sequence, std::string_view previous, std::int64_t time_ms) {
  return "muster audit seal 1\n" + std::to_string(sequence) + '\n' + std::string(previous) + '\n' +
         std::to_string(time_ms) + '\n';
}

std::string head_words(const Head& head) {
  return "muster audit head 1\n" + std::to_string(head.first) + '\n' + head.first_previous + '\n' +
         std::to_string(head.reached.sequence) + '\n' + head.reached.hash + '\n' + std::to_string(head.time_ms) + '\n';
}

bool is_hash(std::string_view text) {
  return text.size() == kHash && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool take(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

Error no_line() {
  return invalid("it is not a line of an audit log");
}

}  // namespace

void append_event(std::string& out, Position& at, std::string_view event_json) {
  const std::size_t start = out.size();
  begin_line(out, at);
  out += "\"event\":";
  out += event_json;
  end_line(out, start, at);
}

void append_seal(std::string& out, Position& at, std::int64_t time_ms, const Ed25519PrivateKey& key) {
  const std::size_t start = out.size();
  begin_line(out, at);
  const std::string signature = key.sign(sealed_text(at.sequence + 1, at.hash, time_ms));
  out += "\"seal\":";
  append_json(out, json::object{{"time", to_iso8601(time_ms)},
                                {"timeMs", time_ms},
                                {"key", key_id(key.public_key())},
                                {"signature", to_base64(signature)}});
  end_line(out, start, at);
}

void append_note(std::string& out, Position& at, std::int64_t time_ms, std::string_view kind, std::string_view text) {
  const std::size_t start = out.size();
  begin_line(out, at);
  out += "\"note\":";
  append_json(out, json::object{{"time", to_iso8601(time_ms)}, {"kind", kind}, {"text", text}});
  end_line(out, start, at);
}

Result<Line> parse_line(std::string_view text) {
  Line line;
  std::string_view rest = text;
  if (!take(rest, kStart)) return no_line();
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), line.sequence);
  if (error != std::errc() || line.sequence == 0 || rest[0] == '0') return no_line();
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  if (!take(rest, kPrevious)) return no_line();
  line.previous = rest.substr(0, kHash);
  if (!is_hash(line.previous)) return no_line();
  rest.remove_prefix(kHash);
  if (!take(rest, "\",")) return no_line();
  if (take(rest, "\"event\":")) {
    line.kind = Line::Kind::kEvent;
  } else if (take(rest, "\"seal\":")) {
    line.kind = Line::Kind::kSeal;
  } else if (take(rest, "\"note\":")) {
    line.kind = Line::Kind::kNote;
  } else {
    return no_line();
  }
  if (!rest.starts_with('{') || !rest.ends_with("}}")) return no_line();
  rest.remove_suffix(1);
  line.body = rest;
  return line;
}

Result<Line> follow(Position& at, std::string_view text) {
  TRY(Line line, parse_line(text));
  if (line.sequence != at.sequence + 1) {
    return invalid("it has number " + std::to_string(line.sequence) + " where " + std::to_string(at.sequence + 1) +
                   " follows");
  }
  if (line.previous != at.hash) {
    return make_error(ErrorKind::kInvalid, "the line before it is not the one that it was written behind", "previous");
  }
  ++at.sequence;
  at.hash = sha256_hex(text);
  return line;
}

std::int64_t seal_time(std::string_view body) {
  const auto seal = parse_record(body);
  return seal ? get_int(*seal, "timeMs") : 0;
}

Result<Seal> check_seal(const Line& line, const Ed25519PublicKey& key) {
  auto parsed = parse_json(line.body);
  if (!parsed || !parsed->is_object()) return invalid("its seal cannot be read");
  const json::object& seal = parsed->get_object();
  Seal out{get_int(seal, "timeMs"), std::string(get_string(seal, "key"))};
  const auto signature = from_base64(get_string(seal, "signature"));
  if (!signature || !key.verify(sealed_text(line.sequence, line.previous, out.time_ms), *signature)) {
    return invalid("its seal was not made with key " + key_id(key));
  }
  return out;
}

std::string key_id(const Ed25519PublicKey& key) {
  return sha256_hex(key.raw()).substr(0, 16);
}

std::string head_text(const Head& head, const Ed25519PrivateKey& key) {
  return to_text(json::object{{"first", head.first},
                              {"firstPrevious", head.first_previous},
                              {"sequence", head.reached.sequence},
                              {"hash", head.reached.hash},
                              {"timeMs", head.time_ms},
                              {"key", key_id(key.public_key())},
                              {"signature", to_base64(key.sign(head_words(head)))}}) +
         "\n";
}

Result<Head> read_head(std::string_view text, const Ed25519PublicKey& key) {
  auto parsed = parse_json(text);
  if (!parsed || !parsed->is_object()) return invalid("the head file cannot be read");
  const json::object& file = parsed->get_object();
  Head head;
  head.first = static_cast<std::uint64_t>(get_int(file, "first"));
  head.first_previous = get_string(file, "firstPrevious");
  head.reached.sequence = static_cast<std::uint64_t>(get_int(file, "sequence"));
  head.reached.hash = get_string(file, "hash");
  head.time_ms = get_int(file, "timeMs");
  const auto signature = from_base64(get_string(file, "signature"));
  if (!is_hash(head.first_previous) || !is_hash(head.reached.hash) || !signature ||
      !key.verify(head_words(head), *signature)) {
    return invalid("the head file was not signed with key " + key_id(key));
  }
  return head;
}

}  // namespace muster::audit

// SPDX-License-Identifier: Apache-2.0
#include "domain/shadows/payloads.h"

namespace muster::shadows {

namespace {

// Members one after the other, with the commas between them.
class ObjectText {
 public:
  explicit ObjectText(std::string& out) : out_(out) { out_ += '{'; }
  std::string& key(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    append_json_string(out_, name);
    out_ += ':';
    return out_;
  }
  void number(std::string_view name, std::int64_t value) { key(name) += std::to_string(value); }
  void text(std::string_view name, std::string_view value) { append_json_string(key(name), value); }
  void token(const Token& token) {
    if (token) text("clientToken", *token);
  }
  void close() { out_ += '}'; }

 private:
  std::string& out_;
  bool first_ = true;
};

// A time is told as {"timestamp": second} in the place of its leaf.
void append_times(std::string& out, const json::value& times) {
  if (times.is_object()) {
    ObjectText object(out);
    for (const auto& [key, held] : times.get_object()) append_times(object.key(key), held);
    object.close();
  } else if (times.is_array()) {
    out += '[';
    bool first = true;
    for (const json::value& held : times.get_array()) {
      if (!std::exchange(first, false)) out += ',';
      append_times(out, held);
    }
    out += ']';
  } else {
    ObjectText object(out);
    object.number("timestamp", times.to_number<std::int64_t>());
    object.close();
  }
}

void append_times(std::string& out, const json::object& times) {
  ObjectText object(out);
  for (const auto& [key, held] : times) append_times(object.key(key), held);
  object.close();
}

void append_state(std::string& out, const Document& document, const json::object* difference) {
  ObjectText state(out);
  if (!document.desired.state.empty()) append_json(state.key("desired"), document.desired.state);
  if (!document.reported.state.empty()) append_json(state.key("reported"), document.reported.state);
  if (difference != nullptr && !difference->empty()) append_json(state.key("delta"), *difference);
  state.close();
}

void append_metadata(std::string& out, const Document& document) {
  ObjectText metadata(out);
  if (!document.desired.state.empty()) append_times(metadata.key("desired"), document.desired.times);
  if (!document.reported.state.empty()) append_times(metadata.key("reported"), document.reported.times);
  metadata.close();
}

void append_snapshot(std::string& out, const Document& document) {
  ObjectText snapshot(out);
  append_state(snapshot.key("state"), document, nullptr);
  append_metadata(snapshot.key("metadata"), document);
  snapshot.number("version", document.version);
  snapshot.close();
}

}  // namespace

std::string updated_payload(const Update& update, const Document& after, const Token& token) {
  std::string out;
  ObjectText object(out);
  append_json(object.key("state"), update.state);
  append_times(object.key("metadata"), times_of(update.state, after.updated_ms / 1000));
  object.number("version", after.version);
  object.number("timestamp", after.updated_ms / 1000);
  object.token(token);
  object.close();
  return out;
}

std::string document_payload(const Document& document, std::int64_t now_ms, const Token& token) {
  const Section difference = delta(document);
  std::string out;
  ObjectText object(out);
  append_state(object.key("state"), document, &difference.state);
  append_metadata(object.key("metadata"), document);
  object.number("version", document.version);
  object.number("timestamp", now_ms / 1000);
  object.token(token);
  object.close();
  return out;
}

std::string deleted_payload(const Document& tombstone, const Token& token) {
  std::string out;
  ObjectText object(out);
  object.number("version", tombstone.version);
  object.number("timestamp", tombstone.updated_ms / 1000);
  object.token(token);
  object.close();
  return out;
}

std::string delta_payload(const Document& document, const Token& token) {
  std::string out;
  const Section difference = delta(document);
  if (difference.state.empty()) return out;
  ObjectText object(out);
  object.number("version", document.version);
  object.number("timestamp", document.updated_ms / 1000);
  append_json(object.key("state"), difference.state);
  append_times(object.key("metadata"), difference.times);
  object.token(token);
  object.close();
  return out;
}

std::string change_payload(const Document& before, const Document& after, const Token& token) {
  std::string out;
  ObjectText object(out);
  append_snapshot(object.key("previous"), before);
  append_snapshot(object.key("current"), after);
  object.number("timestamp", after.updated_ms / 1000);
  object.token(token);
  object.close();
  return out;
}

int rejected_code(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kInvalid:
      return error.reason == "UnsupportedDocumentEncodingException" ? 415 : 400;
    case ErrorKind::kNotFound:
      return 404;
    case ErrorKind::kVersionConflict:
      return 409;
    case ErrorKind::kTooLarge:
      return 413;
    case ErrorKind::kThrottled:
    case ErrorKind::kConflict:  // others wrote this shadow all the time: worth another try
      return 429;
    default:
      return 500;
  }
}

std::string rejected_payload(const Error& error, std::int64_t now_ms, const Token& token) {
  const int code = rejected_code(error);
  std::string out;
  ObjectText object(out);
  object.number("code", code);
  object.text("message", code == 500 ? std::string_view("Internal service failure") : std::string_view(error.message));
  object.number("timestamp", now_ms / 1000);
  object.token(token);
  object.close();
  return out;
}

}  // namespace muster::shadows

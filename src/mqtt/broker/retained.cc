// SPDX-License-Identifier: Apache-2.0
#include "mqtt/broker/retained.h"

#include "mqtt/broker/stored_bytes.h"
#include "mqtt/codec/topics.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::mqtt {

bool Retained::fits(std::string_view topic, std::size_t bytes) const {
  const auto at = messages_.find(topic);
  const std::size_t replaced = at == messages_.end() ? 0 : at->second->bytes();
  const std::size_t count = messages_.size() + (at == messages_.end() ? 1 : 0);
  return count <= max_messages_ && bytes_ - replaced + bytes <= max_bytes_;
}

bool Retained::set(const MessageRef& message) {
  if (!fits(message->topic, message->bytes())) return false;
  erase(message->topic);
  bytes_ += message->bytes();
  may_expire_ |= message->expires_ms != 0;
  messages_.emplace(message->topic, message);
  return true;
}

void Retained::drop_expired(std::int64_t now_ms, const std::function<void(const std::string& topic)>& dropped) {
  if (!may_expire_) return;
  may_expire_ = false;
  for (auto at = messages_.begin(); at != messages_.end();) {
    if (at->second->expired(now_ms)) {
      bytes_ -= at->second->bytes();
      dropped(at->first);
      at = messages_.erase(at);
    } else {
      may_expire_ |= at->second->expires_ms != 0;
      ++at;
    }
  }
}

bool Retained::erase(std::string_view topic) {
  const auto at = messages_.find(topic);
  if (at == messages_.end()) return false;
  bytes_ -= at->second->bytes();
  messages_.erase(at);
  return true;
}

const MessageRef* Retained::find(std::string_view topic) const {
  const auto at = messages_.find(topic);
  return at == messages_.end() ? nullptr : &at->second;
}

void Retained::match(std::string_view filter, const std::function<void(const MessageRef&)>& visit) const {
  if (!has_wildcard(filter)) {
    if (const MessageRef* found = find(filter)) visit(*found);
    return;
  }
  std::string_view literal = filter.substr(0, filter.find_first_of("+#"));
  // "a/#" matches "a" as well, which sorts before "a/".
  if (literal.ends_with('/') && literal.size() + 1 == filter.size() && filter.back() == '#') literal.remove_suffix(1);
  for (auto at = messages_.lower_bound(literal); at != messages_.end() && at->first.starts_with(literal); ++at) {
    if (topic_matches(filter, at->first)) visit(at->second);
  }
}

void Retained::page(std::string_view after, std::size_t limit, std::int64_t now_ms,
                    const std::function<void(const MessageRef&)>& visit) const {
  for (auto at = messages_.upper_bound(after); at != messages_.end() && limit > 0; ++at) {
    if (at->second->expired(now_ms)) continue;
    visit(at->second);
    --limit;
  }
}

std::string retained_record(std::uint64_t version, std::string_view stored) {
  std::string record;
  put_number(record, version, 8);
  record += stored;
  return record;
}

std::optional<RetainedRecord> read_retained_record(std::string_view record) {
  StoredReader reader(record);
  RetainedRecord read;
  read.version = reader.number(8);
  auto message = from_stored(reader.rest());
  if (!reader.ok() || !message) return std::nullopt;
  read.message = *std::move(message);
  return read;
}

std::string retained_key(std::string_view topic) {
  return store::Key(store::table::kRetained).text(topic).str();
}

}  // namespace muster::mqtt

// SPDX-License-Identifier: Apache-2.0
#include "domain/shadows/shadows.h"

#include "store/keys.h"
#include "store/outbox.h"
#include "store/schema.h"

namespace muster::shadows {

namespace {

constexpr std::string_view kListing = "shadows";
constexpr std::string_view kTimer = "shadow.tombstone";
constexpr std::string_view kThings = "$aws/things/";
constexpr std::string_view kShadow = "/shadow/";
constexpr std::size_t kRowsARead = 100;
constexpr std::size_t kRowsAPage = 500;  // deleted ones are read too, and a thing may have any number of them

Error no_shadow(const ShadowId& id) {
  std::string name = id.thing;
  if (!id.shadow.empty()) name.append("~").append(id.shadow);
  return not_found("No shadow exists with name: '" + name + "'");
}

bool expired(const Document& document, std::int64_t now_ms) {
  return document.deleted && document.updated_ms + kTombstoneMs <= now_ms;
}

// A document without a version when there is none; tombstones too.
Result<Document> read(store::Tx& tx, const std::string& key) {
  const auto record = tx.get(key);
  if (!record) return Document();
  TRY(auto document, decode(*record));
  if (expired(document, tx.now_ms())) return Document();
  return document;
}

// `write` makes the payload, only for who wants it; an empty one is not sent.
template <class F>
void tell(store::Tx& tx, const Wanted& wanted, std::string topic, F write) {
  if (wanted && !wanted(topic)) return;
  std::string payload = write();
  if (payload.empty()) return;
  store::enqueue(tx, {.topic = std::move(topic), .payload = std::move(payload), .qos = 1});
}

std::string name_in(std::string_view key) {
  store::KeyReader reader(key);
  reader.text();  // the thing
  return reader.text().value_or("");
}

// A thing's name has no slash.
std::string timer_id(const ShadowId& id) {
  return id.thing + "/" + id.shadow;
}

Status remove_tombstone(store::Tx& tx, std::string_view id) {
  const auto slash = id.find('/');
  if (slash == std::string_view::npos) return {};
  const std::string key = shadow_key({std::string(id.substr(0, slash)), std::string(id.substr(slash + 1))});
  const auto record = tx.get(key);
  if (!record) return {};
  TRY(const auto document, decode(*record));
  if (expired(document, tx.now_ms())) tx.erase(key);
  return {};
}

}  // namespace

std::string shadow_key(const ShadowId& id) {
  return store::Key(store::table::kShadow).text(id.thing).text(id.shadow).str();
}

std::string shadow_topic(const ShadowId& id, std::string_view suffix) {
  std::string topic(kThings);
  topic.append(id.thing).append(kShadow);
  if (!id.shadow.empty()) topic.append("name/").append(id.shadow).append("/");
  return topic.append(suffix);
}

Result<std::string> get_shadow(store::Tx& tx, const ShadowId& id, const Token& token) {
  TRY(const auto document, read(tx, shadow_key(id)));
  if (!document.exists()) return no_shadow(id);
  return document_payload(document, tx.now_ms(), token);
}

Result<std::string> update_shadow(store::Tx& tx, const ShadowId& id, const Update& update, const Token& token,
                                  const Wanted& wanted) {
  const std::string key = shadow_key(id);
  TRY(const auto before, read(tx, key));
  TRY(const auto after, apply(before, update, tx.now_ms()));
  tx.put(key, encode(after));
  std::string accepted = updated_payload(update, after, token);
  tell(tx, wanted, shadow_topic(id, "update/accepted"), [&] { return accepted; });
  tell(tx, wanted, shadow_topic(id, "update/delta"), [&] { return delta_payload(after, token); });
  tell(tx, wanted, shadow_topic(id, "update/documents"), [&] { return change_payload(before, after, token); });
  return accepted;
}

Result<std::string> delete_shadow(store::Tx& tx, const ShadowId& id, const Token& token, const Wanted& wanted) {
  const std::string key = shadow_key(id);
  TRY(const auto document, read(tx, key));
  if (!document.exists()) return no_shadow(id);
  Document tombstone;
  tombstone.version = document.version;
  tombstone.updated_ms = tx.now_ms();
  tombstone.deleted = true;
  tx.put(key, encode(tombstone));
  store::arm(tx, kTimer, timer_id(id), tx.now_ms() + kTombstoneMs);
  std::string accepted = deleted_payload(tombstone, token);
  tell(tx, wanted, shadow_topic(id, "delete/accepted"), [&] { return accepted; });
  return accepted;
}

Result<registry::Page<std::string>> list_named_shadows(store::Tx& tx, std::string_view thing,
                                                       const registry::PageRequest& request) {
  TRY(const std::string after, registry::page_position(kListing, request.token));
  store::RangeOptions range;
  // The classic shadow, of the empty name, comes first.
  range.begin = store::after_key(store::Key(store::table::kShadow).text(thing).text(after).str());
  range.end = store::after_prefix(store::Key(store::table::kShadow).text(thing).str());
  range.limit = kRowsARead;
  range.snapshot = true;
  registry::Page<std::string> page;
  for (std::size_t seen = 0;; seen += range.limit) {
    const auto rows = tx.range(range);
    for (const auto& row : rows) {
      TRY(const auto document, decode(row.value));
      if (!document.exists()) continue;
      if (page.items.size() == request.limit) {
        page.next_token = registry::page_token(kListing, page.items.back());
        return page;
      }
      page.items.push_back(name_in(row.key));
    }
    if (rows.size() < range.limit) return page;
    if (seen + rows.size() >= kRowsAPage) {
      page.next_token = registry::page_token(kListing, name_in(rows.back().key));
      return page;
    }
    range.begin = store::after_key(rows.back().key);
  }
}

Result<std::optional<Document>> find_shadow(store::Tx& tx, const ShadowId& id) {
  TRY(auto document, read(tx, shadow_key(id)));
  if (!document.exists()) return std::optional<Document>();
  return std::optional<Document>(std::move(document));
}

void register_timers(store::Timers& timers) {
  timers.handle(kTimer, [](store::Tx& tx, std::string_view id, std::string_view, std::function<void()>&) {
    return remove_tombstone(tx, id);
  });
}

}  // namespace muster::shadows

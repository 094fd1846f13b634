// SPDX-License-Identifier: Apache-2.0
#include "mqtt/broker/session.h"

#include <cstdlib>

#include "base/json.h"
#include "base/text.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::mqtt {

std::size_t Session::sent_index(std::uint64_t number) const {
  if (sent.empty()) return 0;
  if (sent.front().number == number) return 0;  // clients acknowledge in order
  std::size_t low = 0, high = sent.size();
  while (low < high) {
    const std::size_t middle = (low + high) / 2;
    if (sent[middle].number < number) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < sent.size() && sent[low].number == number ? low : sent.size();
}

Held* Session::find_sent(std::uint64_t number) {
  const std::size_t index = sent_index(number);
  return index < sent.size() ? &sent[index] : nullptr;
}

Held Session::take_sent(std::uint64_t number) {
  const std::size_t index = sent_index(number);
  if (index >= sent.size()) return {};
  Held taken = sent.take(index);
  sent.release();
  return taken;
}

void Session::keep_sent(Held held) {
  sent.push_back(std::move(held));
  // Shards take numbers by themselves: one may arrive behind a larger one.
  for (std::size_t i = sent.size() - 1; i > 0 && sent[i - 1].number > sent[i].number; --i)
    std::swap(sent[i - 1], sent[i]);
}

std::string session_key(std::string_view client_id) {
  return store::Key(store::table::kSession).text(client_id).str();
}
std::string subscription_key(std::string_view client_id, std::string_view filter) {
  return store::Key(store::table::kSubscription).text(client_id).text(filter).str();
}

std::string session_record(const Session& session) {
  json::object record;
  record["id"] = std::to_string(session.id());  // 64 bits: more than a JSON number keeps everywhere
  record["version"] = static_cast<int>(session.version);
  record["expiry_s"] = session.expiry_s;
  record["disconnected_ms"] = session.disconnected_ms;
  if (session.disconnected_ms != 0) record["sent_until"] = session.sent_until;
  record["principal"] = session.principal_id;
  record["principal_kind"] = static_cast<int>(session.principal_kind);
  if (session.will) {
    record["will"] = to_base64(to_stored(*session.will->message));
    record["will_delay_s"] = session.will->delay_s;
    if (session.will->expiry_s) record["will_expiry_s"] = *session.will->expiry_s;
  }
  return to_text(record);
}

std::string subscription_record(const Subscription& subscription) {
  json::object record;
  record["qos"] = subscription.qos;
  record["nl"] = subscription.no_local;
  record["rap"] = subscription.retain_as_published;
  record["rh"] = subscription.retain_handling;
  record["id"] = subscription.identifier;
  return to_text(record);
}

Status read_session_record(Session& session, std::string_view record) {
  TRY(const json::object object, parse_record(record));
  const std::string id(get_string(object, "id"));
  session.face->id = std::strtoull(id.c_str(), nullptr, 10);
  if (session.id() == 0) return internal("session record without an id");
  session.sent_until = static_cast<std::uint64_t>(get_int(object, "sent_until"));
  session.version = get_int(object, "version", 4) == 5 ? Version::k5 : Version::k311;
  session.expiry_s = static_cast<std::uint32_t>(get_int(object, "expiry_s"));
  session.disconnected_ms = get_int(object, "disconnected_ms");
  session.principal_id = get_string(object, "principal");
  const std::int64_t kind = get_int(object, "principal_kind");
  if (kind >= 0 && kind <= static_cast<int>(PrincipalKind::kToken))
    session.principal_kind = static_cast<PrincipalKind>(kind);
  if (has(object, "will")) {
    TRY(const std::string bytes, from_base64(get_string(object, "will")));
    auto stored = from_stored(bytes);
    if (!stored) return internal("corrupt will in the session record");
    session.will = std::make_unique<SessionWill>();
    session.will->message = *std::move(stored);
    session.will->delay_s = static_cast<std::uint32_t>(get_int(object, "will_delay_s"));
    if (has(object, "will_expiry_s")) {
      session.will->expiry_s = static_cast<std::uint32_t>(get_int(object, "will_expiry_s"));
    }
  }
  return {};
}

Status read_subscription_record(Subscription& subscription, std::string_view record) {
  TRY(const json::object object, parse_record(record));
  subscription.qos = static_cast<std::uint8_t>(get_int(object, "qos"));
  subscription.no_local = get_bool(object, "nl");
  subscription.retain_as_published = get_bool(object, "rap");
  subscription.retain_handling = static_cast<std::uint8_t>(get_int(object, "rh"));
  subscription.identifier = static_cast<std::uint32_t>(get_int(object, "id"));
  return {};
}

}  // namespace muster::mqtt

// SPDX-License-Identifier: Apache-2.0
#include "api/services/data/shadows.h"

#include "store/transact.h"

namespace muster::api::data {

namespace {

using shadows::ShadowId;
using shadows::Token;
using shadows::Update;

constexpr std::int64_t kMostNames = 100;

ShadowId shadow_id(const json::object& input) {
  return {std::string(get_string(input, "thingName")), std::string(get_string(input, "shadowName"))};
}

Reply document_reply(std::string payload) {
  Reply reply;
  reply.output["payload"] = std::move(payload);
  reply.headers.set("Content-Type", "application/json");
  return reply;
}

io::Task<Reply> get_shadow(const ShadowServices& services, Call& call) {
  const ShadowId id = shadow_id(call.input);
  auto body = [&](store::Tx& tx) { return shadows::get_shadow(tx, id, {}); };
  CO_TRY(std::string payload, co_await store::transact(*services.store, body));
  co_return document_reply(std::move(payload));
}

io::Task<Reply> update_shadow(const ShadowServices& services, Call& call) {
  const ShadowId id = shadow_id(call.input);
  CO_TRY(json::object request, shadows::parse_update_body(get_string(call.input, "payload")));
  CO_TRY(Token token, shadows::client_token(request));
  CO_TRY(Update update, shadows::read_update(std::move(request)));
  auto body = [&](store::Tx& tx) { return shadows::update_shadow(tx, id, update, token, services.wanted); };
  CO_TRY(std::string payload, co_await store::transact(*services.store, body));
  services.wake_outbox();
  co_return document_reply(std::move(payload));
}

io::Task<Reply> delete_shadow(const ShadowServices& services, Call& call) {
  const ShadowId id = shadow_id(call.input);
  auto body = [&](store::Tx& tx) { return shadows::delete_shadow(tx, id, {}, services.wanted); };
  CO_TRY(std::string payload, co_await store::transact(*services.store, body));
  services.wake_outbox();
  co_return document_reply(std::move(payload));
}

io::Task<Reply> list_named(const ShadowServices& services, Call& call) {
  const std::string thing(get_string(call.input, "thingName"));
  const registry::PageRequest request{.token = std::string(get_string(call.input, "nextToken")),
                                      .limit = static_cast<std::size_t>(get_int(call.input, "pageSize", kMostNames))};
  auto body = [&](store::Tx& tx) { return shadows::list_named_shadows(tx, thing, request); };
  CO_TRY(registry::Page<std::string> page, co_await store::transact(*services.store, body));
  Reply reply;
  json::array names;
  for (std::string& name : page.items) names.emplace_back(std::move(name));
  reply.output["results"] = std::move(names);
  if (!page.next_token.empty()) reply.output["nextToken"] = page.next_token;
  reply.output["timestamp"] = call.now_ms / 1000;
  co_return reply;
}

}  // namespace

void register_shadows(Operations& operations, const ShadowServices& given) {
  const auto services = std::make_shared<const ShadowServices>(given);
  const auto add = [&](std::string_view operation, io::Task<Reply> (*body)(const ShadowServices&, Call&)) {
    operations.add("iot-data", operation, [services, body](Call& call) { return body(*services, call); });
  };
  add("GetThingShadow", get_shadow);
  add("UpdateThingShadow", update_shadow);
  add("DeleteThingShadow", delete_shadow);
  add("ListNamedShadowsForThing", list_named);
}

}  // namespace muster::api::data

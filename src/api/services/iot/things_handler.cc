// SPDX-License-Identifier: Apache-2.0
#include "api/services/iot/things_handler.h"

#include "store/transact.h"

namespace muster::api::iot {

namespace {

constexpr std::size_t kPageDefault = 100;
constexpr std::size_t kPageLimit = 250;

struct Outcome {
  json::object output;
  Changes changes;
};

std::size_t page_limit(std::int64_t wanted) {
  if (wanted < 1) return kPageDefault;
  return std::min(static_cast<std::size_t>(wanted), kPageLimit);
}

}  // namespace

void announce(const RegistryServices& services, const Changes& changes) {
  if (changes.groups_to_build && services.build_groups) services.build_groups();
  services.signals.send(changes.jobs);
}

Handler registry_handler(const SharedRegistry& services, RegistryBody body) {
  return [services, body = std::move(body)](Call& call) -> io::Task<Reply> {
    auto run = [&](store::Tx& tx) -> Result<Outcome> {
      Outcome outcome;
      TRY(outcome.output, body(*services, tx, call.input, outcome.changes));
      return outcome;
    };
    CO_TRY(Outcome outcome, co_await store::transact(*services->store, run));
    announce(*services, outcome.changes);
    Reply reply;
    reply.output = std::move(outcome.output);
    co_return reply;
  };
}

registry::PageRequest page_of_input(const json::object& input) {
  return {std::string(get_string(input, "nextToken")), page_limit(get_int(input, "maxResults"))};
}

registry::PageRequest marker_page_of_input(const json::object& input) {
  return {std::string(get_string(input, "marker")), page_limit(get_int(input, "pageSize"))};
}

std::optional<std::int64_t> optional_version(const json::object& input) {
  if (!has(input, "expectedVersion")) return std::nullopt;
  return get_int(input, "expectedVersion");
}

registry::Attributes attributes_of_payload(const json::object* payload) {
  registry::Attributes attributes;
  const json::object* object = payload == nullptr ? nullptr : find_object(*payload, "attributes");
  if (object == nullptr) return attributes;
  for (const auto& item : *object)
    if (item.value().is_string()) attributes.emplace(item.key(), item.value().as_string());
  return attributes;
}

json::object attribute_shape(const registry::Attributes& attributes) {
  json::object shape;
  for (const auto& [name, value] : attributes) shape[name] = value;
  return shape;
}

json::array string_list(std::vector<std::string> items) {
  json::array list;
  for (std::string& item : items) list.emplace_back(std::move(item));
  return list;
}

}  // namespace muster::api::iot

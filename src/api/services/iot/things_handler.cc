// SPDX-License-Identifier: Apache-2.0
#include "api/services/iot/things_handler.h"

#include "domain/security/certificates.h"
#include "domain/security/principals.h"
#include "store/transact.h"

namespace muster::api::iot {

namespace {

constexpr std::size_t kPageDefault = 100;
constexpr std::size_t kPageLimit = 250;
constexpr std::size_t kPrincipalsTouched = 100;

struct Outcome {
  json::object output;
  Changes changes;
};

std::size_t page_limit(std::int64_t wanted) {
  if (wanted < 1) return kPageDefault;
  return std::min(static_cast<std::size_t>(wanted), kPageLimit);
}

}  // namespace

void Changes::touch_target(const Realm& realm, std::string_view arn) {
  if (auto id = security::certificate_in_arn(realm, arn))
    certificates.push_back(*std::move(id));
  else
    all_certificates = true;
}

void Changes::touch_thing(const Realm& realm, store::Tx& tx, std::string_view thing) {
  registry::PageRequest request;
  request.limit = kPrincipalsTouched;
  auto principals = security::list_thing_principals(tx, thing, request);
  if (!principals) return;  // no such thing: nobody is concerned
  for (const std::string& arn : principals->items) touch_target(realm, arn);
  all_certificates = all_certificates || !principals->next_token.empty();
}

void announce(const RegistryServices& services, const Changes& changes) {
  if (services.generations != nullptr) {
    if (changes.all_certificates)
      services.generations->bump_all();
    else
      for (const std::string& id : changes.certificates) services.generations->bump(id);
  }
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

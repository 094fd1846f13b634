// SPDX-License-Identifier: Apache-2.0
#include "domain/security/principals.h"
#include "api/services/iot/things_handler.h"
#include "api/services/security/certificate_shapes.h"

namespace muster::api::iot {

namespace {

using store::Tx;

std::optional<security::AttachmentKind> kind_of_input(const json::object& input) {
  return security::attachment_kind(get_string(input, "thingPrincipalType"));
}

Result<json::object> attach(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY_VOID(security::attach_thing_principal(tx, services.realm, get_string(input, "thingName"),
                                            get_string(input, "principal"), kind_of_input(input)));
  return json::object();
}

Result<json::object> detach(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY_VOID(security::detach_thing_principal(tx, services.realm, get_string(input, "thingName"),
                                            get_string(input, "principal")));
  return json::object();
}

Result<json::object> list_thing_principals(const RegistryServices&, Tx& tx, const json::object& input, Changes&) {
  TRY(auto page, security::list_thing_principals(tx, get_string(input, "thingName"), page_of_input(input)));
  json::object output{{"principals", string_list(std::move(page.items))}};
  if (!page.next_token.empty()) output["nextToken"] = page.next_token;
  return output;
}

Result<json::object> list_principal_things(const RegistryServices& services, Tx& tx, const json::object& input,
                                           Changes&) {
  TRY(auto page,
      security::list_principal_things(tx, services.realm, get_string(input, "principal"), page_of_input(input)));
  json::object output{{"things", string_list(std::move(page.items))}};
  if (!page.next_token.empty()) output["nextToken"] = page.next_token;
  return output;
}

json::object attachments(std::string_view list, std::string_view member,
                         const registry::Page<security::Attachment>& page) {
  json::array items;
  for (const security::Attachment& attachment : page.items) {
    json::object item;
    item[member] = attachment.name;
    item["thingPrincipalType"] = to_string(attachment.kind);
    items.emplace_back(std::move(item));
  }
  json::object output;
  output[list] = std::move(items);
  if (!page.next_token.empty()) output["nextToken"] = page.next_token;
  return output;
}

Result<json::object> list_thing_principals_v2(const RegistryServices&, Tx& tx, const json::object& input, Changes&) {
  TRY(const auto page,
      security::list_thing_attachments(tx, get_string(input, "thingName"), kind_of_input(input), page_of_input(input)));
  return attachments("thingPrincipalObjects", "principal", page);
}

Result<json::object> list_principal_things_v2(const RegistryServices& services, Tx& tx, const json::object& input,
                                              Changes&) {
  TRY(const auto page, security::list_principal_attachments(tx, services.realm, get_string(input, "principal"),
                                                            kind_of_input(input), page_of_input(input)));
  return attachments("principalThingObjects", "thingName", page);
}

}  // namespace

void register_principals(Operations& operations, const SharedRegistry& services) {
  auto add = [&](std::string_view operation, RegistryBody body) {
    operations.add("iot", operation, registry_handler(services, std::move(body)));
  };
  add("AttachThingPrincipal", attach);
  add("DetachThingPrincipal", detach);
  add("ListThingPrincipals", list_thing_principals);
  add("ListPrincipalThings", list_principal_things);
  add("ListThingPrincipalsV2", list_thing_principals_v2);
  add("ListPrincipalThingsV2", list_principal_things_v2);
}

}  // namespace muster::api::iot

// SPDX-License-Identifier: Apache-2.0
#include "api/services/iam/iam.h"
#include "api/services/iam/web_identity.h"
#include "domain/iam/oidc.h"

namespace muster::api::iam_service {
namespace {

using store::Tx;

json::array string_array(const std::vector<std::string>& items) {
  json::array out;
  for (const std::string& item : items) out.emplace_back(item);
  return out;
}

std::string_view arn_of(const Call& call) {
  return get_string(call.input, "OpenIDConnectProviderArn");
}

Result<json::object> create(const IamServices& services, Tx& tx, const Call& call) {
  iam::OidcProvider wanted;
  wanted.url = get_string(call.input, "Url");
  wanted.client_ids = texts_of_input(call.input, "ClientIDList");
  wanted.thumbprints = texts_of_input(call.input, "ThumbprintList");
  wanted.tags = tags_of_input(call.input);
  TRY(const iam::OidcProvider made, iam::create_oidc_provider(tx, wanted));
  json::object output{{"OpenIDConnectProviderArn", iam::oidc_provider_arn(services.realm, made.url)}};
  if (!made.tags.empty()) output["Tags"] = tags_shape(made.tags);
  return output;
}

Result<json::object> get(const IamServices& services, Tx& tx, const Call& call) {
  TRY(const iam::OidcProvider found, iam::get_oidc_provider(tx, services.realm, arn_of(call)));
  json::object output{{"Url", found.url},
                      {"ClientIDList", string_array(found.client_ids)},
                      {"ThumbprintList", string_array(found.thumbprints)},
                      {"CreateDate", found.created_ms}};
  if (!found.tags.empty()) output["Tags"] = tags_shape(found.tags);
  return output;
}

Result<json::object> list(const IamServices& services, Tx& tx, const Call&) {
  json::array arns;
  for (const iam::OidcProvider& provider : iam::list_oidc_providers(tx)) {
    arns.push_back(json::object{{"Arn", iam::oidc_provider_arn(services.realm, provider.url)}});
  }
  return json::object{{"OpenIDConnectProviderList", std::move(arns)}};
}

Result<json::object> erase(const IamServices& services, Tx& tx, const Call& call) {
  TRY_VOID(iam::delete_oidc_provider(tx, services.realm, arn_of(call)));
  return json::object();
}

Result<json::object> add_client(const IamServices& services, Tx& tx, const Call& call) {
  TRY_VOID(iam::add_oidc_client_id(tx, services.realm, arn_of(call), get_string(call.input, "ClientID")));
  return json::object();
}

Result<json::object> remove_client(const IamServices& services, Tx& tx, const Call& call) {
  TRY_VOID(iam::remove_oidc_client_id(tx, services.realm, arn_of(call), get_string(call.input, "ClientID")));
  return json::object();
}

Result<json::object> update_thumbprints(const IamServices& services, Tx& tx, const Call& call) {
  const auto thumbprints = texts_of_input(call.input, "ThumbprintList");
  TRY_VOID(iam::update_oidc_thumbprints(tx, services.realm, arn_of(call), thumbprints));
  return json::object();
}

Result<json::object> tag(const IamServices& services, Tx& tx, const Call& call) {
  TRY_VOID(iam::tag_oidc_provider(tx, services.realm, arn_of(call), tags_of_input(call.input)));
  return json::object();
}

Result<json::object> untag(const IamServices& services, Tx& tx, const Call& call) {
  TRY_VOID(iam::untag_oidc_provider(tx, services.realm, arn_of(call), texts_of_input(call.input, "TagKeys")));
  return json::object();
}

Result<json::object> list_tags(const IamServices& services, Tx& tx, const Call& call) {
  TRY(const iam::OidcProvider found, iam::get_oidc_provider(tx, services.realm, arn_of(call)));
  return tags_page(found.tags, call.input);
}

}  // namespace

void register_oidc_providers(Operations& operations, const WebIdentityServices& given) {
  auto services = std::make_shared<const IamServices>(IamServices{.store = given.store, .realm = given.realm});
  auto add = [&](std::string_view operation, IamBody body) {
    operations.add("iam", operation, iam_handler(services, std::move(body)));
  };
  add("CreateOpenIDConnectProvider", create);
  add("GetOpenIDConnectProvider", get);
  add("ListOpenIDConnectProviders", list);
  add("DeleteOpenIDConnectProvider", erase);
  add("AddClientIDToOpenIDConnectProvider", add_client);
  add("RemoveClientIDFromOpenIDConnectProvider", remove_client);
  add("UpdateOpenIDConnectProviderThumbprint", update_thumbprints);
  add("TagOpenIDConnectProvider", tag);
  add("UntagOpenIDConnectProvider", untag);
  add("ListOpenIDConnectProviderTags", list_tags);
}

}  // namespace muster::api::iam_service

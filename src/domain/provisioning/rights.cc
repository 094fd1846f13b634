// SPDX-License-Identifier: Apache-2.0
#include "domain/provisioning/rights.h"

#include "domain/iam/authorize.h"
#include "domain/iam/identities.h"
#include "domain/iam/sessions.h"

namespace muster::provisioning {

Status PrincipalRights::allow(store::Tx& tx, std::string_view action, const std::vector<std::string>& resources) {
  iam::AuthorizationRequest request{.action = std::string(action), .resources = resources, .context = request_};
  return iam::authorize(tx, realm_, principal_, request, cache_);
}

Status DeferredRights::allow(store::Tx&, std::string_view action, const std::vector<std::string>& resources) {
  auto at = asked_.find(action);
  if (at == asked_.end()) at = asked_.emplace(action, std::vector<std::string>()).first;
  at->second.insert(at->second.end(), resources.begin(), resources.end());
  return {};
}

Status DeferredRights::settle(store::Tx& tx, Rights& rights) {
  for (auto& [action, resources] : asked_) {
    std::ranges::sort(resources);
    const auto twice = std::ranges::unique(resources);
    resources.erase(twice.begin(), twice.end());
    TRY_VOID(rights.allow(tx, action, resources));
  }
  return {};
}

Result<iam::Principal> role_principal(store::Tx& tx, const Realm& realm, std::string_view role_arn,
                                      std::string_view session_name, std::string_view source_arn) {
  const auto denied = [](std::string message) { return make_error(ErrorKind::kAccessDenied, std::move(message)); };
  if (Status trusted = iam::check_service_role(tx, realm, role_arn, "iot.amazonaws.com", source_arn); !trusted) {
    return denied(trusted.error().message);
  }
  const auto role = iam::find_role(tx, role_arn.substr(role_arn.rfind('/') + 1));
  if (!role) return denied("Role " + std::string(role_arn) + " does not exist.");
  iam::Principal principal;
  principal.kind = iam::PrincipalKind::kRoleSession;
  principal.account_id = realm.account_id;
  principal.name = role->name;
  principal.arn = "arn:aws:sts::" + realm.account_id + ":assumed-role/" + role->name + "/" + std::string(session_name);
  principal.user_id = role->id + ":" + std::string(session_name);
  return principal;
}

}  // namespace muster::provisioning

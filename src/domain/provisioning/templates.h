// SPDX-License-Identifier: Apache-2.0
// Provisioning templates as the account keeps them: named, of one type, with up to 5 versions of which one is the
// default, a role that bounds what they may do, and perhaps a function that is asked before a device is provisioned.
// Synchronous over Tx&. Bodies are validated when they are given (template.h), so a stored one parses.
// Errors and quotas as AWS IoT's CreateProvisioningTemplate and so on (API reference 2015-05-28).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "domain/provisioning/template.h"
#include "domain/registry/page.h"
#include "store/store.h"

namespace muster::provisioning {

enum class TemplateType : std::uint8_t { kFleet, kJustInTime };
std::string_view to_string(TemplateType type);  // FLEET_PROVISIONING, JITP
TemplateUse use_of(TemplateType type);

struct Hook {
  std::string target_arn;
  std::string payload_version = "2020-04-01";
};

struct ProvisioningTemplate {
  std::string name;
  std::string description;
  TemplateType type = TemplateType::kFleet;
  bool enabled = false;
  std::string role_arn;
  std::optional<Hook> hook;
  std::int64_t default_version = 1;
  std::int64_t last_version = 1;
  std::int64_t created_ms = 0, modified_ms = 0;
};

struct TemplateVersion {
  std::int64_t number = 1;
  std::string body;
  std::int64_t created_ms = 0;
};

std::string template_arn(const Realm& realm, std::string_view name);

// name, description, type, enabled, role_arn and hook are taken. kInvalid: the body, the hook, or a role that does not
// trust iot.amazonaws.com.
Result<ProvisioningTemplate> create_template(store::Tx& tx, const Realm& realm, const ProvisioningTemplate& wanted,
                                             std::string_view body);
std::optional<ProvisioningTemplate> find_template(store::Tx& tx, std::string_view name);
Result<ProvisioningTemplate> get_template(store::Tx& tx, std::string_view name);
Result<registry::Page<ProvisioningTemplate>> list_templates(store::Tx& tx, const registry::PageRequest& request);
// With all its versions and its tags.
Status delete_template(store::Tx& tx, const Realm& realm, std::string_view name);

struct TemplateChange {
  std::string name;
  std::optional<std::string> description, role_arn;
  std::optional<bool> enabled;
  std::optional<std::int64_t> default_version;
  std::optional<Hook> hook;
  bool remove_hook = false;
};
Result<ProvisioningTemplate> update_template(store::Tx& tx, const Realm& realm, const TemplateChange& change);

Result<TemplateVersion> create_template_version(store::Tx& tx, std::string_view name, std::string_view body,
                                                bool set_as_default);
Result<TemplateVersion> get_template_version(store::Tx& tx, std::string_view name, std::int64_t number);
Result<registry::Page<TemplateVersion>> list_template_versions(store::Tx& tx, std::string_view name,
                                                               const registry::PageRequest& request);
// Refused for the default one.
Status delete_template_version(store::Tx& tx, std::string_view name, std::int64_t number);

}  // namespace muster::provisioning

// SPDX-License-Identifier: Apache-2.0
// Provisioning templates: a body of JSON that says, over parameters, which thing, certificate and policies a device
// gets. Pure. parse_template() validates all of a body when it is given to us and refuses by name what provision.h
// would not do; resolve() fills in a device's parameters. Bounds: 10,240 characters, 32 levels of JSON, 50 parameters,
// one thing, one certificate, 10 policies.
// Source: AWS IoT developer guide, "Provisioning templates"; API reference, CreateProvisioningTemplate.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "domain/provisioning/expressions.h"
#include "domain/registry/things.h"
#include "domain/security/certificates.h"

namespace muster::provisioning {

inline constexpr std::size_t kMaxTemplateBytes = 10'240;
inline constexpr std::string_view kCertificateIdParameter = "AWS::IoT::Certificate::Id";

enum class TemplateUse : std::uint8_t {
  kFleet,       // by claim: the certificate is the one of the ownership token
  kJustInTime,  // the certificate is the one that connected
  kRegister,    // RegisterThing and bulk registration: parameters say all
};

// What to do where the resource is there already and differs.
enum class Override : std::uint8_t { kDoNothing, kReplace, kFail, kMerge };

struct ThingResource {
  std::string logical_name;
  json::value name;
  std::optional<json::value> attributes, type, groups, billing_group;
  Override override_attributes = Override::kDoNothing;
  Override override_type = Override::kDoNothing;
  Override override_groups = Override::kDoNothing;
};

struct CertificateResource {
  std::string logical_name;
  std::optional<json::value> id, request, pem, ca_pem;
  std::optional<json::value> status;
  Override override_status = Override::kReplace;
};

struct PolicyResource {
  std::string logical_name;
  std::optional<json::value> name;
  std::optional<json::value> document;  // text, or an object
};

struct Template {
  TemplateUse use = TemplateUse::kFleet;
  Declarations declared;
  std::optional<ThingResource> thing;
  std::optional<CertificateResource> certificate;
  std::vector<PolicyResource> policies;
  json::object device_configuration;
};

// kInvalid says what is wrong, and where.
Result<Template> parse_template(std::string_view body, TemplateUse use);

struct ThingPlan {
  std::string logical_name;
  registry::CreateThing thing;
  bool has_attributes = false;
  std::vector<std::string> groups;
  bool has_groups = false;
  Override attributes = Override::kDoNothing, type = Override::kDoNothing, memberships = Override::kDoNothing;
};

struct CertificatePlan {
  std::string logical_name;
  std::string id;       // of one that is registered
  std::string request;  // PEM of a signing request
  std::string pem, ca_pem;
  security::CertificateStatus status = security::CertificateStatus::kActive;
  Override on_status = Override::kReplace;
};

struct PolicyPlan {
  std::string logical_name;
  std::string name;      // empty: of `document`
  std::string document;  // empty: `name` exists
};

struct Plan {
  std::optional<ThingPlan> thing;
  std::optional<CertificatePlan> certificate;
  std::vector<PolicyPlan> policies;
  json::object device_configuration;
};

// kInvalid: a parameter without a value, one of a wrong form, or (kRegister) one that the template does not declare.
Result<Plan> resolve(const Template& source, const Parameters& given);

}  // namespace muster::provisioning

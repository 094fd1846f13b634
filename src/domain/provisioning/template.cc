// SPDX-License-Identifier: Apache-2.0
#include "domain/provisioning/template.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "base/crypto.h"
#include "base/text.h"
#include "domain/iam/policy/document.h"

namespace muster::provisioning {

namespace {

constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMaxParameters = 50;
constexpr std::size_t kMaxPolicies = 10;
constexpr std::size_t kMaxGroups = 10;

constexpr std::string_view kThing = "AWS::IoT::Thing", kCertificate = "AWS::IoT::Certificate",
                           kPolicy = "AWS::IoT::Policy";
// Of the certificate that connects; given by us alone.
constexpr std::array kCertificateParameters{
    std::string_view("AWS::IoT::Certificate::Country"),
    std::string_view("AWS::IoT::Certificate::Organization"),
    std::string_view("AWS::IoT::Certificate::OrganizationalUnit"),
    std::string_view("AWS::IoT::Certificate::DistinguishedNameQualifier"),
    std::string_view("AWS::IoT::Certificate::StateName"),
    std::string_view("AWS::IoT::Certificate::CommonName"),
    std::string_view("AWS::IoT::Certificate::SerialNumber"),
    kCertificateIdParameter,
};

Error wrong(const std::string& what) {
  return invalid("Invalid template body: " + what);
}

// Refuses members that are not in `known`; `why` says more about some of them.
Status only(const json::object& object, const std::string& where, std::initializer_list<std::string_view> known) {
  for (const auto& member : object) {
    if (std::ranges::find(known, std::string_view(member.key())) != known.end()) continue;
    return wrong(where + (where.empty() ? "" : ".") + std::string(member.key()) + " is not supported");
  }
  return {};
}

Result<const json::object*> object_member(const json::object& object, std::string_view key, const std::string& where) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr) return nullptr;
  if (!value->is_object()) return wrong(where + std::string(key) + " must be an object");
  return &value->get_object();
}

Result<std::optional<Override>> override_of(const json::object* settings, std::string_view property,
                                            std::string_view constant, bool may_merge) {
  std::optional<Override> found;
  if (settings == nullptr) return found;
  const json::value* value = settings->if_contains(property);
  if (value == nullptr && !constant.empty()) value = settings->if_contains(constant);
  if (value == nullptr) return found;
  const std::string_view text = value->is_string() ? std::string_view(value->get_string()) : std::string_view();
  if (text == "DO_NOTHING") return std::optional(Override::kDoNothing);
  if (text == "REPLACE") return std::optional(Override::kReplace);
  if (text == "FAIL") return std::optional(Override::kFail);
  if (text == "MERGE" && may_merge) return std::optional(Override::kMerge);
  return wrong("OverrideSettings." + std::string(property) + " must be DO_NOTHING, REPLACE" +
               (may_merge ? ", FAIL or MERGE" : " or FAIL"));
}

Result<security::CertificateStatus> status_of(std::string_view text) {
  if (equals_ignore_case(text, "ACTIVE")) return security::CertificateStatus::kActive;
  if (equals_ignore_case(text, "INACTIVE")) return security::CertificateStatus::kInactive;
  return invalid("The Status of a certificate must be ACTIVE or INACTIVE");
}

class Parser {
 public:
  explicit Parser(TemplateUse use) { out_.use = use; }

  Result<Template> parse(const json::object& body) {
    TRY_VOID(only(body, "", {"Parameters", "Mappings", "Resources", "DeviceConfiguration"}));
    TRY_VOID(parameters(body));
    TRY_VOID(mappings(body));
    TRY(const json::object* resources, object_member(body, "Resources", ""));
    if (resources == nullptr || resources->empty()) return wrong("Resources is required");
    for (const auto& member : *resources) {
      if (!member.value().is_object()) return wrong("Resources." + std::string(member.key()) + " must be an object");
      TRY_VOID(resource(std::string(member.key()), member.value().get_object()));
    }
    if ((out_.use != TemplateUse::kRegister || !out_.policies.empty()) && !out_.certificate) {
      return wrong("Resources must have an " + std::string(kCertificate));
    }
    TRY_VOID(device_configuration(body));
    return std::move(out_);
  }

 private:
  Status parameters(const json::object& body) {
    for (std::string_view name : kCertificateParameters) {
      const bool given =
          out_.use == TemplateUse::kJustInTime || (out_.use == TemplateUse::kFleet && name == kCertificateIdParameter);
      if (given) out_.declared.parameters.emplace(name, std::nullopt);
    }
    TRY(const json::object* declared, object_member(body, "Parameters", ""));
    if (declared == nullptr) return {};
    if (declared->size() > kMaxParameters) return wrong("Parameters has more than " + std::to_string(kMaxParameters));
    for (const auto& member : *declared) {
      const std::string name(member.key());
      if (!member.value().is_object()) return wrong("Parameters." + name + " must be an object");
      const json::object& parameter = member.value().get_object();
      TRY_VOID(only(parameter, "Parameters." + name, {"Type", "Default"}));
      if (get_string(parameter, "Type") != "String") return wrong("Parameters." + name + ".Type must be String");
      std::optional<std::string> fallback;
      if (const json::value* value = parameter.if_contains("Default")) {
        if (!value->is_string()) return wrong("Parameters." + name + ".Default must be a string");
        fallback = std::string(value->get_string());
      }
      if (name.starts_with("AWS::") && !out_.declared.parameters.contains(name) && out_.use != TemplateUse::kRegister) {
        return wrong("Parameters." + name + " is not a parameter that a certificate gives here");
      }
      out_.declared.parameters[name] = std::move(fallback);
    }
    return {};
  }

  Status mappings(const json::object& body) {
    TRY(const json::object* maps, object_member(body, "Mappings", ""));
    if (maps == nullptr) return {};
    for (const auto& map : *maps) {
      const std::string where = "Mappings." + std::string(map.key());
      if (!map.value().is_object()) return wrong(where + " must be an object");
      for (const auto& row : map.value().get_object()) {
        if (!row.value().is_object()) return wrong(where + "." + std::string(row.key()) + " must be an object");
        for (const auto& cell : row.value().get_object()) {
          if (!cell.value().is_string()) {
            return wrong(where + "." + std::string(row.key()) + "." + std::string(cell.key()) + " must be a string");
          }
        }
      }
    }
    out_.declared.mappings = *maps;
    return {};
  }

  Status resource(const std::string& name, const json::object& object) {
    const std::string where = "Resources." + name;
    TRY_VOID(only(object, where, {"Type", "Properties", "OverrideSettings"}));
    TRY(const json::object* properties, object_member(object, "Properties", where + "."));
    if (properties == nullptr) return wrong(where + ".Properties is required");
    TRY(const json::object* settings, object_member(object, "OverrideSettings", where + "."));
    const std::string_view type = get_string(object, "Type");
    if (type == kThing) return thing(name, *properties, settings);
    if (type == kCertificate) return certificate(name, *properties, settings);
    if (type == kPolicy) return policy(name, *properties, settings);
    return wrong(where + ".Type must be " + std::string(kThing) + ", " + std::string(kCertificate) + " or " +
                 std::string(kPolicy));
  }

  Result<std::optional<json::value>> property(const json::object& properties, std::string_view key, Shape shape,
                                              const std::string& where) {
    const json::value* value = properties.if_contains(key);
    if (value == nullptr) return std::optional<json::value>();
    TRY_VOID(check_expression(out_.declared, *value, shape, where + "." + std::string(key)));
    return std::optional(*value);
  }

  Status thing(const std::string& name, const json::object& properties, const json::object* settings) {
    const std::string where = "Resources." + name + ".Properties";
    if (out_.thing) return wrong("Resources has more than one " + std::string(kThing));
    TRY_VOID(
        only(properties, where, {"ThingName", "AttributePayload", "ThingTypeName", "ThingGroups", "BillingGroup"}));
    ThingResource thing{.logical_name = name, .name = {}};
    TRY(std::optional<json::value> thing_name, property(properties, "ThingName", Shape::kText, where));
    if (!thing_name) return wrong(where + ".ThingName is required");
    thing.name = *std::move(thing_name);
    TRY(thing.type, property(properties, "ThingTypeName", Shape::kText, where));
    TRY(thing.billing_group, property(properties, "BillingGroup", Shape::kText, where));
    TRY(thing.groups, property(properties, "ThingGroups", Shape::kList, where));
    if (const json::value* attributes = properties.if_contains("AttributePayload")) {
      TRY_VOID(check_attributes(*attributes, where + ".AttributePayload"));
      thing.attributes = *attributes;
    }
    if (settings != nullptr) {
      TRY_VOID(only(*settings, "Resources." + name + ".OverrideSettings",
                    {"AttributePayload", "ThingTypeName", "ThingGroups", "ATTRIBUTE_PAYLOAD", "THING_TYPE_NAME",
                     "THING_GROUPS"}));
    }
    TRY(const auto attributes, override_of(settings, "AttributePayload", "ATTRIBUTE_PAYLOAD", true));
    TRY(const auto type, override_of(settings, "ThingTypeName", "THING_TYPE_NAME", false));
    TRY(const auto groups, override_of(settings, "ThingGroups", "THING_GROUPS", true));
    thing.override_attributes = attributes.value_or(Override::kDoNothing);
    thing.override_type = type.value_or(Override::kDoNothing);
    thing.override_groups = groups.value_or(Override::kDoNothing);
    out_.thing = std::move(thing);
    return {};
  }

  Status check_attributes(const json::value& value, const std::string& where) {
    if (!value.is_object() || is_expression(value)) return wrong(where + " must be an object");
    for (const auto& member : value.get_object()) {
      TRY_VOID(check_expression(out_.declared, member.value(), Shape::kText, where + "." + std::string(member.key())));
    }
    return {};
  }

  Status certificate(const std::string& name, const json::object& properties, const json::object* settings) {
    const std::string where = "Resources." + name + ".Properties";
    if (out_.certificate) return wrong("Resources has more than one " + std::string(kCertificate));
    TRY_VOID(only(properties, where,
                  {"CertificateId", "CertificateSigningRequest", "CertificatePem", "CACertificatePem", "Status"}));
    CertificateResource certificate{.logical_name = name};
    TRY(certificate.id, property(properties, "CertificateId", Shape::kText, where));
    TRY(certificate.request, property(properties, "CertificateSigningRequest", Shape::kText, where));
    TRY(certificate.pem, property(properties, "CertificatePem", Shape::kText, where));
    TRY(certificate.ca_pem, property(properties, "CACertificatePem", Shape::kText, where));
    TRY(certificate.status, property(properties, "Status", Shape::kText, where));
    if (certificate.status && certificate.status->is_string()) {
      TRY_VOID(status_of(certificate.status->get_string()));
    }
    const int ways =
        int{certificate.id.has_value()} + int{certificate.request.has_value()} + int{certificate.pem.has_value()};
    if (ways != 1) {
      return wrong(where + " must have one of CertificateId, CertificateSigningRequest and CertificatePem");
    }
    if (certificate.ca_pem && !certificate.pem) return wrong(where + ".CACertificatePem goes with CertificatePem");
    if (out_.use != TemplateUse::kRegister) {
      // Whose certificate it is, is not the template's to say: it is the one of the token, or of the connection.
      const json::value own{{"Ref", kCertificateIdParameter}};
      if (certificate.id != own) {
        return wrong(where + " must have CertificateId {\"Ref\": \"" + std::string(kCertificateIdParameter) + "\"}");
      }
    }
    if (settings != nullptr) {
      TRY_VOID(only(*settings, "Resources." + name + ".OverrideSettings", {"Status", "STATUS"}));
    }
    TRY(const auto status, override_of(settings, "Status", "STATUS", false));
    certificate.override_status = status.value_or(Override::kReplace);
    out_.certificate = std::move(certificate);
    return {};
  }

  Status policy(const std::string& name, const json::object& properties, const json::object* settings) {
    const std::string where = "Resources." + name + ".Properties";
    if (settings != nullptr) return wrong("Resources." + name + ".OverrideSettings is not supported for policies");
    if (out_.policies.size() == kMaxPolicies) return wrong("Resources has more than 10 policies");
    TRY_VOID(only(properties, where, {"PolicyName", "PolicyDocument"}));
    PolicyResource policy{.logical_name = name};
    TRY(policy.name, property(properties, "PolicyName", Shape::kText, where));
    if (policy.name && policy.name->is_string()) TRY_VOID(check_policy_name(policy.name->get_string()));
    if (const json::value* document = properties.if_contains("PolicyDocument")) {
      if (!document->is_string() && !document->is_object()) {
        return wrong(where + ".PolicyDocument must be a string or an object");
      }
      const Shape shape = document->is_string() || is_expression(*document) ? Shape::kText : Shape::kTree;
      TRY_VOID(check_expression(out_.declared, *document, shape, where + ".PolicyDocument"));
      if (!holds_expression(*document)) TRY_VOID(check_document(*document, where));
      policy.document = *document;
    }
    if (policy.name.has_value() == policy.document.has_value()) {
      return wrong(where + " must have either PolicyName or PolicyDocument");
    }
    out_.policies.push_back(std::move(policy));
    return {};
  }

  static Status check_document(const json::value& document, const std::string& where) {
    const std::string text = document.is_string() ? std::string(document.get_string()) : to_text(document);
    auto compiled = iam::compile_policy(text, iam::PolicyUse::kIot);
    if (!compiled) return wrong(where + ".PolicyDocument: " + compiled.error().message);
    return {};
  }

 public:
  static Status check_policy_name(std::string_view name) {
    const auto legal = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             std::string_view("_+=,.@-").find(c) != std::string_view::npos;
    };
    if (name.empty() || name.size() > 128 || !std::ranges::all_of(name, legal)) {
      return invalid("Invalid policy name: it must match [\\w+=,.@-]{1,128}");
    }
    return {};
  }

 private:
  Status device_configuration(const json::object& body) {
    TRY(const json::object* configuration, object_member(body, "DeviceConfiguration", ""));
    if (configuration == nullptr) return {};
    if (out_.use != TemplateUse::kFleet) {
      return wrong("DeviceConfiguration is not supported: only fleet provisioning has an answer to the device");
    }
    const json::value tree(*configuration);
    if (is_expression(tree)) return wrong("DeviceConfiguration must be an object");
    TRY_VOID(check_expression(out_.declared, tree, Shape::kTree, "DeviceConfiguration"));
    out_.device_configuration = *configuration;
    return {};
  }

  Template out_;
};

Result<ThingPlan> plan_thing(const ThingResource& source, Evaluator& evaluator) {
  ThingPlan plan;
  plan.logical_name = source.logical_name;
  plan.attributes = source.override_attributes;
  plan.type = source.override_type;
  plan.memberships = source.override_groups;
  TRY(plan.thing.name, evaluator.text(source.name));
  if (!is_thing_name(plan.thing.name)) return invalid("Invalid thing name: it must match [a-zA-Z0-9:_-]{1,128}");
  if (source.type) {
    TRY(plan.thing.type, evaluator.text(*source.type));
  }
  if (source.billing_group) {
    TRY(plan.thing.billing_group, evaluator.text(*source.billing_group));
  }
  if (source.attributes) {
    plan.has_attributes = true;
    for (const auto& member : source.attributes->get_object()) {
      TRY(std::string value, evaluator.text(member.value()));
      plan.thing.attributes.emplace(member.key(), std::move(value));
    }
    TRY(plan.thing.attributes, registry::checked_attributes(plan.thing.attributes));
  }
  if (source.groups) {
    plan.has_groups = true;
    TRY(plan.groups, evaluator.list(*source.groups));
    if (plan.groups.size() > kMaxGroups) return invalid("ThingGroups has more than 10 groups");
  }
  return plan;
}

Result<CertificatePlan> plan_certificate(const CertificateResource& source, Evaluator& evaluator) {
  CertificatePlan plan;
  plan.logical_name = source.logical_name;
  plan.on_status = source.override_status;
  if (source.id) {
    TRY(std::string id, evaluator.text(*source.id));
    plan.id = lower(id);
    if (plan.id.starts_with("0x")) plan.id.erase(0, 2);
    const bool good = plan.id.size() == 64 && from_hex(plan.id).has_value();
    if (!good) return invalid("Invalid CertificateId: it must be 64 hexadecimal digits");
  }
  if (source.request) {
    TRY(plan.request, evaluator.text(*source.request));
  }
  if (source.pem) {
    TRY(plan.pem, evaluator.text(*source.pem));
  }
  if (source.ca_pem) {
    TRY(plan.ca_pem, evaluator.text(*source.ca_pem));
  }
  if (source.status) {
    TRY(const std::string status, evaluator.text(*source.status));
    TRY(plan.status, status_of(status));
  }
  return plan;
}

Result<PolicyPlan> plan_policy(const PolicyResource& source, Evaluator& evaluator) {
  PolicyPlan plan;
  plan.logical_name = source.logical_name;
  if (source.name) {
    TRY(plan.name, evaluator.text(*source.name));
    TRY_VOID(Parser::check_policy_name(plan.name));
  }
  if (source.document) {
    evaluator.guard_policy(true);
    const bool text = source.document->is_string() || is_expression(*source.document);
    Result<json::value> document = text ? Result<json::value>() : evaluator.tree(*source.document);
    Result<std::string> written = text ? evaluator.text(*source.document) : Result<std::string>();
    evaluator.guard_policy(false);
    if (text && !written) return std::move(written).error();
    if (!text && !document) return std::move(document).error();
    plan.document = text ? *std::move(written) : to_text(*document);
    plan.name = sha256_hex(plan.document);  // AWS: "Defaults to a hash of the policy document"
  }
  return plan;
}

// Parameters of a certificate come from us, whatever else is given.
Status check_given(const Template& source, const Parameters& given) {
  for (const auto& [name, value] : given) {
    if (source.use == TemplateUse::kRegister && !source.declared.parameters.contains(name)) {
      return invalid("Parameter " + name + " is not declared by the template");
    }
    if (!is_utf8(value)) return invalid("The value of parameter " + name + " is not UTF-8");
  }
  return {};
}

}  // namespace

Result<Template> parse_template(std::string_view body, TemplateUse use) {
  if (body.size() > kMaxTemplateBytes) {
    return wrong("it exceeds " + std::to_string(kMaxTemplateBytes) + " characters");
  }
  auto parsed = parse_json(body, JsonLimits{.max_bytes = kMaxTemplateBytes, .max_depth = kMaxDepth});
  if (!parsed) return wrong(parsed.error().message);
  if (!parsed->is_object()) return wrong("it must be a JSON object");
  return Parser(use).parse(parsed->get_object());
}

Result<Plan> resolve(const Template& source, const Parameters& given) {
  TRY_VOID(check_given(source, given));
  Evaluator evaluator(source.declared, given);
  Plan plan;
  if (source.thing) {
    TRY(plan.thing, plan_thing(*source.thing, evaluator));
  }
  if (source.certificate) {
    TRY(plan.certificate, plan_certificate(*source.certificate, evaluator));
  }
  for (const PolicyResource& policy : source.policies) {
    TRY(PolicyPlan one, plan_policy(policy, evaluator));
    plan.policies.push_back(std::move(one));
  }
  if (!source.device_configuration.empty()) {
    TRY(json::value configuration, evaluator.tree(json::value(source.device_configuration)));
    plan.device_configuration = std::move(configuration.get_object());
  }
  return plan;
}

}  // namespace muster::provisioning

// SPDX-License-Identifier: Apache-2.0
#include "domain/audit/event.h"

#include <array>
#include <cctype>

#include "base/ids.h"
#include "base/text.h"

namespace muster::audit {
namespace {

constexpr std::size_t kMaxText = 1024;
constexpr std::size_t kMaxArn = 2048;
constexpr std::size_t kMaxResources = 64;

// Bytes of the well-formed character at the front, or 0.
std::size_t character(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  return size <= text.size() && is_utf8(text.substr(0, size)) ? size : 0;
}

class Writer {
 public:
  std::string take() {
    text_ += '}';
    return std::move(text_);
  }
  void raw(std::string_view name, std::string_view json_text) {
    text_ += first_ ? "{" : ",";
    first_ = false;
    append_json_string(text_, name);
    text_ += ':';
    text_ += json_text;
  }
  void text(std::string_view name, std::string_view value, std::size_t most = kMaxText) {
    std::string quoted;
    append_json_string(quoted, clean(value, most));
    raw(name, quoted);
  }
  void known(std::string_view name, std::string_view value) {
    if (!value.empty()) text(name, value, kMaxArn);
  }
  void flag(std::string_view name, bool value) { raw(name, value ? "true" : "false"); }

 private:
  std::string text_;
  bool first_ = true;
};

std::string identity_text(const Identity& who) {
  Writer out;
  out.text("type", who.type);
  out.known("principalId", who.principal_id);
  out.known("arn", who.arn);
  out.known("accountId", who.account_id);
  out.known("accessKeyId", who.access_key_id);
  out.known("userName", who.user_name);
  if (!who.issuer_arn.empty()) {
    Writer issuer;
    issuer.text("type", "Role");
    issuer.known("principalId", who.issuer_id);
    issuer.known("arn", who.issuer_arn);
    issuer.known("accountId", who.account_id);
    issuer.known("userName", who.issuer_name);
    Writer context;
    context.raw("sessionIssuer", issuer.take());
    context.raw("attributes", R"({"mfaAuthenticated":"false"})");
    out.raw("sessionContext", context.take());
  }
  return out.take();
}

std::string resources_text(const Event& event) {
  std::string out = "[";
  for (std::size_t i = 0; i < std::min(event.resources.size(), kMaxResources); ++i) {
    if (i != 0) out += ',';
    Writer one;
    one.known("accountId", event.account_id);
    one.known("type", event.resources[i].type);
    one.text("ARN", event.resources[i].arn, kMaxArn);
    out += one.take();
  }
  return out + "]";
}

struct TypeName {
  std::string_view service, kind, type;
};
constexpr std::array kTypes = {
    TypeName{"iot", "thing", "AWS::IoT::Thing"},
    TypeName{"iot", "thinggroup", "AWS::IoT::ThingGroup"},
    TypeName{"iot", "thingtype", "AWS::IoT::ThingType"},
    TypeName{"iot", "billinggroup", "AWS::IoT::BillingGroup"},
    TypeName{"iot", "job", "AWS::IoT::Job"},
    TypeName{"iot", "jobtemplate", "AWS::IoT::JobTemplate"},
    TypeName{"iot", "policy", "AWS::IoT::Policy"},
    TypeName{"iot", "cert", "AWS::IoT::Certificate"},
    TypeName{"iot", "cacert", "AWS::IoT::CACertificate"},
    TypeName{"iot", "rolealias", "AWS::IoT::RoleAlias"},
    TypeName{"iot", "authorizer", "AWS::IoT::Authorizer"},
    TypeName{"iot", "provisioningtemplate", "AWS::IoT::ProvisioningTemplate"},
    TypeName{"iot", "client", "AWS::IoT::Client"},
    TypeName{"iot", "topic", "AWS::IoT::Topic"},
    TypeName{"iot", "topicfilter", "AWS::IoT::TopicFilter"},
    TypeName{"iot", "index", "AWS::IoT::Index"},
    TypeName{"iam", "user", "AWS::IAM::User"},
    TypeName{"iam", "role", "AWS::IAM::Role"},
    TypeName{"iam", "group", "AWS::IAM::Group"},
    TypeName{"iam", "policy", "AWS::IAM::Policy"},
    TypeName{"iam", "oidc-provider", "AWS::IAM::OIDCProvider"},
    TypeName{"sts", "assumed-role", "AWS::STS::AssumedRole"},
};

}  // namespace

std::string clean(std::string_view text, std::size_t max_bytes) {
  std::string out;
  if (text.size() <= max_bytes && is_utf8(text)) return std::string(text);
  while (!text.empty()) {
    const std::size_t size = character(text);
    const std::string_view piece = size == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, size);
    if (out.size() + piece.size() > max_bytes) return out + "...";
    out += piece;
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out;
}

std::string resource_type(std::string_view text) {
  const auto arn = parse_arn(text);
  if (!arn) return {};
  if (arn->service == "s3") {
    return arn->resource.find('/') == std::string::npos ? "AWS::S3::Bucket" : "AWS::S3::Object";
  }
  const std::string_view kind = std::string_view(arn->resource).substr(0, arn->resource.find_first_of("/:"));
  for (const TypeName& known : kTypes) {
    if (known.service == arn->service && known.kind == kind) return std::string(known.type);
  }
  if (arn->service == "lambda" && kind == "function") return "AWS::Lambda::Function";
  return {};
}

std::string_view resource_name(std::string_view arn) {
  std::string_view rest = arn;
  for (int i = 0; i < 5; ++i) {
    const std::size_t colon = rest.find(':');
    if (colon == std::string_view::npos) return arn;
    rest.remove_prefix(colon + 1);
  }
  if (arn.starts_with("arn:aws:s3:")) return rest;
  const std::size_t slash = rest.find_first_of("/:");
  return slash == std::string_view::npos ? rest : rest.substr(slash + 1);
}

std::string_view user_name(const json::object& event) {
  const json::object* who = find_object(event, "userIdentity");
  if (who == nullptr) return {};
  if (const std::string_view name = get_string(*who, "userName"); !name.empty()) return name;
  const std::string_view type = get_string(*who, "type"), arn = get_string(*who, "arn");
  if (type == "Root") return "root";
  if (type == "AssumedRole") return arn.substr(arn.rfind('/') + 1);
  if (type == "Certificate") return get_string(*who, "principalId");
  return {};
}

std::string to_text(const Event& event) {
  Writer out;
  out.text("eventVersion", "1.08");
  out.raw("userIdentity", identity_text(event.who));
  out.text("eventTime", to_iso8601(event.time_ms, false));
  out.text("eventSource", event.source);
  out.text("eventName", event.name);
  out.text("awsRegion", event.region);
  out.text("sourceIPAddress", event.address);
  out.text("userAgent", event.user_agent);
  if (!event.error_code.empty()) {
    out.text("errorCode", event.error_code);
    out.text("errorMessage", event.error_message);
  }
  out.raw("requestParameters", event.parameters.empty() ? "null" : event.parameters);
  out.raw("responseElements", "null");
  json::object additional = event.additional;
  additional["eventTimeMs"] = event.time_ms;
  out.raw("additionalEventData", muster::to_text(additional));
  out.text("requestID", event.request_id);
  out.text("eventID", event.id);
  out.flag("readOnly", event.read_only);
  if (!event.resources.empty()) out.raw("resources", resources_text(event));
  out.text("eventType", "AwsApiCall");
  out.flag("managementEvent", !event.data);
  out.text("recipientAccountId", event.account_id);
  out.text("eventCategory", event.data ? "Data" : "Management");
  if (event.tls) {
    Writer tls;
    tls.text("clientProvidedHostHeader", event.host);
    out.raw("tlsDetails", tls.take());
  }
  return out.take();
}

}  // namespace muster::audit

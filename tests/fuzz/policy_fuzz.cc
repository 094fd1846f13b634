// SPDX-License-Identifier: Apache-2.0
// links: muster_domain_iam
// Policy documents and the evaluator. Input: one character that chooses the use (i, r, t, d), then the document, a zero
// byte, the resource, a zero byte, the client id. What compiles must evaluate, a deny-all beside it must win, and a
// client id put into a resource must match itself alone, whatever wildcards it holds.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "domain/iam/policy/eval.h"

namespace {

using namespace muster::iam;

void require(bool holds) {
  if (!holds) std::abort();
}

std::string_view next_part(std::string_view& rest) {
  std::string_view part = rest.substr(0, rest.find('\0'));
  rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  return part;
}

PolicyUse use_of(char c) {
  switch (c) {
    case 'r':
      return PolicyUse::kResource;
    case 't':
      return PolicyUse::kTrust;
    case 'd':
      return PolicyUse::kIot;
    default:
      return PolicyUse::kIdentity;
  }
}

void check_substitution(std::string_view resource, std::string_view client) {
  static const PolicyPtr kPolicy = *compile_policy(
      R"({"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iot:Publish",
          "Resource":"arn:aws:iot:r:1:topic/${iot:ClientId}"}})",
      PolicyUse::kIot);
  PolicyContext context;
  context.set("iot:ClientId", std::string(client));
  std::string topic = "arn:aws:iot:r:1:topic/" + std::string(resource);
  Decision decision = evaluate({&kPolicy, 1}, {"iot:Publish", topic, &context, nullptr});
  require((decision.verdict == Verdict::kAllow) == (resource == client));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  std::string_view rest(reinterpret_cast<const char*>(bytes), size);
  PolicyUse use = use_of(rest.front());
  rest.remove_prefix(1);
  std::string_view document = next_part(rest), resource = next_part(rest), client = next_part(rest);
  if (resource.size() > 4096 || client.size() > 4096) return 0;
  check_substitution(resource, client);

  auto compiled = compile_policy(document, use);
  if (!compiled) {
    require(!compiled.error().message.empty() && !compiled.error().reason.empty());
    return 0;
  }
  PolicyContext context;
  context.set("iot:ClientId", std::string(client));
  context.set("aws:username", std::string(client));
  context.set("aws:SourceIp", "192.0.2.1");
  context.set("aws:CurrentTime", "2026-11-23T00:00:00Z");
  context.set("s3:max-keys", std::string(client));
  PolicyPrincipal principal;
  principal.arn = "arn:aws:iam::123456789012:user/ann";
  principal.account_id = "123456789012";
  PolicyRequest request{"iot:Publish", resource, &context, &principal};
  std::vector<PolicyPtr> policies{*compiled};
  Decision alone = evaluate(policies, request);
  policies.push_back(deny_all_policy());
  require(evaluate(policies, request).verdict == Verdict::kExplicitDeny);
  policies.pop_back();
  policies.push_back(*compiled);
  require(evaluate(policies, request).verdict == alone.verdict);
  return 0;
}

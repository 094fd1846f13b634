// SPDX-License-Identifier: Apache-2.0
#include "api/device/explain_access.h"

#include <algorithm>

#include "api/device/near_topics.h"
#include "api/device/reserved_topics.h"
#include "domain/iam/policy/explain.h"
#include "domain/security/principals.h"

namespace muster::api::device {

namespace {

constexpr std::size_t kPatternsNamed = 3;
constexpr std::size_t kMissesNamed = 5;

std::string named(const security::DeviceFacts& facts, int policy) {
  const auto index = static_cast<std::size_t>(policy);
  return index < facts.policy_names.size() ? facts.policy_names[index] : "number " + std::to_string(policy + 1);
}

std::string statement_text(const security::DeviceFacts& facts, int policy, int statement, std::string_view sid) {
  std::string text = "statement " + std::to_string(statement + 1);
  if (!sid.empty()) text += " (" + std::string(sid) + ")";
  return text + " of policy " + named(facts, policy);
}

std::map<std::string, std::string> statement_facts(const security::DeviceFacts& facts, int policy, int statement,
                                                   std::string_view sid) {
  std::map<std::string, std::string> named_facts{{"policy", named(facts, policy)},
                                                 {"statement", std::to_string(statement + 1)}};
  if (!sid.empty()) named_facts["sid"] = sid;
  return named_facts;
}

std::string list_text(const std::vector<std::string>& items, std::size_t most) {
  std::string text;
  for (std::size_t i = 0; i < items.size() && i < most; ++i) text += (i == 0 ? "" : ", ") + items[i];
  return items.size() > most ? text + ", ..." : text;
}

std::string capitalised(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 32);
  return text;
}

Finding explain_miss(const security::DeviceFacts& facts, const iam::StatementMiss& miss) {
  const std::string what = capitalised(statement_text(facts, miss.policy, miss.statement, miss.sid));
  Finding finding{"policy.near.resource", "", statement_facts(facts, miss.policy, miss.statement, miss.sid)};
  finding.facts["wanted"] = list_text(miss.what, miss.what.size());
  switch (miss.by) {
    case iam::Stopped::kResource:
      finding.sentence =
          what + " allows the action, but on other resources: " + list_text(miss.what, kPatternsNamed) + ".";
      break;
    case iam::Stopped::kVariable:
      finding.code = "policy.near.variable";
      finding.sentence = what + " uses ${" + miss.what.front() + "}, which has no value for this client";
      if (miss.what.front().starts_with("iot:connection.thing.")) {
        finding.sentence += ": the client id must be the name of a thing that the certificate is attached to";
      }
      finding.sentence += ".";
      break;
    case iam::Stopped::kCondition:
      finding.code = "policy.near.condition";
      finding.sentence =
          what + " allows it under a condition on " + list_text(miss.what, kPatternsNamed) + ", which does not hold.";
      break;
  }
  return finding;
}

Finding explain_none(const security::DeviceFacts& facts, std::string_view action, const std::string& resource) {
  Finding finding{"policy.none", "", {{"action", std::string(action)}, {"resource", resource}}};
  const std::string what = std::string(action) + " on " + resource;
  if (facts.policies.empty()) {
    finding.code = "policy.nothing_attached";
    finding.sentence =
        "No policy is attached to the certificate or to the groups of its things, so nothing allows " + what + ".";
    return finding;
  }
  finding.facts["policies"] = list_text(facts.policy_names, facts.policy_names.size());
  finding.sentence = "No statement allows " + what + "; the policies are " + list_text(facts.policy_names, 10) + ".";
  return finding;
}

Finding explain_verdict(const security::DeviceFacts& facts, const iam::Decision& decision, std::string_view action,
                        const std::string& resource) {
  Finding finding{"policy.allowed", "", statement_facts(facts, decision.policy, decision.statement, decision.sid)};
  const bool allowed = decision.verdict == iam::Verdict::kAllow;
  if (!allowed) finding.code = "policy.denied";
  finding.facts["action"] = action;
  finding.facts["resource"] = resource;
  finding.sentence = capitalised(statement_text(facts, decision.policy, decision.statement, decision.sid)) +
                     (allowed ? " allows " : " denies ") + std::string(action) + " on " + resource + ".";
  return finding;
}

// What may be said about topics only.
void add_topics(const Realm& realm, const security::DeviceFacts& facts, const AccessQuestion& question,
                const iam::Explained& explained, Findings& findings) {
  const std::string_view kind = resource_kind(question.action);
  if (kind == "client/") return;
  const std::string prefix = "arn:aws:iot:" + realm.region + ":" + realm.account_id + ":" + std::string(kind);
  NearQuestion near{
      .topic = question.name, .names = question.names, .patterns = {}, .allowed = {}, .is_allowed = false};
  // Where a statement decided, only a reserved topic can have been meant: around an explicit denial much is allowed.
  near.is_allowed = explained.decision.verdict != iam::Verdict::kImplicitDeny;
  near.allowed = [&](std::string_view other) { return allows(facts, question.action, prefix + std::string(other)); };
  for (const auto& miss : explained.misses) {
    if (!miss.allow || miss.by != iam::Stopped::kResource) continue;
    for (const std::string& arn : miss.what) {
      const auto at = arn.find(kind);
      if (at != std::string::npos) near.patterns.push_back(arn.substr(at + kind.size()));
    }
  }
  for (auto& finding : near_topics(near)) findings.push_back(std::move(finding));
}

}  // namespace

std::string_view resource_kind(std::string_view action) {
  if (action == "iot:Connect") return "client/";
  return action == "iot:Subscribe" ? "topicfilter/" : "topic/";
}

Findings explain_access(const Realm& realm, const security::DeviceFacts& facts, const AccessQuestion& question) {
  if (!facts.valid) {
    return {{"certificate.refused",
             "Nothing is allowed: " + facts.refusal + ".",
             {{"certificateId", facts.certificate_id}}}};
  }
  const std::string_view kind = resource_kind(question.action);
  const std::string resource =
      "arn:aws:iot:" + realm.region + ":" + realm.account_id + ":" + std::string(kind) + std::string(question.name);
  const iam::PolicyRequest asked{.action = question.action, .resource = resource, .context = &facts.context};
  const iam::Explained explained = iam::explain(facts.policies, asked);
  Findings findings;
  if (explained.decision.verdict == iam::Verdict::kImplicitDeny) {
    findings.push_back(explain_none(facts, question.action, resource));
    for (const auto& miss : explained.misses) {
      if (miss.allow && findings.size() <= kMissesNamed) findings.push_back(explain_miss(facts, miss));
    }
  } else {
    findings.push_back(explain_verdict(facts, explained.decision, question.action, resource));
  }
  if (question.action == "iot:Subscribe") {
    const bool wild = question.name.find_first_of("+#") != std::string_view::npos;
    if (wild && explained.decision.verdict == iam::Verdict::kAllow && !allows_filter(facts, resource, question.name)) {
      findings.push_back(
          {"policy.wildcard",
           "It is refused all the same: the filter's wildcard comes from the value of a policy variable, "
           "and has to stand in the policy itself.",
           {}});
    }
    if (!is_served_filter(question.name, question.sys_topics)) {
      findings.push_back({"topic.not_served",
                          "Filter " + std::string(question.name) +
                              " is of a reserved topic that this server does not serve, so it is refused whatever "
                              "policies say.",
                          {}});
    }
  }
  add_topics(realm, facts, question, explained, findings);
  return findings;
}

Result<Findings> explain_client(const Realm& realm, store::Tx& tx, const security::FactsRequest& request,
                                const AccessQuestion& question) {
  iam::PolicyCache cache;
  TRY(const security::DeviceFacts facts, read_facts(tx, realm, request, cache));
  AccessQuestion asked = question;
  if (!request.certificate_id.empty()) {
    for (auto& thing : security::things_of_certificate(tx, realm, request.certificate_id)) {
      if (std::ranges::find(asked.names, thing) == asked.names.end()) asked.names.push_back(std::move(thing));
    }
  }
  return explain_access(realm, facts, asked);
}

}  // namespace muster::api::device

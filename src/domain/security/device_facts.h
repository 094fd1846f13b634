// SPDX-License-Identifier: Apache-2.0
// DeviceFacts: what decides about a device, read in one transaction and then a value: is its certificate registered,
// ACTIVE and in date, which policies apply (its own, and those of its things' groups), and what the policy variables
// stand for. allows() asks the shared evaluator; a substituted value never becomes a wildcard (domain/iam/policy/eval).
// Of connections, of HTTPS with a client certificate, and of TestAuthorization: one evaluator for all.
// Sources: AWS IoT developer guide, "AWS IoT Core policy variables", "Policy actions", "Action resources".
//
// Thing variables stand for the thing that the client id names (MQTT), or that the resource names (HTTPS), and only if
// the certificate is attached to it, as AWS says; for MQTT for the thing that has the certificate exclusively, if any.
// iot:Connection.Thing.IsAttached is then true, else false.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "domain/iam/policy/cache.h"
#include "domain/iam/policy/eval.h"
#include "domain/security/generations.h"
#include "store/store.h"

namespace muster::security {

struct FactsRequest {
  std::string certificate_id;  // empty: no certificate, plain_policy decides
  std::string plain_policy;    // name of an IoT policy
  std::string client_id;       // MQTT
  std::string thing;           // the thing that variables stand for, if attached
  std::string will_topic;      // of its CONNECT, or empty
  std::string source_ip;
  std::string domain_name;  // SNI, or empty
};

struct DeviceFacts {
  std::string certificate_id;
  bool valid = false;             // registered, ACTIVE, in date; plain: the policy exists
  std::string refusal;            // why not, for the log
  std::int64_t not_after_ms = 0;  // of the certificate; 0: never ends
  std::vector<iam::PolicyPtr> policies;
  std::vector<std::string> policy_names;  // of each, for explanations
  iam::PolicyContext context;
  std::vector<PolicyGenerations::Slot> made_of;  // what must change for these facts to
};

// Never fails but for the store; what is missing shows in `valid`.
Result<DeviceFacts> read_facts(store::Tx& tx, const Realm& realm, const FactsRequest& request, iam::PolicyCache& cache);
// A registered certificate's policies and variables, whatever its status: `valid` all the same.
DeviceFacts rights_facts(store::Tx& tx, const Realm& realm, const FactsRequest& request, iam::PolicyCache& cache);
// A policy has another document; one that cannot be found is given as empty and denies everything.
void replace_policy(DeviceFacts& facts, std::string_view name, std::string_view document, iam::PolicyCache& cache);

iam::Verdict verdict(const DeviceFacts& facts, std::string_view action, std::string_view resource);
bool allows(const DeviceFacts& facts, std::string_view action, std::string_view resource);
// Whether it allows that on every resource below a prefix, "arn:aws:iot:R:A:topic/"; no: ask for each.
bool allows_all_below(const DeviceFacts& facts, std::string_view action, std::string_view prefix);
// iot:Subscribe on the ARN of a topic filter. "topicfilter/${iot:ClientId}" must not let a client named '#' see
// everything: a wildcard of the filter has to stand in the policy itself.
bool allows_filter(const DeviceFacts& facts, std::string_view resource, std::string_view filter);

}  // namespace muster::security

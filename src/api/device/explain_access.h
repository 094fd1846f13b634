// SPDX-License-Identifier: Apache-2.0
// Why a device may or may not do something, in findings: the certificate's state, the statement that decided, or that
// none allows it and which came near (another resource, a policy variable without a value, a condition), and topics
// that were nearly right. The decision is domain/iam's on the facts of domain/security/device_facts.h, as at the
// packet. Pure, but for explain_client(), which reads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/finding.h"
#include "base/ids.h"
#include "base/result.h"
#include "domain/security/device_facts.h"
#include "store/store.h"

namespace muster::api::device {

struct AccessQuestion {
  std::string_view action;         // "iot:Publish", "iot:RetainPublish", "iot:Subscribe", "iot:Receive", "iot:Connect"
  std::string_view name;           // topic, filter or client id
  std::vector<std::string> names;  // what the client could have meant: its id, its things
  bool sys_topics = false;         // $SYS/broker/... is published
};
// "topic/", "topicfilter/" or "client/".
std::string_view resource_kind(std::string_view action);
Findings explain_access(const Realm& realm, const security::DeviceFacts& facts, const AccessQuestion& question);

// Afresh, for a client whatever it does now. `facts` names its certificate or the plain listener's policy.
Result<Findings> explain_client(const Realm& realm, store::Tx& tx, const security::FactsRequest& request,
                                const AccessQuestion& question);

}  // namespace muster::api::device

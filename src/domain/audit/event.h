// SPDX-License-Identifier: Apache-2.0
// One event of the audit log, in the form of a CloudTrail record (event version 1.08). Values and pure functions. What
// clients chose (user agents, names, messages) is made harmless here: bytes that are not UTF-8 become U+FFFD, long
// texts are cut, and JSON escapes what could end a line. Source: CloudTrail user guide, "CloudTrail record contents"
// and "CloudTrail userIdentity element".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace muster::audit {

// CloudTrail's kinds, and "Certificate": a device by its X.509 certificate, which CloudTrail does not know.
struct Identity {
  std::string type = "Unknown";  // Root, IAMUser, AssumedRole, AWSAccount (nobody signed), Certificate, Unknown
  std::string principal_id, arn, account_id, access_key_id, user_name;
  std::string issuer_arn, issuer_id, issuer_name;  // AssumedRole: the role
};

struct Resource {
  std::string type;  // "AWS::IoT::Thing"
  std::string arn;
};

struct Event {
  std::int64_t time_ms = 0;
  std::string id;          // a UUID
  std::string request_id;  // as the client got it
  std::string source;      // "iot.amazonaws.com"
  std::string name;        // "CreateThing"
  Identity who;
  bool known = false;  // `who` is proven: a signature, a registered certificate, a token; not in the record
  std::string region, account_id;
  std::string address, user_agent;
  bool tls = false;
  std::string host;        // as the client gave it
  std::string error_code;  // empty: it succeeded
  std::string error_message;
  std::string parameters;  // JSON text, or empty: null
  std::vector<Resource> resources;
  bool read_only = false;
  bool data = false;        // of a data plane
  json::object additional;  // additionalEventData: of ours
};

std::string to_text(const Event& event);

// At most `max_bytes` of `text` and a mark that it was cut, valid UTF-8.
std::string clean(std::string_view text, std::size_t max_bytes);

// "AWS::IoT::Thing" of "arn:aws:iot:R:A:thing/x"; empty when it cannot be told.
std::string resource_type(std::string_view arn);
// "x" of "arn:aws:iot:R:A:thing/x"; of an object its bucket and key.
std::string_view resource_name(std::string_view arn);

// Who made an event, in one word: CloudTrail's Username. Of the record's JSON.
std::string_view user_name(const json::object& event);

}  // namespace muster::audit

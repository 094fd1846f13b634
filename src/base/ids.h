// SPDX-License-Identifier: Apache-2.0
// Account, region and ARNs. A single-account server: the account id and region are made at first start and kept.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace muster {

// Where this server's resources live; owned by server/wiring, handed to every service by value.
struct Realm {
  std::string account_id;  // 12 digits
  std::string region;      // us-east-1
};

struct Arn {
  std::string partition, service, region, account_id, resource;
};
// nullopt unless it has the six colon-separated parts and starts with "arn:".
std::optional<Arn> parse_arn(std::string_view text);

std::string iot_arn(const Realm& realm, std::string_view kind, std::string_view name);  // arn:aws:iot:R:A:kind/name
// The name when `arn` is this realm's iot ARN of that kind ("thing", "thinggroup", "job", "cert", "policy").
std::optional<std::string> name_in_iot_arn(const Realm& realm, std::string_view kind, std::string_view arn);
std::string iam_arn(const Realm& realm, std::string_view kind, std::string_view name);  // arn:aws:iam::A:kind/name

// Name grammars of the service models: thing names [a-zA-Z0-9:_-]{1,128}, job ids [a-zA-Z0-9_-]{1,64}.
bool is_thing_name(std::string_view name);
bool is_job_id(std::string_view name);

}  // namespace muster

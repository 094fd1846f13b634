// SPDX-License-Identifier: Apache-2.0
// Managed job templates: documents that come with the service and take parameters, by AWS's names, for devices that
// understand AWS's document schema (the AWS IoT Device Client does). Constants and pure functions. Source: developer
// guide "AWS managed templates", jobs spec 5.4, 5.5.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "domain/jobs/context.h"

namespace muster::jobs {

struct ManagedParameter {
  std::string_view key, description, regex, example;
  bool optional = false;
  std::size_t max_characters = 0;  // what `regex` says: so many of any kind but line breaks
};
struct ManagedTemplate {
  std::string_view name, version, description, document;
  std::span<const ManagedParameter> parameters;
};
inline constexpr std::string_view kManagedEnvironment = "LINUX";  // of all of them

std::span<const ManagedTemplate> managed_templates();  // by name
// nullptr: no such name (or version, when one is asked for).
const ManagedTemplate* find_managed_template(std::string_view name, std::string_view version = {});
// nullptr for any other ARN.
const ManagedTemplate* find_managed_template_by_arn(const Context& context, std::string_view arn);
std::string managed_template_arn(const Context& context, const ManagedTemplate& found);  // empty account

// The document with every ${aws:iot:parameter:KEY} replaced, optional ones that are not given by nothing. A value may
// hold placeholders of its own, of signed URLs: it is not looked at again here. kInvalid, naming the parameter:
// required and missing, unknown, not matching its regex.
Result<std::string> expand_parameters(const ManagedTemplate& from, const std::map<std::string, std::string>& values);

}  // namespace muster::jobs

// SPDX-License-Identifier: Apache-2.0
// Names of functions: an ARN ("arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]") or a bare name. Pure.
// Source: Lambda API reference, Invoke, FunctionName.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace muster::functions {

struct FunctionName {
  std::string name;       // [a-zA-Z0-9-_]{1,64}
  std::string qualifier;  // version or alias, or empty
};

// kInvalid when it is neither.
Result<FunctionName> parse_function_name(std::string_view arn_or_name);

// The same of a full ARN in this account and region: what a resource of ours may name. Another account's function is
// kInvalid: nobody here could ask that account whether it agrees.
Result<FunctionName> own_function(const Realm& realm, std::string_view arn);

}  // namespace muster::functions

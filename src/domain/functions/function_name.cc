// SPDX-License-Identifier: Apache-2.0
#include "domain/functions/function_name.h"

#include <algorithm>

#include "base/text.h"

namespace muster::functions {
namespace {

bool made_of(std::string_view text, std::size_t longest, std::string_view others) {
  return !text.empty() && text.size() <= longest && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           others.find(c) != std::string_view::npos;
  });
}

Error not_a_function(std::string_view text) {
  return invalid("Not a function ARN: " + std::string(text.substr(0, 256)));
}

}  // namespace

Result<FunctionName> parse_function_name(std::string_view text) {
  FunctionName out;
  std::string_view rest = text;
  if (text.starts_with("arn:")) {
    const auto arn = parse_arn(text);
    if (!arn || arn->service != "lambda" || !arn->resource.starts_with("function:")) return not_a_function(text);
    rest = text.substr(text.find(":function:") + 10);
  }
  const std::size_t colon = rest.find(':');
  out.name = rest.substr(0, colon);
  if (colon != std::string_view::npos) {
    out.qualifier = rest.substr(colon + 1);
    if (!made_of(out.qualifier, 128, "$-_")) return not_a_function(text);
  }
  if (!made_of(out.name, 64, "-_")) return not_a_function(text);
  return out;
}

Result<FunctionName> own_function(const Realm& realm, std::string_view text) {
  const auto arn = parse_arn(text);
  if (!arn || arn->partition != "aws" || arn->region != realm.region || arn->account_id != realm.account_id) {
    return not_a_function(text);
  }
  return parse_function_name(text);
}

}  // namespace muster::functions

// SPDX-License-Identifier: Apache-2.0
// Reserved tags (muster:...) at the API: they control jobs (domain/jobs/controls.h), so a job's follow its tags in the
// same transaction, and on every other resource they are refused. For TagResource, UntagResource and whatever creates
// a resource with tags.
#pragma once

#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "domain/registry/tags.h"

namespace muster::api::iot {

// The member "tags". kInvalid for a key that comes twice: what a policy saw must be what is kept.
Result<registry::Tags> read_tags(const json::object& input);
bool is_reserved_tag(std::string_view key);
// kInvalid names the first reserved one: for resources that are not jobs.
Status refuse_reserved_tags(const registry::Tags& tags);

}  // namespace muster::api::iot

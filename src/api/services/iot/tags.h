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

// The member "tags". kInvalid for a key that comes twice, letter case not counting: what a policy sees as
// aws:RequestTag/KEY, where it does not count either, must be what is kept.
Result<registry::Tags> read_tags(const json::object& input);
// In any letter case; only "muster:" itself is ever accepted.
bool is_reserved_tag(std::string_view key);
// kInvalid names the first reserved one: for resources that are not jobs.
Status refuse_reserved_tags(const registry::Tags& tags);
// The member "tags" of whatever creates a resource that is no job.
Status tag_new_resource(store::Tx& tx, std::string_view arn, const json::object& input);

}  // namespace muster::api::iot

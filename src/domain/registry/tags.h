// SPDX-License-Identifier: Apache-2.0
// Tags of any resource, by ARN. The caller has checked that the resource exists. Synchronous over Tx&.
// Bounds: 50 tags a resource, keys of 128 and values of 256 characters, no key beginning with "aws:".
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/store.h"

namespace muster::registry {

using Tags = std::map<std::string, std::string>;

Status tag_resource(store::Tx& tx, std::string_view arn, const Tags& tags);  // adds or replaces
Status untag_resource(store::Tx& tx, std::string_view arn, const std::vector<std::string>& keys);
Tags tags_of(store::Tx& tx, std::string_view arn);
void erase_tags(store::Tx& tx, std::string_view arn);

}  // namespace muster::registry

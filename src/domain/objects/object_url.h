// SPDX-License-Identifier: Apache-2.0
// S3 object URLs as job documents and placeholders carry them: path style, virtual-hosted style, AWS's own host names
// of every age, and this server's. Pure. kInvalid for everything else, s3:// among it. Source: S3 user guide, "Methods
// for accessing a bucket".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster::objects {

struct ObjectUrl {
  std::string bucket;
  std::string key;
  std::string version;  // of ?versionId=, or empty
};

// `encoded`: the path is percent-encoded as in HTTP; otherwise the key stands there as it is. `base_domains`: names
// under which "<bucket>.<domain>" is a bucket, besides AWS's. Any other host is taken as an endpoint with path style.
Result<ObjectUrl> parse_object_url(std::string_view url, bool encoded,
                                   const std::vector<std::string>& base_domains = {});

}  // namespace muster::objects

// SPDX-License-Identifier: Apache-2.0
// The routes of one service, compiled from its model's URI templates; used by the router alone. Immutable after
// construction. Labels are matched against the raw path and decoded afterwards.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/wire/message.h"
#include "api/wire/model.h"
#include "base/result.h"

namespace muster::api {

// A URI template: "/things/{thingName}/jobs" or "/{Bucket}?tagging".
struct UriTemplate {
  struct Segment {
    std::string_view text;  // literal, or the label's name
    bool label = false;
    bool greedy = false;
  };
  std::vector<Segment> segments;
  std::vector<std::pair<std::string_view, std::string_view>> query;  // fixed parameters
};
UriTemplate parse_template(std::string_view uri);

// rest-json: by method and first literal segment.
class RestRoutes {
 public:
  explicit RestRoutes(const model::Service& service);
  // Null when no operation has that method and path. Labels decoded.
  Result<const model::Operation*> find(std::string_view method, std::string_view path, const Pairs& query,
                                       Pairs& labels) const;

 private:
  struct Entry {
    const model::Operation* operation;
    UriTemplate uri;
  };
  std::map<std::string, std::vector<Entry>, std::less<>> entries_;  // "GET things"
};

// S3: the path says service, bucket or object; sub-resources of the query and a few parameters and headers the rest.
class S3Routes {
 public:
  explicit S3Routes(const model::Service& service);
  Result<const model::Operation*> find(std::string_view method, std::string_view raw_path,
                                       std::string_view virtual_bucket, const Pairs& query,
                                       const io::HttpHeaders& headers, Pairs& labels) const;

 private:
  struct Entry {
    const model::Operation* operation;
    std::string_view subresource;  // or empty
  };
  enum class Level : char { kService = 's', kBucket = 'b', kObject = 'o' };
  std::map<std::string, std::vector<Entry>, std::less<>> entries_;  // "PUT b"
  std::vector<std::string_view> subresources_;                      // sorted
};

}  // namespace muster::api

// SPDX-License-Identifier: Apache-2.0
#include "api/wire/route_table.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace muster::api {
namespace {

Error invalid_uri() {
  return make_error(ErrorKind::kInvalid, "Couldn't parse the specified URI.", "InvalidURI");
}

Result<std::string> decode_label(std::string_view raw) {
  auto decoded = percent_decode(raw);
  if (!decoded || !is_utf8(*decoded)) return invalid_uri();
  return decoded;
}

const std::string* find_value(const Pairs& query, std::string_view name) {
  for (const auto& [key, value] : query) {
    if (key == name) return &value;
  }
  return nullptr;
}

// Topics are written with their slashes in AWS IoT's HTTPS examples ("/topics/a/b"), although the model's label is not
// greedy.
bool is_topic_label(const model::Service& service, std::string_view label) {
  return service.id == "iot-data" && label == "topic";
}

bool matches_literal(std::string_view literal, std::string_view raw) {
  if (raw == literal) return true;
  if (raw.find('%') == std::string_view::npos) return false;
  auto decoded = percent_decode(raw);  // "%24next" is "$next"
  return decoded && *decoded == literal;
}

// How specific a match is: literals count more the further left they stand. -1: no match.
std::int64_t match(const UriTemplate& uri, const std::vector<std::string_view>& path, const Pairs& query) {
  bool greedy = !uri.segments.empty() && uri.segments.back().greedy;
  if (greedy ? path.size() < uri.segments.size() : path.size() != uri.segments.size()) return -1;
  std::int64_t score = 0;
  for (std::size_t i = 0; i < uri.segments.size(); ++i) {
    const auto& segment = uri.segments[i];
    score *= 2;
    if (segment.label) {
      if (path[i].empty()) return -1;
    } else {
      if (!matches_literal(segment.text, path[i])) return -1;
      score += 1;
    }
  }
  for (const auto& [name, value] : uri.query) {
    const std::string* found = find_value(query, name);
    if (found == nullptr || (!value.empty() && *found != value)) return -1;
  }
  return score * 16 + static_cast<std::int64_t>(uri.query.size());
}

std::string route_key(std::string_view method, std::string_view first) {
  std::string key(method);
  key += ' ';
  key += first;
  return key;
}

// What tells operations of one method, level and sub-resource apart. Of those whose needs are all met, the one with
// most needs is meant.
struct Need {
  std::string_view operation;
  std::string_view parameter;  // query
  std::string_view value;      // of it, when not empty
  std::string_view header;
};
constexpr std::array kNeeds = {
    Need{"AbortMultipartUpload", "uploadId", "", ""},
    Need{"CompleteMultipartUpload", "uploadId", "", ""},
    Need{"UploadPart", "uploadId", "", ""},
    Need{"UploadPartCopy", "uploadId", "", "x-amz-copy-source"},
    Need{"ListParts", "uploadId", "", ""},
    Need{"CopyObject", "", "", "x-amz-copy-source"},
    Need{"ListObjectsV2", "list-type", "2", ""},
    Need{"GetBucketAnalyticsConfiguration", "id", "", ""},
    Need{"GetBucketIntelligentTieringConfiguration", "id", "", ""},
    Need{"GetBucketInventoryConfiguration", "id", "", ""},
    Need{"GetBucketMetricsConfiguration", "id", "", ""},
};
// Older forms of operations that share their URI.
constexpr std::array<std::string_view, 4> kSuperseded = {"GetBucketLifecycle", "PutBucketLifecycle",
                                                         "GetBucketNotification", "PutBucketNotification"};

int needs_met(std::string_view operation, const Pairs& query, const io::HttpHeaders& headers) {
  for (const Need& need : kNeeds) {
    if (need.operation != operation) continue;
    int met = 0;
    if (!need.parameter.empty()) {
      const std::string* found = find_value(query, need.parameter);
      if (found == nullptr || (!need.value.empty() && *found != need.value)) return -1;
      ++met;
    }
    if (!need.header.empty()) {
      bool given = headers.has(need.header);
      for (const auto& [name, value] : query) given = given || equals_ignore_case(name, need.header);  // pre-signed
      if (!given) return -1;
      ++met;
    }
    return met;
  }
  return 0;
}

}  // namespace

UriTemplate parse_template(std::string_view uri) {
  UriTemplate out;
  std::size_t mark = uri.find('?');
  std::string_view path = uri.substr(0, mark);
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);  // "/authorizers/"
  if (!path.empty()) {
    for (std::string_view part : split(path, '/')) {
      UriTemplate::Segment segment{part};
      if (part.starts_with('{') && part.ends_with('}')) {
        part = part.substr(1, part.size() - 2);
        segment.label = true;
        segment.greedy = part.ends_with('+');
        if (segment.greedy) part.remove_suffix(1);
        segment.text = part;
      }
      out.segments.push_back(segment);
    }
  }
  if (mark == std::string_view::npos) return out;
  for (std::string_view pair : split(uri.substr(mark + 1), '&')) {
    std::size_t equals = pair.find('=');
    std::string_view value = equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    out.query.emplace_back(pair.substr(0, equals), value);
  }
  return out;
}

RestRoutes::RestRoutes(const model::Service& service) {
  for (const model::Operation& operation : service.operations) {
    Entry entry{&operation, parse_template(operation.uri)};
    if (!entry.uri.segments.empty() && is_topic_label(service, entry.uri.segments.back().text)) {
      entry.uri.segments.back().greedy = true;
    }
    bool literal = !entry.uri.segments.empty() && !entry.uri.segments.front().label;
    std::string_view first = literal ? entry.uri.segments.front().text : std::string_view();
    entries_[route_key(operation.method, first)].push_back(std::move(entry));
  }
}

Result<const model::Operation*> RestRoutes::find(std::string_view method, std::string_view path, const Pairs& query,
                                                 Pairs& labels) const {
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);  // clients write list paths with and without
  std::vector<std::string_view> segments;
  if (!path.empty()) segments = split(path, '/');
  const Entry* best = nullptr;
  std::int64_t best_score = -1;
  for (std::string_view first : {segments.empty() ? std::string_view() : segments.front(), std::string_view()}) {
    auto found = entries_.find(route_key(method, first));
    if (found == entries_.end()) continue;
    for (const Entry& entry : found->second) {
      std::int64_t score = match(entry.uri, segments, query);
      if (score <= best_score) continue;
      best = &entry;
      best_score = score;
    }
  }
  if (best == nullptr) return static_cast<const model::Operation*>(nullptr);
  for (std::size_t i = 0; i < best->uri.segments.size(); ++i) {
    const auto& segment = best->uri.segments[i];
    if (!segment.label) continue;
    std::string_view raw = segments[i];
    if (segment.greedy) raw = path.substr(static_cast<std::size_t>(raw.data() - path.data()));
    TRY(std::string value, decode_label(raw));
    labels.emplace_back(segment.text, std::move(value));
  }
  return best->operation;
}

S3Routes::S3Routes(const model::Service& service) {
  for (const model::Operation& operation : service.operations) {
    if (std::ranges::find(kSuperseded, operation.name) != kSuperseded.end()) continue;
    UriTemplate uri = parse_template(operation.uri);
    bool labels = std::ranges::all_of(uri.segments, &UriTemplate::Segment::label);
    if (!labels || uri.segments.size() > 2) continue;  // WriteGetObjectResponse lives on a host of its own
    Level level = uri.segments.empty() ? Level::kService : uri.segments.size() == 1 ? Level::kBucket : Level::kObject;
    std::string_view subresource;
    for (const auto& [name, value] : uri.query) {
      // These go with others and are no sub-resource by themselves.
      if (name != "list-type" && name != "select-type" && name != "x-id") subresource = name;
    }
    if (!subresource.empty()) subresources_.push_back(subresource);
    std::string key(operation.method);
    key += ' ';
    key += static_cast<char>(level);
    entries_[key].push_back({&operation, subresource});
  }
  std::ranges::sort(subresources_);
  auto repeated = std::ranges::unique(subresources_);
  subresources_.erase(repeated.begin(), repeated.end());
}

Result<const model::Operation*> S3Routes::find(std::string_view method, std::string_view raw_path,
                                               std::string_view virtual_bucket, const Pairs& query,
                                               const io::HttpHeaders& headers, Pairs& labels) const {
  if (!raw_path.starts_with('/')) return invalid_uri();
  std::string_view key = raw_path.substr(1);
  std::string bucket(virtual_bucket);
  if (bucket.empty()) {
    std::size_t slash = key.find('/');
    TRY(bucket, decode_label(key.substr(0, slash)));
    key = slash == std::string_view::npos ? std::string_view() : key.substr(slash + 1);
    // "//key"; "/b%2Fkey" is signed as "/b/key" is and must not mean another operation than that.
    if ((bucket.empty() && !key.empty()) || bucket.find('/') != std::string::npos) return invalid_uri();
  }
  Level level = bucket.empty() ? Level::kService : key.empty() ? Level::kBucket : Level::kObject;
  if (level != Level::kService) labels.emplace_back("Bucket", bucket);
  if (level == Level::kObject) {
    TRY(std::string decoded, decode_label(key));
    labels.emplace_back("Key", std::move(decoded));
  }

  std::string_view subresource;
  for (const auto& [name, value] : query) {
    if (!std::ranges::binary_search(subresources_, name)) continue;
    if (!subresource.empty() && subresource != name) {
      return make_error(ErrorKind::kInvalid,
                        "Conflicting query string parameters: " + std::string(subresource) + ", " + name,
                        "InvalidArgument");
    }
    subresource = name;
  }
  std::string wanted(method);
  wanted += ' ';
  wanted += static_cast<char>(level);
  const model::Operation* best = nullptr;
  int most = -1;
  if (auto found = entries_.find(wanted); found != entries_.end()) {
    for (const Entry& entry : found->second) {
      if (entry.subresource != subresource) continue;
      int met = needs_met(entry.operation->name, query, headers);
      if (met <= most) continue;
      best = entry.operation;
      most = met;
    }
  }
  return best;
}

}  // namespace muster::api

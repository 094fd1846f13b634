// SPDX-License-Identifier: Apache-2.0
#include "domain/objects/object_url.h"

#include <optional>

#include "base/text.h"
#include "domain/objects/buckets.h"
#include "domain/objects/objects.h"

namespace muster::objects {
namespace {

Error not_an_object_url() {
  return invalid(
      "The S3 URL is not valid: expected https://s3.region.amazonaws.com/bucket/key, "
      "https://bucket.s3.region.amazonaws.com/key or this endpoint's own address");
}

// The bucket that an AWS host name carries: "" for path style, nullopt when the host is not S3's. AWS has used
// [bucket.]s3.amazonaws.com, s3.REGION, s3-REGION and s3.dualstack.REGION; the bucket may hold dots itself.
std::optional<std::string_view> bucket_in_aws_host(std::string_view host) {
  std::string_view rest = host;
  if (rest.ends_with(".amazonaws.com.cn")) {
    rest.remove_suffix(17);
  } else if (rest.ends_with(".amazonaws.com")) {
    rest.remove_suffix(14);
  } else {
    return std::nullopt;
  }
  // From the right: the service label is the last that is "s3" or begins with "s3-".
  std::size_t end = rest.size();
  for (int labels = 0; labels < 3; ++labels) {
    const std::size_t dot = rest.rfind('.', end == 0 ? 0 : end - 1);
    const std::size_t begin = dot == std::string_view::npos || end == 0 ? 0 : dot + 1;
    const std::string_view label = rest.substr(begin, end - begin);
    if (label == "s3" || label.starts_with("s3-")) {
      return begin == 0 ? std::string_view{} : rest.substr(0, begin - 1);
    }
    if (begin == 0) break;
    end = begin - 1;
  }
  return std::nullopt;
}

std::optional<std::string_view> bucket_in_host(std::string_view host, const std::vector<std::string>& base_domains) {
  if (auto bucket = bucket_in_aws_host(host)) return bucket;
  for (const std::string& domain : base_domains) {
    if (host == domain) return std::string_view{};
    if (host.size() > domain.size() + 1 && host.ends_with(domain) && host[host.size() - domain.size() - 1] == '.') {
      return host.substr(0, host.size() - domain.size() - 1);
    }
  }
  return std::nullopt;
}

}  // namespace

Result<ObjectUrl> parse_object_url(std::string_view url, bool encoded, const std::vector<std::string>& base_domains) {
  const std::string scheme = lower(url.substr(0, 8));
  const std::size_t skip = scheme == "https://" ? 8 : scheme.starts_with("http://") ? 7 : 0;
  if (skip == 0) return not_an_object_url();
  const std::size_t slash = url.find('/', skip);
  if (slash == std::string_view::npos) return not_an_object_url();
  std::string_view authority = url.substr(skip, slash - skip);
  if (authority.find('@') != std::string_view::npos || authority.empty()) return not_an_object_url();
  const bool has_port = !authority.ends_with(']') && authority.rfind(':') != std::string_view::npos;
  const std::string host = lower(has_port ? authority.substr(0, authority.rfind(':')) : authority);
  std::string_view path = url.substr(slash + 1);
  std::string_view query;
  // An unencoded key may hold a question mark; only a versionId behind the last one is a query then.
  const std::size_t mark = encoded ? path.find('?') : path.rfind("?versionId=");
  if (mark != std::string_view::npos) {
    query = path.substr(mark + 1);
    path = path.substr(0, mark);
  }
  if (encoded) path = path.substr(0, path.find('#'));
  std::string decoded(path);
  if (encoded) {
    TRY(decoded, percent_decode(path));
  }
  ObjectUrl result;
  const auto in_host = bucket_in_host(host, base_domains);
  if (in_host && !in_host->empty()) {
    result.bucket = std::string(*in_host);
    result.key = std::move(decoded);
  } else {
    const std::size_t end = decoded.find('/');
    if (end == std::string::npos) return not_an_object_url();
    result.bucket = decoded.substr(0, end);
    result.key = decoded.substr(end + 1);
  }
  for (const std::string_view part : split(query, '&')) {
    if (!part.starts_with("versionId=")) continue;
    TRY(result.version, percent_decode(part.substr(10)));
  }
  if (!check_bucket_name(result.bucket) || !check_key(result.key)) return not_an_object_url();
  return result;
}

}  // namespace muster::objects

// SPDX-License-Identifier: Apache-2.0
// Config: how a job is rolled out, aborted, retried and timed out, as AWS's CreateJob, UpdateJob and job templates give
// it. Values, read from and written as the JSON of the service model (one reader and one writer for requests, answers,
// job records and templates). Reading checks what relates members and what the shapes do not say; each error is
// kInvalid with AWS's wording and names the member. Source: service model iot 2015-05-28, jobs spec 1.2, 1.4, 4.1-4.4.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "domain/jobs/execution.h"

namespace muster::jobs {

struct PresignConfig {
  std::string role_arn;
  std::int64_t expires_seconds = 3600;  // 60..3600
  bool operator==(const PresignConfig&) const = default;
};

inline constexpr std::int64_t kMaxRatePerMinute = 1000;
inline constexpr std::int64_t kMaxTimeoutMinutes = 10080;
inline constexpr std::int64_t kMaxRetries = 10;

struct ExponentialRate {
  std::int64_t base_per_minute = 1;  // 1..1000, at most maximum_per_minute
  double increment_factor = 1.1;     // 1.1..5, one decimal digit
  // Exactly one of the two, >= 1: the count at whose multiples the rate grows.
  std::optional<std::int64_t> notified_things;
  std::optional<std::int64_t> succeeded_things;
  bool operator==(const ExponentialRate&) const = default;
};
struct RolloutConfig {
  std::int64_t maximum_per_minute = kMaxRatePerMinute;
  std::optional<ExponentialRate> exponential;
  bool operator==(const RolloutConfig&) const = default;
};

enum class AbortFailure : std::uint8_t { kFailed, kRejected, kTimedOut, kAll };
struct AbortCriterion {
  AbortFailure failure = AbortFailure::kAll;
  double threshold_percent = 0;  // > 0..100, two decimals
  std::int64_t minimum_executed = 1;
  bool operator==(const AbortCriterion&) const = default;
};
struct AbortConfig {
  std::vector<AbortCriterion> criteria;  // at least one; action is always CANCEL
  bool operator==(const AbortConfig&) const = default;
};

enum class RetryFailure : std::uint8_t { kFailed, kTimedOut, kAll };
struct RetryCriterion {
  RetryFailure failure = RetryFailure::kAll;
  std::int64_t retries = 0;  // 0..10
  bool operator==(const RetryCriterion&) const = default;
};
struct RetryConfig {
  std::vector<RetryCriterion> criteria;  // one or two; kAll alone; together at most 10
  bool operator==(const RetryConfig&) const = default;
};

// AWS's text for a broken constraint: "1 validation error detected: Value '0' at 'PATH' failed to satisfy constraint:
// Member must MUST". `value` nullptr: absent. Texts are cut at 256 bytes.
Error broken_constraint(std::string_view path, const json::value* value, std::string_view must);

// Each reads the value of the member of that name ("presignedUrlConfig", "jobExecutionsRolloutConfig", "abortConfig",
// "jobExecutionsRetryConfig"; timeoutConfig yields its minutes, 1..10080). A value of the wrong type is refused as
// well, because a template's record comes this way without the wire's validator. An empty presignedUrlConfig is all
// defaults, as in AWS; the others must say something.
Result<PresignConfig> read_presign(const json::object& value);
Result<RolloutConfig> read_rollout(const json::object& value);
Result<AbortConfig> read_abort(const json::object& value);
Result<RetryConfig> read_retry(const json::object& value);
Result<std::int64_t> read_timeout(const json::object& value);

json::object to_json(const PresignConfig& config);
json::object to_json(const RolloutConfig& config);
json::object to_json(const AbortConfig& config);
json::object to_json(const RetryConfig& config);
json::object timeout_to_json(std::int64_t minutes);

// UpdateJob: retries may only be set to 0, for the very failure types of creation (spec 1.4).
Status check_retry_update(const std::optional<RetryConfig>& stored, const RetryConfig& wanted);

// May the execution that ended in `status` be tried again, after so many retries for each reason?
bool retry_allowed(const RetryConfig& config, ExecutionStatus status, const RetriesUsed& used);

}  // namespace muster::jobs

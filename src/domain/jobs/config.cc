// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/config.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace muster::jobs {

namespace {

constexpr std::size_t kMaxShownBytes = 256;

struct Range {
  std::int64_t low, high;
};
constexpr Range kRate{1, kMaxRatePerMinute};
constexpr Range kCount{1, INT32_MAX};
constexpr Range kRetries{0, kMaxRetries};

constexpr std::array<std::string_view, 4> kAbortNames{"FAILED", "REJECTED", "TIMED_OUT", "ALL"};
constexpr std::array<std::string_view, 3> kRetryNames{"FAILED", "TIMED_OUT", "ALL"};
constexpr std::array<std::string_view, 1> kActionNames{"CANCEL"};

// One object of the request and where it stands: what reads a member names it in full.
struct Source {
  const json::object& object;
  std::string path;

  const json::value* find(std::string_view member) const {
    return has(object, member) ? object.if_contains(member) : nullptr;
  }
  std::string path_of(std::string_view member) const { return path + "." + std::string(member); }
  Error refuse(std::string_view member, std::string_view must) const {
    return broken_constraint(path_of(member), find(member), must);
  }
};

Result<std::int64_t> read_int(const Source& source, std::string_view member, Range range) {
  const auto* value = source.find(member);
  if (value == nullptr) return source.refuse(member, "not be null");
  if (!value->is_int64()) return source.refuse(member, "be an integer");
  const std::int64_t number = value->get_int64();
  if (number < range.low)
    return source.refuse(member, "have value greater than or equal to " + std::to_string(range.low));
  if (number > range.high)
    return source.refuse(member, "have value less than or equal to " + std::to_string(range.high));
  return number;
}

Result<std::optional<std::int64_t>> read_optional_int(const Source& source, std::string_view member, Range range) {
  if (source.find(member) == nullptr) return std::optional<std::int64_t>();
  TRY(const std::int64_t number, read_int(source, member, range));
  return std::optional(number);
}

// A decimal with so many digits is the double next to it: it survives the way through its digits.
bool has_decimals(double number, int digits) {
  const double scale = std::pow(10.0, digits);
  return std::round(number * scale) / scale == number;
}

Result<double> read_double(const Source& source, std::string_view member) {
  const auto* value = source.find(member);
  if (value == nullptr) return source.refuse(member, "not be null");
  if (!value->is_number()) return source.refuse(member, "be a number");
  return value->to_number<double>();
}

template <class Enum, std::size_t N>
Result<Enum> read_enum(const Source& source, std::string_view member, const std::array<std::string_view, N>& names) {
  const auto* value = source.find(member);
  if (value == nullptr) return source.refuse(member, "not be null");
  const auto* text = value->if_string();
  const auto it = text == nullptr ? names.end() : std::ranges::find(names, std::string_view(*text));
  if (it != names.end()) return static_cast<Enum>(it - names.begin());
  std::string set;
  for (const auto name : names) set += (set.empty() ? "" : ", ") + std::string(name);
  return source.refuse(member, "satisfy enum value set: [" + set + "]");
}

// The objects of `criteriaList`, at least one.
Result<std::vector<Source>> read_criteria(const Source& source) {
  constexpr std::string_view kMember = "criteriaList";
  const auto* value = source.find(kMember);
  if (value == nullptr) return source.refuse(kMember, "not be null");
  const auto* list = value->if_array();
  if (list == nullptr) return source.refuse(kMember, "be a list");
  if (list->empty()) return source.refuse(kMember, "have length greater than or equal to 1");
  std::vector<Source> criteria;
  for (const auto& item : *list) {
    const std::string path = source.path_of(kMember) + "." + std::to_string(criteria.size() + 1) + ".member";
    const auto* object = item.if_object();
    if (object == nullptr) return broken_constraint(path, &item, "be a structure");
    criteria.push_back({*object, path});
  }
  return criteria;
}

Result<ExponentialRate> read_exponential(const Source& source) {
  ExponentialRate rate;
  TRY(rate.base_per_minute, read_int(source, "baseRatePerMinute", kRate));
  TRY(rate.increment_factor, read_double(source, "incrementFactor"));
  if (!(rate.increment_factor >= 1.1))
    return source.refuse("incrementFactor", "have value greater than or equal to 1.1");
  if (rate.increment_factor > 5) return source.refuse("incrementFactor", "have value less than or equal to 5");
  if (!has_decimals(rate.increment_factor, 1)) {
    return source.refuse("incrementFactor", "have at most one digit after the decimal point");
  }
  const auto* criteria = source.find("rateIncreaseCriteria");
  if (criteria == nullptr) return source.refuse("rateIncreaseCriteria", "not be null");
  if (!criteria->is_object()) return source.refuse("rateIncreaseCriteria", "be a structure");
  const Source increase{criteria->get_object(), source.path_of("rateIncreaseCriteria")};
  TRY(rate.notified_things, read_optional_int(increase, "numberOfNotifiedThings", kCount));
  TRY(rate.succeeded_things, read_optional_int(increase, "numberOfSucceededThings", kCount));
  if (rate.notified_things.has_value() == rate.succeeded_things.has_value()) {
    return invalid("Exactly one of numberOfNotifiedThings and numberOfSucceededThings must be given in " +
                   increase.path + ".");
  }
  return rate;
}

Result<AbortCriterion> read_abort_criterion(const Source& source) {
  AbortCriterion criterion;
  TRY(criterion.failure, read_enum<AbortFailure>(source, "failureType", kAbortNames));
  TRY_VOID(read_enum<std::uint8_t>(source, "action", kActionNames));
  TRY(criterion.threshold_percent, read_double(source, "thresholdPercentage"));
  if (!(criterion.threshold_percent > 0)) return source.refuse("thresholdPercentage", "have value greater than 0");
  if (criterion.threshold_percent > 100) {
    return source.refuse("thresholdPercentage", "have value less than or equal to 100");
  }
  if (!has_decimals(criterion.threshold_percent, 2)) {
    return source.refuse("thresholdPercentage", "have at most two digits after the decimal point");
  }
  TRY(criterion.minimum_executed, read_int(source, "minNumberOfExecutedThings", kCount));
  return criterion;
}

Status check_retries(const std::vector<RetryCriterion>& criteria) {
  std::int64_t all = 0;
  for (const auto& criterion : criteria) all += criterion.retries;
  if (criteria.size() > 1) {
    const auto is_all = [](const RetryCriterion& c) { return c.failure == RetryFailure::kAll; };
    if (std::ranges::any_of(criteria, is_all)) {
      return invalid("The failure type ALL of jobExecutionsRetryConfig cannot be combined with another.");
    }
    if (criteria[0].failure == criteria[1].failure) {
      return invalid("The failure types of jobExecutionsRetryConfig must be different.");
    }
  }
  if (all > kMaxRetries) {
    return invalid("The retries of jobExecutionsRetryConfig must not be more than " + std::to_string(kMaxRetries) +
                   " together; they are " + std::to_string(all) + ".");
  }
  return {};
}

const RetryCriterion* criterion_of(const RetryConfig& config, RetryFailure failure) {
  const auto it = std::ranges::find(config.criteria, failure, &RetryCriterion::failure);
  return it == config.criteria.end() ? nullptr : &*it;
}

}  // namespace

Error broken_constraint(std::string_view path, const json::value* value, std::string_view must) {
  std::string text = "1 validation error detected: Value ";
  if (value == nullptr || value->is_null()) {
    text += "null";
  } else {
    std::string shown;
    if (const auto* string = value->if_string()) {
      shown = std::string_view(*string);
    } else {
      append_json(shown, *value);
    }
    if (shown.size() > kMaxShownBytes) {
      std::size_t end = kMaxShownBytes;  // not inside a character
      while (end > 0 && (static_cast<unsigned char>(shown[end]) & 0xC0) == 0x80) --end;
      shown.replace(end, std::string::npos, "...");
    }
    text.append("'").append(shown).append("'");
  }
  return invalid(text + " at '" + std::string(path) + "' failed to satisfy constraint: Member must " +
                 std::string(must));
}

Result<PresignConfig> read_presign(const json::object& value) {
  const Source source{value, "presignedUrlConfig"};
  PresignConfig config;
  if (const auto* role = source.find("roleArn")) {
    if (!role->is_string()) return source.refuse("roleArn", "be a string");
    config.role_arn = role->get_string();
  }
  TRY(const auto expires, read_optional_int(source, "expiresInSec", {60, 3600}));
  config.expires_seconds = expires.value_or(config.expires_seconds);
  return config;
}

Result<RolloutConfig> read_rollout(const json::object& value) {
  const Source source{value, "jobExecutionsRolloutConfig"};
  if (source.find("maximumPerMinute") == nullptr) {
    return invalid(
        "jobExecutionsRolloutConfig must have maximumPerMinute, or exponentialRate together with maximumPerMinute.");
  }
  RolloutConfig config;
  TRY(config.maximum_per_minute, read_int(source, "maximumPerMinute", kRate));
  const auto* exponential = source.find("exponentialRate");
  if (exponential == nullptr) return config;
  if (!exponential->is_object()) return source.refuse("exponentialRate", "be a structure");
  TRY(config.exponential, read_exponential({exponential->get_object(), source.path_of("exponentialRate")}));
  if (config.exponential->base_per_minute > config.maximum_per_minute) {
    return invalid("The baseRatePerMinute " + std::to_string(config.exponential->base_per_minute) +
                   " of jobExecutionsRolloutConfig must be lower than its maximumPerMinute " +
                   std::to_string(config.maximum_per_minute) + ".");
  }
  return config;
}

Result<AbortConfig> read_abort(const json::object& value) {
  TRY(const auto sources, read_criteria({value, "abortConfig"}));
  AbortConfig config;
  for (const auto& source : sources) {
    TRY(const auto criterion, read_abort_criterion(source));
    config.criteria.push_back(criterion);
  }
  return config;
}

Result<RetryConfig> read_retry(const json::object& value) {
  const Source whole{value, "jobExecutionsRetryConfig"};
  TRY(const auto sources, read_criteria(whole));
  if (sources.size() > 2) return whole.refuse("criteriaList", "have length less than or equal to 2");
  RetryConfig config;
  for (const auto& source : sources) {
    RetryCriterion criterion;
    TRY(criterion.failure, read_enum<RetryFailure>(source, "failureType", kRetryNames));
    TRY(criterion.retries, read_int(source, "numberOfRetries", kRetries));
    config.criteria.push_back(criterion);
  }
  TRY_VOID(check_retries(config.criteria));
  return config;
}

Result<std::int64_t> read_timeout(const json::object& value) {
  return read_int({value, "timeoutConfig"}, "inProgressTimeoutInMinutes", {1, kMaxTimeoutMinutes});
}

json::object to_json(const PresignConfig& config) {
  json::object value;
  if (!config.role_arn.empty()) value["roleArn"] = config.role_arn;
  value["expiresInSec"] = config.expires_seconds;
  return value;
}

json::object to_json(const RolloutConfig& config) {
  json::object value;
  value["maximumPerMinute"] = config.maximum_per_minute;
  if (!config.exponential) return value;
  const ExponentialRate& rate = *config.exponential;
  json::object increase;
  if (rate.notified_things) increase["numberOfNotifiedThings"] = *rate.notified_things;
  if (rate.succeeded_things) increase["numberOfSucceededThings"] = *rate.succeeded_things;
  json::object exponential;
  exponential["baseRatePerMinute"] = rate.base_per_minute;
  exponential["incrementFactor"] = rate.increment_factor;
  exponential["rateIncreaseCriteria"] = std::move(increase);
  value["exponentialRate"] = std::move(exponential);
  return value;
}

json::object to_json(const AbortConfig& config) {
  json::array list;
  for (const auto& criterion : config.criteria) {
    json::object one;
    one["failureType"] = kAbortNames[static_cast<std::size_t>(criterion.failure)];
    one["action"] = kActionNames[0];
    one["thresholdPercentage"] = criterion.threshold_percent;
    one["minNumberOfExecutedThings"] = criterion.minimum_executed;
    list.push_back(std::move(one));
  }
  json::object value;
  value["criteriaList"] = std::move(list);
  return value;
}

json::object to_json(const RetryConfig& config) {
  json::array list;
  for (const auto& criterion : config.criteria) {
    json::object one;
    one["failureType"] = kRetryNames[static_cast<std::size_t>(criterion.failure)];
    one["numberOfRetries"] = criterion.retries;
    list.push_back(std::move(one));
  }
  json::object value;
  value["criteriaList"] = std::move(list);
  return value;
}

json::object timeout_to_json(std::int64_t minutes) {
  json::object value;
  value["inProgressTimeoutInMinutes"] = minutes;
  return value;
}

Status check_retry_update(const std::optional<RetryConfig>& stored, const RetryConfig& wanted) {
  if (!stored) {
    return invalid("jobExecutionsRetryConfig cannot be updated: the job was created without retries.");
  }
  const auto is_zero = [](const RetryCriterion& c) { return c.retries == 0; };
  if (!std::ranges::all_of(wanted.criteria, is_zero)) {
    return invalid("jobExecutionsRetryConfig can only be updated to a numberOfRetries of 0.");
  }
  const auto is_stored = [&](const RetryCriterion& c) { return criterion_of(*stored, c.failure) != nullptr; };
  if (wanted.criteria.size() != stored->criteria.size() || !std::ranges::all_of(wanted.criteria, is_stored)) {
    return invalid("jobExecutionsRetryConfig must name the failure types that were given when the job was created.");
  }
  return {};
}

bool retry_allowed(const RetryConfig& config, ExecutionStatus status, const RetriesUsed& used) {
  const bool failed = status == ExecutionStatus::kFailed;
  if (!failed && status != ExecutionStatus::kTimedOut) return false;
  if (used.all() >= kMaxRetries) return false;
  if (const auto* all = criterion_of(config, RetryFailure::kAll)) return used.all() < all->retries;
  const auto* own = criterion_of(config, failed ? RetryFailure::kFailed : RetryFailure::kTimedOut);
  return own != nullptr && (failed ? used.failed : used.timed_out) < own->retries;
}

}  // namespace muster::jobs

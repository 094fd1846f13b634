// SPDX-License-Identifier: Apache-2.0
#include "domain/jobs/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster::jobs {
namespace {

using testing::HasSubstr;

json::object object(std::string_view text) {
  const auto value = parse_json(text);
  EXPECT_TRUE(value) << text;
  return value && value->is_object() ? value->get_object() : json::object();
}

template <class T>
std::string refusal(const Result<T>& result) {
  if (result) return "accepted";
  EXPECT_EQ(result.error().kind, ErrorKind::kInvalid);
  return result.error().message;
}
std::string rollout(std::string_view text) {
  return refusal(read_rollout(object(text)));
}
std::string exponential(std::string_view members) {
  return rollout(R"({"maximumPerMinute":1000,"exponentialRate":{)" + std::string(members) + "}}");
}
std::string criterion(std::string_view members) {
  return refusal(read_abort(object(R"({"criteriaList":[{)" + std::string(members) + "}]}")));
}
std::string retry(std::string_view list) {
  return refusal(read_retry(object(R"({"criteriaList":)" + std::string(list) + "}")));
}
RetryConfig retries(std::string_view list) {
  auto config = read_retry(object(R"({"criteriaList":)" + std::string(list) + "}"));
  EXPECT_TRUE(config) << list;
  return config ? *config : RetryConfig();
}

TEST(PresignConfig, has_defaults_and_a_range) {
  const auto empty = read_presign({});
  ASSERT_TRUE(empty);
  EXPECT_EQ(*empty, (PresignConfig{"", 3600}));
  EXPECT_EQ(to_text(to_json(*empty)), R"({"expiresInSec":3600})");
  const auto full = read_presign(object(R"({"roleArn":"arn:aws:iam::1:role/r","expiresInSec":60})"));
  ASSERT_TRUE(full);
  EXPECT_EQ(*full, (PresignConfig{"arn:aws:iam::1:role/r", 60}));
  EXPECT_EQ(read_presign(to_json(*full)).value_or(PresignConfig()), *full);
  EXPECT_EQ(refusal(read_presign(object(R"({"expiresInSec":59})"))),
            "1 validation error detected: Value '59' at 'presignedUrlConfig.expiresInSec' failed to satisfy "
            "constraint: Member must have value greater than or equal to 60");
  EXPECT_THAT(refusal(read_presign(object(R"({"expiresInSec":3601})"))), HasSubstr("less than or equal to 3600"));
  EXPECT_THAT(refusal(read_presign(object(R"({"roleArn":[]})"))), HasSubstr("be a string"));
}

TEST(TimeoutConfig, is_a_minute_to_a_week) {
  for (const std::int64_t minutes : {1, 10080}) {
    const auto read = read_timeout(timeout_to_json(minutes));
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, minutes);
  }
  EXPECT_EQ(refusal(read_timeout({})),
            "1 validation error detected: Value null at 'timeoutConfig.inProgressTimeoutInMinutes' failed to satisfy "
            "constraint: Member must not be null");
  EXPECT_THAT(refusal(read_timeout(timeout_to_json(0))), HasSubstr("Value '0' at"));
  EXPECT_THAT(refusal(read_timeout(timeout_to_json(10081))), HasSubstr("less than or equal to 10080"));
  EXPECT_THAT(refusal(read_timeout(timeout_to_json(INT64_MIN))), HasSubstr("greater than or equal to 1"));
  EXPECT_THAT(refusal(read_timeout(object(R"({"inProgressTimeoutInMinutes":1.5})"))), HasSubstr("be an integer"));
  EXPECT_THAT(refusal(read_timeout(object(R"({"inProgressTimeoutInMinutes":18446744073709551615})"))),
              HasSubstr("be an integer"));
}

TEST(RolloutConfig, needs_a_maximum_of_1_to_1000) {
  EXPECT_THAT(rollout("{}"), HasSubstr("must have maximumPerMinute"));
  EXPECT_THAT(rollout(R"({"maximumPerMinute":null})"), HasSubstr("must have maximumPerMinute"));
  EXPECT_THAT(rollout(R"({"exponentialRate":{"baseRatePerMinute":1,"incrementFactor":2,
      "rateIncreaseCriteria":{"numberOfNotifiedThings":1}}})"),
              HasSubstr("must have maximumPerMinute"));
  EXPECT_EQ(rollout(R"({"maximumPerMinute":1})"), "accepted");
  EXPECT_EQ(rollout(R"({"maximumPerMinute":1000})"), "accepted");
  EXPECT_EQ(rollout(R"({"maximumPerMinute":1001})"),
            "1 validation error detected: Value '1001' at 'jobExecutionsRolloutConfig.maximumPerMinute' failed to "
            "satisfy constraint: Member must have value less than or equal to 1000");
  EXPECT_THAT(rollout(R"({"maximumPerMinute":0})"), HasSubstr("greater than or equal to 1"));
  EXPECT_THAT(rollout(R"({"maximumPerMinute":5,"exponentialRate":7})"), HasSubstr("be a structure"));
}

TEST(RolloutConfig, exponential_rate_is_checked_member_by_member) {
  constexpr std::string_view kIncrease = R"("rateIncreaseCriteria":{"numberOfNotifiedThings":10})";
  const auto with = [&](std::string_view members) {
    return exponential(std::string(members) + std::string(kIncrease));
  };
  EXPECT_EQ(with(R"("baseRatePerMinute":50,"incrementFactor":2,)"), "accepted");
  EXPECT_EQ(with(R"("baseRatePerMinute":1000,"incrementFactor":5,)"), "accepted");  // as fast as the maximum
  EXPECT_EQ(with(R"("baseRatePerMinute":50,"incrementFactor":1.1,)"), "accepted");
  EXPECT_THAT(with(R"("incrementFactor":2,)"), HasSubstr("exponentialRate.baseRatePerMinute' failed"));
  EXPECT_THAT(with(R"("baseRatePerMinute":0,"incrementFactor":2,)"), HasSubstr("Value '0'"));
  EXPECT_THAT(with(R"("baseRatePerMinute":50,)"), HasSubstr("Value null at 'jobExecutionsRolloutConfig.exponentialRate."
                                                            "incrementFactor'"));
  EXPECT_THAT(with(R"("baseRatePerMinute":50,"incrementFactor":1,)"), HasSubstr("greater than or equal to 1.1"));
  EXPECT_THAT(with(R"("baseRatePerMinute":50,"incrementFactor":5.1,)"), HasSubstr("less than or equal to 5"));
  EXPECT_THAT(with(R"("baseRatePerMinute":50,"incrementFactor":1.55,)"), HasSubstr("at most one digit"));
  EXPECT_THAT(with(R"("baseRatePerMinute":50,"incrementFactor":2.0000000001,)"), HasSubstr("at most one digit"));
  EXPECT_THAT(with(R"("baseRatePerMinute":50,"incrementFactor":"2",)"), HasSubstr("be a number"));
  EXPECT_THAT(rollout(R"({"maximumPerMinute":49,"exponentialRate":{"baseRatePerMinute":50,"incrementFactor":2,
      "rateIncreaseCriteria":{"numberOfNotifiedThings":1}}})"),
              HasSubstr("baseRatePerMinute 50 of jobExecutionsRolloutConfig must be lower"));
}

TEST(RolloutConfig, every_factor_of_one_decimal_is_one) {
  for (int tenths = 11; tenths <= 50; ++tenths) {
    const std::string factor = std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
    const auto read =
        read_rollout(object(R"({"maximumPerMinute":9,"exponentialRate":{"baseRatePerMinute":1,"rateIncreaseCriteria":)"
                            R"({"numberOfSucceededThings":1},"incrementFactor":)" +
                            factor + "}}"));
    ASSERT_TRUE(read) << factor;
    EXPECT_NE(to_text(to_json(*read)).find("\"incrementFactor\":" + factor), std::string::npos) << factor;
  }
}

TEST(RolloutConfig, rate_increases_by_exactly_one_criterion) {
  const auto increase = [](std::string_view criteria) {
    return exponential(R"("baseRatePerMinute":5,"incrementFactor":2,"rateIncreaseCriteria":)" + std::string(criteria));
  };
  EXPECT_EQ(increase(R"({"numberOfNotifiedThings":1})"), "accepted");
  EXPECT_EQ(increase(R"({"numberOfSucceededThings":1,"numberOfNotifiedThings":null})"), "accepted");
  EXPECT_THAT(increase("{}"), HasSubstr("Exactly one of"));
  EXPECT_THAT(increase(R"({"numberOfNotifiedThings":1,"numberOfSucceededThings":1})"), HasSubstr("Exactly one of"));
  EXPECT_THAT(increase(R"({"numberOfNotifiedThings":0})"), HasSubstr("rateIncreaseCriteria.numberOfNotifiedThings'"));
  EXPECT_THAT(increase(R"({"numberOfSucceededThings":-1})"), HasSubstr("Value '-1'"));
  EXPECT_THAT(increase("null"), HasSubstr("not be null"));
  EXPECT_THAT(increase("[]"), HasSubstr("be a structure"));
}

TEST(RolloutConfig, is_written_as_it_was_read_and_doubles_stay_doubles) {
  const std::string text = R"({"maximumPerMinute":100,"exponentialRate":{"baseRatePerMinute":50,"incrementFactor":2,)"
                           R"("rateIncreaseCriteria":{"numberOfNotifiedThings":1000}}})";
  const auto read = read_rollout(object(text));
  ASSERT_TRUE(read);
  const auto written = to_text(to_json(*read));
  EXPECT_THAT(written, HasSubstr(R"("incrementFactor":2.0)"));
  EXPECT_EQ(read_rollout(object(written)).value_or(RolloutConfig()), *read);
  EXPECT_EQ(to_text(to_json(RolloutConfig{7, std::nullopt})), R"({"maximumPerMinute":7})");
}

TEST(AbortConfig, criteria_are_whole_and_in_range) {
  constexpr std::string_view kRest = R"(,"action":"CANCEL","minNumberOfExecutedThings":1)";
  const auto percent = [&](std::string_view number) {
    return criterion(R"("failureType":"ALL","thresholdPercentage":)" + std::string(number) + std::string(kRest));
  };
  for (const auto number : {"100", "0.01", "10.99", "10.9", "33.33"}) EXPECT_EQ(percent(number), "accepted") << number;
  EXPECT_THAT(percent("0"), HasSubstr("greater than 0"));
  EXPECT_THAT(percent("-5"), HasSubstr("greater than 0"));
  EXPECT_THAT(percent("100.01"), HasSubstr("less than or equal to 100"));
  EXPECT_THAT(percent("1e300"), HasSubstr("less than or equal to 100"));
  EXPECT_THAT(percent("10.999"), HasSubstr("at most two digits"));
  EXPECT_THAT(percent("null"), HasSubstr("abortConfig.criteriaList.1.member.thresholdPercentage' failed"));

  EXPECT_THAT(refusal(read_abort({})), HasSubstr("Value null at 'abortConfig.criteriaList'"));
  EXPECT_THAT(refusal(read_abort(object(R"({"criteriaList":[]})"))), HasSubstr("length greater than or equal to 1"));
  EXPECT_THAT(refusal(read_abort(object(R"({"criteriaList":[1]})"))), HasSubstr("criteriaList.1.member' failed"));
  EXPECT_THAT(criterion(R"("failureType":"CANCELED","action":"CANCEL")"),
              HasSubstr("enum value set: [FAILED, REJECTED, TIMED_OUT, ALL]"));
  EXPECT_THAT(criterion(R"("failureType":"ALL","action":"PAUSE")"), HasSubstr("enum value set: [CANCEL]"));
  EXPECT_THAT(criterion(R"("failureType":"ALL")"), HasSubstr("member.action"));
  EXPECT_THAT(criterion(R"("failureType":"ALL","action":"CANCEL","thresholdPercentage":5)"),
              HasSubstr("minNumberOfExecutedThings' failed to satisfy constraint: Member must not be null"));
  EXPECT_THAT(criterion(R"("failureType":"ALL","action":"CANCEL","thresholdPercentage":5,)"
                        R"("minNumberOfExecutedThings":0)"),
              HasSubstr("greater than or equal to 1"));
}

TEST(AbortConfig, the_second_criterion_is_named_by_its_place) {
  EXPECT_THAT(
      refusal(read_abort(object(R"({"criteriaList":[{"failureType":"FAILED","action":"CANCEL",)"
                                R"("thresholdPercentage":20,"minNumberOfExecutedThings":10},{"failureType":"X"}]})"))),
      HasSubstr("abortConfig.criteriaList.2.member.failureType"));
}

TEST(AbortConfig, is_written_as_it_was_read) {
  const AbortConfig config{{{AbortFailure::kTimedOut, 20, 10}, {AbortFailure::kAll, 33.33, 1}}};
  EXPECT_EQ(to_text(to_json(config)),
            R"({"criteriaList":[{"failureType":"TIMED_OUT","action":"CANCEL","thresholdPercentage":20.0,)"
            R"("minNumberOfExecutedThings":10},{"failureType":"ALL","action":"CANCEL","thresholdPercentage":33.33,)"
            R"("minNumberOfExecutedThings":1}]})");
  const auto read = read_abort(object(to_text(to_json(config))));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, config);
}

TEST(RetryConfig, has_one_or_two_criteria_of_at_most_10_together) {
  EXPECT_EQ(retry(R"([{"failureType":"ALL","numberOfRetries":10}])"), "accepted");
  EXPECT_EQ(retry(R"([{"failureType":"FAILED","numberOfRetries":0}])"), "accepted");
  EXPECT_EQ(retry(R"([{"failureType":"FAILED","numberOfRetries":7},{"failureType":"TIMED_OUT","numberOfRetries":3}])"),
            "accepted");
  EXPECT_THAT(
      retry(R"([{"failureType":"FAILED","numberOfRetries":7},{"failureType":"TIMED_OUT","numberOfRetries":4}])"),
      HasSubstr("they are 11"));
  EXPECT_THAT(retry(R"([{"failureType":"ALL","numberOfRetries":11}])"), HasSubstr("less than or equal to 10"));
  EXPECT_THAT(retry(R"([{"failureType":"ALL","numberOfRetries":-1}])"), HasSubstr("greater than or equal to 0"));
  EXPECT_THAT(retry(R"([{"failureType":"ALL","numberOfRetries":1},{"failureType":"FAILED","numberOfRetries":1}])"),
              HasSubstr("ALL of jobExecutionsRetryConfig cannot be combined"));
  EXPECT_THAT(retry(R"([{"failureType":"FAILED","numberOfRetries":1},{"failureType":"FAILED","numberOfRetries":1}])"),
              HasSubstr("must be different"));
  EXPECT_THAT(retry(R"([{"failureType":"FAILED","numberOfRetries":1},{"failureType":"TIMED_OUT","numberOfRetries":1},
                        {"failureType":"FAILED","numberOfRetries":1}])"),
              HasSubstr("length less than or equal to 2"));
  EXPECT_THAT(retry(R"([{"failureType":"REJECTED","numberOfRetries":1}])"),
              HasSubstr("enum value set: [FAILED, TIMED_OUT, ALL]"));
  EXPECT_THAT(retry(R"([{"failureType":"ALL"}])"), HasSubstr("criteriaList.1.member.numberOfRetries"));
  EXPECT_THAT(retry("[]"), HasSubstr("length greater than or equal to 1"));
  EXPECT_THAT(refusal(read_retry({})), HasSubstr("not be null"));
}

TEST(RetryConfig, is_written_as_it_was_read) {
  const RetryConfig config{{{RetryFailure::kFailed, 2}, {RetryFailure::kTimedOut, 0}}};
  EXPECT_EQ(to_text(to_json(config)), R"({"criteriaList":[{"failureType":"FAILED","numberOfRetries":2},)"
                                      R"({"failureType":"TIMED_OUT","numberOfRetries":0}]})");
  const auto read = read_retry(to_json(config));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, config);
}

TEST(RetryConfig, can_only_be_updated_to_zero_of_the_same_types) {
  const auto stored =
      retries(R"([{"failureType":"FAILED","numberOfRetries":2},{"failureType":"TIMED_OUT","numberOfRetries":3}])");
  const auto swapped =
      retries(R"([{"failureType":"TIMED_OUT","numberOfRetries":0},{"failureType":"FAILED","numberOfRetries":0}])");
  const auto half = retries(R"([{"failureType":"FAILED","numberOfRetries":0}])");
  const auto all = retries(R"([{"failureType":"ALL","numberOfRetries":0}])");
  EXPECT_EQ(refusal(check_retry_update(stored, swapped)), "accepted");
  EXPECT_THAT(refusal(check_retry_update(std::nullopt, swapped)), HasSubstr("without retries"));
  EXPECT_THAT(refusal(check_retry_update(stored, stored)), HasSubstr("numberOfRetries of 0"));
  EXPECT_THAT(refusal(check_retry_update(stored, half)), HasSubstr("failure types"));
  EXPECT_THAT(refusal(check_retry_update(stored, all)), HasSubstr("failure types"));
  EXPECT_THAT(refusal(check_retry_update(half, swapped)), HasSubstr("failure types"));
  EXPECT_THAT(refusal(check_retry_update(half, all)), HasSubstr("failure types"));
}

TEST(RetryConfig, counts_each_type_on_its_own_and_ALL_together) {
  const auto apart =
      retries(R"([{"failureType":"FAILED","numberOfRetries":2},{"failureType":"TIMED_OUT","numberOfRetries":1}])");
  EXPECT_TRUE(retry_allowed(apart, ExecutionStatus::kFailed, {1, 1}));
  EXPECT_FALSE(retry_allowed(apart, ExecutionStatus::kFailed, {2, 0}));
  EXPECT_TRUE(retry_allowed(apart, ExecutionStatus::kTimedOut, {2, 0}));
  EXPECT_FALSE(retry_allowed(apart, ExecutionStatus::kTimedOut, {0, 1}));
  const auto all = retries(R"([{"failureType":"ALL","numberOfRetries":3}])");
  EXPECT_TRUE(retry_allowed(all, ExecutionStatus::kTimedOut, {2, 0}));
  EXPECT_FALSE(retry_allowed(all, ExecutionStatus::kFailed, {2, 1}));
  const auto failed = retries(R"([{"failureType":"FAILED","numberOfRetries":1}])");
  EXPECT_FALSE(retry_allowed(failed, ExecutionStatus::kTimedOut, {}));
  EXPECT_FALSE(retry_allowed({}, ExecutionStatus::kFailed, {}));
}

TEST(RetryConfig, only_failures_are_retried) {
  const auto all = retries(R"([{"failureType":"ALL","numberOfRetries":10}])");
  for (const auto status : kAllStatuses) {
    const bool is_failure = status == ExecutionStatus::kFailed || status == ExecutionStatus::kTimedOut;
    EXPECT_EQ(retry_allowed(all, status, {}), is_failure) << static_cast<int>(status);
  }
}

TEST(BrokenConstraint, cuts_long_values_between_characters) {
  const json::value value(std::string(255, 'a') + "\xC3\xA9\xC3\xA9");
  const auto error = broken_constraint("p", &value, "be shorter");
  EXPECT_EQ(error.message, "1 validation error detected: Value '" + std::string(255, 'a') +
                               "...' at 'p' failed to satisfy constraint: Member must be shorter");
}

}  // namespace
}  // namespace muster::jobs

// SPDX-License-Identifier: Apache-2.0
#include "base/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace muster::metrics {
namespace {

using testing::HasSubstr;

TEST(Metrics, SameNameAndLabelsAreOneSeries) {
  Registry metrics;
  metrics.counter("requests_total", "Requests.", {{"op", "a"}}).add(2);
  metrics.counter("requests_total", "Requests.", {{"op", "a"}}).add();
  metrics.counter("requests_total", "Requests.", {{"op", "b"}}).add();
  EXPECT_EQ(metrics.exposition(),
            "# HELP requests_total Requests.\n# TYPE requests_total counter\n"
            "requests_total{op=\"a\"} 3\nrequests_total{op=\"b\"} 1\n");
}

TEST(Metrics, GaugesGoBothWays) {
  Registry metrics;
  Gauge& gauge = metrics.gauge("open", "Open.");
  gauge.set(5);
  gauge.add(-7);
  metrics.observed_gauge("seen", "Seen.", [] { return std::int64_t{-3}; });
  metrics.observed_counter("done_total", "Done.", [] { return std::uint64_t{9}; });
  std::string text = metrics.exposition();
  EXPECT_THAT(text, HasSubstr("\nopen -2\n"));
  EXPECT_THAT(text, HasSubstr("\nseen -3\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE done_total counter\ndone_total 9\n"));
}

TEST(Metrics, HistogramsAreCumulative) {
  Registry metrics;
  Histogram& histogram = metrics.histogram("wait_seconds", "Wait.", {{"op", "a"}});
  histogram.observe_us(0);
  histogram.observe_us(100);
  histogram.observe_us(101);
  histogram.observe_us(1'500'000);
  histogram.observe_us(std::uint64_t{1} << 40);
  EXPECT_EQ(histogram.count(), 5u);
  std::string text = metrics.exposition();
  EXPECT_THAT(text, HasSubstr("wait_seconds_bucket{op=\"a\",le=\"0.0001\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("wait_seconds_bucket{op=\"a\",le=\"0.0002\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("wait_seconds_bucket{op=\"a\",le=\"1.6384\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("wait_seconds_bucket{op=\"a\",le=\"+Inf\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("wait_seconds_count{op=\"a\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("wait_seconds_sum{op=\"a\"} 1099513.127977\n"));
}

TEST(Metrics, HostileLabelsStayInside) {
  Registry metrics;
  metrics.counter("x_total", "X.", {{"v", "a\"\\\nb\xff"}}).add();
  EXPECT_THAT(metrics.exposition(), HasSubstr("x_total{v=\"a\\\"\\\\\\nb?\"} 1\n"));
}

TEST(Metrics, SeriesAreBounded) {
  Registry metrics;
  for (int i = 0; i < 5000; ++i) metrics.counter("x_total", "X.", {{"v", std::to_string(i)}}).add();
  std::string text = metrics.exposition();
  EXPECT_THAT(text, HasSubstr("x_total{overflow=\"true\"} 3000\n"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2003);
}

TEST(Metrics, CountsFromManyThreads) {
  Registry metrics;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) {
        metrics.counter("x_total", "X.").add();
        metrics.histogram("h_seconds", "H.").observe_us(5);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(metrics.counter("x_total", "X.").value(), 4000u);
  EXPECT_EQ(metrics.histogram("h_seconds", "H.").count(), 4000u);
}

}  // namespace
}  // namespace muster::metrics

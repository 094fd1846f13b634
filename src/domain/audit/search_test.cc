// SPDX-License-Identifier: Apache-2.0
#include "domain/audit/search.h"

#include <gmock/gmock.h>

#include "domain/audit/test_log.h"

namespace muster::audit {
namespace {

using testing::ElementsAre;

class AuditSearch : public AuditFolder {
 protected:
  std::vector<std::string> names(const Filter& filter, std::uint64_t before = kNewest, SearchLimits limits = {}) {
    const auto page = search(options.files.directory, filter, before, limits);
    EXPECT_TRUE(page) << page.error().message;
    std::vector<std::string> out;
    if (!page) return out;
    for (const Found& found : page->events) out.emplace_back(get_string(found.event, "eventName"));
    next = page->next;
    return out;
  }
  void put(Log& log, Event event) {
    Answers answers;
    log.append(to_text(event), false, answers.one());
    answers.wait();
  }
  std::optional<std::uint64_t> next;
};

TEST_F(AuditSearch, NewestFirstPageByPageOverSegments) {
  options.segment_bytes = 2048;
  auto log = open();
  for (int i = 0; i < 23; ++i) put(*log, event("Op" + std::to_string(i)));
  std::vector<std::string> all;
  std::uint64_t before = kNewest;
  int pages = 0;
  do {
    for (std::string& name : names({}, before, {.max_events = 5})) all.push_back(std::move(name));
    before = next.value_or(0);
    ++pages;
  } while (next);
  EXPECT_EQ(pages, 5);
  ASSERT_EQ(all.size(), 23u);
  EXPECT_EQ(all.front(), "Op22");
  EXPECT_EQ(all.back(), "Op0");
}

TEST_F(AuditSearch, APageThatReadsTooMuchGoesOn) {
  options.segment_bytes = 2048;
  auto log = open();
  for (int i = 0; i < 23; ++i) put(*log, event("Op" + std::to_string(i)));
  Filter filter;
  filter.event_name = "Op0";
  std::uint64_t before = kNewest;
  std::vector<std::string> all;
  int pages = 0;
  do {
    for (std::string& name : names(filter, before, {.max_events = 5, .max_bytes = 5000}))
      all.push_back(std::move(name));
    before = next.value_or(0);
  } while (next && ++pages < 100);
  EXPECT_GE(pages, 2);
  EXPECT_THAT(all, ElementsAre("Op0"));
}

TEST_F(AuditSearch, EveryAttributeFilters) {
  auto log = open();
  Event one = event("CreateThing");
  one.who = {"IAMUser", "AIDA1", "arn:aws:iam::1:user/ann", "1", "AKIA1", "ann", "", "", ""};
  one.resources = {{"AWS::IoT::Thing", "arn:aws:iot:r:1:thing/quoted\"name"}};
  one.address = "192.0.2.1";
  put(*log, one);
  clock.advance_ms(1500);
  Event two = event("ListUsers");
  two.who.type = "Root";
  two.source = "iam.amazonaws.com";
  two.read_only = true;
  two.error_code = "AccessDenied";
  // Looks like another event to who only looks for texts.
  two.parameters = R"({"eventName":"CreateThing","userName":"ann","x":"quoted\"name","accessKeyId":"AKIA1"})";
  put(*log, two);
  const auto with = [&](auto set) {
    Filter filter;
    set(filter);
    return names(filter);
  };
  EXPECT_THAT(with([](Filter& f) { f.event_name = "CreateThing"; }), ElementsAre("CreateThing"));
  EXPECT_THAT(with([](Filter& f) { f.user_name = "ann"; }), ElementsAre("CreateThing"));
  EXPECT_THAT(with([](Filter& f) { f.user_name = "root"; }), ElementsAre("ListUsers"));
  EXPECT_THAT(with([](Filter& f) { f.event_source = "iam.amazonaws.com"; }), ElementsAre("ListUsers"));
  EXPECT_THAT(with([](Filter& f) { f.access_key_id = "AKIA1"; }), ElementsAre("CreateThing"));
  EXPECT_THAT(with([](Filter& f) { f.event_id = "id-ListUsers"; }), ElementsAre("ListUsers"));
  EXPECT_THAT(with([](Filter& f) { f.resource_name = "quoted\"name"; }), ElementsAre("CreateThing"));
  EXPECT_THAT(with([](Filter& f) { f.resource_name = "arn:aws:iot:r:1:thing/quoted\"name"; }),
              ElementsAre("CreateThing"));
  EXPECT_THAT(with([](Filter& f) { f.resource_type = "AWS::IoT::Thing"; }), ElementsAre("CreateThing"));
  EXPECT_THAT(with([](Filter& f) { f.source_address = "192.0.2.1"; }), ElementsAre("CreateThing"));
  EXPECT_THAT(with([](Filter& f) { f.read_only = true; }), ElementsAre("ListUsers"));
  EXPECT_THAT(with([](Filter& f) { f.read_only = false; }), ElementsAre("CreateThing"));
  EXPECT_THAT(with([](Filter& f) { f.only_errors = true; }), ElementsAre("ListUsers"));
  EXPECT_THAT(with([](Filter& f) { f.error_code = "AccessDenied"; }), ElementsAre("ListUsers"));
  const std::int64_t start = 1'700'000'000'000;
  EXPECT_THAT(with([&](Filter& f) { f.start_ms = start + 1; }), ElementsAre("ListUsers"));
  EXPECT_THAT(with([&](Filter& f) { f.end_ms = start; }), ElementsAre("CreateThing"));
  EXPECT_THAT(with([&](Filter& f) { f.end_ms = start - 1; }), ElementsAre());
  EXPECT_THAT(with([&](Filter& f) { f.start_ms = f.end_ms = start + 1500; }), ElementsAre("ListUsers"));
}

TEST_F(AuditSearch, TimesLeaveWholeSegmentsOut) {
  auto log = open();
  for (int day = 0; day < 5; ++day) {
    put(*log, event("Day" + std::to_string(day)));
    clock.advance_ms(86'400'000);
  }
  Filter filter;
  filter.start_ms = 1'700'000'000'000 + 2 * 86'400'000LL - 1000;
  filter.end_ms = *filter.start_ms + 2000;
  EXPECT_THAT(names(filter), ElementsAre("Day2"));
  filter.end_ms.reset();
  EXPECT_THAT(names(filter), ElementsAre("Day4", "Day3", "Day2"));
}

TEST_F(AuditSearch, StartsOfSegmentsAreReadOnce) {
  auto log = open();
  for (int day = 0; day < 5; ++day) {
    put(*log, event("Day" + std::to_string(day)));
    clock.advance_ms(86'400'000);
  }
  put(*log, event("Day5"));
  clock.advance_ms(5'400'000);
  put(*log, event("Late"));
  Filter filter;
  filter.start_ms = 1'700'000'000'000 + 5 * 86'400'000LL + 5'400'000 - 1000;
  EXPECT_THAT(names(filter, kNewest, {.max_bytes = 1}), ElementsAre("Late"));
  EXPECT_EQ(next, std::nullopt);
  for (const std::string& path : files())
    if (path != files().back()) spill(path, "not looked at");
  EXPECT_THAT(names(filter, kNewest, {.max_bytes = 1}), ElementsAre("Late"));
  EXPECT_EQ(next, std::nullopt) << "the others are left out by what is known of them";
}

TEST_F(AuditSearch, HalfALineAndRubbishArePassedOver) {
  put(*open(), event("Op"));
  const std::string path = files().back();
  spill(path, slurp(path) + "rubbish\n{\"seq\":7,\"prev\":\"");
  EXPECT_THAT(names({}), ElementsAre("Op"));
  EXPECT_FALSE(next);
  options.files.directory += "/none";
  EXPECT_THAT(names({}), ElementsAre());
}

}  // namespace
}  // namespace muster::audit

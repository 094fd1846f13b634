// SPDX-License-Identifier: Apache-2.0
#include "api/wire/model.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "api/wire/patterns.h"
#include "api/wire/predicates.h"
#include "api/wire/validate.h"

namespace muster::api {
namespace {

TEST(Model, EveryServiceListsAllOperationsOfItsModelSorted) {
  const std::pair<std::string_view, std::size_t> expected[] = {{"iot", 238},  {"iot-data", 7},   {"iot-jobs-data", 4},
                                                               {"s3", 97},    {"iam", 158},      {"sts", 8},
                                                               {"muster", 3}, {"cloudtrail", 30}};
  ASSERT_EQ(model::services().size(), std::size(expected));
  for (const auto& [id, count] : expected) {
    const model::Service* service = model::find_service(id);
    ASSERT_NE(service, nullptr) << id;
    EXPECT_GE(service->operations.size(), count) << id;
    EXPECT_TRUE(std::ranges::is_sorted(service->operations, {}, &model::Operation::name)) << id;
  }
}

TEST(Model, ServedOperationsHaveActionsAndOthersHaveNoShapes) {
  for (const model::Service* service : model::services()) {
    for (const model::Operation& operation : service->operations) {
      if (operation.support == model::Support::kRefused) {
        EXPECT_EQ(operation.input, model::kNone) << operation.name;
      } else if (operation.action.empty()) {
        EXPECT_EQ(service->id, "sts") << operation.name;  // who one is, and roles whose trust policy decides
      } else {
        EXPECT_NE(operation.action.find(':'), operation.action.npos) << operation.name;
      }
    }
  }
}

TEST(Model, IndexesStayInsideTheirTables) {
  for (const model::Service* service : model::services()) {
    for (const model::Shape& shape : service->shapes) {
      EXPECT_LE(shape.first_member + shape.member_count, service->members.size());
      EXPECT_LE(shape.first_enum + shape.enum_count, service->enums.size());
      if (shape.element != model::kNone) EXPECT_LT(shape.element, service->shapes.size());
      if (shape.pattern_id != model::kNone) EXPECT_LT(shape.pattern_id, service->pattern_count);
      EXPECT_EQ(shape.pattern_id == model::kNone, shape.pattern.empty());
    }
    for (const model::Member& member : service->members) EXPECT_LT(member.shape, service->shapes.size());
  }
}

TEST(Model, BothScopeNamesOfIotAreKnown) {
  const auto names = model::find_service("iot")->signing_names;
  EXPECT_NE(std::ranges::find(names, "execute-api"), names.end());
  EXPECT_NE(std::ranges::find(names, "iot"), names.end());
}

TEST(Patterns, AllOfThemCompile) {
  const auto compiled = compile_patterns();
  EXPECT_TRUE(compiled.has_value()) << compiled.error().message;
}

bool matches(std::string_view service, std::string_view shape, std::string_view value) {
  const model::Service& s = *model::find_service(service);
  const auto it = std::ranges::find(s.shapes, shape, &model::Shape::name);
  EXPECT_NE(it, s.shapes.end()) << shape;
  return it != s.shapes.end() && Patterns::of(s).matches(*it, value);
}

TEST(Patterns, TranslatedClassesMeanWhatTheModelMeans) {
  EXPECT_TRUE(matches("iot", "ReasonCode", "OUT_OF_DISK_2"));  // [\p{Upper}\p{Digit}_]+
  EXPECT_FALSE(matches("iot", "ReasonCode", "lower"));
  EXPECT_TRUE(matches("iot", "JobDescription", "Größe 😀"));  // [^\p{C}]+
  EXPECT_FALSE(matches("iot", "JobDescription", "a\nb"));
  EXPECT_FALSE(matches("iot", "JobDescription", "a\xE2\x80\x8B"));  // zero width space, Cf
  EXPECT_TRUE(matches("iot", "ThingName", "a:b_c-1"));
  EXPECT_FALSE(matches("iot", "ThingName", "a b"));
  EXPECT_FALSE(matches("iot", "ThingName", "a\n"));
  EXPECT_TRUE(matches("iam", "policyDocumentType", "{\n\t\"a\": \"é\"}\r"));
  EXPECT_FALSE(matches("iam", "policyDocumentType", "\x01"));
  EXPECT_TRUE(matches("iam", "pathType", "/a/b/"));  // (\u002F)|(\u002F[\u0021-\u007F]+\u002F)
  EXPECT_FALSE(matches("iam", "pathType", "a"));
}

TEST(Predicates, StandInForLookAround) {
  const Predicate alias = find_predicate("not_all_digits");
  EXPECT_TRUE(alias("v1"));
  EXPECT_FALSE(alias("12"));
  EXPECT_FALSE(alias(""));
  EXPECT_FALSE(alias("a b"));
  EXPECT_TRUE(find_predicate("latest_or_not_all_digits")("$LATEST"));
  const Predicate label = find_predicate("dns_like_label");
  EXPECT_TRUE(label("a-b"));
  EXPECT_TRUE(label("a"));
  EXPECT_FALSE(label("a--b"));
  EXPECT_FALSE(label("-a"));
  EXPECT_FALSE(label("a-"));
  EXPECT_FALSE(find_predicate("no_final_dot")("a."));
  EXPECT_TRUE(find_predicate("no_final_dot")("a.b"));
  EXPECT_EQ(find_predicate("unknown"), nullptr);
}

}  // namespace
}  // namespace muster::api

// SPDX-License-Identifier: Apache-2.0
// Payloads member by member, in AWS's order.
#include "domain/shadows/payloads.h"

#include <gtest/gtest.h>

namespace muster::shadows {
namespace {

Update update(std::string_view payload) {
  auto body = parse_update_body(payload);
  EXPECT_TRUE(body) << payload;
  auto read = read_update(body ? *body : json::object());
  EXPECT_TRUE(read) << payload;
  return read ? *read : Update();
}

Document document(std::string_view state) {
  const auto applied = apply({}, update(R"({"state":)" + std::string(state) + "}"), 7'900);
  EXPECT_TRUE(applied);
  return applied ? *applied : Document();
}

TEST(Payloads, of_an_update_hold_what_was_asked_for) {
  const Update asked = update(R"({"state":{"desired":{"a":{"b":1,"c":null},"l":[1,{"x":2}]},"reported":null}})");
  const auto after = apply(document(R"({"desired":{"z":1},"reported":{"y":1}})"), asked, 9'100);
  ASSERT_TRUE(after);
  EXPECT_EQ(updated_payload(asked, *after, "t\"1"),
            R"({"state":{"desired":{"a":{"b":1,"c":null},"l":[1,{"x":2}]},"reported":null},)"
            R"("metadata":{"desired":{"a":{"b":{"timestamp":9},"c":{"timestamp":9}},"l":[{"timestamp":9},)"
            R"({"x":{"timestamp":9}}]},"reported":{"timestamp":9}},"version":2,"timestamp":9,"clientToken":"t\"1"})");
}

TEST(Payloads, of_a_cleared_state_are_as_AWS_answers) {
  const Update asked = update(R"({"state":null})");
  EXPECT_EQ(updated_payload(asked, *apply(document("{}"), asked, 9'000), std::nullopt),
            R"({"state":null,"metadata":{"timestamp":9},"version":2,"timestamp":9})");
}

TEST(Payloads, of_a_document_hold_its_delta_but_not_its_deltas_metadata) {
  EXPECT_EQ(
      document_payload(document(R"({"desired":{"a":1},"reported":{"a":2}})"), 20'000, std::nullopt),
      R"({"state":{"desired":{"a":1},"reported":{"a":2},"delta":{"a":1}},)"
      R"("metadata":{"desired":{"a":{"timestamp":7}},"reported":{"a":{"timestamp":7}}},"version":1,"timestamp":20})");
  EXPECT_EQ(document_payload(document("{}"), 20'000, "t"),
            R"({"state":{},"metadata":{},"version":1,"timestamp":20,"clientToken":"t"})");
}

TEST(Payloads, of_a_delta_exist_where_sections_differ) {
  EXPECT_EQ(delta_payload(document(R"({"desired":{"a":1,"b":2},"reported":{"a":1}})"), "t"),
            R"({"version":1,"timestamp":7,"state":{"b":2},"metadata":{"b":{"timestamp":7}},"clientToken":"t"})");
  EXPECT_EQ(delta_payload(document(R"({"desired":{"a":1},"reported":{"a":1}})"), "t"), "");
  EXPECT_EQ(delta_payload(document(R"({"reported":{"a":1}})"), {}), "");
}

TEST(Payloads, of_a_change_hold_both_documents) {
  EXPECT_EQ(change_payload({}, document(R"({"desired":{"a":1}})"), {}),
            R"({"previous":{"state":{},"metadata":{},"version":0},"current":{"state":{"desired":{"a":1}},)"
            R"("metadata":{"desired":{"a":{"timestamp":7}}},"version":1},"timestamp":7})");
}

TEST(Payloads, of_a_refusal_carry_the_code_and_no_inner_reasons) {
  EXPECT_EQ(rejected_payload(invalid("Invalid \"x\""), 9'999, "t"),
            R"({"code":400,"message":"Invalid \"x\"","timestamp":9,"clientToken":"t"})");
  EXPECT_EQ(rejected_payload(internal("/var/lib/x is broken"), 9'999, {}),
            R"({"code":500,"message":"Internal service failure","timestamp":9})");
  const auto code = [](ErrorKind kind, std::string reason = {}) {
    return rejected_code(make_error(kind, "m", reason));
  };
  EXPECT_EQ(code(ErrorKind::kInvalid, "UnsupportedDocumentEncodingException"), 415);
  EXPECT_EQ(code(ErrorKind::kNotFound), 404);
  EXPECT_EQ(code(ErrorKind::kVersionConflict, "ConflictException"), 409);
  EXPECT_EQ(code(ErrorKind::kTooLarge), 413);
  EXPECT_EQ(code(ErrorKind::kThrottled), 429);
  EXPECT_EQ(code(ErrorKind::kUnavailable), 500);
}

}  // namespace
}  // namespace muster::shadows

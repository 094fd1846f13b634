// SPDX-License-Identifier: Apache-2.0
#include "api/device/provisioning_payload.h"

#include <gtest/gtest.h>

#include "base/cbor.h"

namespace muster::api::device {
namespace {

TEST(ProvisioningPayload, BothFormatsSayTheSame) {
  const json::object object{{"certificateOwnershipToken", "t"}, {"parameters", json::object{{"Serial", "1"}}}};
  for (const PayloadFormat format : {PayloadFormat::kJson, PayloadFormat::kCbor}) {
    auto back = read_payload(format, write_payload(format, object));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(to_text(*back), to_text(object));
    EXPECT_TRUE(read_payload(format, "")->empty());
  }
}

TEST(ProvisioningPayload, WhatIsNoObjectIsRefused) {
  for (const char* payload : {"[]", "null", "1", "{", "{\"a\":1}}", "\xff"}) {
    EXPECT_EQ(read_payload(PayloadFormat::kJson, payload).error().reason, "InvalidPayload") << payload;
  }
  for (const std::string& payload :
       {std::string("\x80"), std::string("\xf6"), std::string("\xa1"), std::string("{}")}) {
    EXPECT_EQ(read_payload(PayloadFormat::kCbor, payload).error().reason, "InvalidPayload");
  }
  std::string deep = "1";
  for (int i = 0; i < 20; ++i) deep = "{\"a\":" + deep + "}";
  EXPECT_FALSE(read_payload(PayloadFormat::kJson, deep));
  EXPECT_FALSE(read_payload(PayloadFormat::kCbor, to_cbor(parse_json(deep).value())));
  EXPECT_EQ(read_payload(PayloadFormat::kJson, std::string(200'000, ' ')).error().kind, ErrorKind::kTooLarge);
}

TEST(ProvisioningPayload, RejectionsHaveAwsMembers) {
  EXPECT_EQ(to_text(rejection(make_error(ErrorKind::kInvalid, "m", "InvalidCertificateOwnershipToken"))),
            R"({"statusCode":400,"errorCode":"InvalidCertificateOwnershipToken","errorMessage":"m"})");
  EXPECT_EQ(to_text(rejection(make_error(ErrorKind::kAccessDenied, "m"))),
            R"({"statusCode":403,"errorCode":"AccessDenied","errorMessage":"m"})");
  EXPECT_EQ(to_text(rejection(internal("a secret"))),
            R"({"statusCode":500,"errorCode":"InternalServerError","errorMessage":"An internal error has occurred."})");
}

TEST(ProvisioningPayload, FormatsByName) {
  EXPECT_EQ(payload_format("json"), PayloadFormat::kJson);
  EXPECT_EQ(payload_format("cbor"), PayloadFormat::kCbor);
  for (const char* other : {"", "JSON", "json/", "xml", "+", "#"}) EXPECT_FALSE(payload_format(other)) << other;
}

}  // namespace
}  // namespace muster::api::device

// SPDX-License-Identifier: Apache-2.0
#include "api/services/data/iot_data.h"

#include <gtest/gtest.h>

namespace muster::api::data {
namespace {

TEST(IotData, UserPropertiesAreAnArrayOfObjectsOfStrings) {
  const UserProperties two{{"deviceName", "alpha"}, {"deviceCnt", "45"}};
  EXPECT_EQ(parse_user_properties(R"([{"deviceName": "alpha"}, {"deviceCnt": "45"}])").value(), two);
  EXPECT_EQ(parse_user_properties(R"("[{\"deviceName\": \"alpha\"}, {\"deviceCnt\": \"45\"}]")").value(), two);
  EXPECT_TRUE(parse_user_properties("[]").value().empty());
  for (const char* bad : {"", "{}", R"({"a":"b"})", "[1]", R"([{"a":1}])", R"("x")", R"(["a"])"}) {
    EXPECT_FALSE(parse_user_properties(bad)) << bad;
  }
}

}  // namespace
}  // namespace muster::api::data

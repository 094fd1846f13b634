// SPDX-License-Identifier: Apache-2.0
#include "api/wire/support.h"

#include <gmock/gmock.h>

#include "api/wire/model.h"
#include "base/json.h"

namespace muster::api {
namespace {

using ::testing::HasSubstr;

TEST(Support, TextNamesOperationsAndRefusedMembers) {
  const std::string text = support_text();
  EXPECT_THAT(text, HasSubstr("CreateJob "));
  EXPECT_THAT(text, HasSubstr("destinationPackageVersions (the Software Package Catalog is not served)"));
}

TEST(Support, JsonHoldsEveryOperationOfEveryService) {
  const auto parsed = parse_json(support_json(), {.max_bytes = 8u << 20});
  ASSERT_TRUE(parsed) << parsed.error().message;
  const auto& services = *find_array(parsed->as_object(), "services");
  ASSERT_EQ(services.size(), model::services().size());
  std::size_t refused = 0;
  for (std::size_t i = 0; i < services.size(); ++i) {
    const auto& operations = *find_array(services[i].as_object(), "operations");
    EXPECT_EQ(operations.size(), model::services()[i]->operations.size());
    for (const auto& operation : operations) refused += get_string(operation.as_object(), "support") == "refused";
  }
  EXPECT_GT(refused, 100u);
}

TEST(Support, MarkdownHasOneRowForEachServedOperation) {
  const std::string text = support_markdown();
  for (const model::Service* service : model::services()) {
    for (const model::Operation& operation : service->operations) {
      const bool listed = text.find("| " + std::string(operation.name) + " | ") != text.npos;
      if (operation.support != model::Support::kRefused) EXPECT_TRUE(listed) << operation.name;
    }
  }
}

}  // namespace
}  // namespace muster::api

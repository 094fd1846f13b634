// SPDX-License-Identifier: Apache-2.0
#include "server/admin.h"

#include <gtest/gtest.h>

namespace muster::server {
namespace {

io::HttpRequest request(std::string method, std::string target) {
  io::HttpRequest r;
  r.method = std::move(method);
  r.target = std::move(target);
  return r;
}

TEST(Admin, TellsHealthAndWhyNot) {
  std::optional<std::string> reason;
  Admin admin({[&] { return reason; }, [] { return std::string("x 1\n"); }});
  EXPECT_EQ(admin.answer(request("GET", "/health/live"))->status, 200);
  EXPECT_EQ(admin.answer(request("GET", "/health/ready"))->status, 200);
  reason = "the store refuses writes";
  EXPECT_EQ(admin.answer(request("GET", "/health/live"))->status, 200);
  auto answer = admin.answer(request("HEAD", "/health/ready"));
  EXPECT_EQ(answer->status, 503);
  EXPECT_EQ(answer->body, "the store refuses writes\n");
  EXPECT_EQ(admin.answer(request("GET", "/metrics"))->body, "x 1\n");
}

TEST(Admin, LeavesEverythingElseToTheApis) {
  Admin admin({[] { return std::nullopt; }, [] { return std::string(); }});
  EXPECT_FALSE(admin.answer(request("PUT", "/health/live")));
  EXPECT_FALSE(admin.answer(request("GET", "/health/live/x")));
  EXPECT_FALSE(admin.answer(request("GET", "/health")));
  EXPECT_FALSE(admin.answer(request("GET", "/metrics?X-Amz-Signature=1")));
  auto is_signed = request("GET", "/metrics");
  is_signed.headers.add("Authorization", "AWS4-HMAC-SHA256 ...");
  EXPECT_FALSE(admin.answer(is_signed));
}

}  // namespace
}  // namespace muster::server

// SPDX-License-Identifier: Apache-2.0
// Every way of signing, with every part tampered with after signing, through the whole pipeline: the untouched request
// must reach its handler with the right payload, a tampered one must be refused and its payload never kept.
#include <gtest/gtest.h>

#include "api/wire/signature/tampered_requests.h"
#include "api/wire/wire_test_support.h"

namespace muster::api {
namespace {

class SignatureMatrix : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"PutObject", "GetObject", "DeleteObject", "CopyObject", "CreateBucket", "ListObjectsV2",
                             "ListObjects", "ListBuckets", "DeleteBucket", "HeadObject"}) {
      server_.serve("s3", name);
    }
    for (const char* name : {"CreateThing", "UpdateThing", "DeleteThing", "DescribeThing"}) server_.serve("iot", name);
    server_.serve("iot-data", "Publish");
    server_.serve("iam", "GetUser");
    server_.serve("sts", "GetCallerIdentity");
    server_.serve("sts", "AssumeRole");
  }
  TestServer server_;
};

TEST_F(SignatureMatrix, UntouchedRequestsPass) {
  for (const Case& c : cases()) {
    SignedRequest in = signed_request(c);
    for (std::vector<std::size_t> pieces : {std::vector<std::size_t>{100'000}, {7}, {1, 4096, 3}}) {
      io::HttpResponse response = server_.send(in, pieces);
      ASSERT_LT(response.status, 300) << c.name << ": " << response.body;
      ASSERT_EQ(server_.seen.size(), 1u) << c.name;
      if (in.request.method == "PUT") EXPECT_EQ(server_.seen[0].body, in.payload) << c.name;
    }
  }
}

TEST_F(SignatureMatrix, NothingTamperedPasses) {
  const std::vector<Tamper> tampers = all_tampers();
  std::map<std::string, int> applied;
  int tried = 0;
  for (const Case& c : cases()) {
    const SignedRequest good = signed_request(c);
    for (const Tamper& tamper : tampers) {
      SignedRequest in = good;
      if (!tamper.change(in, c)) continue;
      ++applied[tamper.name];
      ++tried;
      io::HttpResponse response = server_.send(in);
      EXPECT_GE(response.status, 400) << c.name << ", " << tamper.name << ": " << in.request.target;
      EXPECT_LT(response.status, 500) << c.name << ", " << tamper.name << ": " << response.body;
      EXPECT_TRUE(server_.seen.empty()) << c.name << ", " << tamper.name << ": the handler kept it";
    }
  }
  for (const Tamper& tamper : tampers) EXPECT_GT(applied[tamper.name], 0) << tamper.name << " was never tried";
  EXPECT_GT(tried, 800);
}

TEST_F(SignatureMatrix, EveryByteOfASignedHeadCounts) {
  Case c{"s3 header chunks", "s3", Style::kHeader, PayloadMode::kSignedChunksTrailer, put_object};
  const SignedRequest good = signed_request(c);
  const std::string authorization = good.header("Authorization");
  for (std::size_t i = 0; i < authorization.size(); ++i) {
    if (authorization[i] == ' ') continue;
    SignedRequest in = good;
    std::string value = authorization;
    value[i] = value[i] == 'x' ? 'y' : 'x';
    in.request.headers.set("Authorization", value);
    EXPECT_GE(server_.send(in).status, 400) << value;
    EXPECT_TRUE(server_.seen.empty()) << value;
  }
  for (std::size_t i = 0; i<good.body.size(); i += good.body.size()> 2000 ? 97 : 1) {
    SignedRequest in = good;
    in.body[i] = static_cast<char>(in.body[i] ^ 1);
    EXPECT_GE(server_.send(in).status, 400) << i;
    EXPECT_TRUE(server_.seen.empty()) << i;
  }
}

}  // namespace
}  // namespace muster::api

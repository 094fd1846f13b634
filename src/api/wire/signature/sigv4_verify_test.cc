// SPDX-License-Identifier: Apache-2.0
// Verification against requests that real clients and AWS's documents signed, and AWS's answers to what is wrong.
// sigv4_matrix_test tampers with every part.
#include "api/wire/signature/sigv4_verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/wire/signature/aws_chunked.h"
#include "api/wire/signature/sigv2.h"
#include "api/wire/wire_test_support.h"

namespace muster::api {
namespace {

using testing::HasSubstr;

struct Captured {
  std::string method, target, headers, scope, signed_headers, signature, body;
  std::string service, operation;
};

// boto3 1.26.27 with its clock at 2023-11-14T22:13:20Z and the documentation's key. `headers` are "name: value" lines.
const std::vector<Captured> kBoto3 = {
    {"PUT", "/bucket/a%20b/%C3%A9%2B~%281%29%2A.txt",
     "x-amz-meta-k: v  w\nContent-MD5: XUFAKrxLKna5cZ2REBfFkg==\nExpect: 100-continue\nx-amz-content-sha256: "
     "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
     "s3", "content-md5;host;x-amz-content-sha256;x-amz-date;x-amz-meta-k",
     "3f5f76491d98facebd1419ff2f0ee7fec1ccedbcd923d17a81ee81bbe47517e9", "hello", "s3", "PutObject"},
    {"PUT", "/bucket/trailer",
     "x-amz-sdk-checksum-algorithm: CRC32\nx-amz-checksum-crc32: NhCmhg==\nx-amz-content-sha256: "
     "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
     "s3", "host;x-amz-checksum-crc32;x-amz-content-sha256;x-amz-date;x-amz-sdk-checksum-algorithm",
     "5bdfbffe6e0ce24b9d50282a7c657f2646bc50fd8b56692456d378cae7cf9eb7", "hello", "s3", "PutObject"},
    {"GET", "/bucket?list-type=2&prefix=a%2F%20%2Bb&max-keys=5&encoding-type=url",
     "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "s3",
     "host;x-amz-content-sha256;x-amz-date", "f60fc22bc8a752f883c8bfa9045590f343e3af06c8c9d2938901345b12e17ee6", "",
     "s3", "ListObjectsV2"},
    {"GET", "/things/a%3Ab/jobs/j-1", "", "execute-api", "host;x-amz-date",
     "4c99e5d24304482942ecad79c2fe82f9d96459ff9424976e18d4c7cbd9fa9f7f", "", "iot", "DescribeJobExecution"},
    {"POST", "/things/t1", "Content-Type: application/json", "execute-api", "content-type;host;x-amz-date",
     "da6a21d10e35fc233323849ff90a0325e37e564c44857a7af658ff2a01a1dd64",
     R"({"attributePayload": {"attributes": {"a": "b"}}})", "iot", "CreateThing"},
    {"POST", "/topics/a%2Fb%20c%2F%24x?qos=1", "", "iotdata", "host;x-amz-date",
     "d8eb6cb89657e77edc619561cee5174897a291f3d93eea2275f967db2918a6c7", "hi", "iot-data", "Publish"},
    {"GET", "/things/t1/jobs/%24next", "", "iot-jobs-data", "host;x-amz-date",
     "ff90e26b78ca0cbf3039f5cbbbcf03b06c1af4bfe4778ae85f3b869912148775", "", "iot-jobs-data", "DescribeJobExecution"},
    {"PUT", "/things/t1/jobs/$next", "Content-Type: application/json", "iot-jobs-data", "content-type;host;x-amz-date",
     "d37543d0983262b96bfca35fc6c5766b84508306aaf40413e022a258de612b65", "{}", "iot-jobs-data",
     "StartNextPendingJobExecution"},
    {"POST", "/", "Content-Type: application/x-www-form-urlencoded; charset=utf-8", "iam",
     "content-type;host;x-amz-date", "ad742aa9e5cc550975717d6edbeb28d63976b4f234f9e5f404a64cf6a4b99ca4",
     "Action=GetUser&Version=2010-05-08&UserName=u%2Bx%3Dy%40z", "iam", "GetUser"},
};
const char* const kBoto3Presigned[] = {
    "GET /bucket/a%20b/k~.txt?response-content-type=text%2Fplain%3B%20charset%3Dutf-8&AWSAccessKeyId="
    "AKIAIOSFODNN7EXAMPLE&Signature=SPaiJUr%2BJyxU0RcDaGafzlN5hK0%3D&Expires=1700000600",
    "PUT /bucket/a%20b/k~.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20231114%2F"
    "eu-west-1%2Fs3%2Faws4_request&X-Amz-Date=20231114T221320Z&X-Amz-SignedHeaders=host&X-Amz-Expires=600&"
    "X-Amz-Signature=894a9948021387c16d246649710a20f57d4056148598f9a12ef5fad5f59429b9",
    "GET /bucket/k?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=PHs%2BMaXgkx4TT20qtJD614gEcR8%3D&Expires=1700000600",
};

SignedRequest captured_request(const Captured& captured) {
  SignedRequest in = make_request(captured.method, captured.target, captured.body);
  for (std::string_view line : split(captured.headers, '\n')) {
    std::size_t colon = line.find(": ");
    if (colon != line.npos)
      in.request.headers.add(std::string(line.substr(0, colon)), std::string(line.substr(colon + 2)));
  }
  in.request.headers.add("User-Agent", "Boto3/1.26.27");
  in.request.headers.add("X-Amz-Date", "20231114T221320Z");
  in.request.headers.add("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20231114/eu-west-1/" +
                                              captured.scope + "/aws4_request, SignedHeaders=" +
                                              captured.signed_headers + ", Signature=" + captured.signature);
  in.request.headers.add("amz-sdk-request", "attempt=1");
  return in;
}

TEST(CapturedRequests, OfBoto3PassAndReachTheirOperation) {
  TestServer server;
  for (const Captured& captured : kBoto3) {
    if (!server.seen.empty() || captured.target != "/bucket/trailer")
      server.serve(captured.service, captured.operation);
  }
  for (const Captured& captured : kBoto3) {
    io::HttpResponse response = server.send(captured_request(captured));
    // A handler without its real output may fail in the answer; what counts is that it was called.
    ASSERT_EQ(server.seen.size(), 1u) << captured.target << ": " << response.status << ' ' << response.body;
    EXPECT_EQ(server.seen[0].operation, captured.operation);
  }
  server.send(captured_request(kBoto3[0]));
  EXPECT_EQ(get_string(server.seen[0].input, "Key"), "a b/\xC3\xA9+~(1)*.txt");
  EXPECT_EQ(server.seen[0].body, "hello");
  server.send(captured_request(kBoto3[5]));
  EXPECT_EQ(get_string(server.seen[0].input, "topic"), "a/b c/$x");
  server.send(captured_request(kBoto3[6]));
  EXPECT_EQ(get_string(server.seen[0].input, "jobId"), "$next");
  server.send(captured_request(kBoto3[8]));
  EXPECT_EQ(get_string(server.seen[0].input, "UserName"), "u+x=y@z");
}

TEST(CapturedRequests, OfBoto3PresignedPass) {
  TestServer server;
  server.serve("s3", "GetObject");
  server.serve("s3", "PutObject");
  for (std::string_view text : kBoto3Presigned) {
    auto parts = split(text, ' ');
    SignedRequest in = make_request(std::string(parts[0]), std::string(parts[1]));
    io::HttpResponse response = server.send(in);
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(server.seen.size(), 1u) << text;
    server.clock.advance_ms(600'000);
    response = server.send(in);
    EXPECT_EQ(response.status, 403);
    EXPECT_THAT(response.body, HasSubstr("<Code>AccessDenied</Code><Message>Request has expired</Message>"));
    server.clock.advance_ms(-600'000);
  }
}

// S3 API reference: 66,560 bytes of 'a' in chunks of 64 KiB, without and with a trailer.
SigningContext documented_context(std::string seed) {
  sigv4::Scope scope{"20130524", "us-east-1", "s3"};
  return {sigv4::signing_key(kTestSecret, scope), "20130524T000000Z", scope.text(), std::move(seed)};
}
std::string documented_body(const std::vector<std::string>& signatures, const std::string& end) {
  return "10000;chunk-signature=" + signatures[0] + "\r\n" + std::string(65536, 'a') +
         "\r\n400;chunk-signature=" + signatures[1] + "\r\n" + std::string(1024, 'a') +
         "\r\n0;chunk-signature=" + signatures[2] + "\r\n" + end;
}
Status decode(const PayloadRule& rule, const SigningContext& context, std::string_view body, std::size_t piece) {
  AwsChunkedDecoder decoder(rule, context);
  std::size_t total = 0;
  while (!body.empty()) {
    std::string_view input = body.substr(0, piece);
    body.remove_prefix(input.size());
    while (!input.empty()) {
      TRY(std::string_view data, decoder.next(input));
      total += data.size();
    }
  }
  TRY_VOID(decoder.finish());
  EXPECT_EQ(total, 66'560u);
  return {};
}

TEST(DocumentedChunks, AreVerified) {
  PayloadRule rule{PayloadMode::kSignedChunks, "", 66'560, {}};
  SigningContext context = documented_context("4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
  std::string body = documented_body({"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
                                      "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
                                      "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"},
                                     "\r\n");
  for (std::size_t piece : {1, 3, 1000, 100'000}) EXPECT_TRUE(decode(rule, context, body, piece)) << piece;
  EXPECT_EQ(decode(rule, context, body + "x", 1000).error().reason, "InvalidRequest");
  EXPECT_EQ(decode(rule, context, body.substr(0, body.size() - 1), 1000).error().reason, "IncompleteBody");
}

TEST(DocumentedChunks, WithTrailerAreVerified) {
  PayloadRule rule{PayloadMode::kSignedChunksTrailer, "", 66'560, {"x-amz-checksum-crc32c"}};
  SigningContext context = documented_context("106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e");
  // The document ends the trailing header in LF CRLF; SDKs in CRLF.
  for (const char* newline : {"\n\r\n", "\r\n"}) {
    std::string body = documented_body({"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
                                        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
                                        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"},
                                       std::string("x-amz-checksum-crc32c:sOO8/Q==") + newline +
                                           "x-amz-trailer-signature:"
                                           "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n");
    for (std::size_t piece : {1, 7, 100'000}) {
      Status status = decode(rule, context, body, piece);
      EXPECT_TRUE(status) << status.error().message;
    }
  }
}

TEST(ChunkedDecoder, IsBounded) {
  PayloadRule rule{PayloadMode::kUnsignedChunksTrailer, "", 66'560, {"x-amz-checksum-crc32"}};
  for (std::string bad :
       {std::string(5000, '1'), std::string("ffffffffffffffffff\r\n"), std::string("-1\r\n"), std::string("\r\n"),
        std::string("7fffffffffffffff\r\n"), std::string("1;x=y\r\na\r\n"), std::string("0x1\r\n"),
        "10400\r\n" + std::string(66'560, 'a') + "\r\n0\r\n" + std::string(10'000, 'x'),
        "10400\r\n" + std::string(66'560, 'a') + "\r\n0\r\n" + "x-amz-checksum-crc32:AAAAAA==\r\n\r\n"}) {
    EXPECT_FALSE(decode(rule, {}, bad, 4096)) << bad.substr(0, 40);
  }
}

struct Answer {
  int status;
  std::string code;
};
Answer answer_of(const io::HttpResponse& response) {
  if (response.headers.has("x-amzn-ErrorType"))
    return {response.status, std::string(response.headers.get("x-amzn-ErrorType"))};
  std::size_t begin = response.body.find("<Code>"), end = response.body.find("</Code>");
  return {response.status, begin == std::string::npos ? "" : response.body.substr(begin + 6, end - begin - 6)};
}

// What each kind of service answers to the same mistake.
TEST(Answers, SpeakEachProtocol) {
  struct Row {
    const char* mistake;
    std::function<void(Signer&)> before;
    std::function<void(SignedRequest&)> after;
    Answer s3, iam, iot;
  };
  auto nothing = [](auto&) {};
  const Row rows[] = {
      {"wrong secret",
       [](Signer& s) { s.credentials.secret_access_key = "x"; },
       nothing,
       {403, "SignatureDoesNotMatch"},
       {403, "SignatureDoesNotMatch"},
       {403, "InvalidSignatureException"}},
      {"unknown key",
       [](Signer& s) { s.credentials.access_key_id = "AKIANOBODY"; },
       nothing,
       {403, "InvalidAccessKeyId"},
       {403, "InvalidClientTokenId"},
       {403, "UnrecognizedClientException"}},
      {"bad token",
       [](Signer& s) {
         s.credentials = {"ASIAIOSFODNN7EXAMPLE", kTestSecret, "bad"};
       },
       nothing,
       {400, "InvalidToken"},
       {403, "InvalidClientTokenId"},
       {403, "UnrecognizedClientException"}},
      {"clock behind",
       [](Signer& s) { s.now_ms -= kMaxClockSkewMs + 1000; },
       nothing,
       {403, "RequestTimeTooSkewed"},
       {403, "SignatureDoesNotMatch"},
       {403, "InvalidSignatureException"}},
      {"clock ahead",
       [](Signer& s) { s.now_ms += kMaxClockSkewMs + 1000; },
       nothing,
       {403, "RequestTimeTooSkewed"},
       {403, "SignatureDoesNotMatch"},
       {403, "InvalidSignatureException"}},
      {"wrong region",
       [](Signer& s) { s.region = "us-west-2"; },
       nothing,
       {400, "AuthorizationHeaderMalformed"},
       {403, "SignatureDoesNotMatch"},
       {403, "InvalidSignatureException"}},
      {"no credentials",
       nothing,
       [](SignedRequest& r) { r.drop("authorization"); },
       {403, "AccessDenied"},
       {403, "MissingAuthenticationToken"},
       {403, "AccessDenied"}},
      {"malformed header",
       nothing,
       [](SignedRequest& r) { r.request.headers.set("authorization", "AWS4-HMAC-SHA256 Credential=x"); },
       {400, "AuthorizationHeaderMalformed"},
       {400, "IncompleteSignature"},
       {400, "IncompleteSignatureException"}},
      {"loose header",
       nothing,
       [](SignedRequest& r) { r.request.headers.add("x-amz-acl", "private"); },
       {403, "AccessDenied"},
       {403, "AccessDenied"},
       {403, "AccessDeniedException"}},
  };
  TestServer server;
  server.serve("s3", "PutObject");
  server.serve("iam", "DeleteUser");
  server.serve("iot", "UpdateThing");
  for (const Row& row : rows) {
    for (std::string service : {"s3", "iam", "iot"}) {
      SignedRequest in = make_request("PUT", "/bucket/key", "hello");
      if (service == "iot") in = make_request("PATCH", "/things/t", "{}");
      if (service == "iam") in = make_request("POST", "/", "Action=DeleteUser&Version=2010-05-08&UserName=u");
      if (service == "iam") in.request.headers.add("Content-Type", "application/x-www-form-urlencoded");
      if (service == "iot") in.request.headers.add("Content-Type", "application/json");
      Signer signer;
      signer.service = service;
      row.before(signer);
      signer.sign_header(in, PayloadMode::kDeclaredHash);
      row.after(in);
      Answer got = answer_of(server.send(in));
      Answer want = service == "s3" ? row.s3 : service == "iam" ? row.iam : row.iot;
      EXPECT_EQ(got.code, want.code) << row.mistake << " at " << service;
      EXPECT_EQ(got.status, want.status) << row.mistake << " at " << service;
      EXPECT_TRUE(server.seen.empty()) << row.mistake << " at " << service;
    }
  }
}

TEST(Answers, SayWhatIsWrongWithTheTime) {
  TestServer server;
  server.serve("iot", "UpdateThing");
  server.serve("s3", "PutObject");
  Signer signer;
  signer.now_ms -= 16 * 60'000;
  SignedRequest in = make_request("PUT", "/bucket/key", "x");
  signer.sign_header(in, PayloadMode::kUnsigned);
  io::HttpResponse response = server.send(in);
  EXPECT_THAT(response.body, HasSubstr("<ServerTime>2023-11-14T22:13:20Z</ServerTime>"));
  EXPECT_THAT(response.body, HasSubstr("<MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>"));
  in = make_request("PATCH", "/things/t", "{}");
  signer.service = "iot";
  signer.sign_header(in, PayloadMode::kWholeHash);
  EXPECT_THAT(server.send(in).body,
              HasSubstr("Signature expired: 20231114T215720Z is now earlier than 20231114T215820Z "
                        "(20231114T221320Z - 15 min.)"));
}

TEST(Presigned, ExpiryIsBounded) {
  TestServer server;
  server.serve("s3", "GetObject");
  const std::pair<std::int64_t, int> expiries[] = {{1, 200}, {604'800, 200}, {604'801, 400}, {0, 400}, {-1, 400}};
  for (auto [seconds, status] : expiries) {
    SignedRequest in = make_request("GET", "/bucket/key");
    Signer().sign_query(in, seconds);
    io::HttpResponse response = server.send(in);
    EXPECT_EQ(response.status, status) << seconds;
    if (status == 400) EXPECT_THAT(response.body, HasSubstr("<Code>AuthorizationQueryParametersError</Code>"));
  }
  SignedRequest in = make_request("GET", "/bucket/key");
  Signer early;
  early.now_ms += kMaxClockSkewMs + 1000;
  early.sign_query(in);
  EXPECT_THAT(server.send(in).body, HasSubstr("Request is not valid yet"));
}

TEST(Presigned, SigV2RefusesParametersThatItDoesNotCover) {
  TestServer server;
  server.serve("s3", "ListObjects");
  SignedRequest in = make_request("GET", "/bucket");
  Signer().sign_query_v2(in);
  EXPECT_EQ(server.send(in).status, 200);
  in.request.target += "&prefix=secret";
  EXPECT_EQ(server.send(in).status, 403);
  EXPECT_TRUE(server.seen.empty());
}

TEST(Presigned, SigV2RefusesValuesThatCouldBeReadAsOtherLines) {
  TestServer server;
  server.serve("s3", "GetObject");
  SignedRequest plain = make_request("GET", "/bucket/key?response-content-type=ab");
  Signer().sign_query_v2(plain);
  EXPECT_EQ(server.send(plain).status, 200);
  SignedRequest in = plain;
  in.replace_in_target("=ab", "=a%0Ab");
  Pairs query = *parse_form(in.request.raw_query());
  RequestSignature signature = *read_signature(in.request, query);
  VerifyInput verify{in.request, query, signature, *model::find_service("s3"), kTestRealm, "", 0};
  signature.signature = to_base64(hmac_sha1(kTestSecret, string_to_sign_v2(verify)));
  EXPECT_FALSE(verify_signature(verify, kTestSecret, ""));
  query = *parse_form(plain.request.raw_query());
  signature.signature = to_base64(hmac_sha1(kTestSecret, string_to_sign_v2(verify)));
  EXPECT_TRUE(verify_signature(verify, kTestSecret, ""));
}

TEST(Presigned, IotWebSocketTokenMayFollowTheSignature) {
  SignedRequest in = make_request("GET", "/mqtt");
  Signer signer;
  signer.service = "iotdevicegateway";
  signer.sign_query(in);
  in.request.target += "&X-Amz-Security-Token=late";
  Pairs query = *parse_form(in.request.raw_query());
  auto signature = read_signature(in.request, query);
  ASSERT_TRUE(signature);
  VerifyInput verify{in.request, query, *signature, *model::find_service("iot-data"), kTestRealm, "", signer.now_ms};
  EXPECT_TRUE(check_scope(verify));
  EXPECT_TRUE(verify_signature(verify, kTestSecret, sha256_hex("")));
  in.replace_in_target("/mqtt", "/mqtu");
  EXPECT_FALSE(verify_signature(verify, kTestSecret, sha256_hex("")));
}

TEST(Lookups, HappenOnlyForPlausibleRequests) {
  TestServer server;
  server.serve("iot", "UpdateThing");
  SignedRequest in = make_request("PATCH", "/things/t", std::string(3 << 20, ' '));
  Signer signer;
  signer.service = "iot";
  signer.region = "us-west-2";
  signer.sign_header(in, PayloadMode::kWholeHash);
  EXPECT_EQ(server.send(in).status, 403);
  EXPECT_EQ(server.credentials.lookups, 0);
  EXPECT_EQ(server.consumed, 0u);
  signer.region = "eu-west-1";
  signer.credentials.access_key_id = "AKIANOBODY";
  in = make_request("PATCH", "/things/t", std::string(1 << 20, ' '));
  signer.sign_header(in, PayloadMode::kWholeHash);
  EXPECT_EQ(server.send(in).status, 403);
  EXPECT_EQ(server.consumed, 0u);
}

TEST(Paths, AreCanonical) {
  // The AWS SigV4 test suite's "normalize-path" cases.
  const std::pair<const char*, const char*> cases[] = {{"/", "/"},
                                                       {"//", "/"},
                                                       {"/./", "/"},
                                                       {"/./example", "/example"},
                                                       {"/example/..", "/"},
                                                       {"//example//", "/example/"},
                                                       {"/example1/example2/../..", "/"},
                                                       {"/a%2Fb", "/a%252Fb"},
                                                       {"/$next", "/%24next"},
                                                       {"/../..", "/"}};
  for (auto [raw, canonical] : cases) EXPECT_EQ(*canonical_path(raw, false), canonical) << raw;
  EXPECT_EQ(*canonical_path("/b//a/../k%7E%20+", true), "/b//a/../k~%20%2B");
  EXPECT_FALSE(canonical_path("/b/%zz", true));
  EXPECT_FALSE(canonical_path("b", true));
}

}  // namespace
}  // namespace muster::api

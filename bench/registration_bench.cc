// SPDX-License-Identifier: Apache-2.0
// Bulk registration on the embedded engine: registration_bench FOLDER [LINES [GROUPS]]. Things with 5 attributes and
// GROUPS groups each, from a file of JSON lines, by a role whose policy allows it; prints lines a second and bytes on
// disk a thing. The folder is made and stays.
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "base/crypto.h"
#include "base/text.h"
#include "domain/iam/identities.h"
#include "domain/objects/buckets.h"
#include "domain/objects/objects.h"
#include "domain/provisioning/registration_worker.h"
#include "io/env.h"
#include "store/embedded_engine.h"

using namespace muster;  // NOLINT: a program

namespace {

constexpr std::string_view kTrust =
    R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",)"
    R"("Principal":{"Service":"iot.amazonaws.com"}}]})";
constexpr std::string_view kPolicy = R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"*",)"
                                     R"("Action":["iot:CreateThing","iot:AddThingToThingGroup","s3:GetObject"]}]})";

template <class T>
T must(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    std::exit(1);
  }
  return *std::move(result);
}

std::string body_of(int groups) {
  std::string list;
  for (int i = 0; i < groups; ++i) list += (i > 0 ? "," : "") + std::string("{\"Ref\":\"G") + std::to_string(i) + "\"}";
  std::string parameters = R"("Name":{"Type":"String"},"Serial":{"Type":"String"})";
  for (int i = 0; i < groups; ++i) parameters += ",\"G" + std::to_string(i) + "\":{\"Type\":\"String\"}";
  return R"({"Parameters":{)" + parameters +
         R"(},"Resources":{"thing":{"Type":"AWS::IoT::Thing","Properties":{)"
         R"("ThingName":{"Ref":"Name"},"AttributePayload":{"serial":{"Ref":"Serial"},"model":"m-1","firmware":"1.0.0",)"
         R"("site":"berlin","owner":"ops"},"ThingGroups":[)" +
         list + "]}}}}";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "registration_bench FOLDER [LINES [GROUPS]]\n"), 2;
  const std::string folder = argv[1];
  const int lines = argc > 2 ? std::atoi(argv[2]) : 100'000, groups = argc > 3 ? std::atoi(argv[3]) : 3;
  std::filesystem::create_directories(folder);
  io::SystemClock clock;
  auto store = must(store::open_embedded_store({.directory = folder + "/store", .clock = &clock}));
  auto blobs = must(objects::Blobs::open(folder + "/blobs"));
  const Realm realm = must(store::run_blocking_for(*store, [&](store::Tx& tx) {
                        return iam::ensure_account(tx, "eu-central-1");
                      })).realm;
  std::string file;
  for (int i = 0; i < lines; ++i) {
    file += R"({"Name":"thing-)" + std::to_string(i) + R"(","Serial":"SN)" + std::to_string(100'000'000 + i) + '"';
    for (int g = 0; g < groups; ++g)
      file += ",\"G" + std::to_string(g) + "\":\"g" + std::to_string(g) + "-" + std::to_string(i % 100) + '"';
    file += "}\n";
  }
  auto writer = must(blobs->create());
  if (!writer->write(file) || !writer->publish()) return 1;
  writer->settle();
  const auto task = must(store::run_blocking_for(*store, [&](store::Tx& tx) -> Result<provisioning::RegistrationTask> {
    iam::Role role{.name = "bulk"};
    role.trust_policy = std::string(kTrust);
    TRY_VOID(iam::create_role(tx, role));
    TRY_VOID(iam::put_role_policy(tx, "bulk", "p", kPolicy));
    for (int g = 0; g < groups; ++g) {
      for (int i = 0; i < 100; ++i)
        TRY_VOID(registry::create_group(tx, realm, {"g" + std::to_string(g) + "-" + std::to_string(i), "", "", {}}));
    }
    TRY_VOID(objects::create_bucket(tx, realm, "input", realm.region));
    objects::Object object{
        .key = "file", .blob = writer->id(), .size = static_cast<std::int64_t>(file.size()), .etag = to_hex(md5(file))};
    TRY_VOID(objects::put_object(tx, "input", object));
    return provisioning::start_task(tx, realm, {body_of(groups), "input", "file", iam_arn(realm, "role", "bulk")});
  }));
  iam::PolicyCache policies;
  provisioning::Context context{.realm = realm, .policies = &policies};
  provisioning::RegistrationWorker worker(context, *store, *blobs, [&] { return clock.now_ms(); });
  const auto begin = std::chrono::steady_clock::now();
  while (worker.step()) {
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const auto done =
      must(store::run_blocking_for(*store, [&](store::Tx& tx) { return provisioning::get_task(tx, task.id); }));
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder + "/store")) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  std::printf("%s: %lld things, %lld errors, %.1f s, %.0f lines/s, %.0f bytes a thing in the store's folder\n",
              std::string(to_string(done.status)).c_str(), static_cast<long long>(done.succeeded),
              static_cast<long long>(done.failed), took.count(), lines / took.count(),
              static_cast<double>(bytes) / lines);
  return done.succeeded == lines ? 0 : 1;
}

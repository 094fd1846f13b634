// SPDX-License-Identifier: Apache-2.0
#include "domain/provisioning/registration_worker.h"

#include <cstdlib>
#include <filesystem>

#include "base/crypto.h"
#include "base/text.h"
#include "domain/objects/buckets.h"
#include "domain/objects/objects.h"
#include "domain/provisioning/line_reader.h"
#include "domain/provisioning/provisioning_test_support.h"
#include "domain/provisioning/registration_reports.h"
#include "store/keys.h"
#include "store/schema.h"
#include "store/timers.h"

namespace muster::provisioning {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Bulk : public ProvisioningTest {
 protected:
  Bulk() {
    std::string pattern = (std::filesystem::temp_directory_path() / "muster-bulk-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    blobs_ = *objects::Blobs::open(folder_.string() + "/blobs");
    run([&](store::Tx& tx) { return objects::create_bucket(tx, realm_, "input", realm_.region); });
    group("g");
  }
  ~Bulk() override { std::filesystem::remove_all(folder_); }

  std::string blob_of(std::string_view bytes) {
    auto writer = *blobs_->create();
    EXPECT_TRUE(writer->write(bytes));
    EXPECT_TRUE(writer->publish());
    writer->settle();
    return writer->id();
  }
  void upload(std::string_view bytes, const std::string& key = "file") {
    objects::Object object{.key = key, .blob = blob_of(bytes), .size = static_cast<std::int64_t>(bytes.size())};
    object.etag = to_hex(md5(bytes));
    run([&](store::Tx& tx) { return objects::put_object(tx, "input", object); });
  }
  static std::string source() { return body(R"(,"AttributePayload":{"a":"1"},"ThingGroups":[{"Ref":"Group"}])"); }
  Result<RegistrationTask> started(const StartTask& wanted) {
    return result([&](store::Tx& tx) { return start_task(tx, realm_, wanted); });
  }
  std::string begin(std::string_view bytes, const std::string& as = "provisioner", const std::string& of = source()) {
    upload(bytes);
    auto task = started({of, "input", "file", role_arn(as)});
    EXPECT_TRUE(task) << task.error().message;
    clock_.advance_ms(1);
    return task ? task->id : "";
  }
  RegistrationTask task(const std::string& id) {
    return run([&](store::Tx& tx) { return get_task(tx, id); });
  }
  RegistrationTask finished(const std::string& id) {
    RegistrationWorker one(context_, *store_, *blobs_, [this] { return clock_.now_ms(); });
    for (int i = 0; i < 1000 && one.step(); ++i) {
    }
    return task(id);
  }
  std::string report(const std::string& id, ReportKind kind) {
    auto text = result([&](store::Tx& tx) {
      return objects::read_small(tx, *blobs_, report_bucket(realm_), report_object_key(id, kind), 10'000'000);
    });
    return text ? *text : text.error().message;
  }
  std::size_t rows(char table) {
    const std::string prefix(1, table);
    return run([&](store::Tx& tx) -> Result<std::size_t> {
      return tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = 100'000}).size();
    });
  }
  static std::string lines(int count, int first = 0) {
    std::string out;
    for (int i = first; i < first + count; ++i) out += R"({"Name":"t)" + std::to_string(i) + "\"}\n";
    return out;
  }

  std::filesystem::path folder_;
  std::unique_ptr<objects::Blobs> blobs_;
};

TEST_F(Bulk, AFileBecomesThings) {
  const std::string id = begin(lines(1200));
  EXPECT_EQ(task(id).status, TaskStatus::kInProgress);
  const RegistrationTask done = finished(id);
  EXPECT_EQ(done.status, TaskStatus::kCompleted);
  EXPECT_EQ(done.succeeded, 1200);
  EXPECT_EQ(done.failed, 0);
  EXPECT_EQ(done.percentage(), 100);
  EXPECT_EQ(rows(store::table::kThing), 1200U);
  EXPECT_THAT(groups_of("t1199"), ElementsAre("g"));
  EXPECT_EQ(moved_.size(), 1200U);
  EXPECT_EQ(rows(store::table::kRegistrationReport), 0U) << "they are objects now";
  const std::string results = report(id, ReportKind::kResults);
  EXPECT_EQ(std::ranges::count(results, '\n'), 1200);
  EXPECT_THAT(results, HasSubstr(R"({"lineNumber":1,"offset":0,"response":{"ResourceArns":{)"
                                 R"("thing":"arn:aws:iot:eu-central-1:123456789012:thing/t0"}}})"));
  EXPECT_THAT(report(id, ReportKind::kErrors), HasSubstr("does not exist"));
}

TEST_F(Bulk, ErrorsAreOfTheirLineAlone) {
  const std::string file =
      "{\"Name\":\"good-1\"}\r\n"
      "\n"
      "no json\n"
      "[\"an array\"]\n"
      "{\"Name\":7}\n"
      "{\"Name\":\"bad name\"}\n"
      "{\"Other\":\"x\",\"Name\":\"n\"}\n"
      "{}\n"
      "{\"Name\":\"half\",\"Group\":\"missing\"}\n"
      "{\"Name\":\"foreign\",\"Group\":\"arn:aws:iot:eu-central-1:999999999999:thinggroup/g\"}\n"
      "{\"Name\":\"good-2\"}";  // no end of line
  const RegistrationTask done = finished(begin(file));
  EXPECT_EQ(done.status, TaskStatus::kCompleted);
  EXPECT_EQ(done.succeeded, 2);
  EXPECT_EQ(done.failed, 8);
  EXPECT_EQ(rows(store::table::kThing), 2U) << "what failed half-way left nothing";
  const std::string errors = report(done.id, ReportKind::kErrors);
  EXPECT_THAT(errors, HasSubstr(R"({"lineNumber":3,"offset":20,"errorCode":"InvalidRequestException",)"
                                R"("errorMessage":"The line is not a JSON object"})"));
  EXPECT_THAT(errors, HasSubstr(R"("lineNumber":5,)"));
  EXPECT_THAT(errors, HasSubstr("Parameter Name must be a string"));
  EXPECT_THAT(errors, HasSubstr("Parameter Other is not declared by the template"));
  EXPECT_THAT(errors, HasSubstr("Parameter Name is required"));
  EXPECT_THAT(errors, HasSubstr(R"({"lineNumber":9,)"));
  EXPECT_THAT(errors, HasSubstr("ResourceNotFoundException"));
  EXPECT_EQ(std::ranges::count(errors, '\n'), 8);
}

TEST_F(Bulk, AFileThatIsNotJsonLinesFails) {
  std::string file;
  for (int i = 0; i < 5000; ++i) file += "a,b,c\n";
  const RegistrationTask done = finished(begin(file));
  EXPECT_EQ(done.status, TaskStatus::kFailed);
  EXPECT_EQ(done.message, "The input file is not a file of JSON lines.");
  EXPECT_EQ(done.failed, 1000);
  EXPECT_EQ(rows(store::table::kRegistrationReport), 0U);
}

TEST_F(Bulk, BinaryAndEndlessLines) {
  const RegistrationTask done =
      finished(begin(std::string(3'000'000, '\xff') + "\n" + lines(1) + std::string(200'000, '{')));
  EXPECT_EQ(done.status, TaskStatus::kCompleted);
  EXPECT_EQ(done.succeeded, 1);
  EXPECT_EQ(done.failed, 2);
  EXPECT_THAT(report(done.id, ReportKind::kErrors), HasSubstr("longer than 65536 bytes"));
  EXPECT_EQ(finished(begin("")).status, TaskStatus::kCompleted);
}

TEST_F(Bulk, TheRoleBoundsEachLine) {
  role("some", R"({"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::input/file"},
    {"Effect":"Allow","Action":["iot:CreateThing","iot:AddThingToThingGroup"],
     "Resource":["arn:aws:iot:eu-central-1:123456789012:thing/t1*",
     "arn:aws:iot:eu-central-1:123456789012:thinggroup/*"]}]})");
  const RegistrationTask done = finished(begin(lines(20), "some"));
  EXPECT_EQ(done.status, TaskStatus::kCompleted);
  EXPECT_EQ(done.succeeded, 11) << "t1 and t10 to t19";
  EXPECT_EQ(done.failed, 9);
  EXPECT_THAT(report(done.id, ReportKind::kErrors), HasSubstr("AccessDeniedException"));
}

TEST_F(Bulk, WhatIsRefusedAtTheStart) {
  upload(lines(1));
  const auto refusal = [&](const StartTask& wanted) {
    auto task = started(wanted);
    return task ? "started" : task.error().message;
  };
  role("blind", allow(R"("iot:*")"));
  role("lambda", allow(R"("*")"), "lambda.amazonaws.com");
  EXPECT_THAT(refusal({source(), "input", "file", role_arn("blind")}), HasSubstr("s3:GetObject"));
  EXPECT_THAT(refusal({source(), "input", "file", role_arn("lambda")}), HasSubstr("does not allow iot.amazonaws.com"));
  EXPECT_THAT(refusal({source(), "input", "file", "arn:aws:iam::999999999999:role/provisioner"}),
              HasSubstr("does not exist"));
  EXPECT_THAT(refusal({source(), "input", "none", role_arn("provisioner")}), HasSubstr("does not exist"));
  EXPECT_THAT(refusal({source(), "elsewhere", "file", role_arn("provisioner")}), HasSubstr("does not exist"));
  EXPECT_THAT(refusal({"{}", "input", "file", role_arn("provisioner")}), HasSubstr("Invalid template body"));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(refusal({source(), "input", "file", role_arn("provisioner")}), "started");
  EXPECT_THAT(refusal({source(), "input", "file", role_arn("provisioner")}), HasSubstr("too many"));
}

TEST_F(Bulk, ARestartGoesOnWhereItWas) {
  const std::string id = begin(lines(2000));
  for (int step = 0; step < 40; ++step) {
    // A worker of its own each time: nothing of its memory is needed.
    RegistrationWorker one(context_, *store_, *blobs_, [this] { return clock_.now_ms(); });
    one.step();
    one.step();
  }
  EXPECT_EQ(task(id).status, TaskStatus::kCompleted);
  EXPECT_EQ(task(id).succeeded, 2000);
  const std::string results = report(id, ReportKind::kResults);
  EXPECT_EQ(std::ranges::count(results, '\n'), 2000);
  for (int i = 0; i < 2000; ++i) {
    EXPECT_EQ(thing_named("t" + std::to_string(i)).version, 1);
  }
}

TEST_F(Bulk, StoppedHalfWay) {
  const std::string id = begin(lines(2000));
  RegistrationWorker one(context_, *store_, *blobs_, [this] { return clock_.now_ms(); });
  one.step();
  one.step();
  EXPECT_TRUE(status([&](store::Tx& tx) { return stop_task(tx, id); }));
  EXPECT_EQ(task(id).status, TaskStatus::kCancelling);
  while (one.step()) {
  }
  EXPECT_EQ(task(id).status, TaskStatus::kCancelled);
  EXPECT_EQ(task(id).succeeded, 500);
  EXPECT_EQ(rows(store::table::kThing), 500U);
  EXPECT_EQ(std::ranges::count(report(id, ReportKind::kResults), '\n'), 500);
  EXPECT_THAT(said([&](store::Tx& tx) -> Result<int> {
                TRY_VOID(stop_task(tx, id));
                return 0;
              }),
              HasSubstr("has ended: it is Cancelled"));
}

TEST_F(Bulk, AReplacedFileOrALostRoleEndsTheTask) {
  const std::string replaced = begin(lines(10));
  upload(lines(20));
  EXPECT_THAT(finished(replaced).message, HasSubstr("was removed or replaced"));
  EXPECT_EQ(task(replaced).status, TaskStatus::kFailed);
  role("passing", allow(R"("*")"));
  const std::string lost = begin(lines(2000), "passing");
  RegistrationWorker one(context_, *store_, *blobs_, [this] { return clock_.now_ms(); });
  one.step();
  one.step();
  EXPECT_TRUE(status([&](store::Tx& tx) -> Status {
    TRY_VOID(iam::delete_role_policy(tx, "passing", "p"));
    return iam::delete_role(tx, "passing");
  }));
  while (one.step()) {
  }
  EXPECT_EQ(task(lost).status, TaskStatus::kFailed);
  EXPECT_EQ(task(lost).succeeded, 500);
}

TEST_F(Bulk, OldestFirstListedNewestFirstAndRemovedInTheEnd) {
  const std::string first = begin(lines(3));
  const std::string second = begin(lines(3));
  upload(lines(3), "other");
  const auto listed = [&](std::optional<TaskStatus> status) {
    return run([&](store::Tx& tx) { return list_tasks(tx, status, {.token = {}, .limit = 10}); }).items;
  };
  EXPECT_THAT(listed({}), ElementsAre(second, first));
  EXPECT_THAT(run([&](store::Tx& tx) -> Result<std::string> { return *next_task(tx); }), first);
  auto page = run([&](store::Tx& tx) { return list_tasks(tx, {}, {.token = {}, .limit = 1}); });
  EXPECT_THAT(page.items, ElementsAre(second));
  page = run([&](store::Tx& tx) { return list_tasks(tx, {}, {page.next_token, 1}); });
  EXPECT_THAT(page.items, ElementsAre(first));
  EXPECT_TRUE(page.next_token.empty());
  EXPECT_EQ(finished(first).status, TaskStatus::kFailed) << "its file was replaced by the second one's";
  EXPECT_EQ(task(second).status, TaskStatus::kCompleted);
  EXPECT_THAT(listed(TaskStatus::kCompleted), ElementsAre(second));
  EXPECT_THAT(listed(TaskStatus::kInProgress), ElementsAre());

  store::Timers timers(*store_, [this] { return clock_.now_ms(); });
  timers.handle(kTaskTimer, [this](store::Tx& tx, std::string_view id, std::string_view, std::function<void()>&) {
    return remove_task(tx, realm_, id);
  });
  clock_.advance_ms(kTaskRetentionMs - 10);
  timers.fire_due();
  EXPECT_EQ(listed({}).size(), 2U);
  clock_.advance_ms(10);
  timers.fire_due();
  EXPECT_EQ(listed({}).size(), 0U);
  EXPECT_THAT(report(second, ReportKind::kResults), HasSubstr("does not exist"));
}

TEST_F(Bulk, NothingRunsForEver) {
  const std::string id = begin(lines(3));
  clock_.advance_ms(kTaskDeadlineMs + 1);
  EXPECT_EQ(finished(id).status, TaskStatus::kFailed);
  EXPECT_THAT(task(id).message, HasSubstr("24 hours"));
}

// ---- lines

TEST_F(Bulk, LinesOfEveryLength) {
  std::string file;
  std::vector<std::string> wanted;
  for (std::size_t length : {1UL, 100UL, 65'536UL, 65'537UL, 262'143UL, 262'144UL, 262'145UL, 3UL}) {
    wanted.push_back(length > kMaxLineBytes ? "" : std::string(length, 'x'));
    file += std::string(length, 'x') + "\n";
  }
  for (std::size_t at_once : {1UL, 3UL, 100UL}) {
    LineReader reader(*blobs_->read(blob_of(file)), 0, 0);
    std::vector<std::string> got;
    std::vector<std::int64_t> offsets;
    while (true) {
      auto some = reader.next(at_once, 1 << 20);
      ASSERT_TRUE(some);
      if (some->empty()) break;
      for (const Line& line : *some) {
        EXPECT_EQ(line.number, static_cast<std::int64_t>(got.size()) + 1);
        EXPECT_EQ(line.too_long, wanted.at(got.size()).empty());
        got.push_back(line.text);
        offsets.push_back(line.offset);
      }
    }
    EXPECT_EQ(got, wanted);
    EXPECT_EQ(reader.offset(), static_cast<std::int64_t>(file.size()));
    EXPECT_EQ(offsets.at(1), 2);
    EXPECT_EQ(offsets.at(2), 103);
  }
}

}  // namespace
}  // namespace muster::provisioning

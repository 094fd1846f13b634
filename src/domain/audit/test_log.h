// SPDX-License-Identifier: Apache-2.0
// For tests: a log in a folder of its own on virtual time, and what its files hold.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>

#include "domain/audit/event.h"
#include "domain/audit/log.h"
#include "domain/audit/segments.h"
#include "domain/audit/verify.h"

namespace muster::audit {

inline std::string slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream out;
  out << file.rdbuf();
  return out.str();
}
inline void spill(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
}

// Waits for the callbacks of many appends.
class Answers {
 public:
  Log::Done one() {
    {
      const std::lock_guard lock(mutex_);
      ++expected_;
    }
    return [this](Status status) {
      const std::lock_guard lock(mutex_);
      ++(status ? good_ : bad_);
      there_.notify_all();
    };
  }
  void wait() {
    std::unique_lock lock(mutex_);
    there_.wait(lock, [&] { return good_ + bad_ == expected_; });
  }
  int good() {
    wait();
    return good_;
  }
  int bad() {
    wait();
    return bad_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable there_;
  int expected_ = 0, good_ = 0, bad_ = 0;
};

class AuditFolder : public testing::Test {
 protected:
  AuditFolder() {
    char name[] = "/tmp/muster-audit-XXXXXX";
    root = ::mkdtemp(name);
    options.files = {root + "/audit", root + "/audit-key.pem", root + "/audit-public.pem", root + "/audit-head.json"};
  }
  ~AuditFolder() override { std::filesystem::remove_all(root); }

  std::unique_ptr<Log> open() {
    auto log = Log::open(options, clock);
    EXPECT_TRUE(log) << log.error().message;
    return log ? *std::move(log) : nullptr;
  }
  Event event(std::string name) const {
    Event out;
    out.time_ms = clock.now_ms();
    out.id = "id-" + name;
    out.name = std::move(name);
    out.source = "iot.amazonaws.com";
    return out;
  }
  // Appends and waits until it is durable.
  void put(Log& log, std::string name) {
    Answers answers;
    log.append(to_text(event(std::move(name))), true, answers.one());
    EXPECT_EQ(answers.good(), 1);
  }
  std::vector<std::string> files() const {
    std::vector<std::string> out;
    for (const Segment& segment : *list_segments(options.files.directory)) out.push_back(segment.path);
    return out;
  }
  std::string all() const {
    std::string out;
    for (const std::string& file : files()) out += slurp(file);
    return out;
  }
  Result<Verified> verify() const {
    VerifyInput input;
    input.files = files();
    input.key = *Ed25519PublicKey::from_pem(slurp(options.files.public_key));
    TRY(input.head, read_head(slurp(options.files.head), *input.key));
    return verify_log(input);
  }
  std::string why() const {
    const auto verified = verify();
    return verified ? "" : verified.error().message;
  }

  std::string root;
  io::VirtualClock clock{1'700'000'000'000};
  LogOptions options;
};

}  // namespace muster::audit

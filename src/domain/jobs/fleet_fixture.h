// SPDX-License-Identifier: Apache-2.0
// A small fleet on the memory engine with virtual time, for the tests of this folder: things, groups, jobs, devices'
// calls, the engine step by step, and the messages that devices would get, in order.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "domain/jobs/engine.h"
#include "domain/jobs/executions.h"
#include "domain/jobs/jobs.h"
#include "domain/jobs/membership.h"
#include "domain/jobs/notices.h"
#include "domain/registry/groups.h"
#include "domain/registry/things.h"
#include "store/keys.h"
#include "store/memory_engine.h"
#include "store/outbox.h"
#include "store/schema.h"
#include "store/timers.h"

namespace muster::jobs {

struct Heard {
  std::string thing;
  std::string suffix;  // "notify", "notify-next"
  json::object payload;
};

class Fleet {
 public:
  // No timeout where a job gives none.
  static Limits plain() {
    Limits limits;
    limits.default_timeout_minutes = 0;
    return limits;
  }
  explicit Fleet(Limits limits = plain()) {
    store = store::make_memory_store(clock);
    context = make_context(
        Realm{"123456789012", "eu-central-1"},
        [](std::string_view url, bool) -> Result<ObjectAddress> {
          if (!url.starts_with("https://s3/b/")) return invalid("not an S3 object URL");
          return ObjectAddress{"b", std::string(url.substr(13)), {}};
        },
        [this](store::Tx&, const PresignRequest& request) -> Result<std::string> {
          if (request.role_arn != kRole) return make_error(ErrorKind::kAccessDenied, "no such role");
          return "https://s3/b/" + request.object.key + "?signed=" + std::to_string(++signatures) +
                 "&expires=" + std::to_string(request.expires_seconds);
        },
        limits);
    restart_engine();
  }

  static constexpr std::string_view kRole = "arn:aws:iam::123456789012:role/jobs";

  // Runs `f(tx)` or `f(tx, effects)` in one transaction; effects reach the engine.
  template <class F>
  auto run(F f) {
    if constexpr (std::is_invocable_v<F, store::Tx&, Effects&>) {
      Effects effects;
      auto result = store::run_blocking_for(*store, [&](store::Tx& tx) {
        effects = {};
        return f(tx, effects);
      });
      if (result) {
        for (const auto& job : effects.jobs) engine->poke(job);
      }
      return result;
    } else {
      return store::run_blocking_for(*store, f);
    }
  }
  Status run_status(const std::function<Status(store::Tx&, Effects&)>& f) {
    const auto result = run([&](store::Tx& tx, Effects& effects) -> Result<int> {
      TRY_VOID(f(tx, effects));
      return 0;
    });
    if (!result) return result.error();
    return {};
  }

  void add_thing(const std::string& name) {
    const auto made = run([&](store::Tx& tx) { return registry::create_thing(tx, context.realm, {name, {}, {}}); });
    ASSERT_TRUE(made) << made.error().message;
  }
  void add_group(const std::string& name, const std::string& parent = {}) {
    registry::CreateGroup wanted;
    wanted.name = name;
    wanted.parent = parent;
    const auto made = run([&](store::Tx& tx) { return registry::create_group(tx, context.realm, wanted); });
    ASSERT_TRUE(made) << made.error().message;
  }
  // `change` of the thing's groups, and what it means for jobs, in one transaction.
  Status regroup(const std::string& thing, const std::function<Status(store::Tx&)>& change) {
    return run_status([&](store::Tx& tx, Effects& effects) -> Status {
      const auto before = registry::groups_of_thing_with_ancestors(tx, thing);
      TRY_VOID(change(tx));
      const auto after = registry::groups_of_thing_with_ancestors(tx, thing);
      return membership_changed(context, tx, thing, before, after, effects);
    });
  }
  void join(const std::string& group, const std::string& thing) {
    const auto joined = regroup(thing, [&](store::Tx& tx) -> Status {
      TRY_VOID(registry::add_thing_to_group(tx, group, thing));
      return {};
    });
    ASSERT_TRUE(joined) << joined.error().message;
  }
  void leave(const std::string& group, const std::string& thing) {
    const auto left = regroup(thing, [&](store::Tx& tx) -> Status {
      TRY_VOID(registry::remove_thing_from_group(tx, group, thing));
      return {};
    });
    ASSERT_TRUE(left) << left.error().message;
  }
  std::string thing_arn(const std::string& name) const { return registry::thing_arn(context.realm, name); }
  std::string group_arn(const std::string& name) const { return registry::group_arn(context.realm, name); }

  NewJob job_on(const std::string& id, std::vector<std::string> targets) const {
    NewJob job;
    job.id = id;
    job.targets = std::move(targets);
    job.document = R"({"job":")" + id + "\"}";
    return job;
  }
  Result<std::shared_ptr<const Job>> create(const NewJob& job) {
    return run([&](store::Tx& tx, Effects& effects) { return create_job(context, tx, job, effects); });
  }
  void must_create(const std::string& id, std::vector<std::string> targets) {
    const auto made = create(job_on(id, std::move(targets)));
    ASSERT_TRUE(made) << made.error().message;
  }
  void must_create_on_thing(const std::string& id, const std::string& thing) { must_create(id, {thing_arn(thing)}); }

  Result<Updated> update(const Update& request) {
    return run([&](store::Tx& tx, Effects& effects) { return update_execution(context, tx, request, effects); });
  }
  Result<Updated> update(const std::string& thing, const std::string& job, const std::string& status) {
    Update request;
    request.thing = thing;
    request.job = job;
    request.status = status;
    return update(request);
  }
  Result<std::optional<DeviceExecution>> start(const std::string& thing) {
    return run([&](store::Tx& tx, Effects& effects) { return start_next(context, tx, {thing, {}, {}}, effects); });
  }
  Status cancel(const std::string& job, bool force = false) {
    return run_status([&](store::Tx& tx, Effects& effects) -> Status {
      TRY_VOID(cancel_job(context, tx, job, {force, "", ""}, effects));
      return {};
    });
  }
  Status cancel_one(const ExecutionCancellation& request) {
    return run_status([&](store::Tx& tx, Effects& effects) { return cancel_execution(context, tx, request, effects); });
  }
  Status remove_one(const ExecutionId& id, bool force = false) {
    return run_status([&](store::Tx& tx, Effects& e) { return delete_execution(context, tx, id, force, e); });
  }
  Status remove(const std::string& job, bool force = false) {
    return run_status([&](store::Tx& tx, Effects& e) { return delete_job(context, tx, job, force, e); });
  }
  Result<JobDescription> describe(const std::string& job) {
    return run([&](store::Tx& tx) { return describe_job(context, tx, job); });
  }
  JobStatus status_of(const std::string& job) {
    const auto description = describe(job);
    EXPECT_TRUE(description) << job;
    return description ? description->job->status : JobStatus::kScheduled;
  }
  std::optional<Execution> execution(const std::string& thing, const std::string& job) {
    const auto found = run([&](store::Tx& tx) { return find_execution(tx, thing, job); });
    EXPECT_TRUE(found);
    return found ? *found : std::nullopt;
  }

  void restart_engine() {
    engine = std::make_unique<Engine>(*store, context, Signals{}, [this] { return clock.now_ms(); });
  }
  void settle() {
    for (int i = 0; i < 100'000 && engine->step(); ++i) {
    }
  }
  // When the next one is due; -1: none is armed.
  std::int64_t fire_timers() {
    store::Timers timers(*store, [this] { return clock.now_ms(); });
    engine->register_timers(timers);
    return timers.fire_due();
  }

  // What was enqueued since the last call. The layout is store/outbox.cc's.
  std::vector<Heard> heard() {
    std::vector<Heard> all;
    const auto status = store::run_blocking(*store, [&](store::Tx& tx) -> Status {
      all.clear();
      const std::string prefix(1, store::table::kOutbox);
      for (const auto& row : tx.range({.begin = prefix, .end = store::after_prefix(prefix), .limit = 100'000})) {
        std::size_t length = 0;
        for (std::size_t i = 1; i < 5; ++i) length = length << 8 | static_cast<unsigned char>(row.value[i]);
        const store::OutboxMessage message{row.value.substr(5, length), row.value.substr(5 + length), 1};
        if (holds_notices(message)) {
          for (const auto& notice : parse_notices(message.payload)) {
            TRY(const auto messages, messages_of(context, tx, notice, [](std::string_view) { return true; }));
            for (const auto& one : messages) TRY_VOID(add_heard(one, all));
          }
        } else {
          TRY_VOID(add_heard(message, all));
        }
        tx.erase(row.key);
      }
      return {};
    });
    EXPECT_TRUE(status);
    return all;
  }
  // Topics of things become (thing, suffix); others have no thing.
  static Status add_heard(const store::OutboxMessage& message, std::vector<Heard>& all) {
    TRY(const json::value payload, parse_json(message.payload));
    constexpr std::string_view kThings = "$aws/things/";
    if (!message.topic.starts_with(kThings)) {
      all.push_back({"", message.topic, payload.as_object()});
      return {};
    }
    const std::string tail = message.topic.substr(kThings.size());
    const auto slash = tail.find("/jobs/");
    all.push_back({tail.substr(0, slash), tail.substr(slash + 6), payload.as_object()});
    return {};
  }
  // The same as "notify" / "notify-next" in order, joined by a space.
  std::string heard_kinds() {
    std::string kinds;
    for (const auto& message : heard()) kinds += (kinds.empty() ? "" : " ") + message.suffix;
    return kinds;
  }

  io::VirtualClock clock;
  std::unique_ptr<store::MemoryStore> store;
  Context context;
  std::unique_ptr<Engine> engine;
  int signatures = 0;
};

}  // namespace muster::jobs

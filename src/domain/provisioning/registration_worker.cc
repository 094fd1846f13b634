// SPDX-License-Identifier: Apache-2.0
#include "domain/provisioning/registration_worker.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/json.h"
#include "base/log.h"
#include "domain/objects/objects.h"
#include "domain/provisioning/line_reader.h"
#include "domain/provisioning/provision.h"
#include "domain/provisioning/registration_reports.h"
#include "domain/provisioning/savepoint.h"
#include "domain/provisioning/template.h"

namespace muster::provisioning {

namespace {

using store::Tx;

constexpr std::size_t kBatchLines = 500;
constexpr std::size_t kBatchBytes = std::size_t{1} << 20;
constexpr std::int64_t kMalformedLimit = 1000;
constexpr std::size_t kFlights = 4;  // batches that wait for the disk while the next one is read
constexpr auto kRetryAfter = std::chrono::seconds(1);

// A line with all that is done before the transaction.
struct Work {
  std::int64_t number = 0, offset = 0;
  bool malformed = false;
  std::optional<Error> error;
  Plan plan;
  Material material;
};

Result<Parameters> parameters_of(const Line& line) {
  if (line.too_long) return invalid("The line is longer than " + std::to_string(kMaxLineBytes) + " bytes");
  const auto parsed = parse_json(line.text, {.max_bytes = kMaxLineBytes, .max_depth = 4});
  if (!parsed || !parsed->is_object()) return invalid("The line is not a JSON object");
  Parameters parameters;
  for (const auto& member : parsed->get_object()) {
    if (!member.value().is_string()) return invalid("Parameter " + std::string(member.key()) + " must be a string");
    parameters.insert_or_assign(std::string(member.key()), std::string(member.value().get_string()));
  }
  return parameters;
}

Work work_of(const Context& context, const Template& source, const Line& line, std::int64_t now_ms) {
  Work work{.number = line.number, .offset = line.offset};
  auto parameters = parameters_of(line);
  if (!parameters) {
    work.malformed = true;
    work.error = std::move(parameters).error();
    return work;
  }
  auto plan = resolve(source, *parameters);
  auto material = plan ? prepare(context, *plan, now_ms) : Result<Material>(plan.error());
  if (!material) {
    work.error = std::move(material).error();
    return work;
  }
  work.plan = *std::move(plan);
  work.material = *std::move(material);
  return work;
}

// What one batch reads and where it leaves the file.
struct Batch {
  std::vector<Work> lines;
  std::int64_t from = 0;                // the task's offset before it
  std::int64_t offset = 0, number = 0;  // and behind it
};

enum class BatchEnd : std::uint8_t {
  kDone,
  kStale,  // the task is not where the batch begins
  kEnded,  // there is nothing more to be done for it, or something else than lines
};

// A batch on its way to the disk.
struct Flight {
  Batch batch;
  bool strict = false;  // each line is asked for by itself
  // Written by the body, which may run more than once.
  std::atomic<bool> ran = false;
  bool denied = false;
  BatchEnd end = BatchEnd::kDone;
  Effects effects;
  // Under the worker's mutex.
  bool landed = false;
  Status status;
};

}  // namespace

struct RegistrationWorker::State {
  State(const Context& c, store::Store& s, const objects::Blobs& b, std::function<std::int64_t()> n)
      : context(c), store(s), blobs(b), now(std::move(n)) {}

  Result<bool> step();
  Result<bool> begin();
  Result<bool> take(const RegistrationTask& task);
  Result<bool> go_on();
  Status end(const std::string& id, TaskStatus status, const std::string& message);
  Result<Batch> read_batch();
  void launch(Batch batch);
  Status run_batch(Tx& tx, Flight& flight) const;
  Status run_lines(Tx& tx, const Batch& batch, RegistrationTask& task, Rights& rights, Effects& effects) const;
  Result<BatchEnd> land();
  Result<BatchEnd> land_all();
  void loop();

  const Context& context;
  store::Store& store;
  const objects::Blobs& blobs;
  const std::function<std::int64_t()> now;

  // The task under way; on the worker's thread.
  struct Current {
    std::string id;
    std::string role_arn;
    Template source;
    std::unique_ptr<LineReader> reader;
  };
  std::optional<Current> current;
  std::deque<std::shared_ptr<Flight>> flights;
  std::pair<std::string, std::int64_t> strict;  // task and offset of the batch that was denied as a whole

  std::mutex mutex;
  std::condition_variable wake;
  bool poked = true, stopping = false;
  std::thread thread;
};

// Ends a task, reports first: `message` says why it failed.
Status RegistrationWorker::State::end(const std::string& id, TaskStatus status, const std::string& message) {
  current.reset();
  TRY_VOID(publish_reports(store, blobs, context.realm, id));
  TRY_VOID(store::run_blocking(store, [&](Tx& tx) -> Status {
    TRY(RegistrationTask task, get_task(tx, id));
    if (task.ended()) return {};
    task.status = status;
    task.message = message;
    put_task(tx, task);
    return {};
  }));
  return erase_report_rows(store, id);
}

// The next task: what is to be done for it but lines, or its file is opened.
Result<bool> RegistrationWorker::State::begin() {
  std::optional<RegistrationTask> task;
  TRY_VOID(store::run_blocking(store, [&](Tx& tx) -> Status {
    const std::optional<std::string> id = next_task(tx);
    task = id ? find_task(tx, *id) : std::nullopt;
    return {};
  }));
  if (!task || task->ended()) return false;
  if (task->status == TaskStatus::kCancelling) {
    TRY_VOID(end(task->id, TaskStatus::kCancelled, {}));
  } else if (now() - task->created_ms > kTaskDeadlineMs) {
    TRY_VOID(end(task->id, TaskStatus::kFailed, "The task did not end within 24 hours."));
  } else if (task->malformed >= kMalformedLimit) {
    TRY_VOID(end(task->id, TaskStatus::kFailed, "The input file is not a file of JSON lines."));
  } else {
    return take(*task);
  }
  return true;
}

Result<bool> RegistrationWorker::State::take(const RegistrationTask& task) {
  std::string problem;
  TRY_VOID(store::run_blocking(store, [&](Tx& tx) -> Status {
    problem.clear();
    if (Status may = check_task_role(tx, context.realm, task); !may) problem = may.error().message;
    const auto object = objects::get_object(tx, task.bucket, task.key);
    if (!object || object->blob != task.blob) {
      problem = "The input file s3://" + task.bucket + "/" + task.key + " was removed or replaced.";
    }
    return {};
  }));
  auto source = parse_template(task.template_body, TemplateUse::kRegister);
  if (!source) problem = source.error().message;
  if (!problem.empty()) {
    TRY_VOID(end(task.id, TaskStatus::kFailed, problem));
    return true;
  }
  TRY(auto blob, blobs.read(task.blob));
  current = Current{.id = task.id,
                    .role_arn = task.role_arn,
                    .source = *std::move(source),
                    .reader = std::make_unique<LineReader>(std::move(blob), task.offset, task.line)};
  return true;
}

Result<Batch> RegistrationWorker::State::read_batch() {
  Batch batch;
  batch.from = current->reader->offset();
  TRY(const std::vector<Line> lines, current->reader->next(kBatchLines, kBatchBytes));
  batch.lines.reserve(lines.size());
  const std::int64_t now_ms = now();
  for (const Line& line : lines) batch.lines.push_back(work_of(context, current->source, line, now_ms));
  batch.offset = current->reader->offset();
  batch.number = current->reader->number();
  return batch;
}

Status RegistrationWorker::State::run_lines(Tx& tx, const Batch& batch, RegistrationTask& task, Rights& rights,
                                            Effects& effects) const {
  ReportRows rows;
  for (const Work& work : batch.lines) {
    Result<Provisioned> done;
    Effects own;
    if (work.error) {
      done = *work.error;
    } else {
      Savepoint savepoint(tx);
      done = provision(context, savepoint, work.plan, work.material, rights, own);
      if (done) {
        if (Status kept = savepoint.release(); !kept) done = std::move(kept).error();
      }
    }
    task.malformed = work.malformed ? task.malformed + 1 : 0;
    if (done) {
      ++task.succeeded;
      rows.add_result(work.number, work.offset, *done);
      std::ranges::move(own.committed, std::back_inserter(effects.committed));
      effects.messages |= own.messages;
    } else {
      // What is the server's trouble is not the line's: the batch is tried again.
      if (done.error().kind == ErrorKind::kUnavailable || done.error().kind == ErrorKind::kInternal) {
        return std::move(done).error();
      }
      ++task.failed;
      rows.add_error(work.number, work.offset, done.error());
    }
    if (task.malformed == kMalformedLimit) break;
  }
  rows.put(tx, task);
  return {};
}

Status RegistrationWorker::State::run_batch(Tx& tx, Flight& flight) const {
  flight.ran = true;
  flight.denied = false;
  flight.end = BatchEnd::kDone;
  flight.effects = {};
  TRY(RegistrationTask task, get_task(tx, current->id));
  const bool late = tx.now_ms() - task.created_ms > kTaskDeadlineMs;
  if (task.status != TaskStatus::kInProgress || task.malformed >= kMalformedLimit || late) {
    flight.end = BatchEnd::kEnded;
    return {};
  }
  if (task.offset != flight.batch.from) {
    flight.end = BatchEnd::kStale;
    return {};
  }
  TRY(iam::Principal role,
      role_principal(tx, context.realm, current->role_arn, "bulk-registration", task_arn(context.realm, current->id)));
  PrincipalRights own(context.realm, std::move(role), {}, context.policies);
  DeferredRights deferred;
  Rights& asked = flight.strict ? static_cast<Rights&>(own) : deferred;
  TRY_VOID(run_lines(tx, flight.batch, task, asked, flight.effects));
  if (Status settled = deferred.settle(tx, own); !settled) {
    flight.denied = settled.error().kind == ErrorKind::kAccessDenied;
    return settled;
  }
  task.offset = flight.batch.offset;
  task.line = flight.batch.number;
  put_task(tx, task);
  return {};
}

void RegistrationWorker::State::launch(Batch batch) {
  auto flight = std::make_shared<Flight>();
  flight->strict = strict == std::pair(current->id, batch.from);
  flight->batch = std::move(batch);
  flights.push_back(flight);
  store.run([this, flight](Tx& tx) { return run_batch(tx, *flight); },
            [this, flight](Status status) {
              const std::lock_guard lock(mutex);
              flight->status = std::move(status);
              flight->landed = true;
              wake.notify_all();
            });
}

// Waits for the oldest batch.
Result<BatchEnd> RegistrationWorker::State::land() {
  const std::shared_ptr<Flight> flight = flights.front();
  flights.pop_front();
  {
    std::unique_lock lock(mutex);
    wake.wait(lock, [&] { return flight->landed; });
  }
  if (!flight->status) {
    if (flight->denied && !flight->strict) {
      strict = {current->id, flight->batch.from};
      return BatchEnd::kStale;
    }
    return flight->status.error();
  }
  if (flight->end == BatchEnd::kDone) context.tell(flight->effects);
  return flight->end;
}

// The first that is not kDone; those behind it did not find the task where they begin.
Result<BatchEnd> RegistrationWorker::State::land_all() {
  Result<BatchEnd> outcome = BatchEnd::kDone;
  while (!flights.empty()) {
    Result<BatchEnd> one = land();
    if (outcome && *outcome == BatchEnd::kDone) outcome = std::move(one);
  }
  return outcome;
}

// Reads the next batch while earlier ones are on their way.
Result<bool> RegistrationWorker::State::go_on() {
  const std::string id = current->id;
  Result<BatchEnd> outcome = BatchEnd::kDone;
  // A store that has not run the body yet would find the next one stale.
  while (outcome && *outcome == BatchEnd::kDone && !flights.empty() &&
         (flights.size() >= kFlights || !flights.back()->ran)) {
    outcome = land();
  }
  bool whole = false;
  if (outcome && *outcome == BatchEnd::kDone) {
    TRY(Batch batch, read_batch());
    whole = batch.offset == batch.from;
    if (!whole) {
      launch(std::move(batch));
      return true;
    }
  }
  Result<BatchEnd> rest = land_all();
  if (outcome && *outcome == BatchEnd::kDone) outcome = std::move(rest);
  if (whole && outcome && *outcome == BatchEnd::kDone) {
    TRY_VOID(end(id, TaskStatus::kCompleted, {}));
    return true;
  }
  current.reset();  // where the task is, is read again
  if (outcome) return true;
  if (outcome.error().kind == ErrorKind::kAccessDenied) {  // the role is gone
    TRY_VOID(end(id, TaskStatus::kFailed, outcome.error().message));
    return true;
  }
  return std::move(outcome).error();
}

Result<bool> RegistrationWorker::State::step() {
  if (!current) return begin();
  Result<bool> more = go_on();
  if (!more) {
    (void)land_all();
    current.reset();
  }
  return more;
}

void RegistrationWorker::State::loop() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    poked = false;
    lock.unlock();
    const Result<bool> more = step();
    if (!more) log::warn("bulk registration waits", {{"reason", more.error().message}});
    lock.lock();
    if (stopping) break;
    if (!more) {
      wake.wait_for(lock, kRetryAfter, [this] { return stopping; });
    } else if (!*more) {
      wake.wait(lock, [this] { return stopping || poked; });
    }
  }
}

RegistrationWorker::RegistrationWorker(const Context& context, store::Store& store, const objects::Blobs& blobs,
                                       std::function<std::int64_t()> now)
    : state_(std::make_unique<State>(context, store, blobs, std::move(now))) {}

RegistrationWorker::~RegistrationWorker() {
  stop();
}

void RegistrationWorker::start_thread() {
  state_->thread = std::thread([this] { state_->loop(); });
}

void RegistrationWorker::stop() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  if (state_->thread.joinable()) state_->thread.join();
  (void)state_->land_all();
}

void RegistrationWorker::poke() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->poked = true;
  }
  state_->wake.notify_all();
}

bool RegistrationWorker::step() {
  const Result<bool> more = state_->step();
  if (!more) log::warn("bulk registration waits", {{"reason", more.error().message}});
  return more && *more;
}

}  // namespace muster::provisioning

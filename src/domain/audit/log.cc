// SPDX-License-Identifier: Apache-2.0
#include "domain/audit/log.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "domain/audit/log_files.h"
#include "domain/audit/segments.h"

namespace muster::audit {
namespace {

constexpr std::int64_t kRetryMs = 200;
constexpr std::chrono::milliseconds kTick{1000};  // also how long a line waits for a sync that nobody waits for
constexpr std::uint64_t kReserve = 1u << 20;      // set aside at a time
constexpr std::int64_t kDayMs = 86'400'000;

Error not_written() {
  return make_error(ErrorKind::kUnavailable, "The audit log cannot be written.");
}

}  // namespace

struct Log::State {
  State(LogOptions chosen, const io::Clock& time, Opened opened)
      : options(std::move(chosen)),
        clock(time),
        folder_lock(std::move(opened.lock)),
        key(std::move(opened.key)),
        head(std::move(opened.head)),
        segments(std::move(opened.segments)),
        at(std::move(opened.at)),
        synced_bytes(opened.good_bytes) {}

  struct Entry {
    std::string json;
    bool durable = false;
    Done done;
  };
  struct Waiting {
    std::uint64_t end = 0;  // in the file
    Done done;
  };
  using Dones = std::vector<Done>;
  using Held = std::unique_lock<std::mutex>;  // of file_mutex

  void run_writer();
  void run_syncer();
  void work(std::vector<Entry>& batch);
  Status ensure_file();
  Status start_segment();
  Status put_down();
  void wait_for_syncer(Held& held);
  Status sync_all(Held& held, Dones& dones);
  Status write_head();
  Status put_seal(Held& held, Dones& dones);
  Status recover(Held& held, Dones& dones);
  Status rotate(Held& held, Dones& dones);
  bool write_at_once(Entry& entry);
  bool may_write_at_once(const Entry& entry) const;
  void add(std::vector<Entry>& batch, std::vector<Waiting>& durable, Dones& others);
  void prune();
  void fail(const Error& error);
  void take_waiting(Dones& dones);
  void synced_up_to(std::uint64_t end, Dones& dones);
  bool must_rotate() const;
  Status allowed() const;

  const LogOptions options;
  const io::Clock& clock;
  const FolderLock folder_lock;
  const Ed25519PrivateKey key;
  std::function<void()> tick;

  // What comes in. append() takes no other mutex, and nobody writes while holding this one.
  std::mutex queue_mutex;
  std::condition_variable work_there;
  std::vector<Entry> queue;
  std::size_t queue_bytes = 0;
  std::uint64_t dropped = 0;
  bool stopping = false;
  bool seal_wanted = false;
  std::condition_variable sealed;
  std::uint64_t seals = 0, failed_seals = 0;

  // The writer's alone.
  Head head;
  std::vector<KeptSegment> segments;
  std::int64_t last_seal_ms = 0;
  std::int64_t pruned_ms = 0;

  // The file and its lines; held by whoever writes. A sync waits for the disk without it.
  std::mutex file_mutex;
  std::condition_variable sync_wanted, sync_over;
  std::unique_ptr<AppendFile> file;
  Position at;
  std::uint64_t synced_bytes = 0;  // of the file
  std::uint64_t reserved = 0;
  std::string unsynced;               // lines behind synced_bytes
  std::size_t written = 0;            // of `unsynced`
  std::atomic<bool> unsealed{false};  // events since the last seal
  bool syncing = false;               // the syncer waits for the disk, without the mutex
  std::deque<Waiting> waiting;
  bool syncer_stops = false;

  std::atomic<bool> failing{false};
  std::atomic<std::uint64_t> events{0}, syncs{0};
  std::thread writer, syncer;
};

Status Log::State::allowed() const {
  if (options.may_write && !options.may_write()) return make_error(ErrorKind::kUnavailable, "a test says so");
  return {};
}

// --- under file_mutex, on the writer's thread

bool Log::State::must_rotate() const {
  if (segments.empty() || synced_bytes + unsynced.size() >= options.segment_bytes) return true;
  return clock.now_ms() / kDayMs != segments.back().start_ms / kDayMs;
}

Status Log::State::start_segment() {
  Segment fresh{options.files.directory + "/" + segment_name(at.sequence + 1), at.sequence + 1, 0};
  TRY(AppendFile opened, AppendFile::open(fresh.path, 0));
  file = std::make_unique<AppendFile>(std::move(opened));
  synced_bytes = reserved = written = 0;
  segments.push_back({std::move(fresh), clock.now_ms()});
  append_seal(unsynced, at, segments.back().start_ms, key);
  last_seal_ms = segments.back().start_ms;
  unsealed = false;
  return {};
}

Status Log::State::ensure_file() {
  if (file == nullptr && !segments.empty()) {
    TRY(AppendFile opened, AppendFile::open(segments.back().segment.path, synced_bytes));
    file = std::make_unique<AppendFile>(std::move(opened));
    reserved = 0;
  }
  return {};
}

Status Log::State::put_down() {
  TRY_VOID(allowed());
  const std::uint64_t end = synced_bytes + unsynced.size();
  if (end + kReserve / 4 > reserved) {
    const std::uint64_t wanted = (end / kReserve + 2) * kReserve;
    TRY_VOID(file->reserve(wanted));
    reserved = wanted;
  }
  TRY_VOID(file->write(std::string_view(unsynced).substr(written)));
  written = unsynced.size();
  return {};
}

void Log::State::synced_up_to(std::uint64_t end, Dones& dones) {
  const auto count = static_cast<std::size_t>(end - synced_bytes);
  unsynced.erase(0, count);
  written -= count;
  synced_bytes = end;
  ++syncs;
  while (!waiting.empty() && waiting.front().end <= end) {
    dones.push_back(std::move(waiting.front().done));
    waiting.pop_front();
  }
}

// The kernel tells of a failed write once. Two syncs at a time, and the one that is not told would take lost lines for
// written ones.
void Log::State::wait_for_syncer(Held& held) {
  sync_over.wait(held, [&] { return !syncing; });
}

Status Log::State::sync_all(Held& held, Dones& dones) {
  wait_for_syncer(held);
  TRY_VOID(allowed());
  TRY_VOID(file->sync());
  synced_up_to(synced_bytes + written, dones);
  if (unsynced.empty()) head.reached = at;
  return {};
}

Status Log::State::write_head() {
  head.time_ms = clock.now_ms();
  return write_file(options.files.head, head_text(head, key));
}

// With all lines before it.
Status Log::State::put_seal(Held& held, Dones& dones) {
  append_seal(unsynced, at, clock.now_ms(), key);
  last_seal_ms = clock.now_ms();
  unsealed = false;
  TRY_VOID(put_down());
  TRY_VOID(sync_all(held, dones));
  return write_head();
}

// Whatever a failed write or sync has left is cut off and written anew: after a failed sync the kernel may have dropped
// what it could not write.
Status Log::State::recover(Held& held, Dones& dones) {
  wait_for_syncer(held);
  TRY_VOID(ensure_file());
  if (file == nullptr) TRY_VOID(start_segment());
  TRY_VOID(file->cut(synced_bytes));
  written = 0;
  reserved = 0;
  TRY_VOID(put_down());
  TRY_VOID(sync_all(held, dones));
  return write_head();
}

// The segment ends, on stable storage and as long as it is; the next one begins.
Status Log::State::rotate(Held& held, Dones& dones) {
  if (file != nullptr) {
    wait_for_syncer(held);
    if (failing) return not_written();
    TRY_VOID(sync_all(held, dones));
    TRY_VOID(file->cut(synced_bytes));  // gives reserved space back
    if (!segments.empty()) segments.back().segment.bytes = synced_bytes;
  }
  TRY_VOID(start_segment());
  TRY_VOID(put_down());
  TRY_VOID(sync_all(held, dones));
  TRY_VOID(write_head());
  prune();
  return {};
}

void Log::State::add(std::vector<Entry>& batch, std::vector<Waiting>& durable, Dones& others) {
  for (Entry& entry : batch) {
    append_event(unsynced, at, entry.json);
    unsealed = true;
    ++events;
    if (!entry.done) continue;
    if (entry.durable) {
      durable.push_back({synced_bytes + unsynced.size(), std::move(entry.done)});
    } else {
      others.push_back(std::move(entry.done));
    }
  }
}

// Held: that it takes a line and no more: no new segment, no space to be set aside, no disk that is being waited for.
bool Log::State::may_write_at_once(const Entry& entry) const {
  if (failing || syncing || file == nullptr || written < unsynced.size() || must_rotate()) return false;
  return synced_bytes + unsynced.size() + entry.json.size() + kReserve / 2 <= reserved;
}

// By who appends, when nobody else is at the file: waking the writer costs more than the line. Not for lines that wait
// for the disk: one that went ahead would have a sync to itself. False: it is for the writer.
bool Log::State::write_at_once(Entry& entry) {
  Status status;
  bool wake = false;
  {
    const Held held(file_mutex, std::try_to_lock);
    if (!held.owns_lock() || !may_write_at_once(entry)) return false;
    wake = written == 0;  // the syncer sleeps until there is something
    append_event(unsynced, at, entry.json);
    unsealed = true;
    ++events;
    status = put_down();
    if (!status) fail(status.error());
  }
  if (wake) sync_wanted.notify_one();
  entry.done(status ? Status() : Status(not_written()));
  return true;
}

void Log::State::take_waiting(Dones& dones) {
  for (Waiting& one : waiting) dones.push_back(std::move(one.done));
  waiting.clear();
}

void Log::State::fail(const Error& error) {
  if (failing.exchange(true)) return;
  log::error("THE AUDIT LOG CANNOT WRITE: changes are refused until it can; free space or mend the disk",
             {{"directory", options.files.directory}, {"error", error.message}});
}

void Log::State::prune() {
  const std::int64_t now_ms = clock.now_ms();
  pruned_ms = now_ms;
  std::uint64_t bytes = 0;
  for (KeptSegment& kept : segments) bytes += kept.segment.bytes;
  std::size_t gone = 0;
  while (gone + 1 < segments.size()) {
    const bool old = options.keep_days > 0 && segments[gone + 1].start_ms < now_ms - options.keep_days * kDayMs;
    const bool large = options.keep_bytes > 0 && bytes > options.keep_bytes;
    if (!old && !large) break;
    bytes -= segments[gone].segment.bytes;
    ++gone;
  }
  if (gone == 0) return;
  const Segment& first = segments[gone].segment;
  const auto text = read_first_line(first.path);
  const auto line = text ? parse_line(*text) : Result<Line>(text.error());
  if (!line) {
    log::error("old audit segments are kept: the one behind them cannot be read", {{"file", first.path}});
    return;
  }
  head.first = line->sequence;
  head.first_previous = line->previous;
  // Before the files are gone: where the log begins now must not be a matter of which files are there.
  if (const auto status = write_head(); !status) return fail(status.error());
  for (std::size_t i = 0; i < gone; ++i) ::unlink(segments[i].segment.path.c_str());
  segments.erase(segments.begin(), segments.begin() + static_cast<std::ptrdiff_t>(gone));
  log::info("removed old audit segments", {{"count", static_cast<std::uint64_t>(gone)}, {"first_line", head.first}});
}

// --- threads

void Log::State::work(std::vector<Entry>& batch) {
  Dones good, bad;
  bool wake = false;
  {
    Held held(file_mutex);
    Status status;
    const bool nothing = written == 0 || failing;
    if (failing) {
      status = recover(held, good);
      if (status) {
        failing = false;
        log::warn("the audit log writes again", {{"directory", options.files.directory}});
      }
    }
    if (status && must_rotate()) status = rotate(held, good);
    std::vector<Waiting> durable;
    add(batch, durable, good);
    if (status && written < unsynced.size()) status = put_down();
    if (!status) {
      fail(status.error());
      // Told the truth: their lines wait in memory, and may be written later.
      for (Waiting& one : durable) bad.push_back(std::move(one.done));
      bad.insert(bad.end(), std::make_move_iterator(good.begin()), std::make_move_iterator(good.end()));
      good.clear();
      take_waiting(bad);
    } else {
      for (Waiting& one : durable) waiting.push_back(std::move(one));
    }
    wake = nothing || failing || !waiting.empty();
  }
  if (wake) sync_wanted.notify_one();
  for (const Done& done : good) done({});
  for (const Done& done : bad) done(not_written());
}

void Log::State::run_writer() {
  std::vector<Entry> batch;
  // By the real clock, whatever `clock` is: a virtual one does not wake anybody.
  const io::SystemClock real;
  std::int64_t next_tick_ms = real.steady_ms() + kTick.count();
  std::unique_lock lock(queue_mutex);
  for (;;) {
    const std::int64_t left_ms = std::max<std::int64_t>(next_tick_ms - real.steady_ms(), 0);
    const std::chrono::milliseconds pause(failing ? std::min(left_ms, kRetryMs) : left_ms);
    work_there.wait_for(lock, pause, [&] { return stopping || seal_wanted || (!failing && !queue.empty()); });
    const bool stop = stopping, seal_now = seal_wanted;
    const std::uint64_t lost = std::exchange(dropped, 0);
    std::function<void()> tick_now;
    if (real.steady_ms() >= next_tick_ms) {
      next_tick_ms = real.steady_ms() + kTick.count();
      tick_now = tick;
    }
    Dones asking;
    if (failing) {
      // What waits here goes on waiting for the disk; who waits for it need not.
      for (Entry& entry : queue) {
        if (entry.done) asking.push_back(std::exchange(entry.done, Done()));
      }
    } else {
      batch.swap(queue);
      queue_bytes = 0;
    }
    lock.unlock();
    for (const Done& done : asking) done(not_written());
    if (!batch.empty() || failing) work(batch);
    batch.clear();
    const bool minute = clock.now_ms() - last_seal_ms >= options.seal_every_ms || clock.now_ms() < last_seal_ms;
    if (!failing && (seal_now || ((minute || stop) && unsealed) || lost > 0)) {
      Dones dones;
      Status status;
      {
        Held held(file_mutex);
        if (lost > 0) {
          append_note(unsynced, at, clock.now_ms(), "dropped",
                      std::to_string(lost) + " calls were refused and not recorded: the log could not be written");
        }
        wait_for_syncer(held);
        status = failing ? Status(not_written()) : put_seal(held, dones);
        if (!status) fail(status.error());
        if (!status) take_waiting(dones);
      }
      for (const Done& done : dones) done(status ? Status() : Status(not_written()));
    } else if (lost > 0) {
      const std::lock_guard hold(queue_mutex);
      dropped += lost;
    }
    if (clock.now_ms() - pruned_ms > kDayMs / 24) {
      const Held held(file_mutex);
      prune();
    }
    if (tick_now) tick_now();
    lock.lock();
    if (seal_now) {
      seal_wanted = false;
      ++(failing ? failed_seals : seals);
      sealed.notify_all();
    }
    if (stop && (queue.empty() || failing)) return;
  }
}

void Log::State::run_syncer() {
  std::unique_lock lock(file_mutex);
  for (;;) {
    sync_wanted.wait(lock, [&] { return syncer_stops || (written > 0 && !failing); });
    if (syncer_stops) return;
    sync_wanted.wait_for(lock, kTick, [&] { return syncer_stops || !waiting.empty() || failing || written == 0; });
    if (syncer_stops) return;
    if (failing || written == 0) continue;
    const std::uint64_t end = synced_bytes + written;
    syncing = true;  // the file stays what it is until this is over, but for lines that come behind
    lock.unlock();
    Status status = allowed();
    if (status) status = file->sync();
    lock.lock();
    syncing = false;
    Dones dones;
    if (status) {
      synced_up_to(end, dones);
    } else {
      fail(status.error());
      take_waiting(dones);
    }
    lock.unlock();
    sync_over.notify_one();
    for (const Done& done : dones) done(status ? Status() : Status(not_written()));
    if (!status) work_there.notify_one();
    lock.lock();
  }
}

Log::Log(std::unique_ptr<State> state) : state_(std::move(state)) {}

Log::~Log() {
  State& s = *state_;
  {
    const std::lock_guard lock(s.queue_mutex);
    s.stopping = true;
  }
  s.work_there.notify_all();
  if (s.writer.joinable()) s.writer.join();
  {
    const std::lock_guard lock(s.file_mutex);
    s.syncer_stops = true;
  }
  s.sync_wanted.notify_all();
  if (s.syncer.joinable()) s.syncer.join();
  if (s.file != nullptr && !s.failing) (void)s.file->cut(s.synced_bytes + s.written);  // gives reserved space back
  for (State::Waiting& one : s.waiting) one.done(not_written());
  for (State::Entry& entry : s.queue) {
    if (entry.done) entry.done(not_written());
  }
}

Result<std::unique_ptr<Log>> Log::open(LogOptions options, const io::Clock& clock) {
  TRY(Opened opened, open_files(options.files, clock.now_ms()));
  auto notes = std::move(opened.notes);
  auto state = std::make_unique<State>(std::move(options), clock, std::move(opened));
  State& s = *state;
  State::Dones nobody;
  {
    State::Held held(s.file_mutex);
    TRY_VOID(s.ensure_file());
    if (s.file == nullptr) TRY_VOID(s.start_segment());
    for (const auto& [kind, text] : notes) append_note(s.unsynced, s.at, clock.now_ms(), kind, text);
    const bool sealed = s.last_seal_ms != 0 && notes.empty();  // a new segment begins with a seal
    if (!sealed) append_seal(s.unsynced, s.at, clock.now_ms(), s.key);
    s.last_seal_ms = clock.now_ms();
    TRY_VOID(s.put_down());
    TRY_VOID(s.sync_all(held, nobody));
    TRY_VOID(s.write_head());
  }
  s.prune();
  State* raw = state.get();
  s.writer = std::thread([raw] { raw->run_writer(); });
  s.syncer = std::thread([raw] { raw->run_syncer(); });
  return std::unique_ptr<Log>(new Log(std::move(state)));
}

void Log::append(std::string event_json, bool durable, Done done) {
  State& s = *state_;
  bool wake = false, full = false;
  const bool failing = s.failing;
  if (done && !durable && !failing) {
    State::Entry entry{std::move(event_json), false, std::move(done)};
    if (s.write_at_once(entry)) return;
    event_json = std::move(entry.json);
    done = std::move(entry.done);
  }
  Done now = failing ? std::exchange(done, Done()) : Done();
  {
    const std::lock_guard lock(s.queue_mutex);
    full = s.queue_bytes + event_json.size() > s.options.max_waiting_bytes;
    if (full) {
      ++s.dropped;
      if (done) now = std::exchange(done, Done());
    } else {
      wake = s.queue.empty();
      s.queue_bytes += event_json.size();
      s.queue.push_back({std::move(event_json), durable, std::move(done)});
    }
  }
  if (wake) s.work_there.notify_one();
  if (now) now(full || durable ? Status(not_written()) : Status());
}

void Log::on_tick(std::function<void()> tick) {
  const std::lock_guard lock(state_->queue_mutex);
  state_->tick = std::move(tick);
}

bool Log::seal() {
  State& s = *state_;
  std::unique_lock lock(s.queue_mutex);
  const std::uint64_t before = s.seals + s.failed_seals, good = s.seals;
  s.seal_wanted = true;
  s.work_there.notify_one();
  s.sealed.wait(lock, [&] { return s.seals + s.failed_seals > before; });
  return s.seals > good;
}

bool Log::failing() const {
  return state_->failing;
}
const std::string& Log::directory() const {
  return state_->options.files.directory;
}
std::uint64_t Log::events() const {
  return state_->events;
}
std::uint64_t Log::syncs() const {
  return state_->syncs;
}

}  // namespace muster::audit

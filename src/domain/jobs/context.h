// SPDX-License-Identifier: Apache-2.0
// Context: what the Jobs domain needs from outside, made once by server/wiring and handed to every function: the
// realm, the ports through which URLs are parsed and signed, the limits, and the caches. Const and thread-safe after
// it is made. Effects: what a transaction did that somebody must hear of once it is durable.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "store/store.h"

namespace muster::jobs {

struct ObjectAddress {
  std::string bucket;
  std::string key;
  std::string version;  // empty: the current one
};

// The object a URL names. `encoded`: the URL is percent-encoded as in HTTP; otherwise its path is the key as it stands
// (the v1 placeholder takes URLs unencoded). kInvalid for anything that is not an S3 object URL.
using UrlParser = std::function<Result<ObjectAddress>(std::string_view url, bool encoded)>;

struct PresignRequest {
  ObjectAddress object;
  std::string role_arn;
  std::string job_id;  // for the session's name and the role's SourceArn condition
  std::string method = "GET";
  std::int64_t expires_seconds = 3600;
};

// A fresh pre-signed URL as the role; kAccessDenied or kNotFound when the role cannot be assumed.
using UrlSigner = std::function<Result<std::string>(store::Tx&, const PresignRequest&)>;

inline constexpr std::int64_t kDayMs = 86'400'000;  // the limits below count in days

struct Limits {
  std::size_t max_targets = 100;
  std::size_t max_document_bytes = 32768;
  std::size_t max_placeholders = 10;
  std::size_t max_deleting_jobs = 10;
  std::int64_t max_active_jobs = 10'000;  // SCHEDULED and IN_PROGRESS
  std::int64_t max_concurrent_jobs =
      1'000;  // rolling out or canceling; a scheduled job waits, an immediate one is refused
  std::int64_t default_timeout_minutes = 10'080;  // of executions in progress where the job gives none; 0: none
  std::int64_t queued_days = 730;                 // after which an execution that nobody started is canceled; 0: never
  std::int64_t retention_days = 730;              // of jobs that have ended; 0: for ever
  std::size_t notify_entries = 10;
  std::size_t pending_head = 16;  // entries kept in one record a thing; more than notify_entries
  // Things that CreateJob queues (CancelJob cancels) inside its own transaction; more is left to the engine.
  std::size_t immediate_executions = 100;
  std::size_t engine_batch = 400;      // executions an engine transaction touches
  std::size_t cached_jobs = 1024;      // parsed records
  std::size_t cached_documents = 256;  // parsed documents (<= 32 KiB each)
};

class Caches;  // domain/jobs/caches.h

struct Context {
  Realm realm;
  UrlParser parse_url;
  UrlSigner sign_url;
  Limits limits;
  std::shared_ptr<Caches> caches;
};

// Fills in the caches. Empty ports refuse placeholders with kNotSupported.
Context make_context(Realm realm, UrlParser parse_url, UrlSigner sign_url, Limits limits = {});

// Out-parameter of functions that change something. A transaction body makes a fresh one each run, and hands it to
// Signals after the commit.
struct Effects {
  std::vector<std::string> jobs;  // the engine should look at them
  bool messages = false;          // the outbox has something new
  bool gather = false;            // notices are collected (domain/jobs/notices.h)
  std::string notices;            // those not yet written to the outbox
  void touch(std::string_view job_id);
};

// Plugged by server/wiring into the outbox and the engine. Called after a commit, on any thread; cheap.
struct Signals {
  std::function<void()> outbox;
  std::function<void(std::string_view job_id)> engine;
  void send(const Effects& effects) const;
};

}  // namespace muster::jobs

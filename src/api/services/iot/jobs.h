// SPDX-License-Identifier: Apache-2.0
// The Jobs operations of service "iot" (control plane): jobs and executions as operators see them. Handlers translate
// shapes and call domain/jobs in one transaction each. server/wiring calls register_jobs() once; handlers share a
// copy of JobsServices, whose store outlives the Operations.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/wire/operation.h"
#include "domain/jobs/context.h"
#include "domain/jobs/executions.h"
#include "domain/jobs/jobs.h"
#include "domain/jobs/outlook/preview.h"
#include "store/store.h"

namespace muster::api::iot {

// Text of a job document that lies in a bucket, read as the caller and under the conditions of the call: kAccessDenied,
// kNotFound, kTooLarge above `limit`.
using DocumentReader = std::function<Result<std::string>(store::Tx& tx, const Call& call,
                                                         const jobs::ObjectAddress& object, std::size_t limit)>;

// How many of the things are offline, for previews: the broker knows. `done` on any thread.
using OfflineCounter =
    std::function<void(std::vector<jobs::SampledThing> things, std::function<void(Result<std::int64_t>)> done)>;

struct JobsServices {
  store::Store* store = nullptr;
  jobs::Context context;
  jobs::Signals signals;
  DocumentReader read_document;  // empty: documentSource is refused
  OfflineCounter count_offline;  // empty: previews do not tell
};

void register_jobs(Operations& operations, const JobsServices& services);
// Part of the above: the operations on executions.
void register_job_executions(Operations& operations, const std::shared_ptr<const JobsServices>& services);

// The document of documentSource, as the caller may read it; kInvalid where it cannot be read. For a transaction of its
// own: the file is read only once however often the creation is re-run.
Result<std::string> read_document_source(const JobsServices& services, store::Tx& tx, const Call& call,
                                         const std::string& url);

// What a job would do, with things offline counted.
struct Planned {
  jobs::Job job;
  jobs::Preview preview;
};
io::Task<Planned> with_offline(const JobsServices& services, Planned planned);

// A handler that runs `body` in one transaction and signals its effects after the commit.
using JobsBody =
    std::function<Result<json::object>(const JobsServices&, store::Tx&, const json::object& input, jobs::Effects&)>;
Handler jobs_handler(std::shared_ptr<const JobsServices> services, JobsBody body);

// Where a request names a namespace the job must be in it; kNotFound otherwise. No source tells what AWS does with
// another one; a job of a namespace can be reached without naming it.
Status check_namespace(const JobsServices& services, store::Tx& tx, const json::object& input);

}  // namespace muster::api::iot

// SPDX-License-Identifier: Apache-2.0
// The command line's words about jobs: muster why ..., muster job VERB JOB. Ask the server (admin_connection.h), print
// sentences. Block.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "server/data_dir.h"

namespace muster::server {

using WordOptions = std::map<std::string, std::string>;

// muster why THING [JOB] | --job JOB | --client ID [--publish|--subscribe|--receive TOPIC]. The text to print; `format`
// "json" or empty. kInvalid for words that mean nothing.
Result<std::string> run_why_words(const DataDir& data, const std::vector<std::string>& words,
                                  const WordOptions& options, const std::string& format);
// muster job pause|resume|approve|continue|preview JOB; continue takes a gate's number, or "all", too. Not watch
// (job_watch.h).
Result<std::string> run_job_words(const DataDir& data, const std::vector<std::string>& words,
                                  const std::string& format);

// A sentence a line.
std::string findings_text(const json::array& findings);

}  // namespace muster::server

// SPDX-License-Identifier: Apache-2.0
// Where the audit log lives in the data folder, and the command line's words about it: muster audit verify|list. The
// words read files, with or without a server, and block.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "domain/audit/log.h"

namespace muster::server {

// The segments are in a folder of their own; key and head are not, so that a copy of the folder is no copy of the key.
audit::LogFiles audit_files(const std::string& data_dir);

// verify [FILE ...] with --key, or of a data folder; list with its filters. The text to print. kInvalid, with a message
// that names file and line, when the log is broken; kInvalid too for words that mean nothing.
Result<std::string> run_audit_words(const std::string& data_dir, const std::vector<std::string>& words,
                                    const std::map<std::string, std::string>& options, const std::string& format);

}  // namespace muster::server

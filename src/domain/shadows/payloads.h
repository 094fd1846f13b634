// SPDX-License-Identifier: Apache-2.0
// What the Device Shadow service says, as JSON text: answers and messages over a document. Pure functions. The order of
// members and the time stamps (seconds) are AWS's. Source: AWS IoT developer guide, "Device Shadow service documents";
// what AWS answers to {"state":null} stands in getmoto/moto issue 9237.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "domain/shadows/document.h"

namespace muster::shadows {

using Token = std::optional<std::string>;

// Only what was asked for, not the whole document. `after` is the document that it led to.
std::string updated_payload(const Update& update, const Document& after, const Token& token);
// The whole document with its delta; `now_ms` is when it is told.
std::string document_payload(const Document& document, std::int64_t now_ms, const Token& token);
std::string deleted_payload(const Document& tombstone, const Token& token);
// Empty when desired and reported do not differ.
std::string delta_payload(const Document& document, const Token& token);
// "documents": before and after an update.
std::string change_payload(const Document& before, const Document& after, const Token& token);
// For .../rejected; `code` as over HTTPS. Internal errors do not say what they are.
std::string rejected_payload(const Error& error, std::int64_t now_ms, const Token& token);
int rejected_code(const Error& error);

}  // namespace muster::shadows

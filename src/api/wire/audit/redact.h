// SPDX-License-Identifier: Apache-2.0
// A call's input as the audit log may keep it: JSON text without what the models mark as sensitive, without blobs, and
// without members whose name says that they are a secret or that are known to carry some (what a custom authoriser
// would be asked with, what a device proves itself with); in all other texts private keys and the signatures and tokens
// of presigned URLs are hidden; long texts are cut out. Pure functions. Bounds: one text kMaxText, all kMaxParameters.
// Nothing that is no JSON text in UTF-8 comes out, whatever went in.
#pragma once

#include <string>

#include "api/wire/message.h"

namespace muster::api {

inline constexpr std::size_t kMaxRedactedText = 16 * 1024;
inline constexpr std::size_t kMaxParameters = 64 * 1024;

std::string redacted_input(const model::Service& service, const model::Operation& operation, const json::object& input);
// Of a request that was refused before its input was read: what its path says.
std::string redacted_labels(const Pairs& labels);

// An error message without the values of the input that it repeats ("Value 'x' at 'y' failed ..."), and without what is
// hidden in texts.
std::string redacted_message(std::string_view message);

// Whether a member of this name is a secret, whatever its shape says: passwords, tokens that authenticate, private
// keys.
bool is_secret_name(std::string_view member);

}  // namespace muster::api

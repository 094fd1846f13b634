// SPDX-License-Identifier: Apache-2.0
// Text encodings without surprises: hex, base64, percent, UTF-8 checks, ISO-8601 and RFC 7231 dates, splitting.
// Pure functions; errors are kInvalid.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster {

std::string to_hex(std::string_view bytes);  // lower case
Result<std::string> from_hex(std::string_view text);
std::string to_base64(std::string_view bytes);           // with padding
Result<std::string> from_base64(std::string_view text);  // strict: padding, no white space
std::string to_base64url(std::string_view bytes);        // no padding
Result<std::string> from_base64url(std::string_view text);

// Percent-encoding as SigV4 wants it: everything but A-Z a-z 0-9 - _ . ~ ; '/' kept when keep_slash.
std::string percent_encode(std::string_view text, bool keep_slash = false);
// Refuses truncated or non-hex escapes. '+' becomes a space only when plus_is_space (form bodies and queries of forms).
Result<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

bool is_utf8(std::string_view text);                 // well-formed, no surrogates, no overlong forms
bool has_control_characters(std::string_view text);  // C0, DEL, C1

std::string lower(std::string_view text);      // ASCII
std::string_view trim(std::string_view text);  // ASCII white space
bool equals_ignore_case(std::string_view a, std::string_view b);
std::vector<std::string_view> split(std::string_view text, char separator);
std::optional<std::int64_t> parse_int(std::string_view text);  // whole text, decimal, sign allowed
// AWS wildcard match: '*' any run, '?' one character; linear memory, no recursion.
bool wildcard_match(std::string_view pattern, std::string_view text);

// Times are milliseconds since the epoch, UTC.
std::string to_iso8601(std::int64_t time_ms, bool with_ms = true);  // 2026-11-23T04:05:06.789Z
std::string to_amz_date(std::int64_t time_ms);                      // 20261123T040506Z
std::string to_http_date(std::int64_t time_ms);                     // Mon, 23 Nov 2026 04:05:06 GMT
std::optional<std::int64_t> parse_amz_date(std::string_view text);  // 20261123T040506Z
std::optional<std::int64_t> parse_http_date(std::string_view text);
std::optional<std::int64_t> parse_iso8601(std::string_view text);  // offset optional (UTC), fraction optional

}  // namespace muster

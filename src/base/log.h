// SPDX-License-Identifier: Apache-2.0
// Structured log lines on stderr: one JSON object or logfmt-like text a line. Values are escaped; never log a secret.
// Thread-safe. The wall clock of a line is taken here and nowhere else in base.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace muster::log {

enum class Level : std::uint8_t { kDebug, kInfo, kWarn, kError };
enum class Format : std::uint8_t { kText, kJson };

struct Field {
  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  Field(std::string_view k, std::int64_t v) : key(k), value(std::to_string(v)), is_number(true) {}
  Field(std::string_view k, std::uint64_t v) : key(k), value(std::to_string(v)), is_number(true) {}
  Field(std::string_view k, int v) : key(k), value(std::to_string(v)), is_number(true) {}
  Field(std::string_view k, unsigned v) : key(k), value(std::to_string(v)), is_number(true) {}
  std::string_view key;
  std::string value;
  bool is_number = false;
};

void configure(Level least, Format format);  // call once, before threads start
bool enabled(Level level);
void write(Level level, std::string_view message, std::initializer_list<Field> fields = {});

// The text that write() puts out, newline included. Long values are cut; bytes that are not UTF-8 are shown as \xHH.
std::string line(Level level, Format format, std::int64_t time_ms, std::string_view message,
                 std::initializer_list<Field> fields);

inline void debug(std::string_view m, std::initializer_list<Field> f = {}) {
  write(Level::kDebug, m, f);
}
inline void info(std::string_view m, std::initializer_list<Field> f = {}) {
  write(Level::kInfo, m, f);
}
inline void warn(std::string_view m, std::initializer_list<Field> f = {}) {
  write(Level::kWarn, m, f);
}
inline void error(std::string_view m, std::initializer_list<Field> f = {}) {
  write(Level::kError, m, f);
}

}  // namespace muster::log

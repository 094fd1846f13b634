// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <mutex>

#include "base/json.h"
#include "base/text.h"

namespace muster::log {
namespace {

std::atomic<Level> g_least{Level::kInfo};
std::atomic<Format> g_format{Format::kText};
std::mutex g_write_mutex;

constexpr std::size_t kMaxValue = 4096;  // a hostile name must not fill the disk

std::string_view level_name(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarn:
      return "warn";
    case Level::kError:
      return "error";
  }
  return "unknown";
}

// What is not UTF-8 is shown byte by byte, so that each line stays valid text.
std::string printable(std::string_view value) {
  bool cut = value.size() > kMaxValue;
  if (cut) value = value.substr(0, kMaxValue);
  // Cutting may split a character: drop its beginning.
  while (cut && !value.empty() && !is_utf8(value.substr(value.size() - std::min<std::size_t>(value.size(), 4))) &&
         (static_cast<unsigned char>(value.back()) & 0x80) != 0) {
    value.remove_suffix(1);
  }
  std::string out;
  if (is_utf8(value)) {
    out = value;
  } else {
    for (char c : value) {
      if ((static_cast<unsigned char>(c) & 0x80) == 0)
        out += c;
      else
        out += "\\x" + to_hex({&c, 1});
    }
  }
  if (cut) out += "...";
  return out;
}

// DEL and C1 as well as C0: a terminal obeys them.
void append_quoted(std::string& out, std::string_view value) {
  std::string quoted;
  append_json_string(quoted, value);
  for (std::size_t i = 0; i < quoted.size(); ++i) {
    auto byte = static_cast<unsigned char>(quoted[i]);
    auto next = i + 1 < quoted.size() ? static_cast<unsigned char>(quoted[i + 1]) : 0u;
    if (byte == 0x7F) {
      out += "\\u007f";
    } else if (byte == 0xC2 && next >= 0x80 && next <= 0x9F) {
      out += "\\u00" + to_hex({&quoted[++i], 1});
    } else {
      out += quoted[i];
    }
  }
}

void append_text_value(std::string& out, std::string_view value, bool message) {
  bool plain = !value.empty() && !has_control_characters(value) && value.find_first_of("\"\\") == value.npos;
  if (plain && !message) plain = value.find_first_of(" =") == value.npos;
  if (plain)
    out += value;
  else
    append_quoted(out, value);
}

}  // namespace

std::string line(Level level, Format format, std::int64_t time_ms, std::string_view message,
                 std::initializer_list<Field> fields) {
  std::string out;
  if (format == Format::kJson) {
    out += "{\"time\":\"" + to_iso8601(time_ms) + "\",\"level\":\"";
    out += level_name(level);
    out += "\",\"message\":";
    append_quoted(out, printable(message));
    for (const Field& field : fields) {
      out += ',';
      append_quoted(out, printable(field.key));
      out += ':';
      if (field.is_number)
        out += field.value;
      else
        append_quoted(out, printable(field.value));
    }
    out += '}';
  } else {
    out += to_iso8601(time_ms) + ' ';
    out += level_name(level);
    out += ' ';
    append_text_value(out, printable(message), true);
    for (const Field& field : fields) {
      out += ' ';
      out += field.key;
      out += '=';
      append_text_value(out, printable(field.value), false);
    }
  }
  out += '\n';
  return out;
}

void configure(Level least, Format format) {
  g_least = least;
  g_format = format;
}

bool enabled(Level level) {
  return level >= g_least.load(std::memory_order_relaxed);
}

void write(Level level, std::string_view message, std::initializer_list<Field> fields) {
  if (!enabled(level)) return;
  auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  std::int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count();
  std::string text = line(level, g_format.load(std::memory_order_relaxed), now_ms, message, fields);
  std::lock_guard lock(g_write_mutex);
  std::string_view rest = text;
  while (!rest.empty()) {
    ssize_t written = ::write(STDERR_FILENO, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // a full or closed stderr must not stop the server
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace muster::log

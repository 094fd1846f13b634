// SPDX-License-Identifier: Apache-2.0
#include "io/http_response.h"

#include "base/text.h"

namespace muster::io {
namespace {

bool has_no_body(int status) {
  return status == 101 || status == 204 || status == 304;
}

// A value that a client chose (a stored Content-Type, response-content-disposition) must not start a header of its own.
void append_value(std::string& out, std::string_view value) {
  for (const char c : value) {
    const bool control = (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
    out.push_back(control ? ' ' : c);
  }
}

bool is_token(std::string_view name) {
  if (name.empty()) return false;
  for (const char c : name) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f || c == ':') return false;
  }
  return true;
}

// One Date line a second a thread.
std::string_view date_text(std::int64_t now_ms) {
  thread_local std::int64_t second = -1;
  thread_local std::string text;
  if (now_ms / 1000 != second) {
    second = now_ms / 1000;
    text = to_http_date(now_ms);
  }
  return text;
}

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

Framing framing_of(const HttpResponse& response, const ResponseContext& context) {
  if (has_no_body(response.status) || context.is_head) return Framing::kNone;
  if (!response.source || response.source_length >= 0) return Framing::kCounted;
  return context.minor_version >= 1 ? Framing::kChunked : Framing::kUntilClose;
}

std::string response_head(const HttpResponse& response, const ResponseContext& context) {
  std::string out;
  out.reserve(512);
  out.append("HTTP/1.1 ").append(std::to_string(response.status)).append(" ");
  out.append(reason_phrase(response.status)).append("\r\n");
  const Framing framing = framing_of(response, context);
  bool has_date = false;
  std::string_view given_length;
  for (const auto& [name, value] : response.headers.items()) {
    if (!is_token(name) || equals_ignore_case(name, "connection") || equals_ignore_case(name, "transfer-encoding")) {
      continue;
    }
    if (equals_ignore_case(name, "content-length")) {
      given_length = value;
      continue;
    }
    if (equals_ignore_case(name, "date")) has_date = true;
    out.append(name).append(": ");
    append_value(out, value);
    out.append("\r\n");
  }
  if (!has_date) out.append("Date: ").append(date_text(context.now_ms)).append("\r\n");
  const std::int64_t length =
      response.source ? response.source_length : static_cast<std::int64_t>(response.body.size());
  if (framing == Framing::kChunked) {
    out.append("Transfer-Encoding: chunked\r\n");
  } else if (context.is_head && !given_length.empty()) {
    out.append("Content-Length: ");
    append_value(out, given_length);
    out.append("\r\n");
  } else if (!has_no_body(response.status) && length >= 0) {
    out.append("Content-Length: ").append(std::to_string(length)).append("\r\n");
  }
  if (response.status == 101) {
    out.append("Connection: Upgrade\r\n");
  } else if (context.close) {
    out.append("Connection: close\r\n");
  } else if (context.minor_version == 0) {
    out.append("Connection: keep-alive\r\n");
  }
  out.append("\r\n");
  return out;
}

}  // namespace muster::io

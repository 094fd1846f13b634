// SPDX-License-Identifier: Apache-2.0
#include "wire.h"

namespace muster::bench {

namespace {

void append_varint(std::string& out, std::size_t value) {
  do {
    const auto low = static_cast<char>(value & 0x7f);
    value >>= 7;
    out += static_cast<char>(value != 0 ? low | 0x80 : low);
  } while (value != 0);
}

void append_text(std::string& out, std::string_view text) {
  out += static_cast<char>(text.size() >> 8);
  out += static_cast<char>(text.size());
  out += text;
}

void append_packet(std::string& out, int first, std::string_view body) {
  out += static_cast<char>(first);
  append_varint(out, body.size());
  out += body;
}

}  // namespace

void append_connect(std::string& out, std::string_view client_id, const ConnectOptions& options) {
  std::string body;
  append_text(body, "MQTT");
  body += static_cast<char>(options.v5 ? 5 : 4);
  body += static_cast<char>(options.clean ? 2 : 0);
  body += {static_cast<char>(600 >> 8), static_cast<char>(600 & 0xff)};  // keep-alive
  if (options.v5) {
    if (options.clean) {
      body += '\0';
    } else {
      body += {5, 0x11, 0, 0, 0x0e, 0x10};  // session expiry: one hour
    }
  }
  append_text(body, client_id);
  append_packet(out, 0x10, body);
}

void append_subscribe(std::string& out, std::string_view filter, int qos, bool v5) {
  std::string body{'\0', '\1'};
  if (v5) body += '\0';
  append_text(body, filter);
  body += static_cast<char>(qos);
  append_packet(out, 0x82, body);
}

PublishLayout append_publish(std::string& out, std::string_view topic, std::size_t payload_bytes, int qos, bool v5) {
  const std::size_t before = out.size();
  std::string body;
  append_text(body, topic);
  const std::size_t id_in_body = body.size();
  if (qos > 0) body.append(2, '\0');
  if (v5) body += '\0';
  const std::size_t stamp_in_body = body.size();
  body.append(sizeof(Stamp), '\0');
  if (payload_bytes > sizeof(Stamp)) body.append(payload_bytes - sizeof(Stamp), 'x');
  append_packet(out, 0x30 | qos << 1, body);
  PublishLayout layout;
  layout.bytes = out.size() - before;
  const std::size_t header = layout.bytes - body.size();
  layout.id_at = header + id_in_body;
  layout.stamp_at = header + stamp_in_body;
  return layout;
}

}  // namespace muster::bench

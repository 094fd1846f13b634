// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"
#include "server/server.h"

namespace muster::server {

std::string to_json(const Endpoints& e) {
  json::object out;
  out["apiOrigin"] = e.api_origin;
  out["deviceHost"] = e.device_host;
  out["devicePort"] = e.device_port;
  if (e.device_https_port != 0) out["deviceHttpsPort"] = e.device_https_port;
  if (e.plain_mqtt_port != 0) out["plainMqttPort"] = e.plain_mqtt_port;
  out["region"] = e.region;
  out["accountId"] = e.account_id;
  out["caFile"] = e.ca_file;
  return to_text(out) + "\n";
}

Result<Endpoints> endpoints_from_json(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  TRY(auto record, parse_record(text));
  auto port = [&](std::string_view key) { return static_cast<std::uint16_t>(get_int(record, key)); };
  Endpoints e;
  e.api_origin = get_string(record, "apiOrigin");
  e.device_host = get_string(record, "deviceHost");
  e.device_port = port("devicePort");
  e.device_https_port = port("deviceHttpsPort");
  e.plain_mqtt_port = port("plainMqttPort");
  e.region = get_string(record, "region");
  e.account_id = get_string(record, "accountId");
  e.ca_file = get_string(record, "caFile");
  return e;
}

}  // namespace muster::server

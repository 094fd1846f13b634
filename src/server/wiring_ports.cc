// SPDX-License-Identifier: Apache-2.0
// The ports, bound before anything is served.
#include "server/parts.h"

#include "io/net.h"

namespace muster::server {

// One port on every configured address. A host without IPv6 has no "::"; there every IPv4 address is meant.
Result<std::uint16_t> Server::Parts::open_on_each_address(io::ListenOptions options) {
  for (const std::string& address : config.device_address) {
    options.address = address;
    auto port = door->open_device(options);
    if (!port && address == "::") {
      options.address = "0.0.0.0";
      port = door->open_device(options);
    }
    if (!port) return port.error();
    options.port = *port;
  }
  return options.port;
}

// Binds every port before anything is served, so that a taken port is an error of the start.
Status Server::Parts::open_ports() {
  const std::size_t loops = config.device_loops > 0 ? static_cast<std::size_t>(config.device_loops)
                                                    : std::min<std::size_t>(io::available_processors(), 64);
  std::vector<io::Loop*> loop_list;
  for (std::size_t i = 0; i < loops; ++i) {
    device_loops.push_back(std::make_unique<io::Loop>("device"));
    loop_list.push_back(device_loops.back().get());
  }
  door = std::make_unique<FrontDoor>(api_loop, loop_list, metrics);
  TRY(auto api_tls, io::TlsContext::create({.certificate_chain_pem = identity->chain_pem,
                                            .private_key_pem = identity->key_pem,
                                            .client_ca_pem = {},
                                            .alpn = {"http/1.1"}}));
  bool loopback = config.http_address.starts_with("127.") || config.http_address == "::1";
  io::ListenOptions api{.address = config.http_address, .port = static_cast<std::uint16_t>(config.http_port)};
  api.tls = loopback || config.http_plain ? io::ListenOptions::Tls::kByFirstByte : io::ListenOptions::Tls::kAlways;
  api.context = api_tls;
  api.max_connections = static_cast<std::size_t>(config.http_max_connections);
  TRY(auto api_port, door->open_api(api));

  // Asked for, not required: a signed WebSocket has none, and who has nothing else is refused by the authorizer.
  TRY(auto device_tls, io::TlsContext::create({.certificate_chain_pem = identity->chain_pem,
                                               .private_key_pem = identity->key_pem,
                                               .client_certificate = io::ClientCertificate::kOptional,
                                               .client_ca_pem = {},
                                               .alpn = {"x-amzn-mqtt-ca", "mqtt", "x-amzn-http-ca", "http/1.1"}}));
  io::ListenOptions device{.port = static_cast<std::uint16_t>(config.device_port)};
  device.tls = io::ListenOptions::Tls::kAlways;
  device.context = device_tls;
  device.max_connections = static_cast<std::size_t>(config.device_max_connections);
  TRY(endpoints.device_port, open_on_each_address(device));
  if (config.device_https_port >= 0) {
    device.port = static_cast<std::uint16_t>(config.device_https_port);
    TRY(endpoints.device_https_port, open_on_each_address(device));
  }
  if (config.plain_mqtt_port >= 0) {
    io::ListenOptions plain{.address = "127.0.0.1", .port = static_cast<std::uint16_t>(config.plain_mqtt_port)};
    plain.max_connections = static_cast<std::size_t>(config.device_max_connections);
    TRY(endpoints.plain_mqtt_port, door->open_plain_mqtt(plain));
  }
  bool any = config.http_address == "0.0.0.0" || config.http_address == "::";
  std::string host = any ? config.tls_names.front() : config.http_address;
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  bool plain_api = api.tls == io::ListenOptions::Tls::kByFirstByte;
  endpoints.api_origin = (plain_api ? "http://" : "https://") + host + ":" + std::to_string(api_port);
  endpoints.device_host = config.device_host.empty() ? config.tls_names.front() : config.device_host;
  endpoints.region = account.realm.region;
  endpoints.account_id = account.realm.account_id;
  endpoints.ca_file = identity->ca_file;
  return {};
}

}  // namespace muster::server

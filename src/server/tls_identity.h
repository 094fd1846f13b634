// SPDX-License-Identifier: Apache-2.0
// The server's own certificate authority and TLS certificate, kept in the data directory: ca.pem, ca.key, server.pem
// (chain), server.key. The CA is made at the first start and signs device certificates; the server certificate is
// issued again when the configured names change or it has less than 30 days left.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/x509.h"
#include "server/data_dir.h"

namespace muster::server {

struct TlsIdentity {
  x509::CertificateAuthority authority;
  std::string chain_pem;  // server certificate, then the CA
  std::string key_pem;
  std::string ca_file;  // path of ca.pem, for clients
};

Result<TlsIdentity> ensure_tls_identity(const DataDir& data, const std::vector<std::string>& names,
                                        std::int64_t now_ms);

// Until when device certificates are valid, as AWS: 2049-12-31T23:59:59Z.
inline constexpr std::int64_t kDeviceNotAfterMs = 2'524'607'999'000;

}  // namespace muster::server

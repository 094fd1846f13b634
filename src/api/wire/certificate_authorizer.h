// SPDX-License-Identifier: Apache-2.0
// CertificateAuthorizer: what the pipeline asks about a caller who has no signature but a client certificate (mutual
// TLS on the HTTPS data planes). api/device implements it over the registry's certificates and IoT policies; the
// pipeline owns nothing of it. Called on the connection's loop. Errors: kUnauthenticated when the certificate is
// unknown or not ACTIVE, kAccessDenied when its policies do not allow the action. And TokenCallers: the same about a
// caller who has neither signature nor client certificate but a custom authoriser's token (service iot-data alone).
// Source: AWS IoT developer guide, "HTTPS", "Custom authentication and authorization".
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/wire/message.h"
#include "domain/iam/principal.h"
#include "io/http_server.h"
#include "io/task.h"

namespace muster::api {

struct CertificateCall {
  std::string certificate_der;
  std::string action;                  // "iot:Publish", "iotjobsdata:UpdateJobExecution"
  std::vector<std::string> resources;  // full ARNs, all must be allowed
  std::string source_ip;
  std::string request_id;   // for the log
  std::string server_name;  // SNI, or empty
  std::string thing;        // that thing variables stand for, if attached; empty: the one that a resource names
};

class CertificateAuthorizer {
 public:
  virtual ~CertificateAuthorizer() = default;
  // Who the certificate is: the first question, before anything of the request is parsed.
  virtual io::Task<iam::Principal> identify(std::string certificate_der) = 0;
  virtual io::Task<void> authorize(CertificateCall call) = 0;
};

// One caller's identity and rights; immutable, any thread.
class TokenCaller {
 public:
  virtual ~TokenCaller() = default;
  virtual const iam::Principal& principal() const = 0;
  virtual bool allows(std::string_view action, std::string_view resource) const = 0;
};

class TokenCallers {
 public:
  virtual ~TokenCallers() = default;
  // Whether the request asks for custom authentication: by a name in headers or query, or by publishing without any
  // credential, which is the default authoriser's to judge.
  virtual bool claims(const io::HttpRequest& request, const Pairs& query) const = 0;
  // kAccessDenied, without a reason for the client, when the authoriser refuses or cannot be asked; kUnauthenticated
  // when the request names none and there is no default.
  virtual io::Task<std::shared_ptr<const TokenCaller>> identify(const io::HttpRequest& request, const Pairs& query) = 0;
};

}  // namespace muster::api

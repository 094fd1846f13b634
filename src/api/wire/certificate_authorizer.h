// SPDX-License-Identifier: Apache-2.0
// CertificateAuthorizer: what the pipeline asks about a caller who has no signature but a client certificate (mutual
// TLS on the HTTPS data planes). api/device implements it over the registry's certificates and IoT policies; the
// pipeline owns nothing of it. Called on the connection's loop. Errors: kUnauthenticated when the certificate is
// unknown or not ACTIVE, kAccessDenied when its policies do not allow the action. Source: AWS IoT developer guide,
// "HTTPS".
#pragma once

#include <string>
#include <vector>

#include "domain/iam/principal.h"
#include "io/task.h"

namespace muster::api {

struct CertificateCall {
  std::string certificate_der;
  std::string action;                  // "iot:Publish", "iotjobsdata:UpdateJobExecution"
  std::vector<std::string> resources;  // full ARNs, all must be allowed
  std::string source_ip;
  std::string request_id;  // for the log
};

class CertificateAuthorizer {
 public:
  virtual ~CertificateAuthorizer() = default;
  // Who the certificate is: the first question, before anything of the request is parsed.
  virtual io::Task<iam::Principal> identify(std::string certificate_der) = 0;
  virtual io::Task<void> authorize(CertificateCall call) = 0;
};

}  // namespace muster::api

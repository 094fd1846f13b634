// SPDX-License-Identifier: Apache-2.0
// Records of certificates, for the modules that change them.
#pragma once

#include "domain/security/certificates.h"

namespace muster::security {

void put_certificate(store::Tx& tx, const Certificate& certificate);

// Rows of `prefix`, then created_ms and the certificate's id: a page of the certificates.
struct CertificateListing {
  std::string name;  // of the page token
  std::string prefix;
  bool ascending = true;
};
Result<registry::Page<Certificate>> list_by_time(store::Tx& tx, const CertificateListing& listing,
                                                 const registry::PageRequest& request);

}  // namespace muster::security

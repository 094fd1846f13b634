// SPDX-License-Identifier: Apache-2.0
// Handing a certificate to another owner: it waits, PENDING_TRANSFER and useless, until the transfer is accepted,
// rejected or cancelled. There is one account on this server, so the only recipient is that account itself: the whole
// flow can be tried; another account is refused by name. Synchronous over Tx&. Source: AWS IoT API reference,
// TransferCertificate and its companions.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"
#include "domain/security/certificates.h"
#include "store/store.h"

namespace muster::security {

// Neither ACTIVE nor waiting already (reason "CertificateStateException"), without policies and things
// ("TransferConflictException").
Result<Certificate> start_transfer(store::Tx& tx, const Realm& realm, std::string_view id, std::string_view account,
                                   std::string_view message);
// Of a certificate that waits; else reason "TransferAlreadyCompletedException". It is INACTIVE afterwards, or ACTIVE
// when accepted so.
Status cancel_transfer(store::Tx& tx, std::string_view id);
Status accept_transfer(store::Tx& tx, const Realm& realm, std::string_view id, bool active);
Status reject_transfer(store::Tx& tx, std::string_view id, std::string_view reason);
// Those that wait, by time of creation.
Result<registry::Page<Certificate>> list_outgoing(store::Tx& tx, const registry::PageRequest& page, bool ascending);

}  // namespace muster::security

// SPDX-License-Identifier: Apache-2.0
#include "domain/security/transfers.h"
#include "api/services/iot/things_handler.h"
#include "api/services/security/certificate_shapes.h"

namespace muster::api::iot {

namespace {

using store::Tx;

Result<json::object> transfer(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY(const auto certificate,
      security::start_transfer(tx, services.realm, get_string(input, "certificateId"),
                               get_string(input, "targetAwsAccount"), get_string(input, "transferMessage")));
  return json::object{{"transferredCertificateArn", security::certificate_arn(services.realm, certificate.id)}};
}

Result<json::object> cancel(const RegistryServices&, Tx& tx, const json::object& input, Changes&) {
  TRY_VOID(security::cancel_transfer(tx, get_string(input, "certificateId")));
  return json::object();
}

Result<json::object> accept(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY_VOID(security::accept_transfer(tx, services.realm, get_string(input, "certificateId"),
                                     get_bool(input, "setAsActive")));
  return json::object();
}

Result<json::object> reject(const RegistryServices&, Tx& tx, const json::object& input, Changes&) {
  TRY_VOID(security::reject_transfer(tx, get_string(input, "certificateId"), get_string(input, "rejectReason")));
  return json::object();
}

Result<json::object> list_outgoing(const RegistryServices& services, Tx& tx, const json::object& input, Changes&) {
  TRY(const auto page, security::list_outgoing(tx, marker_page_of_input(input), get_bool(input, "ascendingOrder")));
  json::array list;
  for (const security::Certificate& certificate : page.items) {
    if (!certificate.transfer) continue;
    json::object shape = certificate_reference(services, certificate);
    shape["transferredTo"] = certificate.transfer->to;
    shape["transferDate"] = certificate.transfer->started_ms;
    if (!certificate.transfer->message.empty()) shape["transferMessage"] = certificate.transfer->message;
    shape["creationDate"] = certificate.created_ms;
    list.emplace_back(std::move(shape));
  }
  json::object output{{"outgoingCertificates", std::move(list)}};
  if (!page.next_token.empty()) output["nextMarker"] = page.next_token;
  return output;
}

}  // namespace

void register_transfers(Operations& operations, const SharedRegistry& services) {
  auto add = [&](std::string_view operation, RegistryBody body) {
    operations.add("iot", operation, registry_handler(services, std::move(body)));
  };
  add("TransferCertificate", transfer);
  add("CancelCertificateTransfer", cancel);
  add("AcceptCertificateTransfer", accept);
  add("RejectCertificateTransfer", reject);
  add("ListOutgoingCertificates", list_outgoing);
}

}  // namespace muster::api::iot

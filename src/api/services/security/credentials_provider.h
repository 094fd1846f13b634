// SPDX-License-Identifier: Apache-2.0
// CredentialsProvider: GET /role-aliases/ALIAS/credentials with a device's client certificate answers temporary
// credentials of the role that the alias points to. In this order, with AWS's statuses and words: the certificate is
// registered and ACTIVE; the thing that x-amzn-iot-thingname names is attached to it (403 "Invalid thing name passed");
// its IoT policies allow iot:AssumeRoleWithCertificate on the alias (403 "Access Denied"); the alias exists (404); the
// role trusts credentials.iot.amazonaws.com, and its sessions may last that long (400). The session's name is the
// certificate's id; it supplies credentials-iot:ThingName, ThingTypeName and AwsCertificateId to the role's policies.
//
// Each call is in the audit log before it is answered, as AssumeRoleWithCertificate of sts.amazonaws.com; while that
// cannot be written no credentials are given (503).
//
// Not an operation of a model, so it stands before the pipeline. Owned by server/wiring; immutable; any loop.
// Source: AWS IoT developer guide, "Authorizing direct calls to AWS services using AWS IoT Core credential provider".
#pragma once

#include "api/wire/certificate_authorizer.h"
#include "base/ids.h"
#include "domain/audit/trail.h"
#include "store/store.h"

namespace muster::api::iot {

class CredentialsProvider {
 public:
  // What is referred to outlives it; `trail` may be null: nothing is recorded.
  CredentialsProvider(store::Store& store, Realm realm, CertificateAuthorizer& certificates, audit::Trail* trail);

  // Its path, and a client certificate was presented.
  bool wants(const io::HttpRequest& request) const;
  boost::asio::awaitable<io::HttpResponse> answer(const io::HttpRequest& request) const;

 private:
  struct Call;  // one request and what was found out about it
  io::Task<std::string> credentials(const io::HttpRequest& request, Call& call) const;
  audit::Event event(const io::HttpRequest& request, const Call& call, const Error* error) const;
  io::Task<void> record(const io::HttpRequest& request, const Call& call, const Error* error) const;

  store::Store& store_;
  const Realm realm_;
  CertificateAuthorizer& certificates_;
  audit::Trail* const trail_;
};

}  // namespace muster::api::iot

// SPDX-License-Identifier: Apache-2.0
#include "api/services/iot/jobs_objects.h"

#include "api/wire/authorization.h"
#include "base/sigv4.h"
#include "domain/iam/authorize.h"
#include "domain/iam/sessions.h"
#include "domain/objects/object_url.h"
#include "domain/objects/objects.h"

namespace muster::api::iot {

jobs::UrlParser job_url_parser(std::vector<std::string> base_domains) {
  return [base_domains = std::move(base_domains)](std::string_view url, bool encoded) -> Result<jobs::ObjectAddress> {
    TRY(auto object, objects::parse_object_url(url, encoded, base_domains));
    return jobs::ObjectAddress{std::move(object.bucket), std::move(object.key), std::move(object.version)};
  };
}

jobs::UrlSigner job_url_signer(Realm realm, std::string origin) {
  return [realm = std::move(realm), origin = std::move(origin)](
             store::Tx& tx, const jobs::PresignRequest& request) -> Result<std::string> {
    TRY(const auto credentials,
        iam::session_for_role(tx, realm, request.role_arn, ("job-" + request.job_id).substr(0, 64),
                              request.expires_seconds, "iot.amazonaws.com", iot_arn(realm, "job", request.job_id)));
    sigv4::PresignInput input;
    input.method = request.method;
    input.origin = origin;
    input.path = "/" + request.object.bucket + "/" + request.object.key;
    if (!request.object.version.empty()) input.query.emplace_back("versionId", request.object.version);
    input.region = realm.region;
    input.now_ms = tx.now_ms();
    input.expires_seconds = request.expires_seconds;
    return sigv4::presign(credentials, input);
  };
}

DocumentReader job_document_reader(Realm realm, const objects::Blobs& blobs) {
  return [realm = std::move(realm), &blobs](store::Tx& tx, const Call& call, const jobs::ObjectAddress& object,
                                            std::size_t limit) -> Result<std::string> {
    iam::AuthorizationRequest request;
    request.action = "s3:GetObject";
    request.resources = {"arn:aws:s3:::" + object.bucket + "/" + object.key};
    if (call.request != nullptr) request.context = request_context(*call.request, realm, call.now_ms);
    TRY_VOID(iam::authorize(tx, realm, call.caller, request));
    if (!object.version.empty()) return invalid("object versions are not supported by Muster.");
    return objects::read_small(tx, blobs, object.bucket, object.key, limit);
  };
}

}  // namespace muster::api::iot

// SPDX-License-Identifier: Apache-2.0
// Job documents and the object store: how the Jobs domain's ports for URLs are filled in: parsing and pre-signing S3
// URLs as the job's role, and reading documentSource as the caller. Values to be handed to jobs::make_context() and
// JobsServices by server/wiring; thread-safe. Secrets stay inside the signed URL and are never logged.
#pragma once

#include <string>
#include <vector>

#include "api/services/iot/jobs.h"
#include "base/ids.h"
#include "domain/jobs/context.h"
#include "domain/objects/blobs.h"

namespace muster::api::iot {

jobs::UrlParser job_url_parser(std::vector<std::string> base_domains = {});
// `origin`: scheme://host:port at which devices reach the S3 endpoint. The role must trust iot.amazonaws.com.
jobs::UrlSigner job_url_signer(Realm realm, std::string origin);
// Checks s3:GetObject for the caller. The blobs outlive it.
DocumentReader job_document_reader(Realm realm, const objects::Blobs& blobs);

}  // namespace muster::api::iot

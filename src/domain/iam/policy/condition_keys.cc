// SPDX-License-Identifier: Apache-2.0
#include "domain/iam/policy/condition_keys.h"

#include <algorithm>
#include <array>

namespace muster::iam {

namespace {

using namespace std::string_view_literals;

// Supplied by authorize() from the principal, or by api/wire from the request.
constexpr std::array kRequestKeys{
    "aws:currenttime"sv,
    "aws:epochtime"sv,
    "aws:sourceip"sv,
    "aws:securetransport"sv,
    "aws:useragent"sv,
    "aws:referer"sv,
    "aws:requestedregion"sv,
    "aws:principalarn"sv,
    "aws:principalaccount"sv,
    "aws:principaltype"sv,
    "aws:userid"sv,
    "aws:username"sv,
    "aws:principalisawsservice"sv,
    "aws:tagkeys"sv,
    "s3:prefix"sv,
    "s3:delimiter"sv,
    "s3:max-keys"sv,
    "iam:passedtoservice"sv,
    "iam:policyarn"sv,
    "iam:permissionsboundary"sv,
    "sts:externalid"sv,
    "sts:rolesessionname"sv,
    "sts:sourceidentity"sv,
    "sts:transitivetagkeys"sv,
    "aws:viaawsservice"sv,
    "aws:sourceidentity"sv,
    "aws:tokenissuetime"sv,
    "aws:multifactorauthpresent"sv,
};
// Supplied when a trust policy is evaluated (sessions.cc).
constexpr std::array kTrustKeys{
    "aws:sourceaccount"sv,
    "aws:sourcearn"sv,
};
// Supplied by sessions: of devices that came by a role alias (credentials provider), and of web identities, whose keys
// begin with their provider's address (oidc.h).
constexpr std::array kSessionKeys{
    "credentials-iot:thingname"sv,
    "credentials-iot:thingtypename"sv,
    "credentials-iot:awscertificateid"sv,
    "aws:federatedprovider"sv,
};
constexpr std::array kWebIdentityKeys{":aud"sv, ":sub"sv};
// Supplied by the device authorizer from the connection and the certificate.
constexpr std::array kDeviceKeys{
    "iot:clientid"sv,
    "iot:domainname"sv,
    "iot:lastwilltopic"sv,
    "iot:certificateid"sv,
    "aws:sourceip"sv,
    "iot:connection.thing.thingname"sv,
    "iot:connection.thing.thingtypename"sv,
    "iot:connection.thing.isattached"sv,
    "iot:certificate.serialnumber"sv,
    "iot:certificate.availablekeys"sv,
};
constexpr std::array kDevicePrefixes{
    "iot:connection.thing.attributes["sv,
    "iot:certificate.subject."sv,
    "iot:certificate.issuer."sv,
};

}  // namespace

namespace {

// "id.example/path:sub": a host has a dot or a port, or is localhost; none of AWS's own prefixes does.
bool is_web_identity_key(std::string_view lower_key, PolicyUse use) {
  const std::size_t colon = lower_key.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view host = lower_key.substr(0, lower_key.find('/')), name = lower_key.substr(colon);
  const bool issuer = host.substr(0, colon).find_first_of(".:") != std::string_view::npos || host == "localhost" ||
                      lower_key.substr(0, colon) == "localhost";
  return issuer && (std::ranges::find(kWebIdentityKeys, name) != kWebIdentityKeys.end() ||
                    (use == PolicyUse::kTrust && (name == ":amr" || name == ":oaud")));
}

}  // namespace

bool is_supplied_condition_key(std::string_view lower_key, PolicyUse use) {
  auto in = [&](const auto& keys) { return std::ranges::find(keys, lower_key) != keys.end(); };
  auto begins = [&](std::string_view prefix) {
    return lower_key.size() > prefix.size() && lower_key.starts_with(prefix);
  };
  if (use == PolicyUse::kIot) return in(kDeviceKeys) || std::ranges::any_of(kDevicePrefixes, begins);
  if (use == PolicyUse::kTrust && in(kTrustKeys)) return true;
  if (in(kSessionKeys) || is_web_identity_key(lower_key, use)) return true;
  return in(kRequestKeys) || begins("aws:principaltag/") || begins("aws:requesttag/") || begins("iam:resourcetag/");
}

}  // namespace muster::iam

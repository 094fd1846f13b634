// SPDX-License-Identifier: Apache-2.0
#include "domain/security/transfers.h"

#include "domain/security/security_test_support.h"

namespace muster::security {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Transfers : public SecurityTest {
 protected:
  Result<Certificate> start(const std::string& id, const std::string& account = "123456789012") {
    return result([&](store::Tx& tx) { return start_transfer(tx, realm_, id, account, "for you"); });
  }
  Status cancel(const std::string& id) {
    return status([&](store::Tx& tx) { return cancel_transfer(tx, id); });
  }
  Status accept(const std::string& id, bool active = false) {
    return status([&](store::Tx& tx) { return accept_transfer(tx, realm_, id, active); });
  }
  Certificate read(const std::string& id) {
    return run([&](store::Tx& tx) { return get_certificate(tx, id); });
  }
  std::vector<std::string> outgoing(bool ascending = true, std::size_t limit = 2) {
    std::vector<std::string> ids;
    registry::PageRequest request{{}, limit};
    do {
      auto page = run([&](store::Tx& tx) { return list_outgoing(tx, request, ascending); });
      for (const Certificate& each : page.items) ids.push_back(each.id);
      request.token = page.next_token;
    } while (!request.token.empty());
    return ids;
  }
};

TEST_F(Transfers, ACertificateWaitsUntilItIsAccepted) {
  const std::string id = certificate("c", CertificateStatus::kInactive);
  ASSERT_TRUE(start(id));
  EXPECT_EQ(read(id).status, CertificateStatus::kPendingTransfer);
  EXPECT_EQ(read(id).transfer->message, "for you");
  EXPECT_THAT(outgoing(), ElementsAre(id));
  clock_.advance_ms(5);
  EXPECT_TRUE(accept(id, true));
  const Certificate done = read(id);
  EXPECT_EQ(done.status, CertificateStatus::kActive);
  EXPECT_EQ(done.previous_owner, realm_.account_id);
  EXPECT_EQ(done.transfer->accepted_ms, done.transfer->started_ms + 5);
  EXPECT_THAT(outgoing(), IsEmpty());
  EXPECT_EQ(accept(id).error().reason, "TransferAlreadyCompletedException");
  EXPECT_EQ(cancel(id).error().reason, "TransferAlreadyCompletedException");
}

TEST_F(Transfers, RejectedAndCancelledOnesComeBackInactive) {
  const std::string id = certificate("c", CertificateStatus::kRevoked);
  ASSERT_TRUE(start(id));
  EXPECT_TRUE(status([&](store::Tx& tx) { return reject_transfer(tx, id, "not mine"); }));
  EXPECT_EQ(read(id).status, CertificateStatus::kInactive);
  EXPECT_EQ(read(id).transfer->reject_reason, "not mine");
  EXPECT_EQ(read(id).previous_owner, "");
  ASSERT_TRUE(start(id)) << "another try";
  EXPECT_EQ(read(id).transfer->reject_reason, "");
  EXPECT_TRUE(cancel(id));
  EXPECT_EQ(read(id).status, CertificateStatus::kInactive);
  EXPECT_FALSE(read(id).transfer);
  EXPECT_THAT(outgoing(), IsEmpty());
}

TEST_F(Transfers, WhatIsInUseStays) {
  const std::string id = certificate("c");
  EXPECT_EQ(start(id).error().reason, "CertificateStateException") << "active";
  run([&](store::Tx& tx) { return update_certificate(tx, id, CertificateStatus::kInactive); });
  policy("p");
  thing("t");
  EXPECT_TRUE(status([&](store::Tx& tx) { return attach_policy(tx, realm_, "p", arn(id)); }));
  EXPECT_EQ(start(id).error().reason, "TransferConflictException");
  EXPECT_TRUE(status([&](store::Tx& tx) { return detach_policy(tx, realm_, "p", arn(id)); }));
  EXPECT_TRUE(status([&](store::Tx& tx) { return attach_thing_principal(tx, realm_, "t", arn(id)); }));
  EXPECT_EQ(start(id).error().reason, "TransferConflictException");
  EXPECT_TRUE(status([&](store::Tx& tx) { return detach_thing_principal(tx, realm_, "t", arn(id)); }));
  EXPECT_TRUE(start(id));
  EXPECT_EQ(start(id).error().reason, "CertificateStateException") << "on its way";
}

TEST_F(Transfers, OneThatWaitsCannotBeUsed) {
  const std::string id = certificate("c", CertificateStatus::kInactive);
  policy("p");
  thing("t");
  ASSERT_TRUE(start(id));
  EXPECT_THAT(said([&](store::Tx& tx) { return update_certificate(tx, id, CertificateStatus::kActive); }),
              HasSubstr("being transferred"));
  EXPECT_EQ(status([&](store::Tx& tx) { return delete_certificate(tx, realm_, id, true); }).error().reason,
            "CertificateStateException");
  EXPECT_FALSE(status([&](store::Tx& tx) { return attach_policy(tx, realm_, "p", arn(id)); }));
  EXPECT_FALSE(status([&](store::Tx& tx) { return attach_thing_principal(tx, realm_, "t", arn(id)); }));
}

TEST_F(Transfers, OtherAccountsAreRefusedByName) {
  const std::string id = certificate("c", CertificateStatus::kInactive);
  auto refused = start(id, "999999999999");
  EXPECT_EQ(refused.error().kind, ErrorKind::kInvalid);
  EXPECT_THAT(refused.error().message, HasSubstr("999999999999"));
  EXPECT_EQ(start(sha256_hex("none")).error().kind, ErrorKind::kNotFound);
}

TEST_F(Transfers, ListedByTimeBothWays) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(certificate("c" + std::to_string(i), CertificateStatus::kInactive));
    clock_.advance_ms(10);
  }
  for (int i = 4; i >= 0; --i) ASSERT_TRUE(start(ids[static_cast<std::size_t>(i)]));
  EXPECT_EQ(outgoing(), ids);
  std::ranges::reverse(ids);
  EXPECT_EQ(outgoing(false, 3), ids);
}

}  // namespace
}  // namespace muster::security

// SPDX-License-Identifier: Apache-2.0
// kMeta "account" -> {id, region, root_key, created_ms}; kMeta "session_secret" -> hex.
#include "base/crypto.h"
#include "base/json.h"
#include "domain/iam/counts.h"
#include "domain/iam/identities.h"
#include "store/keys.h"
#include "store/schema.h"

namespace muster::iam {

namespace {

std::string meta_key(std::string_view name) {
  return store::Key(store::table::kMeta).text(name).str();
}

Result<Account> existing_account(store::Tx& tx, std::string_view text, std::string_view region) {
  TRY(json::object record, parse_record(text));
  Account account;
  account.realm.account_id = get_string(record, "id");
  account.realm.region = get_string(record, "region");
  if (!region.empty() && region != account.realm.region)
    return invalid("This store belongs to region " + account.realm.region + ", the configuration says " +
                   std::string(region) + ". ARNs name the region, so it cannot change.");
  std::string root_key(get_string(record, "root_key"));
  // The root key may have been deleted; the account then lives by its users.
  if (auto key = find_access_key(tx, root_key)) account.root_key = *std::move(key);
  return account;
}

}  // namespace

Result<Account> ensure_account(store::Tx& tx, std::string_view region) {
  ensure_counts(tx);
  if (auto text = tx.get(meta_key("account"))) return existing_account(tx, *text, region);
  if (region.empty()) return invalid("A new store needs a region.");
  Account account;
  account.created = true;
  account.realm.account_id = random_text(1, "123456789") + random_text(11, "0123456789");
  account.realm.region = region;
  TRY(account.root_key, create_access_key(tx, ""));
  json::object record{{"id", account.realm.account_id},
                      {"region", region},
                      {"root_key", account.root_key.id},
                      {"created_ms", tx.now_ms()}};
  tx.put(meta_key("account"), to_text(record));
  tx.put(meta_key("session_secret"), random_hex(32));
  return account;
}

}  // namespace muster::iam

// SPDX-License-Identifier: Apache-2.0
// One connection to a PostgreSQL-wire database: statements with binary parameters, arrays for unnest, errors as values
// (their SQLSTATE in `reason`). Blocking; owned by one thread. Included by the cluster engine only.
#pragma once

#include <postgresql/libpq-fe.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace muster::store {

class Rows {
 public:
  explicit Rows(PGresult* result) : result_(result, &PQclear) {}
  const PGresult* result() const { return result_.get(); }
  int size() const { return PQntuples(result_.get()); }
  std::string_view bytes(int row, int column) const {
    return {PQgetvalue(result_.get(), row, column), static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
  }
  std::int64_t integer(int row, int column) const;  // of a bigint

 private:
  std::unique_ptr<PGresult, decltype(&PQclear)> result_;
};

struct Parameter {
  Oid type;
  std::string bytes;
};
Parameter bytea(std::string_view value);
Parameter bigint(std::int64_t value);
Parameter bytea_array(const std::vector<std::string_view>& values);
Parameter bigint_array(const std::vector<std::int64_t>& values);

class Postgres {
 public:
  explicit Postgres(std::string connection) : connection_(std::move(connection)), handle_(nullptr, &PQfinish) {}

  // kUnavailable with SQLSTATE as the reason ("08006" when the connection is gone). Connects when not connected.
  Result<Rows> query(const char* sql, const std::vector<Parameter>& parameters = {});
  Status run(const char* sql, const std::vector<Parameter>& parameters = {});
  bool connected() const { return handle_ && PQstatus(handle_.get()) == CONNECTION_OK; }
  // Inside a transaction a lost connection must not be replaced silently.
  void forbid_reconnect(bool forbid) { forbid_reconnect_ = forbid; }

 private:
  Status connect();

  const std::string connection_;
  std::unique_ptr<PGconn, decltype(&PQfinish)> handle_;
  bool forbid_reconnect_ = false;
};

// Serialisation failure or deadlock: the same transaction may succeed when repeated.
bool is_repeatable(const Error& error);
bool is_lost(const Error& error);  // the connection is gone

}  // namespace muster::store

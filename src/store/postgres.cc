// SPDX-License-Identifier: Apache-2.0
#include "store/postgres.h"

namespace muster::store {

namespace {

constexpr Oid kBytea = 17, kBigint = 20, kByteaArray = 1001, kBigintArray = 1016;
constexpr const char* kConnectionLost = "08006";

void put_number(std::string& out, std::uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

// One dimension, no nulls, lower bound 1: array_send's format.
std::string array_head(Oid element, std::size_t count) {
  std::string out;
  put_number(out, 1, 4);
  put_number(out, 0, 4);
  put_number(out, element, 4);
  put_number(out, count, 4);
  put_number(out, 1, 4);
  return out;
}

std::string trimmed(const char* message) {
  std::string text = message != nullptr ? message : "";
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

}  // namespace

std::int64_t Rows::integer(int row, int column) const {
  std::uint64_t bits = 0;
  for (const char c : bytes(row, column)) bits = bits << 8 | static_cast<unsigned char>(c);
  return static_cast<std::int64_t>(bits);
}

Parameter bytea(std::string_view value) {
  return {kBytea, std::string(value)};
}

Parameter bigint(std::int64_t value) {
  Parameter parameter{kBigint, {}};
  put_number(parameter.bytes, static_cast<std::uint64_t>(value), 8);
  return parameter;
}

Parameter bytea_array(const std::vector<std::string_view>& values) {
  Parameter parameter{kByteaArray, array_head(kBytea, values.size())};
  for (const auto value : values) {
    put_number(parameter.bytes, value.size(), 4);
    parameter.bytes.append(value);
  }
  return parameter;
}

Parameter bigint_array(const std::vector<std::int64_t>& values) {
  Parameter parameter{kBigintArray, array_head(kBigint, values.size())};
  for (const auto value : values) {
    put_number(parameter.bytes, 8, 4);
    put_number(parameter.bytes, static_cast<std::uint64_t>(value), 8);
  }
  return parameter;
}

Status Postgres::connect() {
  handle_.reset(PQconnectdb(connection_.c_str()));
  if (connected()) {
    PQsetNoticeProcessor(
        handle_.get(), [](void*, const char*) {}, nullptr);
    return {};
  }
  const std::string why = trimmed(PQerrorMessage(handle_.get()));
  handle_.reset();
  return make_error(ErrorKind::kUnavailable, "The database cannot be reached: " + why, kConnectionLost);
}

Result<Rows> Postgres::query(const char* sql, const std::vector<Parameter>& parameters) {
  if (!connected()) {
    if (forbid_reconnect_)
      return make_error(ErrorKind::kUnavailable, "The database connection was lost", kConnectionLost);
    TRY_VOID(connect());
  }
  std::vector<Oid> types;
  std::vector<const char*> values;
  std::vector<int> lengths, formats;
  for (const auto& parameter : parameters) {
    types.push_back(parameter.type);
    values.push_back(parameter.bytes.data());
    lengths.push_back(static_cast<int>(parameter.bytes.size()));
    formats.push_back(1);
  }
  Rows rows(PQexecParams(handle_.get(), sql, static_cast<int>(parameters.size()), types.data(), values.data(),
                         lengths.data(), formats.data(), 1));
  const auto* result = rows.result();
  const auto status = PQresultStatus(result);
  if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return rows;
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  // The primary message only: its detail shows rows, which may hold secrets.
  const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  if (message == nullptr) message = PQerrorMessage(handle_.get());
  return make_error(ErrorKind::kUnavailable, "The database refuses: " + trimmed(message),
                    !connected() || state == nullptr ? kConnectionLost : state);
}

Status Postgres::run(const char* sql, const std::vector<Parameter>& parameters) {
  TRY_VOID(query(sql, parameters));
  return {};
}

bool is_repeatable(const Error& error) {
  return error.reason == "40001" || error.reason == "40P01";
}
bool is_lost(const Error& error) {
  return error.reason == kConnectionLost;
}

}  // namespace muster::store

// SPDX-License-Identifier: Apache-2.0
// Result<T>: an expected outcome is a value, never an exception. Domain code names the kind of an error; the wire
// layer (api/wire/errors) turns (service, kind, reason) into the AWS code and HTTP status.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace muster {

enum class ErrorKind : std::uint8_t {
  kUnset,                   // a Result nobody filled: a bug
  kInvalid,                 // malformed or out-of-range input
  kNotFound,                // the named resource does not exist
  kAlreadyExists,           // create of a name in use
  kConflict,                // resource in use, or a concurrent change won
  kVersionConflict,         // expectedVersion differs
  kInvalidStateTransition,  // state machine forbids it
  kTerminalState,           // execution already ended
  kLimit,                   // a documented limit reached
  kThrottled,               // rate exceeded, retry later
  kAccessDenied,            // authenticated, not allowed
  kUnauthenticated,         // no or wrong credentials
  kNotSupported,            // real AWS feature that Muster refuses
  kTooLarge,                // body or value above its bound
  kPrecondition,            // If-Match and the like failed
  kUnavailable,             // store or disk refuses writes; nothing was changed
  kTimeout,                 // deadline passed
  kInternal,                // a bug on our side
};

std::string_view to_string(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::kUnset;
  std::string message;  // shown to the client, AWS wording where known
  // Finer AWS code where the kind alone does not decide it (S3 "NoSuchKey", SigV4 "SignatureDoesNotMatch"). Empty
  // otherwise.
  std::string reason;
  boost::json::object fields;  // extra members of the error body, e.g. executionState
};

template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
  using Base = std::expected<T, Error>;

 public:
  using Base::Base;
  Result() : Base(std::unexpect, Error{}) {}
  Result(Error error) : Base(std::unexpect, std::move(error)) {}  // NOLINT: implicit on purpose
};

using Status = Result<void>;
template <>
class [[nodiscard]] Result<void> : public std::expected<void, Error> {
  using Base = std::expected<void, Error>;

 public:
  using Base::Base;
  Result() = default;                                             // success: a function that ends without an error
  Result(Error error) : Base(std::unexpect, std::move(error)) {}  // NOLINT
};

inline Error make_error(ErrorKind kind, std::string message, std::string reason = {}) {
  return Error{kind, std::move(message), std::move(reason), {}};
}
inline Error invalid(std::string message) {
  return make_error(ErrorKind::kInvalid, std::move(message));
}
inline Error not_found(std::string message) {
  return make_error(ErrorKind::kNotFound, std::move(message));
}
inline Error internal(std::string message) {
  return make_error(ErrorKind::kInternal, std::move(message));
}

}  // namespace muster

#define MUSTER_CAT2(a, b) a##b
#define MUSTER_CAT(a, b) MUSTER_CAT2(a, b)
#define MUSTER_TRY_IMPL(tmp, ret, decl, ...)             \
  auto tmp = (__VA_ARGS__);                              \
  if (!tmp) ret std::unexpected(std::move(tmp).error()); \
  decl = *std::move(tmp)
#define MUSTER_TRY_VOID_IMPL(tmp, ret, ...) \
  if (auto tmp = (__VA_ARGS__); !tmp) ret std::unexpected(std::move(tmp).error())

// TRY(auto x, f()); declares x with f's value, or returns f's error. TRY_VOID(f()); for Status.
#define TRY(decl, ...) MUSTER_TRY_IMPL(MUSTER_CAT(try_, __LINE__), return, decl, __VA_ARGS__)
#define TRY_VOID(...) MUSTER_TRY_VOID_IMPL(MUSTER_CAT(try_, __LINE__), return, __VA_ARGS__)
// The same inside a coroutine: CO_TRY(auto x, co_await f());
#define CO_TRY(decl, ...) MUSTER_TRY_IMPL(MUSTER_CAT(try_, __LINE__), co_return, decl, __VA_ARGS__)
#define CO_TRY_VOID(...) MUSTER_TRY_VOID_IMPL(MUSTER_CAT(try_, __LINE__), co_return, __VA_ARGS__)

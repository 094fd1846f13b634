// SPDX-License-Identifier: Apache-2.0
// Digests, MACs, random bytes and constant-time comparison, over OpenSSL. Digests are raw bytes unless the name says
// hex.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace muster {

std::string sha256(std::string_view bytes);
std::string sha256_hex(std::string_view bytes);
std::string hmac_sha256(std::string_view key, std::string_view bytes);
std::string sha1(std::string_view bytes);                             // WebSocket handshake only
std::string hmac_sha1(std::string_view key, std::string_view bytes);  // SigV2 pre-signed URLs only
std::string md5(std::string_view bytes);                              // S3 ETag and Content-MD5 only
std::uint32_t crc32(std::string_view bytes, std::uint32_t seed = 0);
std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed = 0);
std::uint64_t crc64_nvme(std::string_view bytes, std::uint64_t seed = 0);
bool equal_constant_time(std::string_view a, std::string_view b);

// From the operating system's generator; aborts the process when it fails.
std::string random_bytes(std::size_t count);
std::string random_hex(std::size_t bytes);
std::string random_uuid();                                               // version 4, lower case
std::string random_text(std::size_t length, std::string_view alphabet);  // unbiased

// Incremental digest for streams.
class Digest {
 public:
  enum class Kind : std::uint8_t { kMd5, kSha1, kSha256 };
  explicit Digest(Kind kind);
  ~Digest();
  Digest(Digest&&) noexcept;
  Digest& operator=(Digest&&) noexcept;
  void update(std::string_view bytes);
  std::string finish();  // once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace muster

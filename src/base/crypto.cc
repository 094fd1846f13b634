// SPDX-License-Identifier: Apache-2.0
#include "base/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/random.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "base/text.h"

namespace muster {
namespace {

// Fetched once: EVP_sha256() would look the implementation up again at every use. A missing SHA-256 is a broken
// installation, not input.
const EVP_MD* algorithm(Digest::Kind kind) {
  static const std::array<EVP_MD*, 3> fetched = {EVP_MD_fetch(nullptr, "MD5", nullptr),
                                                 EVP_MD_fetch(nullptr, "SHA1", nullptr),
                                                 EVP_MD_fetch(nullptr, "SHA256", nullptr)};
  const EVP_MD* found = fetched[static_cast<std::size_t>(kind)];
  CHECK(found != nullptr);
  return found;
}

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

// One context a thread: creating one costs as much as a short digest.
EVP_MD_CTX* thread_context() {
  thread_local Context context(EVP_MD_CTX_new());
  CHECK(context != nullptr);
  return context.get();
}

std::string finish_context(EVP_MD_CTX* context) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  CHECK(EVP_DigestFinal_ex(context, out, &length) == 1);
  return std::string(reinterpret_cast<const char*>(out), length);
}

std::string digest(Digest::Kind kind, std::string_view first, std::string_view second = {}) {
  EVP_MD_CTX* context = thread_context();
  CHECK(EVP_DigestInit_ex2(context, algorithm(kind), nullptr) == 1);
  CHECK(EVP_DigestUpdate(context, first.data(), first.size()) == 1);
  if (!second.empty()) CHECK(EVP_DigestUpdate(context, second.data(), second.size()) == 1);
  return finish_context(context);
}

// RFC 2104 over a 64-byte block; OpenSSL's one-shot HMAC() fetches its algorithm at every call.
std::string hmac(Digest::Kind kind, std::string_view key, std::string_view bytes) {
  constexpr std::size_t kBlock = 64;
  std::string hashed;
  if (key.size() > kBlock) {
    hashed = digest(kind, key);
    key = hashed;
  }
  std::array<char, kBlock> inner, outer;
  inner.fill(0x36);
  outer.fill(0x5C);
  for (std::size_t i = 0; i < key.size(); ++i) {
    inner[i] = static_cast<char>(inner[i] ^ key[i]);
    outer[i] = static_cast<char>(outer[i] ^ key[i]);
  }
  std::string inside = digest(kind, {inner.data(), kBlock}, bytes);
  std::string mac = digest(kind, {outer.data(), kBlock}, inside);
  OPENSSL_cleanse(inner.data(), kBlock);
  OPENSSL_cleanse(outer.data(), kBlock);
  return mac;
}

// Slicing by eight: table[k][b] is the CRC of byte b followed by k zero bytes.
using CrcTables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr CrcTables crc_tables(std::uint32_t polynomial) {
  CrcTables tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0);
    tables[0][b] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t b = 0; b < 256; ++b) {
      tables[k][b] = (tables[k - 1][b] >> 8) ^ tables[0][tables[k - 1][b] & 0xFF];
    }
  }
  return tables;
}

std::uint32_t crc(const CrcTables& t, std::string_view bytes, std::uint32_t seed) {
  static_assert(std::endian::native == std::endian::little);
  std::uint32_t c = ~seed;
  const char* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    std::uint32_t low, high;
    std::memcpy(&low, p, 4);
    std::memcpy(&high, p + 4, 4);
    low ^= c;
    c = t[7][low & 0xFF] ^ t[6][(low >> 8) & 0xFF] ^ t[5][(low >> 16) & 0xFF] ^ t[4][low >> 24] ^ t[3][high & 0xFF] ^
        t[2][(high >> 8) & 0xFF] ^ t[1][(high >> 16) & 0xFF] ^ t[0][high >> 24];
  }
  for (; left > 0; --left, ++p) c = (c >> 8) ^ t[0][(c ^ static_cast<unsigned char>(*p)) & 0xFF];
  return ~c;
}

}  // namespace

std::string sha256(std::string_view bytes) {
  return digest(Digest::Kind::kSha256, bytes);
}
std::string sha256_hex(std::string_view bytes) {
  return to_hex(sha256(bytes));
}
std::string md5(std::string_view bytes) {
  return digest(Digest::Kind::kMd5, bytes);
}
std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  return hmac(Digest::Kind::kSha256, key, bytes);
}
std::string sha1(std::string_view bytes) {
  return digest(Digest::Kind::kSha1, bytes);
}
std::string hmac_sha1(std::string_view key, std::string_view bytes) {
  return hmac(Digest::Kind::kSha1, key, bytes);
}

std::uint32_t crc32(std::string_view bytes, std::uint32_t seed) {
  static constexpr CrcTables kTables = crc_tables(0xEDB88320u);
  return crc(kTables, bytes, seed);
}

std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed) {
  static constexpr CrcTables kTables = crc_tables(0x82F63B78u);
  return crc(kTables, bytes, seed);
}

std::uint64_t crc64_nvme(std::string_view bytes, std::uint64_t seed) {
  static constexpr auto kTable = [] {
    std::array<std::uint64_t, 256> table{};
    for (std::uint64_t b = 0; b < 256; ++b) {
      std::uint64_t value = b;
      for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x9A6C9329AC4BC9B5u : 0);
      table[b] = value;
    }
    return table;
  }();
  std::uint64_t value = ~seed;
  for (char c : bytes) value = (value >> 8) ^ kTable[(value ^ static_cast<unsigned char>(c)) & 0xFF];
  return ~value;
}

bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string random_bytes(std::size_t count) {
  std::string out(count, '\0');
  std::size_t done = 0;
  while (done < count) {
    ssize_t got = getrandom(out.data() + done, count - done, 0);
    if (got < 0 && errno == EINTR) continue;
    CHECK(got > 0);
    done += static_cast<std::size_t>(got);
  }
  return out;
}

std::string random_hex(std::size_t bytes) {
  return to_hex(random_bytes(bytes));
}

std::string random_uuid() {
  std::string bytes = random_bytes(16);
  bytes[6] = static_cast<char>((bytes[6] & 0x0F) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3F) | 0x80);
  std::string hex = to_hex(bytes);
  for (std::size_t at : {8, 13, 18, 23}) hex.insert(at, 1, '-');
  return hex;
}

std::string random_text(std::size_t length, std::string_view alphabet) {
  CHECK(!alphabet.empty() && alphabet.size() <= 256);
  // Bytes at or above the largest multiple of the alphabet's size are thrown away: they would favour its beginning.
  std::size_t usable = 256 / alphabet.size() * alphabet.size();
  std::string out;
  out.reserve(length);
  while (out.size() < length) {
    for (char c : random_bytes(length - out.size() + 8)) {
      auto byte = static_cast<unsigned char>(c);
      if (byte < usable && out.size() < length) out += alphabet[byte % alphabet.size()];
    }
  }
  return out;
}

struct Digest::State {
  Context context{EVP_MD_CTX_new()};
};

Digest::Digest(Kind kind) : state_(std::make_unique<State>()) {
  CHECK(state_->context != nullptr);
  CHECK(EVP_DigestInit_ex2(state_->context.get(), algorithm(kind), nullptr) == 1);
}
Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;

void Digest::update(std::string_view bytes) {
  CHECK(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

std::string Digest::finish() {
  return finish_context(state_->context.get());
}

}  // namespace muster

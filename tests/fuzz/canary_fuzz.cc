// SPDX-License-Identifier: Apache-2.0
// links:
// Must fail: reads one byte behind its input once the fuzzer has found a four-letter word. run.sh fails when this
// program does not, which would mean that coverage feedback or the address sanitizer is not at work in the others
// either.
#include <cstdint>
#include <memory>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 4 || bytes[0] != 'b' || bytes[1] != 'i' || bytes[2] != 'r' || bytes[3] != 'd') return 0;
  const auto copy = std::make_unique<std::uint8_t[]>(size);
  volatile const std::uint8_t* end = copy.get() + size;
  return *end == 1 ? 1 : 0;
}

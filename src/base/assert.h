// SPDX-License-Identifier: Apache-2.0
// CHECK: a broken invariant of ours aborts, in every build. Input from outside never reaches a CHECK; fuzzers look for
// that.
#pragma once

namespace muster {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}

#define CHECK(condition)                                      \
  do {                                                        \
    if (!(condition)) [[unlikely]]                            \
      ::muster::check_failed(#condition, __FILE__, __LINE__); \
  } while (false)

// SPDX-License-Identifier: Apache-2.0
// What Muster serves, as text: the one list of src/api/support, read back from the generated tables. For `muster
// support` and docs/reference/support.md. Pure functions.
#pragma once

#include <string>

namespace muster::api {

std::string support_text();      // a table a service, for a terminal
std::string support_json();      // machine-readable, one object; ends with a newline
std::string support_markdown();  // docs/reference/support.md

}  // namespace muster::api

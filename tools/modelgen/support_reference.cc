// SPDX-License-Identifier: Apache-2.0
// support_reference --check FILE | --update FILE: docs/reference/support.md against the tables this build was made
// with.
#include <fstream>
#include <iostream>
#include <sstream>
#include <string_view>

#include "api/wire/support.h"

int main(int count, char** arguments) {
  if (count != 3) {
    std::cerr << "usage: support_reference --check|--update FILE\n";
    return 2;
  }
  const std::string wanted = muster::api::support_markdown();
  if (std::string_view(arguments[1]) == "--update") {
    std::ofstream file(arguments[2], std::ios::binary);
    file << wanted;
    return file.flush() ? 0 : 1;
  }
  std::ifstream file(arguments[2], std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (file && text.str() == wanted) return 0;
  std::cerr << arguments[2] << " is not what src/api/support/*.toml says: run `ninja update_support_reference` in the "
            << "build folder and commit the file\n";
  return 1;
}

// SPDX-License-Identifier: Apache-2.0
// A PostgreSQL server of the test's own: fresh data directory, unix socket only, stopped and removed at the end.
#pragma once

#include <string>

#include "base/result.h"

namespace muster::store {

class PrivatePostgres {
 public:
  // Starts one from Debian's postgresql-15 binaries, as user postgres when run by root.
  static Result<std::unique_ptr<PrivatePostgres>> start();
  ~PrivatePostgres();
  std::string connection() const { return "host=" + directory_ + " dbname=postgres user=postgres connect_timeout=5"; }
  Status restart_at_once();              // as a crash: no shutdown checkpoint, every connection drops
  Status query(const std::string& sql);  // through psql

 private:
  PrivatePostgres() = default;
  Status control(const std::string& command);

  std::string directory_;
};

}  // namespace muster::store

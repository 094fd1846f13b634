// SPDX-License-Identifier: Apache-2.0
#include "store/test_postgres/private_postgres.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace muster::store {

namespace {

constexpr const char* kBinaries = "/usr/lib/postgresql/15/bin/";

// The server refuses to run as root.
std::string as_postgres(const std::string& command) {
  if (::getuid() != 0) return command;
  return "setpriv --reuid=postgres --regid=postgres --clear-groups " + command;
}

Status shell(const std::string& command) {
  const int status = std::system(command.c_str());
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return internal("failed: " + command);
}

}  // namespace

Result<std::unique_ptr<PrivatePostgres>> PrivatePostgres::start() {
  if (!std::filesystem::exists(std::string(kBinaries) + "initdb")) {
    return not_found(
        "PostgreSQL 15 is not installed (Debian package postgresql-15); the distributed engine cannot be "
        "tested. Set MUSTER_SKIP_POSTGRES=1 to go without.");
  }
  char name[] = "/tmp/muster-pg-XXXXXX";
  if (::mkdtemp(name) == nullptr) return internal("no temporary directory");
  std::unique_ptr<PrivatePostgres> server(new PrivatePostgres);
  server->directory_ = name;
  if (::getuid() == 0) TRY_VOID(shell("chown postgres:postgres " + server->directory_));
  TRY_VOID(shell("cd / && " + as_postgres(std::string(kBinaries) + "initdb -U postgres -A trust --no-sync -D " +
                                          server->directory_ + "/db > " + server->directory_ + "/initdb.log")));
  TRY_VOID(server->control("-w start"));
  return server;
}

Status PrivatePostgres::control(const std::string& command) {
  return shell("cd / && " + as_postgres(std::string(kBinaries) + "pg_ctl -D " + directory_ + "/db -s -l " + directory_ +
                                        "/log -o \"-k " + directory_ +
                                        " -c listen_addresses= -c fsync=off -c shared_buffers=16MB\" " + command));
}

Status PrivatePostgres::restart_at_once() {
  TRY_VOID(control("-w -m immediate stop"));
  return control("-w start");
}

Status PrivatePostgres::query(const std::string& sql) {
  return shell("PGOPTIONS='-c client_min_messages=warning' psql -q -h " + directory_ + " -U postgres postgres -c \"" +
               sql + "\" > /dev/null");
}

PrivatePostgres::~PrivatePostgres() {
  (void)control("-w -m immediate stop");
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
}

}  // namespace muster::store

// A private PostgreSQL cluster for the tests: made with initdb in a temporary folder, reached
// through a Unix socket in that folder only, gone when the process ends, however it ends.
//
// The settings are those of a server one would trust: fsync, synchronous_commit and
// full_page_writes are on. The databases sort by an ICU locale (en-US) on purpose, so that a query
// which forgets COLLATE "C" gives another answer than SQLite and is found.
//
// Environment: RELAIS_PG_BIN names the folder of initdb and pg_ctl; without it the newest of
// /usr/lib/postgresql/*/bin is taken. RELAIS_PG_SHARED_BUFFERS sets shared_buffers (default 64MB).
// Started by root, the cluster runs as user "postgres".
//
// Every failure is a std::runtime_error that carries the end of the server's log. Thread-safe.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace relais::testing {

class PgCluster {
 public:
  // The cluster of this process: made and started at the first call, stopped at exit. A process
  // that is killed leaves nothing behind: a small guard process waits for its end and cleans up.
  static PgCluster& Shared();

  PgCluster(const PgCluster&) = delete;
  PgCluster& operator=(const PgCluster&) = delete;
  ~PgCluster();

  // A libpq connection string for the superuser "postgres", or for another role that the caller has
  // created (the socket asks for no password).
  std::string DSN(std::string_view dbname, std::string_view user = "postgres") const;

  // Makes an empty UTF-8 database of its own name and returns the name.
  std::string CreateDatabase();
  void DropDatabase(std::string_view dbname);

  // Runs SQL as the superuser through psql, stopping at the first error; returns what it printed,
  // unaligned and without headings ("a|b" a row).
  std::string Execute(std::string_view dbname, std::string_view sql);

  // An orderly stop that cuts the sessions ("fast"), and a crash: every process gone at once, so
  // the next Start() recovers from the write-ahead log.
  void Stop();
  void Crash();
  void Start();

  const std::string& socket_dir() const { return dir_; }
  int port() const { return kPort; }

 private:
  // The port is only part of the socket's file name: every cluster has a folder of its own.
  static constexpr int kPort = 5432;

  PgCluster();
  std::string Run(const std::vector<std::string>& command, bool as_postgres) const;

  mutable std::mutex control_;  // one start or stop at a time
  std::atomic<int> databases_{0};
  std::string bin_;
  std::string dir_;
  int guard_pipe_ = -1;  // the guard sees the end of the process as the end of this pipe
  int guard_pid_ = -1;
};

}  // namespace relais::testing

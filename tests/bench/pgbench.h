// pgbench as the other side of a comparison, always with prepared statements.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace relais::bench {

struct PgbenchRun {
  int clients = 1, threads = 1;
  int seconds = 3;
  int transactions = 0;  // of each client, instead of seconds
  // Variables of the script, as -D takes them ("n=5").
  std::vector<std::string> variables;
  bool latencies = false;
};

struct PgbenchResult {
  double rate = 0;  // transactions a second, without the time to connect
  int64_t transactions = 0;
  std::vector<double> micros;  // of each transaction, when asked for
  double client_cpu = 0;       // microseconds of pgbench's processor time a transaction
  double database_cpu = 0;     // likewise; 0 until somebody who knows the server sets it
};

// Throws std::runtime_error when a transaction fails.
PgbenchResult RunPgbench(const std::string& dsn, const std::string& script, const PgbenchRun& run);

}  // namespace relais::bench

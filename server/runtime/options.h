// What a server is told at start, as plain data. The command line and the environment are read in
// server/flags.cc only; tests fill the struct by hand.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace relais::runtime {

struct Options {
  // Addresses to serve: "host:port" (port 0: any free one), "[::1]:port" or "unix:/path".
  std::vector<std::string> listen = {"127.0.0.1:50061"};
  // "sqlite:PATH", or a libpq connection string ("postgresql://..." or "host=... dbname=...").
  std::string database = "sqlite:relais.db";
  // File of the key that wraps the keys of persons; made at the first run. Empty: DefaultKeyFile.
  std::string key_file;
  // PEM files. Certificate and key come together; the client CA makes client certificates
  // mandatory.
  std::string tls_cert, tls_key, tls_client_ca;
  // Server reflection. Absent: on when every address is local.
  std::optional<bool> reflection;

  int write_batch = 128;   // units in one transaction, 1 to 1024
  int writers = 0;         // writer threads; 0: one for every two cores, at least two
                           // (SQLite: always one)
  int readers = 2;         // reader threads, 1 to 64
  int max_queued = 4096;   // waiting writes, and waiting reads, before calls are shed
  int max_watchers = 256;  // streams of Watch and WatchOperation at the same time

  std::string log_level = "info";  // trace, debug, info, warn, error, off
  std::string metrics_listen;      // "host:port" of the Prometheus endpoint; empty: none
  // A fault on order (failpoint.h), to see how callers fare with it; taken only when both are
  // given.
  std::string failpoint;
  bool allow_failpoints = false;
  // How long calls under way may go on after a stop was asked for.
  std::chrono::milliseconds shutdown_grace{10'000};
};

struct Address {
  enum class Kind : uint8_t { kTcp, kUnix };
  Kind kind = Kind::kTcp;
  std::string host;    // kTcp, without brackets
  int port = 0;        // kTcp
  std::string path;    // kUnix
  bool local = false;  // loopback or a Unix socket: plaintext never leaves the machine
  std::string text;    // as given
};

// INVALID_ARGUMENT when the text is no address. Host names other than "localhost" are not local,
// whatever they resolve to.
absl::StatusOr<Address> ParseAddress(std::string_view text);

// The addresses of the options, when everything in them may be started with: INVALID_ARGUMENT names
// the flag that is wrong. Refuses plaintext on an address that is not local.
absl::StatusOr<std::vector<Address>> CheckOptions(const Options& options);

// Beside the SQLite file ("relais.db.key"), or "relais.key" in the working directory.
std::string DefaultKeyFile(std::string_view database);

}  // namespace relais::runtime

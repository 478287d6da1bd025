#include "server/flags.h"

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/flags/usage.h"
#include "absl/flags/usage_config.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/domain/concat.h"

namespace {

const relais::runtime::Options& Defaults() {
  static const relais::runtime::Options kDefaults;
  return kDefaults;
}

}  // namespace

ABSL_FLAG(std::vector<std::string>, listen, Defaults().listen,
          "addresses to serve: host:port, [address]:port or unix:/path, separated by commas");
ABSL_FLAG(std::string, database, Defaults().database,
          "sqlite:PATH, or PostgreSQL: postgresql://... or \"host=... dbname=...\"");
ABSL_FLAG(std::string, key_file, Defaults().key_file,
          "file of the key for personal data, made at the first run; default: the SQLite file's "
          "name with .key, or relais.key");
ABSL_FLAG(std::string, tls_cert, Defaults().tls_cert, "PEM certificate chain of the server");
ABSL_FLAG(std::string, tls_key, Defaults().tls_key, "PEM key of the certificate");
ABSL_FLAG(std::string, tls_client_ca, Defaults().tls_client_ca,
          "PEM certificates of those who sign client certificates; makes them mandatory");
ABSL_FLAG(absl::optional<bool>, reflection, absl::nullopt,
          "server reflection; default: on when every address is local");
ABSL_FLAG(int, write_batch, Defaults().write_batch, "writes in one transaction at the most");
ABSL_FLAG(int, writers, Defaults().writers,
          "writer threads on PostgreSQL; 0: one for every two cores");
ABSL_FLAG(int, readers, Defaults().readers, "reader threads");
ABSL_FLAG(int, max_queued, Defaults().max_queued,
          "writes, and reads, that may wait before calls are refused");
ABSL_FLAG(int, max_watchers, Defaults().max_watchers,
          "streams of Watch and WatchOperation at the same time");
ABSL_FLAG(std::string, log_level, Defaults().log_level,
          "trace, debug, info (a line a call), warn, error or off");
ABSL_FLAG(std::string, metrics_listen, Defaults().metrics_listen,
          "host:port of the Prometheus endpoint; default: none");
ABSL_FLAG(std::string, failpoint, Defaults().failpoint,
          "for tests: write_delay_us=N makes every write that much slower, write_delay_us=@PATH "
          "reads N from a file");
ABSL_FLAG(bool, allow_failpoints, Defaults().allow_failpoints, "lets --failpoint take effect");
ABSL_FLAG(absl::Duration, shutdown_grace, absl::Milliseconds(Defaults().shutdown_grace.count()),
          "how long calls under way may go on after SIGTERM");

namespace relais {
namespace {

constexpr const char* kFlags[] = {
    "listen",           "database",      "key_file",    "tls_cert",       "tls_key",
    "tls_client_ca",    "reflection",    "write_batch", "writers",        "readers",
    "max_queued",       "max_watchers",  "log_level",   "metrics_listen", "failpoint",
    "allow_failpoints", "shutdown_grace"};

}  // namespace

absl::StatusOr<runtime::Options> OptionsFromCommandLine(int argc, char** argv) {
  absl::FlagsUsageConfig usage;
  usage.contains_help_flags = [](absl::string_view file) {
    return absl::EndsWith(file, "server/flags.cc");
  };
  usage.version_string = [] { return std::string("relaisd ") + RELAIS_VERSION + "\n"; };
  absl::SetFlagsUsageConfig(usage);
  absl::SetProgramUsageMessage(
      "Relais, an open backend for the life of a sales lead.\n"
      "Every flag may also be given as an environment variable: RELAIS_LISTEN for --listen.");
  for (const char* name : kFlags) {
    std::string variable = Concat("RELAIS_", absl::AsciiStrToUpper(name));
    const char* value = std::getenv(variable.c_str());
    if (value == nullptr) continue;
    std::string error;
    if (!absl::FindCommandLineFlag(name)->ParseFrom(value, &error)) {
      return absl::InvalidArgumentError(Concat(variable, ": ", error));
    }
  }
  std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  if (rest.size() > 1) return absl::InvalidArgumentError(Concat(rest[1], " is not a flag"));

  runtime::Options options;
  options.listen = absl::GetFlag(FLAGS_listen);
  options.database = absl::GetFlag(FLAGS_database);
  options.key_file = absl::GetFlag(FLAGS_key_file);
  options.tls_cert = absl::GetFlag(FLAGS_tls_cert);
  options.tls_key = absl::GetFlag(FLAGS_tls_key);
  options.tls_client_ca = absl::GetFlag(FLAGS_tls_client_ca);
  if (absl::optional<bool> on = absl::GetFlag(FLAGS_reflection); on.has_value()) {
    options.reflection = *on;
  }
  options.write_batch = absl::GetFlag(FLAGS_write_batch);
  options.writers = absl::GetFlag(FLAGS_writers);
  options.readers = absl::GetFlag(FLAGS_readers);
  options.max_queued = absl::GetFlag(FLAGS_max_queued);
  options.max_watchers = absl::GetFlag(FLAGS_max_watchers);
  options.log_level = absl::GetFlag(FLAGS_log_level);
  options.metrics_listen = absl::GetFlag(FLAGS_metrics_listen);
  options.failpoint = absl::GetFlag(FLAGS_failpoint);
  options.allow_failpoints = absl::GetFlag(FLAGS_allow_failpoints);
  options.shutdown_grace = absl::ToChronoMilliseconds(absl::GetFlag(FLAGS_shutdown_grace));
  return options;
}

}  // namespace relais

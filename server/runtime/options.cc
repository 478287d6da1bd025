#include "server/runtime/options.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <utility>

#include "absl/strings/numbers.h"
#include "server/domain/concat.h"
#include "server/domain/status_macros.h"
#include "server/runtime/failpoint.h"

namespace relais::runtime {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kSqlite = "sqlite:";
// Unix sockets have 108 bytes for the path, the closing NUL included (unix(7)).
constexpr size_t kMaxUnixPath = 107;

absl::Status Refuse(std::string_view flag, std::string_view rule) {
  return absl::InvalidArgumentError(Concat("--", flag, ": ", rule));
}

bool IsLoopback(const std::string& host) {
  if (host == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

absl::Status CheckRange(std::string_view flag, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return Refuse(flag, Concat("must be from ", least, " to ", most, ", not ", value));
}

}  // namespace

absl::StatusOr<Address> ParseAddress(std::string_view text) {
  Address address;
  address.text = std::string(text);
  if (text.starts_with(kUnix)) {
    address.kind = Address::Kind::kUnix;
    address.path = std::string(text.substr(kUnix.size()));
    address.local = true;
    if (address.path.empty() || address.path.size() > kMaxUnixPath) {
      return absl::InvalidArgumentError(
          Concat("'", text, "': the path of a Unix socket has 1 to ", kMaxUnixPath, " bytes"));
    }
    return address;
  }
  size_t colon = text.rfind(':');
  absl::Status malformed = absl::InvalidArgumentError(
      Concat("'", text, "' is neither host:port, [address]:port nor unix:/path"));
  if (colon == std::string_view::npos || colon == 0) return malformed;
  std::string_view host = text.substr(0, colon);
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return malformed;
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return malformed;
  }
  if (!absl::SimpleAtoi(ToAbsl(text.substr(colon + 1)), &address.port) || address.port < 0 ||
      address.port > 65535) {
    return malformed;
  }
  address.host = std::string(host);
  address.local = IsLoopback(address.host);
  return address;
}

absl::StatusOr<std::vector<Address>> CheckOptions(const Options& options) {
  std::vector<Address> addresses;
  if (options.listen.empty()) return Refuse("listen", "names no address");
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return Refuse(options.tls_cert.empty() ? "tls_cert" : "tls_key",
                  "certificate and key are given together");
  }
  if (!options.tls_client_ca.empty() && options.tls_cert.empty()) {
    return Refuse("tls_client_ca", "needs --tls_cert and --tls_key");
  }
  for (const std::string& text : options.listen) {
    absl::StatusOr<Address> address = ParseAddress(text);
    if (!address.ok()) return Refuse("listen", FromAbsl(address.status().message()));
    if (!address->local && options.tls_cert.empty()) {
      return Refuse(
          "listen",
          Concat("'", text,
                 "' can be reached from other machines; give --tls_cert and --tls_key, or "
                 "listen on a loopback address or a Unix socket"));
    }
    addresses.push_back(*std::move(address));
  }
  const std::string& database = options.database;
  bool sqlite = database.starts_with(kSqlite) && database.size() > kSqlite.size();
  bool postgres = !database.starts_with(kSqlite) && (database.find("://") != std::string::npos ||
                                                     database.find('=') != std::string::npos);
  if (!sqlite && !postgres) {
    return Refuse("database", "must be sqlite:PATH, postgresql://... or \"host=... dbname=...\"");
  }
  if (!options.metrics_listen.empty()) {
    absl::StatusOr<Address> address = ParseAddress(options.metrics_listen);
    if (!address.ok() || address->kind != Address::Kind::kTcp) {
      return Refuse("metrics_listen", Concat("'", options.metrics_listen, "' is not host:port"));
    }
  }
  if (!options.failpoint.empty()) {
    if (!options.allow_failpoints) return Refuse("failpoint", "needs --allow_failpoints");
    absl::Status status = WriteDelay(options.failpoint).status();
    if (!status.ok()) return Refuse("failpoint", FromAbsl(status.message()));
  }
  RETURN_IF_ERROR(CheckRange("write_batch", options.write_batch, 1, 1024));
  RETURN_IF_ERROR(CheckRange("writers", options.writers, 0, 64));
  RETURN_IF_ERROR(CheckRange("readers", options.readers, 1, 64));
  RETURN_IF_ERROR(CheckRange("max_queued", options.max_queued, 1, 1'000'000));
  RETURN_IF_ERROR(CheckRange("max_watchers", options.max_watchers, 1, 100'000));
  RETURN_IF_ERROR(CheckRange("shutdown_grace", options.shutdown_grace.count(), 0, 3'600'000));
  return addresses;
}

std::string DefaultKeyFile(std::string_view database) {
  if (!database.starts_with(kSqlite)) return "relais.key";
  return Concat(database.substr(kSqlite.size()), ".key");
}

}  // namespace relais::runtime

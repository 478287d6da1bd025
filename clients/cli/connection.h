// The way to a server: address, credentials, deadlines, and how its refusals are told to people.
//
// Connection is thread-safe; contexts belong to one call.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/rpc/status.pb.h"

namespace relais::cli {

// What the process answers; printed by `relais --help` and in README.md.
enum ExitCode : int {
  kExitOk = 0,
  kExitRefused = 1,      // the server refused the call
  kExitUsage = 2,        // flags, mapping or file are wrong; nothing was sent
  kExitRejects = 3,      // an import ended and left out rows
  kExitUnreachable = 4,  // no server, or none within the time
  kExitInterrupted = 130
};

struct ConnectionOptions {
  std::string server = "127.0.0.1:50061";  // host:port or unix:/path
  std::string token;                       // sent as a bearer token
  std::string ca_file;                     // PEM; turns TLS on
  bool plaintext = false;                  // no TLS to an address that is not this machine
  int64_t timeout_seconds = 30;            // of one unary call
};

// True for loopback addresses and Unix sockets, where plaintext is the default.
bool IsLocalServer(const std::string& server);

class Connection {
 public:
  // INVALID_ARGUMENT: the CA file cannot be read, or a token would travel in the clear without
  // having been asked to. Does not connect.
  static absl::StatusOr<Connection> Open(const ConnectionOptions& options);

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  // A context of a unary call, or of a stream without deadline.
  std::unique_ptr<grpc::ClientContext> Unary() const;
  std::unique_ptr<grpc::ClientContext> Stream() const;

 private:
  Connection() = default;
  std::shared_ptr<grpc::Channel> channel_;
  std::string token_;
  int64_t timeout_seconds_ = 30;
};

// One way the server says what is wrong, flattened for a list.
struct Complaint {
  std::string field;  // field path, criterion or resource; empty: none
  std::string text;
};
std::vector<Complaint> ComplaintsOf(const google::rpc::Status& status);
// "UNMET_CRITERIA"; empty when the server gave none.
std::string ReasonOf(const google::rpc::Status& status);
google::rpc::Status DetailsOf(const grpc::Status& status);
std::string CodeName(int code);

// Prints code, reason and every violation to the error output and returns the exit code.
int Report(const grpc::Status& status, const std::string& what);
int Report(const absl::Status& status);  // of the client's own findings: kExitUsage

}  // namespace relais::cli

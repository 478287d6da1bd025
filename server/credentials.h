// What a listening address demands of those who connect.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "absl/status/statusor.h"
#include "server/runtime/options.h"

namespace relais {

// TLS on every TCP address when a certificate is configured, with a client certificate when a
// client CA is; else plaintext, on addresses of this machine only. Unix sockets are plaintext
// always: the file's permissions guard them. The PEM files are watched: swap the symlink to their
// folder to renew a certificate without a restart. Errors: INVALID_ARGUMENT, naming the flag, for
// files that cannot be read or do not belong together.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> CredentialsFor(
    const runtime::Options& options, const runtime::Address& address);

}  // namespace relais

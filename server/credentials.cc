#include "server/credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string>
#include <string_view>

#include "server/domain/concat.h"
#include "server/domain/status_macros.h"

namespace relais {
namespace {

// How often the certificate's files are looked at, in seconds.
constexpr unsigned kRefreshSeconds = 10;

struct Free {
  void operator()(BIO* p) const { BIO_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

absl::Status Refuse(std::string_view flag, std::string_view rule) {
  ERR_clear_error();
  return absl::InvalidArgumentError(Concat("--", flag, ": ", rule));
}

absl::StatusOr<Owned<X509>> ReadCertificate(std::string_view flag, const std::string& path) {
  Owned<BIO> file(BIO_new_file(path.c_str(), "r"));
  if (file == nullptr) return Refuse(flag, Concat("cannot read ", path));
  Owned<X509> certificate(PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return Refuse(flag, Concat(path, " holds no PEM certificate"));
  return certificate;
}

// gRPC would start with files that it cannot use and fail every handshake instead.
absl::Status CheckFiles(const runtime::Options& options) {
  ASSIGN_OR_RETURN(Owned<X509> certificate, ReadCertificate("tls_cert", options.tls_cert));
  Owned<BIO> file(BIO_new_file(options.tls_key.c_str(), "r"));
  if (file == nullptr) return Refuse("tls_key", Concat("cannot read ", options.tls_key));
  // A key with a password cannot be used without somebody at the keyboard: no callback asks.
  auto no_password = [](char*, int, int, void*) { return 0; };
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(file.get(), nullptr, no_password, nullptr));
  if (key == nullptr) {
    return Refuse("tls_key", Concat(options.tls_key, " holds no PEM key without a password"));
  }
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return Refuse("tls_key", Concat(options.tls_key, " is not the key of ", options.tls_cert));
  }
  if (options.tls_client_ca.empty()) return absl::OkStatus();
  return ReadCertificate("tls_client_ca", options.tls_client_ca).status();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> CredentialsFor(
    const runtime::Options& options, const runtime::Address& address) {
  using grpc::experimental::FileWatcherCertificateProvider;
  if (address.kind == runtime::Address::Kind::kUnix) {
    return grpc::experimental::LocalServerCredentials(UDS);
  }
  if (options.tls_cert.empty()) {
    if (!address.local) return absl::InternalError("plaintext on an address that is not local");
    return grpc::experimental::LocalServerCredentials(LOCAL_TCP);
  }
  RETURN_IF_ERROR(CheckFiles(options));
  auto files = std::make_shared<FileWatcherCertificateProvider>(
      options.tls_key, options.tls_cert, options.tls_client_ca, kRefreshSeconds);
  grpc::experimental::TlsServerCredentialsOptions tls(files);
  tls.watch_identity_key_cert_pairs();
  if (options.tls_client_ca.empty()) {
    tls.set_cert_request_type(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  } else {
    tls.watch_root_certs();
    tls.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(tls);
}

}  // namespace relais

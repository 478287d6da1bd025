#include "storage/engine/vault.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <cstdlib>
#include <memory>

#include "absl/strings/escaping.h"

namespace relais::storage {
namespace {

constexpr int kNonceBytes = 12;
constexpr int kTagBytes = 16;

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

// OpenSSL fails at these calls only when the process is out of memory or its library is broken: no
// write may go on without encryption, so the process ends.
void Require(bool ok) {
  if (!ok) std::abort();
}

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;
CipherContext NewContext() {
  CipherContext context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  Require(context != nullptr);
  return context;
}

absl::Status Altered() { return absl::DataLossError("a sealed value does not open"); }

}  // namespace

std::string Vault::Derive(std::string_view label) const {
  std::string out(kKeyBytes, '\0');
  unsigned int size = 0;
  Require(HMAC(EVP_sha256(), master_.data(), static_cast<int>(master_.size()), Bytes(label),
               label.size(), Bytes(out), &size) != nullptr);
  return out;
}

std::string Vault::NewKey() const {
  std::string key(kKeyBytes, '\0');
  Require(RAND_bytes(Bytes(key), static_cast<int>(key.size())) == 1);
  return key;
}

std::string Vault::Seal(std::string_view key, std::string_view plain, std::string_view context) {
  std::string out(kNonceBytes + plain.size() + kTagBytes, '\0');
  Require(key.size() == kKeyBytes && RAND_bytes(Bytes(out), kNonceBytes) == 1);
  CipherContext cipher = NewContext();
  int size = 0;
  Require(EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, Bytes(key), Bytes(out)) ==
          1);
  Require(EVP_EncryptUpdate(cipher.get(), nullptr, &size, Bytes(context),
                            static_cast<int>(context.size())) == 1);
  Require(EVP_EncryptUpdate(cipher.get(), Bytes(out) + kNonceBytes, &size, Bytes(plain),
                            static_cast<int>(plain.size())) == 1);
  int last = 0;
  Require(EVP_EncryptFinal_ex(cipher.get(), Bytes(out) + kNonceBytes + size, &last) == 1);
  Require(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes,
                              Bytes(out) + kNonceBytes + plain.size()) == 1);
  return absl::Base64Escape(out);
}

absl::StatusOr<std::string> Vault::Open(std::string_view key, std::string_view sealed,
                                        std::string_view context) {
  std::string in;
  if (key.size() != kKeyBytes ||
      !absl::Base64Unescape(absl::string_view(sealed.data(), sealed.size()), &in) ||
      in.size() < kNonceBytes + kTagBytes) {
    return Altered();
  }
  std::string plain(in.size() - kNonceBytes - kTagBytes, '\0');
  CipherContext cipher = NewContext();
  int size = 0;
  Require(EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, Bytes(key), Bytes(in)) == 1);
  Require(EVP_DecryptUpdate(cipher.get(), nullptr, &size, Bytes(context),
                            static_cast<int>(context.size())) == 1);
  Require(EVP_DecryptUpdate(cipher.get(), Bytes(plain), &size, Bytes(in) + kNonceBytes,
                            static_cast<int>(plain.size())) == 1);
  Require(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes,
                              Bytes(in) + kNonceBytes + plain.size()) == 1);
  int last = 0;
  if (EVP_DecryptFinal_ex(cipher.get(), Bytes(plain) + size, &last) != 1) return Altered();
  return plain;
}

std::string Vault::Wrap(std::string_view key, std::string_view context) const {
  return Seal(master_, key, context);
}

absl::StatusOr<std::string> Vault::Unwrap(std::string_view wrapped,
                                          std::string_view context) const {
  return Open(master_, wrapped, context);
}

std::string Sha256Hex(std::string_view data) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(Bytes(data), data.size(), digest);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), sizeof digest));
}

}  // namespace relais::storage

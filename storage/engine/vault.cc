#include "storage/engine/vault.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <pthread.h>

#include <cstdlib>
#include <cstring>

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

// Looked up once for the process: a look-up by name costs more than sealing a short text.
const EVP_CIPHER* Cipher() {
  static EVP_CIPHER* const kCipher = [] {
    EVP_CIPHER* cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
    Require(cipher != nullptr);
    return cipher;
  }();
  return kCipher;
}
const EVP_MD* Digest() {
  static EVP_MD* const kDigest = [] {
    EVP_MD* digest = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    Require(digest != nullptr);
    return digest;
  }();
  return kDigest;
}

// The thread's own contexts, made at their first use: making one costs several allocations.
EVP_CIPHER_CTX* CipherContext(bool seal, std::string_view key, const unsigned char* nonce) {
  struct Context {
    Context() : sealing(EVP_CIPHER_CTX_new()), opening(EVP_CIPHER_CTX_new()) {
      Require(sealing != nullptr && opening != nullptr);
      Require(EVP_CipherInit_ex2(sealing, Cipher(), nullptr, nullptr, 1, nullptr) == 1);
      Require(EVP_CipherInit_ex2(opening, Cipher(), nullptr, nullptr, 0, nullptr) == 1);
    }
    ~Context() {
      EVP_CIPHER_CTX_free(sealing);
      EVP_CIPHER_CTX_free(opening);
    }
    EVP_CIPHER_CTX* sealing;
    EVP_CIPHER_CTX* opening;
  };
  thread_local Context context;
  EVP_CIPHER_CTX* cipher = seal ? context.sealing : context.opening;
  Require(EVP_CipherInit_ex2(cipher, nullptr, Bytes(key), nonce, seal ? 1 : 0, nullptr) == 1);
  return cipher;
}

// Random bytes for nonces, which are no secret, drawn for many at once: the generator's price is
// one of calls. A forked process would go on with the same bytes, so it throws them away.
struct Nonces {
  static constexpr size_t kMany = 64;
  unsigned char bytes[kMany * kNonceBytes];
  size_t left = 0;
};
Nonces& OwnNonces() {
  thread_local Nonces nonces;
  return nonces;
}
void TakeNonce(unsigned char* nonce) {
  static const int kForks = pthread_atfork(nullptr, nullptr, [] { OwnNonces().left = 0; });
  Require(kForks == 0);
  Nonces& own = OwnNonces();
  if (own.left == 0) {
    Require(RAND_bytes(own.bytes, sizeof own.bytes) == 1);
    own.left = Nonces::kMany;
  }
  --own.left;
  std::memcpy(nonce, own.bytes + own.left * kNonceBytes, kNonceBytes);
}

EVP_MD_CTX* DigestContext() {
  struct Context {
    Context() : digest(EVP_MD_CTX_new()) { Require(digest != nullptr); }
    ~Context() { EVP_MD_CTX_free(digest); }
    EVP_MD_CTX* digest;
  };
  thread_local Context context;
  return context.digest;
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
  Require(key.size() == kKeyBytes);
  TakeNonce(Bytes(out));
  EVP_CIPHER_CTX* cipher = CipherContext(true, key, Bytes(out));
  int size = 0;
  Require(EVP_EncryptUpdate(cipher, nullptr, &size, Bytes(context),
                            static_cast<int>(context.size())) == 1);
  Require(EVP_EncryptUpdate(cipher, Bytes(out) + kNonceBytes, &size, Bytes(plain),
                            static_cast<int>(plain.size())) == 1);
  int last = 0;
  Require(EVP_EncryptFinal_ex(cipher, Bytes(out) + kNonceBytes + size, &last) == 1);
  Require(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, kTagBytes,
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
  EVP_CIPHER_CTX* cipher = CipherContext(false, key, Bytes(in));
  int size = 0;
  Require(EVP_DecryptUpdate(cipher, nullptr, &size, Bytes(context),
                            static_cast<int>(context.size())) == 1);
  Require(EVP_DecryptUpdate(cipher, Bytes(plain), &size, Bytes(in) + kNonceBytes,
                            static_cast<int>(plain.size())) == 1);
  Require(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, kTagBytes,
                              Bytes(in) + kNonceBytes + plain.size()) == 1);
  int last = 0;
  if (EVP_DecryptFinal_ex(cipher, Bytes(plain) + size, &last) != 1) return Altered();
  return plain;
}

std::string Vault::Wrap(std::string_view key, std::string_view context) const {
  return Seal(master_, key, context);
}

absl::StatusOr<std::string> Vault::Unwrap(std::string_view wrapped,
                                          std::string_view context) const {
  return Open(master_, wrapped, context);
}

std::string Sha256Hex(std::string_view data) { return Sha256().Add(data).Hex(64); }

Sha256::Sha256() { Require(EVP_DigestInit_ex2(DigestContext(), Digest(), nullptr) == 1); }

Sha256& Sha256::Add(std::string_view piece) {
  Require(EVP_DigestUpdate(DigestContext(), piece.data(), piece.size()) == 1);
  return *this;
}

std::string Sha256::Hex(size_t digits) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  Require(EVP_DigestFinal_ex(DigestContext(), digest, nullptr) == 1);
  std::string hex = absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), sizeof digest));
  hex.resize(digits);
  return hex;
}

}  // namespace relais::storage

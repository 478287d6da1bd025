// Keys and sealed texts. The master key is kept in a file outside the database; every person has a
// key of their own, wrapped by it, under which the personal values of their events are sealed.
// Deleting the person's key row makes those values unreadable for ever.
//
// AES-256-GCM with random 96-bit nonces (OpenSSL); sealed texts are base64 of nonce, ciphertext,
// tag. Thread-safe, immutable.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace relais::storage {

inline constexpr size_t kKeyBytes = 32;

class Vault {
 public:
  // `master_key` is exactly kKeyBytes long.
  explicit Vault(std::string master_key) : master_(std::move(master_key)) {}

  // A key for one purpose, derived from the master key (HMAC-SHA256 of the label).
  std::string Derive(std::string_view label) const;

  std::string NewKey() const;  // kKeyBytes random bytes

  // `context` is authenticated but not stored: opening needs the same one. Open answers DATA_LOSS
  // for a text that was altered or sealed under another key or context.
  static std::string Seal(std::string_view key, std::string_view plain, std::string_view context);
  static absl::StatusOr<std::string> Open(std::string_view key, std::string_view sealed,
                                          std::string_view context);

  std::string Wrap(std::string_view key, std::string_view context) const;
  absl::StatusOr<std::string> Unwrap(std::string_view wrapped, std::string_view context) const;

 private:
  std::string master_;
};

// Lower-case hex of SHA-256.
std::string Sha256Hex(std::string_view data);

// The same of a text that is given in pieces, without putting them together. One at a time for each
// thread: a Sha256 must be finished, or given up, before the thread begins another.
class Sha256 {
 public:
  Sha256();
  Sha256& Add(std::string_view piece);
  // The first `digits` hex digits (at most 64); nothing may be added afterwards.
  std::string Hex(size_t digits);
};

}  // namespace relais::storage

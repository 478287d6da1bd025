// The sameness of requests: what the request log compares when a request id comes again.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "google/protobuf/message.h"

namespace relais::convert {

// HMAC-SHA256 with one key, the key's part of the work done once. Thread-safe: immutable after
// construction.
class HmacKey {
 public:
  // Any length but 0.
  explicit HmacKey(std::string_view key);

  // Over the parts one after another, as if they were one text. 32 bytes.
  std::string Of(std::initializer_list<std::string_view> parts) const {
    return Of(parts.begin(), parts.size());
  }
  std::string Of(const std::string_view* parts, size_t count) const;

 private:
  using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;
  Context inner_, outer_;  // after the padded key
};

// Keyed HMAC-SHA256, so that the log's digests say nothing about the personal data behind them.
// Thread-safe: immutable after construction.
class Digester {
 public:
  // The key is secret and the same on all servers of an installation; any length but 0.
  explicit Digester(std::string_view key) : key_(key) {}

  // 64 hexadecimal digits over the method's name ("CaptureLead") and the request's content.
  // `request_id`, `validate_only` and `etag` (also that of the resource inside) do not count, nor
  // do fields that this server does not know. Map entries count in any order.
  std::string Digest(std::string_view method, const google::protobuf::Message& request) const;

 private:
  HmacKey key_;
};

// HMAC-SHA256, 32 bytes.
std::string HmacSha256(std::string_view key, std::string_view data);

}  // namespace relais::convert

// The sameness of requests: what the request log compares when a request id comes again.
#pragma once

#include <string>
#include <string_view>

#include "google/protobuf/message.h"

namespace relais::convert {

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
  std::string key_;
};

// HMAC-SHA256, 32 bytes.
std::string HmacSha256(std::string_view key, std::string_view data);

}  // namespace relais::convert

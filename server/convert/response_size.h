// Keeps an answer within the size that clients take.
#pragma once

#include <cstddef>

#include "google/protobuf/message_lite.h"
#include "server/convert/limits.h"

namespace relais::convert {

// Counts the items of a page. Not thread-safe; one for each answer.
class ResponseBudget {
 public:
  explicit ResponseBudget(size_t bytes = kMaxResponseBytes) : left_(bytes) {}

  // Whether the item still fits. The first one always does, so that a page is never empty while
  // there is more.
  bool Take(const google::protobuf::MessageLite& item) {
    // Tag and length of a repeated field's item: at most 2 and 5 bytes.
    return Take(item.ByteSizeLong() + 7);
  }
  // The same for an item of `size` bytes, tag and length among them.
  bool Take(size_t size) {
    bool fits = first_ || size <= left_;
    if (fits) left_ -= size < left_ ? size : left_;
    first_ = false;
    return fits;
  }

 private:
  size_t left_;
  bool first_ = true;
};

}  // namespace relais::convert

// Bytes from the wire to a message, with a reason when they are not one.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace relais::convert {

// Parses `bytes` into `message`. INVALID_ARGUMENT: reason INVALID_FIELD naming the first text field
// that is not UTF-8, or reason MALFORMED_MESSAGE for anything else that is not a message of this
// type. protobuf says neither; what it parses is parsed the same here.
absl::Status ParseMessage(std::string_view bytes, google::protobuf::Message* message);

}  // namespace relais::convert

// Fields of a message as text, by path: the columns of an export. Thread-safe.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace relais::cli {

// A path is made of field names, keys of maps and indexes, such as "person.emails.address",
// "person.emails.0.address" or "labels.plan". INVALID_ARGUMENT when the type has no such path.
absl::Status CheckFieldPath(const google::protobuf::Descriptor* type, const std::string& path);

// The text at a checked path; empty when it is not set. Enums by name without their prefix, times
// in RFC 3339, money as "12.5 EUR", the elements of a list joined by "; ", a map as "key=value;
// ...".
std::string FieldText(const google::protobuf::Message& message, const std::string& path);

}  // namespace relais::cli

// A message of the contract, written as YAML with templates as leaves: the part of a mapping that
// says what a row contains. Field names are those of the contract; MAPPING.md says how each type is
// written.
//
// A compiled tree is immutable; filling is const and thread-safe.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <yaml-cpp/yaml.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clients/cli/expression.h"

namespace relais::cli {

// Why a record cannot be mapped.
struct Reject {
  std::string field;  // path in the row, such as "capture.lead.market"
  std::string reason;
};

class MessageTree {
 public:
  // `path` is the prefix of the paths in messages. INVALID_ARGUMENT: a field the message does not
  // have, a shape that is not the field's, a constant leaf that is no value of it; with the line of
  // the mapping file.
  static absl::StatusOr<MessageTree> Compile(const YAML::Node& node,
                                             const google::protobuf::Descriptor* type,
                                             const Names& names, const std::string& path);
  MessageTree(MessageTree&&) = default;
  MessageTree& operator=(MessageTree&&) = default;

  // Sets the fields whose leaves are not empty; `any` tells whether there was one.
  std::optional<Reject> Fill(const Scope& scope, google::protobuf::Message& message,
                             bool& any) const;

 private:
  struct Node {
    const google::protobuf::FieldDescriptor* field = nullptr;
    std::string path;
    // Exactly one of the following is used.
    std::vector<Template> choices;                          // a scalar: the first that is not empty
    std::unique_ptr<MessageTree> message;                   // a message
    std::vector<MessageTree> messages;                      // a list of messages
    std::vector<Template> items;                            // a list of scalars
    std::vector<std::pair<std::string, Template>> entries;  // a map of texts
    std::vector<Template> amount, currency;                 // money
  };
  MessageTree() = default;
  static absl::StatusOr<Node> CompileField(const YAML::Node& yaml,
                                           const google::protobuf::FieldDescriptor* field,
                                           const Names& names, const std::string& path);
  static std::optional<Reject> FillNode(const Node& node, const Scope& scope,
                                        google::protobuf::Message& message, bool& any);

  std::vector<Node> nodes_;
};

// "mapping line 12: capture.lead.x: what".
absl::Status MappingError(const YAML::Node& node, const std::string& path, const std::string& what);

// Writes a scalar's text into a field (or adds it to a repeated one); the reason when it does not
// fit, else empty.
std::string SetScalar(const google::protobuf::FieldDescriptor* field, const std::string& text,
                      google::protobuf::Message& message);

}  // namespace relais::cli

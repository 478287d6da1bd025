#include "clients/cli/message_tree.h"

#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/time_util.h>
#include <google/type/money.pb.h>

#include <charconv>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace relais::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr __int128 kNanosPerUnit = 1'000'000'000;

bool IsTimestamp(const FieldDescriptor* field) {
  return field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
         field->message_type()->full_name() == "google.protobuf.Timestamp";
}
bool IsMoney(const FieldDescriptor* field) {
  return field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
         field->message_type()->full_name() == "google.type.Money";
}

// The prefix that the contract puts before the values of an enum: that of its zero value.
std::string EnumPrefix(const EnumDescriptor* type) {
  std::string zero = type->FindValueByNumber(0)->name();
  constexpr std::string_view kZero = "UNSPECIFIED";
  return zero.size() > kZero.size() ? zero.substr(0, zero.size() - kZero.size()) : std::string();
}

absl::StatusOr<std::vector<Template>> CompileChoices(const YAML::Node& yaml, const Names& names,
                                                     const std::string& path) {
  std::vector<Template> out;
  auto add = [&](const YAML::Node& leaf) -> absl::Status {
    if (!leaf.IsScalar()) return MappingError(leaf, path, "expected a text");
    absl::StatusOr<Template> compiled = Template::Compile(leaf.Scalar(), names);
    if (!compiled.ok()) return MappingError(leaf, path, std::string(compiled.status().message()));
    out.push_back(*std::move(compiled));
    return absl::OkStatus();
  };
  if (yaml.IsSequence()) {
    for (const YAML::Node& leaf : yaml) {
      absl::Status status = add(leaf);
      if (!status.ok()) return status;
    }
  } else {
    absl::Status status = add(yaml);
    if (!status.ok()) return status;
  }
  return out;
}

absl::StatusOr<std::string> FirstText(const std::vector<Template>& choices, const Scope& scope) {
  for (const Template& choice : choices) {
    absl::StatusOr<std::string> text = choice.Evaluate(scope);
    if (!text.ok() || !text->empty()) return text;
  }
  return std::string();
}

}  // namespace

absl::Status MappingError(const YAML::Node& node, const std::string& path,
                          const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("mapping line ", node.Mark().line + 1, ": ", path,
                                                 path.empty() ? "" : ": ", what));
}

std::string SetScalar(const FieldDescriptor* field, const std::string& text, Message& message) {
  const google::protobuf::Reflection* reflection = message.GetReflection();
  bool repeated = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      if (repeated) {
        reflection->AddString(&message, field, text);
      } else {
        reflection->SetString(&message, field, text);
      }
      return "";
    case FieldDescriptor::CPPTYPE_BOOL: {
      std::string lower = absl::AsciiStrToLower(text);
      bool yes = lower == "true" || lower == "yes" || lower == "1";
      if (!yes && lower != "false" && lower != "no" && lower != "0") {
        return "is not true or false";
      }
      reflection->SetBool(&message, field, yes);
      return "";
    }
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_INT32: {
      int64_t value = 0;
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc() || end != text.data() + text.size()) return "is not a whole number";
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
        reflection->SetInt64(&message, field, value);
      } else if (value < std::numeric_limits<int32_t>::min() ||
                 value > std::numeric_limits<int32_t>::max()) {
        return "is too large";
      } else {
        reflection->SetInt32(&message, field, static_cast<int32_t>(value));
      }
      return "";
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      const EnumDescriptor* type = field->enum_type();
      std::string name = absl::AsciiStrToUpper(text);
      const EnumValueDescriptor* value = type->FindValueByName(name);
      if (value == nullptr) value = type->FindValueByName(EnumPrefix(type) + name);
      if (value == nullptr) return absl::StrCat("is no ", type->name());
      reflection->SetEnum(&message, field, value);
      return "";
    }
    case FieldDescriptor::CPPTYPE_MESSAGE: {
      std::optional<std::string> moment = ParseMoment(text, "");
      google::protobuf::Timestamp time;
      if (!moment.has_value() || !google::protobuf::util::TimeUtil::FromString(*moment, &time)) {
        return "is not a date";
      }
      reflection->MutableMessage(&message, field)->CopyFrom(time);
      return "";
    }
    default:
      return "is of a type that a mapping cannot write";
  }
}

absl::StatusOr<MessageTree> MessageTree::Compile(const YAML::Node& node, const Descriptor* type,
                                                 const Names& names, const std::string& path) {
  if (!node.IsMap()) return MappingError(node, path, "expected fields and their values");
  MessageTree tree;
  for (const auto& entry : node) {
    const std::string& name = entry.first.Scalar();
    const FieldDescriptor* field = type->FindFieldByName(name);
    if (field == nullptr) {
      std::string known;
      for (int i = 0; i < type->field_count(); ++i) {
        absl::StrAppend(&known, i == 0 ? "" : ", ", type->field(i)->name());
      }
      return MappingError(entry.first, path,
                          absl::StrCat("no field \"", name, "\"; there are: ", known));
    }
    absl::StatusOr<Node> compiled =
        CompileField(entry.second, field, names, absl::StrCat(path, ".", name));
    if (!compiled.ok()) return compiled.status();
    tree.nodes_.push_back(*std::move(compiled));
  }
  return tree;
}

absl::StatusOr<MessageTree::Node> MessageTree::CompileField(const YAML::Node& yaml,
                                                            const FieldDescriptor* field,
                                                            const Names& names,
                                                            const std::string& path) {
  Node node;
  node.field = field;
  node.path = path;
  if (field->is_map()) {
    if (!yaml.IsMap()) return MappingError(yaml, path, "expected keys and their values");
    for (const auto& entry : yaml) {
      std::string key = entry.first.Scalar();
      absl::StatusOr<std::vector<Template>> value =
          CompileChoices(entry.second, names, absl::StrCat(path, ".", key));
      if (!value.ok()) return value.status();
      if (value->size() != 1) return MappingError(entry.second, path, "expected a text");
      node.entries.emplace_back(std::move(key), std::move((*value)[0]));
    }
    return node;
  }
  if (IsMoney(field)) {
    if (!yaml.IsMap() || yaml.size() != 2 || !yaml["amount"] || !yaml["currency"]) {
      return MappingError(yaml, path, "money is written {amount: ..., currency: ...}");
    }
    absl::StatusOr<std::vector<Template>> amount =
        CompileChoices(yaml["amount"], names, path + ".amount");
    if (!amount.ok()) return amount.status();
    absl::StatusOr<std::vector<Template>> currency =
        CompileChoices(yaml["currency"], names, path + ".currency");
    if (!currency.ok()) return currency.status();
    node.amount = *std::move(amount);
    node.currency = *std::move(currency);
    return node;
  }
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !IsTimestamp(field)) {
    if (!field->is_repeated()) {
      absl::StatusOr<MessageTree> tree = Compile(yaml, field->message_type(), names, path);
      if (!tree.ok()) return tree.status();
      node.message = std::make_unique<MessageTree>(*std::move(tree));
      return node;
    }
    if (!yaml.IsSequence()) return MappingError(yaml, path, "expected a list");
    for (const YAML::Node& item : yaml) {
      absl::StatusOr<MessageTree> tree = Compile(
          item, field->message_type(), names, absl::StrCat(path, "[", node.messages.size(), "]"));
      if (!tree.ok()) return tree.status();
      node.messages.push_back(*std::move(tree));
    }
    return node;
  }
  if (field->is_repeated() && !yaml.IsSequence())
    return MappingError(yaml, path, "expected a list");
  absl::StatusOr<std::vector<Template>> texts = CompileChoices(yaml, names, path);
  if (!texts.ok()) return texts.status();
  for (const Template& text : *texts) {
    std::optional<std::string> constant = text.constant();
    if (!constant.has_value() || constant->empty()) continue;
    std::unique_ptr<Message> trial(google::protobuf::MessageFactory::generated_factory()
                                       ->GetPrototype(field->containing_type())
                                       ->New());
    std::string wrong = SetScalar(field, *constant, *trial);
    if (!wrong.empty())
      return MappingError(yaml, path, absl::StrCat("\"", *constant, "\" ", wrong));
  }
  (field->is_repeated() ? node.items : node.choices) = *std::move(texts);
  return node;
}

std::optional<Reject> MessageTree::Fill(const Scope& scope, Message& message, bool& any) const {
  for (const Node& node : nodes_) {
    if (std::optional<Reject> reject = FillNode(node, scope, message, any)) return reject;
  }
  return std::nullopt;
}

std::optional<Reject> MessageTree::FillNode(const Node& node, const Scope& scope, Message& message,
                                            bool& any) {
  const google::protobuf::Reflection* reflection = message.GetReflection();
  auto rejected = [&](const absl::Status& status) {
    return Reject{node.path, std::string(status.message())};
  };
  // Sub-messages are filled aside, so that one without any value stays absent.
  auto sub = [&](const MessageTree& tree) -> std::optional<Reject> {
    std::unique_ptr<Message> part(
        reflection->GetMessageFactory()->GetPrototype(node.field->message_type())->New());
    bool part_any = false;
    if (std::optional<Reject> reject = tree.Fill(scope, *part, part_any)) return reject;
    if (!part_any) return std::nullopt;
    any = true;
    if (node.field->is_repeated()) {
      reflection->AddAllocatedMessage(&message, node.field, part.release());
    } else {
      reflection->SetAllocatedMessage(&message, part.release(), node.field);
    }
    return std::nullopt;
  };

  if (node.message != nullptr) return sub(*node.message);
  for (const MessageTree& tree : node.messages) {
    if (std::optional<Reject> reject = sub(tree)) return reject;
  }
  for (const auto& [key, value] : node.entries) {
    absl::StatusOr<std::string> text = value.Evaluate(scope);
    if (!text.ok())
      return Reject{absl::StrCat(node.path, ".", key), std::string(text.status().message())};
    if (text->empty()) continue;
    any = true;
    Message* entry = reflection->AddMessage(&message, node.field);
    const Descriptor* type = node.field->message_type();
    SetScalar(type->map_key(), key, *entry);
    SetScalar(type->map_value(), *text, *entry);
  }
  for (const Template& item : node.items) {
    absl::StatusOr<std::string> text = item.Evaluate(scope);
    if (!text.ok()) return rejected(text.status());
    if (text->empty()) continue;
    any = true;
    std::string wrong = SetScalar(node.field, *text, message);
    if (!wrong.empty()) return Reject{node.path, wrong};
  }
  if (!node.amount.empty()) {
    absl::StatusOr<std::string> amount = FirstText(node.amount, scope);
    if (!amount.ok()) return rejected(amount.status());
    if (amount->empty()) return std::nullopt;
    absl::StatusOr<std::string> currency = FirstText(node.currency, scope);
    if (!currency.ok()) return rejected(currency.status());
    std::optional<__int128> nanos = ParseDecimal(*amount);
    if (!nanos.has_value()) return Reject{node.path, "is not an amount"};
    google::type::Money money;
    money.set_currency_code(*currency);
    money.set_units(static_cast<int64_t>(*nanos / kNanosPerUnit));
    money.set_nanos(static_cast<int32_t>(*nanos % kNanosPerUnit));
    reflection->MutableMessage(&message, node.field)->CopyFrom(money);
    any = true;
  }
  if (!node.choices.empty()) {
    absl::StatusOr<std::string> text = FirstText(node.choices, scope);
    if (!text.ok()) return rejected(text.status());
    if (text->empty()) return std::nullopt;
    std::string wrong = SetScalar(node.field, *text, message);
    if (!wrong.empty()) return Reject{node.path, wrong};
    any = true;
  }
  return std::nullopt;
}

}  // namespace relais::cli

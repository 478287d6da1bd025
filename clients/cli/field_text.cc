#include "clients/cli/field_text.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>
#include <google/type/money.pb.h>

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "clients/cli/expression.h"

namespace relais::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr char kJoin[] = "; ";

std::vector<std::string> Split(const std::string& path) {
  std::vector<std::string> out;
  for (size_t from = 0; from <= path.size();) {
    size_t dot = std::min(path.find('.', from), path.size());
    out.push_back(path.substr(from, dot - from));
    from = dot + 1;
  }
  return out;
}

std::optional<int> Index(const std::string& word) {
  if (word.empty() || word.size() > 4 ||
      word.find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  return std::stoi(word);
}

bool IsLeaf(const FieldDescriptor* field) {
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return true;
  const std::string& name = field->message_type()->full_name();
  return name == "google.protobuf.Timestamp" || name == "google.type.Money";
}

std::string Json(const Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string out;
  // It only fails for values that the contract does not have.
  (void)google::protobuf::util::MessageToJsonString(message, &out, options);
  return out;
}

std::string EnumText(const EnumValueDescriptor* value) {
  std::string zero = value->type()->FindValueByNumber(0)->name();
  size_t prefix = zero.size() - std::min(zero.size(), std::string("UNSPECIFIED").size());
  if (value->number() == 0) return "";
  return value->name().compare(0, prefix, zero, 0, prefix) == 0 ? value->name().substr(prefix)
                                                                : value->name();
}

std::string MessageText(const Message& message) {
  if (const auto* time = dynamic_cast<const google::protobuf::Timestamp*>(&message)) {
    return google::protobuf::util::TimeUtil::ToString(*time);
  }
  if (const auto* money = dynamic_cast<const google::type::Money*>(&message)) {
    return absl::StrCat(
        FormatDecimal(static_cast<__int128>(money->units()) * 1'000'000'000 + money->nanos()), " ",
        money->currency_code());
  }
  return Json(message);
}

// One value: of a singular field, or element `index` of a repeated one.
std::string ValueText(const Message& message, const FieldDescriptor* field, int index) {
  const google::protobuf::Reflection* r = message.GetReflection();
  bool many = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return many ? r->GetRepeatedString(message, field, index) : r->GetString(message, field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return (many ? r->GetRepeatedBool(message, field, index) : r->GetBool(message, field))
                 ? "true"
                 : "false";
    case FieldDescriptor::CPPTYPE_INT32:
      return std::to_string(many ? r->GetRepeatedInt32(message, field, index)
                                 : r->GetInt32(message, field));
    case FieldDescriptor::CPPTYPE_INT64:
      return std::to_string(many ? r->GetRepeatedInt64(message, field, index)
                                 : r->GetInt64(message, field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumText(many ? r->GetRepeatedEnum(message, field, index)
                           : r->GetEnum(message, field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return MessageText(many ? r->GetRepeatedMessage(message, field, index)
                              : r->GetMessage(message, field));
    default:
      return "";
  }
}

void Join(const std::string& text, std::string& out) {
  if (text.empty()) return;
  absl::StrAppend(&out, out.empty() ? "" : kJoin, text);
}

std::string TextAt(const Message& message, const std::vector<std::string>& words, size_t at) {
  const google::protobuf::Reflection* r = message.GetReflection();
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(words[at]);
  bool last = at + 1 == words.size();
  if (!field->is_repeated()) {
    if (field->has_presence() && !r->HasField(message, field)) return "";
    return last ? ValueText(message, field, 0)
                : TextAt(r->GetMessage(message, field), words, at + 1);
  }
  std::string out;
  if (field->is_map()) {
    // Map entries come in no order; an export must not change from run to run.
    std::vector<std::pair<std::string, std::string>> entries;
    for (int i = 0; i < r->FieldSize(message, field); ++i) {
      const Message& entry = r->GetRepeatedMessage(message, field, i);
      const Descriptor* type = field->message_type();
      entries.emplace_back(ValueText(entry, type->map_key(), 0),
                           ValueText(entry, type->map_value(), 0));
    }
    std::sort(entries.begin(), entries.end());
    for (const auto& [key, value] : entries) {
      if (last) {
        Join(absl::StrCat(key, "=", value), out);
      } else if (key == words[at + 1]) {
        return value;
      }
    }
    return out;
  }
  int size = r->FieldSize(message, field);
  int from = 0, to = size;
  size_t next = at + 1;
  if (!last) {
    if (std::optional<int> index = Index(words[next])) {
      from = std::min(*index, size);
      to = std::min(*index + 1, size);
      ++next;
    }
  }
  for (int i = from; i < to; ++i) {
    Join(next == words.size() ? ValueText(message, field, i)
                              : TextAt(r->GetRepeatedMessage(message, field, i), words, next),
         out);
  }
  return out;
}

}  // namespace

absl::Status CheckFieldPath(const Descriptor* type, const std::string& path) {
  std::vector<std::string> words = Split(path);
  for (size_t at = 0; at < words.size();) {
    const FieldDescriptor* field = type->FindFieldByName(words[at]);
    if (field == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("no field \"", words[at], "\" in ", type->name(), " (path ", path, ")"));
    }
    ++at;
    if (field->is_map()) {
      // Keys may contain points no more than a column name does: one word.
      if (words.size() > at + 1) {
        return absl::InvalidArgumentError(
            absl::StrCat("path ", path, " goes on after a map's key"));
      }
      return absl::OkStatus();
    }
    if (field->is_repeated() && at < words.size() && Index(words[at]).has_value()) ++at;
    if (at == words.size()) return absl::OkStatus();
    if (IsLeaf(field)) {
      return absl::InvalidArgumentError(
          absl::StrCat("path ", path, " goes on after \"", field->name(), "\""));
    }
    type = field->message_type();
  }
  return absl::OkStatus();
}

std::string FieldText(const Message& message, const std::string& path) {
  return TextAt(message, Split(path), 0);
}

}  // namespace relais::cli

#include "storage/sql/json.h"

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "server/domain/status_macros.h"

namespace relais::storage {
namespace {

using domain::Money;
using domain::Timestamp;
using domain::Value;
using domain::ValueList;
using domain::ValueMap;
using Json = nlohmann::json;  // keeps members in a std::map: sorted by their bytes

constexpr int kMaxDepth = 32;  // our own values have at most three levels
constexpr char kTimeTag[] = "$t";
constexpr char kMoneyTag[] = "$m";

enum class Form { kTagged, kPlain };

std::string Write(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json Encode(const Value& value, Form form) {
  if (const std::string* text = value.if_text()) return *text;
  if (const ValueList* list = value.if_list()) {
    Json out = Json::array();
    for (const Value& item : *list) out.push_back(Encode(item, form));
    return out;
  }
  if (const ValueMap* map = value.if_map()) {
    Json out = Json::object();
    for (const auto& [key, item] : *map) {
      bool escaped = form == Form::kTagged && key.starts_with('$');
      out[escaped ? "$" + key : key] = Encode(item, form);
    }
    return out;
  }
  if (form == Form::kPlain) return nullptr;
  if (const bool* flag = value.if_bool()) return *flag;
  if (const int64_t* number = value.if_int()) return *number;
  if (const Timestamp* time = value.if_time()) return Json{{kTimeTag, time->micros}};
  if (const Money* money = value.if_money()) {
    return Json{{kMoneyTag, Json::array({money->currency_code, money->units, money->nanos})}};
  }
  return nullptr;
}

absl::Status Malformed() { return absl::InternalError("stored JSON is malformed"); }

absl::StatusOr<int64_t> Integer(const Json& json) {
  if (json.is_number_unsigned()) {
    uint64_t number = json.get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return Malformed();
    return static_cast<int64_t>(number);
  }
  if (json.is_number_integer()) return json.get<int64_t>();
  return Malformed();
}

absl::StatusOr<Money> MoneyOf(const Json& json) {
  if (!json.is_array() || json.size() != 3 || !json[0].is_string()) return Malformed();
  Money money;
  money.currency_code = json[0].get<std::string>();
  ASSIGN_OR_RETURN(money.units, Integer(json[1]));
  ASSIGN_OR_RETURN(int64_t nanos, Integer(json[2]));
  if (nanos <= -domain::kNanosPerUnit || nanos >= domain::kNanosPerUnit) return Malformed();
  money.nanos = static_cast<int32_t>(nanos);
  return money;
}

absl::StatusOr<Value> Decode(const Json& json, Form form, int depth) {
  if (depth > kMaxDepth) return Malformed();
  switch (json.type()) {
    case Json::value_t::string:
      return Value(json.get<std::string>());
    case Json::value_t::array: {
      ValueList list;
      list.reserve(json.size());
      for (const Json& item : json) {
        ASSIGN_OR_RETURN(Value value, Decode(item, form, depth + 1));
        list.push_back(std::move(value));
      }
      return Value(std::move(list));
    }
    case Json::value_t::object: {
      if (form == Form::kTagged && json.size() == 1) {
        const std::string& key = json.begin().key();
        if (key == kTimeTag) {
          ASSIGN_OR_RETURN(int64_t micros, Integer(json.begin().value()));
          return Value(Timestamp{micros});
        }
        if (key == kMoneyTag) {
          ASSIGN_OR_RETURN(Money money, MoneyOf(json.begin().value()));
          return Value(std::move(money));
        }
      }
      ValueMap map;
      for (const auto& [key, item] : json.items()) {
        ASSIGN_OR_RETURN(Value value, Decode(item, form, depth + 1));
        std::string name = key;
        if (form == Form::kTagged && name.starts_with('$')) {
          if (!name.starts_with("$$")) return Malformed();
          name.erase(0, 1);
        }
        map.insert_or_assign(std::move(name), std::move(value));
      }
      return Value(std::move(map));
    }
    default:
      break;
  }
  if (form == Form::kPlain) return Malformed();
  if (json.is_null()) return Value();
  if (json.is_boolean()) return Value(json.get<bool>());
  ASSIGN_OR_RETURN(int64_t number, Integer(json));
  return Value(number);
}

absl::StatusOr<Value> Read(std::string_view text, Form form) {
  Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return Malformed();
  return Decode(json, form, 0);
}

}  // namespace

std::string ToJson(const Value& value) { return Write(Encode(value, Form::kTagged)); }

absl::StatusOr<Value> FromJson(std::string_view text) { return Read(text, Form::kTagged); }

std::string ToPlainJson(const Value& value) { return Write(Encode(value, Form::kPlain)); }

absl::StatusOr<Value> FromPlainJson(std::string_view text) { return Read(text, Form::kPlain); }

}  // namespace relais::storage

// Field tables: an entity's fields listed once, by the path they have in the public contract.
//
// Everything that treats fields alike reads these tables and nothing else: storage (the column of a
// path is the path with '.' turned into '_'), change history and replay, filters, update masks. A
// field that is not in its entity's table is neither stored nor seen.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "server/domain/value.h"

namespace relais::domain {

// The names of an enum, by number, in the spelling of the contract without its type prefix
// ("PROSPECT", not "STAGE_PROSPECT"). Number 0 is the unspecified value and counts as absent.
struct EnumNames {
  std::string_view type;                     // "Stage"
  absl::Span<const std::string_view> names;  // names[0] == "UNSPECIFIED"

  std::optional<int64_t> Number(std::string_view name) const {
    for (size_t i = 1; i < names.size(); ++i) {
      if (names[i] == name) return static_cast<int64_t>(i);
    }
    return std::nullopt;
  }
  std::string_view Name(int64_t number) const {
    return number >= 0 && static_cast<size_t>(number) < names.size()
               ? names[static_cast<size_t>(number)]
               : std::string_view("UNRECOGNIZED");
  }
};

// Specialised beside each enum: `static const EnumNames& names()`.
template <class E>
struct EnumTraits;

enum class FieldType : uint8_t {
  kBool,
  kInt,
  kText,
  kTime,
  kEnum,
  kMoney,       // three columns: _units, _nanos, _currency_code
  kTextList,    // JSON array of text
  kTextMap,     // JSON object, text to text
  kRecordList,  // JSON array of objects with text members
  kBlob,        // opaque text owned by the domain; not filterable
};

struct FieldSpec {
  std::string_view path;
  FieldType type = FieldType::kText;
  const EnumNames* enumeration = nullptr;           // kEnum only
  absl::Span<const std::string_view> members = {};  // kRecordList only: names of the members
  bool personal = false;  // never in a log or an error; encrypted in the event log
  bool history = true;    // a change of it is written to the event log
  bool filterable = true;
  bool always = false;  // an integer or a time that is never absent
};

template <class E>
struct Field {
  FieldSpec spec;
  Value (*get)(const E&);
  void (*set)(E&, const Value&);
};

// The table of an entity; specialised in <entity>_fields.cc. The order is the column order.
template <class E>
absl::Span<const Field<E>> FieldsOf();

template <class E>
const Field<E>* FindField(std::string_view path) {
  for (const Field<E>& f : FieldsOf<E>()) {
    if (f.spec.path == path) return &f;
  }
  return nullptr;
}

// ---- conversions between members and Value; one overload for each kind of member -------------

template <class T>
concept Enumeration = std::is_enum_v<T>;

inline Value ToValue(bool v) { return Value(v); }
inline Value ToValue(int64_t v) { return Value(v); }
inline Value ToValue(const std::string& v) { return v.empty() ? Value() : Value(v); }
inline Value ToValue(Timestamp v) { return Value(v); }
inline Value ToValue(const Money& v) { return v.currency_code.empty() ? Value() : Value(v); }
inline Value ToValue(Enumeration auto v) {
  return static_cast<int64_t>(v) == 0 ? Value() : Value(static_cast<int64_t>(v));
}
template <class T>
Value ToValue(const std::optional<T>& v) {
  if (!v.has_value()) return Value();
  return Value(*v);
}
inline Value ToValue(const std::vector<std::string>& v) {
  if (v.empty()) return Value();
  return Value(ValueList(v.begin(), v.end()));
}
inline Value ToValue(const std::map<std::string, std::string>& v) {
  if (v.empty()) return Value();
  return Value(ValueMap(v.begin(), v.end()));
}

inline void FromValue(const Value& v, bool& out) { out = v.if_bool() != nullptr && *v.if_bool(); }
inline void FromValue(const Value& v, int64_t& out) { out = v.if_int() ? *v.if_int() : 0; }
inline void FromValue(const Value& v, std::string& out) {
  out = v.if_text() ? *v.if_text() : std::string();
}
inline void FromValue(const Value& v, Timestamp& out) {
  out = v.if_time() ? *v.if_time() : Timestamp{};
}
inline void FromValue(const Value& v, Money& out) { out = v.if_money() ? *v.if_money() : Money{}; }
template <Enumeration T>
void FromValue(const Value& v, T& out) {
  out = static_cast<T>(v.if_int() ? *v.if_int() : 0);
}
template <class T>
void FromValue(const Value& v, std::optional<T>& out) {
  if (v.absent()) {
    out.reset();
    return;
  }
  T value{};
  FromValue(v, value);
  out = std::move(value);
}
inline void FromValue(const Value& v, std::vector<std::string>& out) {
  out.clear();
  if (const ValueList* list = v.if_list()) {
    for (const Value& item : *list) {
      if (item.if_text()) out.push_back(*item.if_text());
    }
  }
}
inline void FromValue(const Value& v, std::map<std::string, std::string>& out) {
  out.clear();
  if (const ValueMap* map = v.if_map()) {
    for (const auto& [key, item] : *map) {
      if (item.if_text()) out.emplace(key, *item.if_text());
    }
  }
}

// What a member's type says about its field.
template <class T>
struct FieldTypeOf;
template <>
struct FieldTypeOf<bool> {
  static constexpr FieldType kType = FieldType::kBool;
};
template <>
struct FieldTypeOf<int64_t> {
  static constexpr FieldType kType = FieldType::kInt;
};
template <>
struct FieldTypeOf<std::string> {
  static constexpr FieldType kType = FieldType::kText;
};
template <>
struct FieldTypeOf<Timestamp> {
  static constexpr FieldType kType = FieldType::kTime;
};
template <>
struct FieldTypeOf<Money> {
  static constexpr FieldType kType = FieldType::kMoney;
};
template <>
struct FieldTypeOf<std::vector<std::string>> {
  static constexpr FieldType kType = FieldType::kTextList;
};
template <>
struct FieldTypeOf<std::map<std::string, std::string>> {
  static constexpr FieldType kType = FieldType::kTextMap;
};
template <class T>
struct FieldTypeOf<std::optional<T>> : FieldTypeOf<T> {};
template <Enumeration T>
struct FieldTypeOf<T> {
  static constexpr FieldType kType = FieldType::kEnum;
};

template <class T>
const EnumNames* EnumNamesOf() {
  if constexpr (std::is_enum_v<T>) {
    return &EnumTraits<T>::names();
  } else {
    return nullptr;
  }
}

// Makes a table row from a captureless accessor that returns a reference to the member:
//   MakeField<Lead>("person.given_name", [](auto& l) -> auto& { return l.person.given_name; })
template <class E, class Accessor>
Field<E> MakeField(std::string_view path, Accessor, FieldSpec options = {}) {
  static_assert(std::is_empty_v<Accessor>, "the accessor must not capture");
  using Member = std::remove_cvref_t<decltype(std::declval<Accessor>()(std::declval<E&>()))>;
  FieldSpec spec = options;
  spec.path = path;
  if constexpr (requires { FieldTypeOf<Member>::kType; }) {
    if (spec.type != FieldType::kBlob) spec.type = FieldTypeOf<Member>::kType;
    spec.enumeration = EnumNamesOf<Member>();
    spec.always = std::is_same_v<Member, int64_t> || std::is_same_v<Member, Timestamp>;
  } else {
    spec.type = FieldType::kRecordList;
    spec.members = Member::value_type::kMembers;
  }
  return Field<E>{spec, +[](const E& e) { return ToValue(Accessor{}(e)); },
                  +[](E& e, const Value& v) { FromValue(v, Accessor{}(e)); }};
}

}  // namespace relais::domain

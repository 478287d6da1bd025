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
#include <variant>
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
  kBlob,        // opaque text, or any Value as a document, owned by the domain; not filterable
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

// What a column of storage holds: nothing, a 64-bit integer (also booleans 0/1, enum numbers, times
// in microseconds) or text.
using Scalar = std::variant<std::monostate, int64_t, std::string>;

template <class E>
struct Field {
  FieldSpec spec;
  Value (*get)(const E&);
  void (*set)(E&, const Value&);
  // True when the members are equal, and so the values. (Unequal members can still have the same
  // value: money without a currency is absent, whatever its number.)
  bool (*same)(const E&, const E&);
  // Straight between the member and its columns: one, or for kMoney units, nanos and currency code.
  // Null for the types that are kept as JSON. `take` may move from its columns; it answers the
  // position of the one that holds what it should not (the member is then unspecified), or
  // kAllTaken.
  void (*append)(const E&, std::vector<Scalar>&);
  int (*take)(Scalar*, E&);
};
inline constexpr int kAllTaken = -1;

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
inline Value ToValue(const Value& v) { return v; }
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
inline void FromValue(const Value& v, Value& out) { out = v; }
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

// ---- conversions between members and columns -------------------------------------------------

inline void AppendScalar(bool v, std::vector<Scalar>& out) { out.emplace_back(int64_t{v}); }
inline void AppendScalar(int64_t v, std::vector<Scalar>& out) { out.emplace_back(v); }
inline void AppendScalar(const std::string& v, std::vector<Scalar>& out) {
  if (v.empty()) {
    out.emplace_back();
  } else {
    out.emplace_back(v);
  }
}
inline void AppendScalar(Timestamp v, std::vector<Scalar>& out) { out.emplace_back(v.micros); }
void AppendScalar(const Money& v, std::vector<Scalar>& out);
void AppendScalar(const std::optional<Money>& v, std::vector<Scalar>& out);
void AppendScalar(Enumeration auto v, std::vector<Scalar>& out) {
  if (static_cast<int64_t>(v) == 0) {
    out.emplace_back();
  } else {
    out.emplace_back(static_cast<int64_t>(v));
  }
}
inline void AppendScalar(const std::optional<int64_t>& v, std::vector<Scalar>& out) {
  if (v.has_value()) {
    out.emplace_back(*v);
  } else {
    out.emplace_back();
  }
}
inline void AppendScalar(const std::optional<Timestamp>& v, std::vector<Scalar>& out) {
  if (v.has_value()) {
    out.emplace_back(v->micros);
  } else {
    out.emplace_back();
  }
}

// The number of a column, null where it holds none; what `take` answers.
inline int TakeNumber(const Scalar& cell, const int64_t*& number) {
  number = std::get_if<int64_t>(&cell);
  return number != nullptr || std::holds_alternative<std::monostate>(cell) ? kAllTaken : 0;
}
inline int TakeScalar(Scalar* cell, bool& out) {
  const int64_t* number = nullptr;
  const int wrong = TakeNumber(*cell, number);
  out = number != nullptr && *number != 0;
  return wrong;
}
inline int TakeScalar(Scalar* cell, int64_t& out) {
  const int64_t* number = nullptr;
  const int wrong = TakeNumber(*cell, number);
  out = number == nullptr ? 0 : *number;
  return wrong;
}
inline int TakeScalar(Scalar* cell, std::string& out) {
  if (std::string* text = std::get_if<std::string>(cell)) {
    out = std::move(*text);
    return kAllTaken;
  }
  out.clear();
  return std::holds_alternative<std::monostate>(*cell) ? kAllTaken : 0;
}
inline int TakeScalar(Scalar* cell, Timestamp& out) { return TakeScalar(cell, out.micros); }
int TakeScalar(Scalar* cells, std::optional<Money>& out);
int TakeScalar(Scalar* cells, Money& out);
template <Enumeration T>
int TakeScalar(Scalar* cell, T& out) {
  const int64_t* number = nullptr;
  const int wrong = TakeNumber(*cell, number);
  out = T{};
  if (number == nullptr) return wrong;
  // Casting a number that the enum does not have would make a value nobody handles.
  if (*number < 1 || *number >= static_cast<int64_t>(EnumTraits<T>::names().names.size())) return 0;
  out = static_cast<T>(*number);
  return kAllTaken;
}
inline int TakeScalar(Scalar* cell, std::optional<int64_t>& out) {
  const int64_t* number = nullptr;
  const int wrong = TakeNumber(*cell, number);
  out.reset();
  if (number != nullptr) out = *number;
  return wrong;
}
inline int TakeScalar(Scalar* cell, std::optional<Timestamp>& out) {
  const int64_t* number = nullptr;
  const int wrong = TakeNumber(*cell, number);
  out.reset();
  if (number != nullptr) out = Timestamp{*number};
  return wrong;
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
template <>
struct FieldTypeOf<Value> {
  static constexpr FieldType kType = FieldType::kBlob;
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
  Field<E> field{spec,
                 +[](const E& e) { return ToValue(Accessor{}(e)); },
                 +[](E& e, const Value& v) { FromValue(v, Accessor{}(e)); },
                 +[](const E& a, const E& b) { return Accessor{}(a) == Accessor{}(b); },
                 nullptr,
                 nullptr};
  if constexpr (requires(Member & m, Scalar * c, std::vector<Scalar> & row) {
                  AppendScalar(m, row);
                  TakeScalar(c, m);
                }) {
    field.append = +[](const E& e, std::vector<Scalar>& row) { AppendScalar(Accessor{}(e), row); };
    field.take = +[](Scalar* cells, E& e) { return TakeScalar(cells, Accessor{}(e)); };
  }
  return field;
}

}  // namespace relais::domain

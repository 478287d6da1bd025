// Random filters of a schema, and random entities whose values collide with theirs often enough
// that every operator meets both answers. Same seed, same sequence.
//
// To compare back ends over any entity E:
//   FilterGenerator generator(schema, seed);
//   E entity = generator.Entity<E>();
//   FilterResult filter = ParseFilter(generator.Text(), schema);
#pragma once

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "server/domain/fields.h"
#include "server/domain/filter.h"
#include "server/domain/filter_text.h"
#include "server/domain/money.h"
#include "server/domain/value.h"

namespace relais::domain {

class FilterGenerator {
 public:
  FilterGenerator(FilterSchema schema, uint64_t seed) : schema_(std::move(schema)), random_(seed) {}

  // The moment that generated times lie around; evaluate with it.
  static constexpr Timestamp Now() { return Timestamp{1'780'000'000'123'456}; }

  // A valid filter, in any of the language's spellings; at most 12 comparisons and 4 aggregates.
  std::string Text() {
    comparisons_ = 0;
    aggregates_ = 0;
    return Expression(schema_, 1 + static_cast<int>(Below(3)), true);
  }

  // A value the field could hold; absent in one of five.
  Value FieldValue(const FilterField& field) {
    if (Below(5) == 0) return Value();
    switch (field.type) {
      case FieldType::kBool:
        return Value(Below(2) == 0);
      case FieldType::kInt:
        return Value(Pick(Integers()));
      case FieldType::kText:
        return Value(Pick(Texts()));
      case FieldType::kTime:
        return Value(Timestamp{Pick(Moments())});
      case FieldType::kEnum:
        return Value(static_cast<int64_t>(1 + Below(field.enumeration->names.size() - 1)));
      case FieldType::kMoney:
        return Value(Pick(Amounts()));
      case FieldType::kTextList: {
        ValueList list;
        for (size_t i = 0, n = 1 + Below(3); i < n; ++i) list.emplace_back(Pick(Texts()));
        return Value(std::move(list));
      }
      case FieldType::kTextMap: {
        ValueMap map;
        for (size_t i = 0, n = 1 + Below(4); i < n; ++i) {
          map.insert_or_assign(Pick(Keys()), Value(Below(8) == 0 ? std::string() : Pick(Texts())));
        }
        return Value(std::move(map));
      }
      case FieldType::kRecordList: {
        ValueList list;
        for (size_t i = 0, n = 1 + Below(3); i < n; ++i) {
          ValueMap record;
          for (const std::string& member : field.members) {
            if (Below(3) != 0) record.emplace(member, Value(Pick(Texts())));
          }
          list.emplace_back(std::move(record));
        }
        return Value(std::move(list));
      }
      case FieldType::kBlob:
        return Value();
    }
    return Value();
  }

  // Every filterable field set at random; the others stay as they are made.
  template <class E>
  E Entity() {
    E entity{};
    FilterSchema schema = SchemaOf<E>();
    for (const Field<E>& field : FieldsOf<E>()) {
      if (auto known = schema.Find(field.spec.path)) field.set(entity, FieldValue(*known));
    }
    return entity;
  }

  size_t Below(size_t end) { return std::uniform_int_distribution<size_t>(0, end - 1)(random_); }

  template <class T>
  const T& Pick(const std::vector<T>& pool) {
    return pool[Below(pool.size())];
  }

 private:
  // Pairs that tell orders apart: case, accents, code point against UTF-16, quotes, wildcards of
  // LIKE, what a bind parser could take for a parameter.
  static const std::vector<std::string>& Texts() {
    static const auto* const kTexts = new std::vector<std::string>{
        "a",           "A",           "b",           "ab",          "aB",         "AB",
        "z",           "Zo\u00eb",    "zo\u00eb",    "ZO\u00cb",    "\u00e9",     "\u00c9",
        "\uff5a",      "\U0001d11e",  "M\u00fcller", "muller",      "\"quoted\"", "it's",
        "back\\slash", "line\nbreak", "tab\there",   "100%",        "_",          "*",
        ":f1",         "$1",          "{}",          "[1:2]",       "I",          "i",
        "\u0131",      "\u0130",      "straSSe",     "stra\u00dfe", " a",         "a "};
    return *kTexts;
  }
  static const std::vector<std::string>& Keys() {
    static const auto* const kKeys =
        new std::vector<std::string>{"plan",    "Plan",       "odd key",
                                     "dot.key", "quote\"key", "it's",
                                     "AND",     "true",       "\u043a\u043b\u044e\u0447",
                                     "$.plan",  "0",          "back\\slash"};
    return *kKeys;
  }
  static const std::vector<int64_t>& Integers() {
    static const auto* const kIntegers =
        new std::vector<int64_t>{-7,
                                 -1,
                                 0,
                                 1,
                                 2,
                                 39,
                                 40,
                                 41,
                                 2'147'483'648,
                                 std::numeric_limits<int64_t>::max(),
                                 std::numeric_limits<int64_t>::min()};
    return *kIntegers;
  }
  static const std::vector<Money>& Amounts() {
    static const auto* const kAmounts = new std::vector<Money>{{"EUR", 0, 0},
                                                               {"EUR", 5000, 0},
                                                               {"EUR", 4999, 999'999'999},
                                                               {"EUR", 0, -50'000'000},
                                                               {"EUR", 0, 50'000'000},
                                                               {"EUR", -1, -500'000'000},
                                                               {"EUR", -1, 0},
                                                               {"USD", 5000, 0},
                                                               {"USD", 0, 1},
                                                               {"JPY", 9'000'000'000'000, 0}};
    return *kAmounts;
  }
  static const std::vector<int64_t>& Moments() {
    static const auto* const kMoments = [] {
      auto* moments = new std::vector<int64_t>{0, -1, 1'500'000};
      for (int64_t days : {0, 1, 7, 30, 90, 400}) {
        for (int64_t off : {-1, 0, 1})
          moments->push_back(Now().micros - days * kMicrosPerDay + off);
      }
      moments->push_back(Now().micros + kMicrosPerDay);
      return moments;
    }();
    return *kMoments;
  }

  std::string Space() { return Pick(spaces_); }

  std::string Quoted(const std::string& text) {
    bool plain = text.find_first_of("'\\\n\t") == std::string::npos;
    return plain && Below(3) == 0 ? "'" + text + "'" : QuoteFilterText(text);
  }

  std::string Key(const std::string& key) {
    bool word = IsWordStart(key[0]) && key.find_first_not_of(
                                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
                                           "0123456789") == std::string::npos;
    return word && Below(2) == 0 ? key : Quoted(key);
  }

  std::string Duration() {
    return Pick(std::vector<std::string>{"1d", "7d", "30d", "90d", "400d", "24h", "43200m", "1.5s",
                                         "0.000001s"});
  }

  std::string Moment() {
    switch (Below(4)) {
      case 0:
        return "now()" + (Below(2) == 0 ? Space() + "-" + Space() + Duration() : std::string());
      case 1:
        return "now() + " + Duration();
      default:
        return Quoted(FormatFilterTime(Pick(Moments())));
    }
  }

  std::string Op(bool ordered) {
    static const std::vector<std::string> kAll = {"=", "!=", "<", "<=", ">", ">="};
    return Space() + kAll[Below(ordered ? kAll.size() : 2)] + Space();
  }

  std::string TextComparison(const std::string& path, bool only_has) {
    std::string op = only_has || Below(3) == 0 ? Space() + ":" + Space() : Op(true);
    std::string text = Quoted(Pick(Texts()));
    return Below(3) == 0 ? "fold(" + path + ")" + op + "fold(" + text + ")" : path + op + text;
  }

  std::string Comparison(const FilterSchema& schema) {
    ++comparisons_;
    auto at = schema.fields().begin();
    std::advance(at, static_cast<std::ptrdiff_t>(Below(schema.fields().size())));
    const FilterField& field = *at->second;
    const std::string& path = field.path;
    if (Below(8) == 0) return path + ":*";
    switch (field.type) {
      case FieldType::kBool:
        return path + Op(false) + (Below(2) == 0 ? "true" : "false");
      case FieldType::kInt:
        return path + Op(true) + std::to_string(Pick(Integers()));
      case FieldType::kText:
        return TextComparison(path, false);
      case FieldType::kTime:
        return path + Op(true) + Moment();
      case FieldType::kEnum: {
        std::string name(field.enumeration->names[1 + Below(field.enumeration->names.size() - 1)]);
        return path + Op(false) + (Below(2) == 0 ? name : Quoted(name));
      }
      case FieldType::kMoney:
        if (Below(5) == 0) return path + ".currency_code" + Op(true) + "\"EUR\"";
        return path + Op(true) + Quoted(FormatMoney(Pick(Amounts())));
      case FieldType::kTextList:
        return TextComparison(path, true);
      case FieldType::kTextMap: {
        // After ':' a keyword would be read as one.
        if (Below(4) == 0) return path + ":" + Quoted(Pick(Keys()));
        std::string key = Key(Pick(Keys()));
        if (Below(6) == 0) return path + "." + key + ":*";
        return TextComparison(path + "." + key, false);
      }
      case FieldType::kRecordList: {
        std::string member = path + "." + Pick(field.members);
        return Below(6) == 0 ? member + ":*" : TextComparison(member, true);
      }
      case FieldType::kBlob:
        break;
    }
    return path + ":*";
  }

  std::string Aggregate(const FilterSchema& schema) {
    ++aggregates_;
    const std::string name = Pick(schema.collection_names());
    const FilterSchema& inner = *schema.FindCollection(name)->schema;
    std::string where =
        Below(4) == 0 ? "" : ", " + Expression(inner, static_cast<int>(Below(2)), false);
    if (Below(2) == 0) {
      std::string window = Below(2) == 0 ? "" : ", " + Duration();
      return "count(" + name + where + window + ")" + Op(true) + std::to_string(Below(4));
    }
    std::string last = "last(" + name + where + ")";
    return Below(4) == 0 ? last + ":*" : last + Op(true) + Moment();
  }

  std::string Term(const FilterSchema& schema, int depth, bool top) {
    std::string text;
    bool group = depth > 0 && Below(3) == 0;
    if (group) {
      text = "(" + Space() + Expression(schema, depth - 1, top) + Space() + ")";
    } else if (top && aggregates_ < 4 && !schema.collection_names().empty() && Below(5) == 0) {
      text = Aggregate(schema);
    } else {
      text = Comparison(schema);
    }
    switch (Below(6)) {
      case 0:
        return "NOT " + text;
      case 1:
        return "-" + text;
      default:
        return text;
    }
  }

  std::string Expression(const FilterSchema& schema, int depth, bool top) {
    std::string text = Term(schema, depth, top);
    for (size_t i = 0, n = Below(3); i < n && comparisons_ < 12; ++i) {
      static const std::vector<std::string> kJoins = {" AND ", " OR ", " ", "\nAND\t", "\r\n OR "};
      text += Pick(kJoins) + Term(schema, depth, top);
    }
    return text;
  }

  const std::vector<std::string> spaces_ = {"", " ", "  "};
  FilterSchema schema_;
  std::mt19937_64 random_;
  int comparisons_ = 0;
  int aggregates_ = 0;
};

}  // namespace relais::domain

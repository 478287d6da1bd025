#include "storage/sql/json.h"

#include <rapidjson/reader.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace relais::storage {
namespace {

using domain::Money;
using domain::Timestamp;
using domain::Value;
using domain::ValueList;
using domain::ValueMap;

constexpr size_t kMaxDepth = 32;  // our own values have at most three levels
constexpr std::string_view kTimeTag = "$t";
constexpr std::string_view kMoneyTag = "$m";
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

enum class Form { kTagged, kPlain };

// ---- writing ----------------------------------------------------------------------------------
//
// Not through rapidjson::Writer: that writes control characters in other letters than the logs that
// exist (digests cover them), and gives up at malformed UTF-8 instead of replacing it.

// Bytes of the well-formed character at `at`, or of the longest beginning of one with `whole` false
// (at least 1), as the Unicode standard recommends for replacement.
size_t CharacterAt(std::string_view text, size_t at, bool& whole) {
  const auto byte = [&](size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const unsigned lead = byte(0);
  size_t length = 0;
  unsigned low = 0x80, high = 0xBF;  // what the second byte may be
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  }
  whole = false;
  if (length == 0) return 1;
  for (size_t i = 1; i < length; ++i) {
    if (byte(i) < low || byte(i) > high) return i;
    low = 0x80;
    high = 0xBF;
  }
  whole = true;
  return length;
}

void Escape(char c, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  out.push_back('\\');
  switch (c) {
    case '"':
    case '\\':
      out.push_back(c);
      return;
    case '\b':
      out.push_back('b');
      return;
    case '\t':
      out.push_back('t');
      return;
    case '\n':
      out.push_back('n');
      return;
    case '\f':
      out.push_back('f');
      return;
    case '\r':
      out.push_back('r');
      return;
    default:
      out.append("u00");
      out.push_back(kHex[static_cast<unsigned char>(c) >> 4]);
      out.push_back(kHex[static_cast<unsigned char>(c) & 15]);
  }
}

// ASCII that is written as it is.
constexpr std::array<bool, 256> kCopied = [] {
  std::array<bool, 256> copied{};
  for (size_t c = 0x20; c < 0x80; ++c) copied[c] = c != '"' && c != '\\';
  return copied;
}();

void WriteText(std::string_view text, std::string& out) {
  out.push_back('"');
  size_t copied = 0;  // everything before it is written
  for (size_t at = 0; at < text.size();) {
    const unsigned char c = static_cast<unsigned char>(text[at]);
    if (kCopied[c]) {
      ++at;
      continue;
    }
    bool whole = false;
    size_t length = 1;
    if (c >= 0x80) {
      length = CharacterAt(text, at, whole);
      if (whole) {
        at += length;
        continue;
      }
    }
    out.append(text, copied, at - copied);
    if (c >= 0x80) {
      out.append(kReplacement);
    } else {
      Escape(text[at], out);
    }
    at += length;
    copied = at;
  }
  out.append(text, copied);
  out.push_back('"');
}

void WriteNumber(int64_t number, std::string& out) {
  char digits[std::numeric_limits<int64_t>::digits10 + 3];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

void Write(const Value& value, Form form, std::string& out) {
  if (const std::string* text = value.if_text()) {
    WriteText(*text, out);
    return;
  }
  if (const ValueList* list = value.if_list()) {
    char before = '[';
    for (const Value& item : *list) {
      out.push_back(before);
      before = ',';
      Write(item, form, out);
    }
    out.append(list->empty() ? "[]" : "]");
    return;
  }
  if (const ValueMap* map = value.if_map()) {
    // In the order of the written keys, too: one '$' more in front of all keys that have one
    // changes nothing about their order.
    char before = '{';
    for (const auto& [key, item] : *map) {
      out.push_back(before);
      before = ',';
      if (form == Form::kTagged && key.starts_with('$')) {
        WriteText("$" + key, out);
      } else {
        WriteText(key, out);
      }
      out.push_back(':');
      Write(item, form, out);
    }
    out.append(map->empty() ? "{}" : "}");
    return;
  }
  if (form == Form::kPlain) {
    out.append("null");
  } else if (const bool* flag = value.if_bool()) {
    out.append(*flag ? "true" : "false");
  } else if (const int64_t* number = value.if_int()) {
    WriteNumber(*number, out);
  } else if (const Timestamp* time = value.if_time()) {
    out.append(R"({"$t":)");
    WriteNumber(time->micros, out);
    out.push_back('}');
  } else if (const Money* money = value.if_money()) {
    out.append(R"({"$m":[)");
    WriteText(money->currency_code, out);
    out.push_back(',');
    WriteNumber(money->units, out);
    out.push_back(',');
    WriteNumber(money->nanos, out);
    out.append("]}");
  } else {
    out.append("null");
  }
}

// ---- reading ----------------------------------------------------------------------------------

// Escapes can spell half of a surrogate pair, which no UTF-8 has; rapidjson lets the second half
// pass.
bool HasSurrogate(std::string_view text) {
  for (size_t at = text.find('\xED'); at != std::string_view::npos;
       at = text.find('\xED', at + 1)) {
    if (at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) >= 0xA0) return true;
  }
  return false;
}

// Builds the value from rapidjson's events; false ends the reading.
class Builder {
 public:
  explicit Builder(Form form) : form_(form) { levels_.reserve(4); }

  bool Null() { return form_ == Form::kTagged && Add(Value()); }
  bool Bool(bool flag) { return form_ == Form::kTagged && Add(Value(flag)); }
  bool Int(int number) { return Int64(number); }
  bool Uint(unsigned number) { return Int64(number); }
  bool Int64(int64_t number) { return form_ == Form::kTagged && Add(Value(number)); }
  bool Uint64(uint64_t number) {
    return number <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) &&
           Int64(static_cast<int64_t>(number));
  }
  static bool Double(double) { return false; }
  static bool RawNumber(const char*, rapidjson::SizeType, bool) { return false; }
  bool String(const char* data, rapidjson::SizeType size, bool) {
    std::string_view text(data, size);
    return !HasSurrogate(text) && Add(Value(std::string(text)));
  }

  bool StartArray() { return Open(true); }
  bool EndArray(rapidjson::SizeType) {
    Value list(std::move(levels_.back().list));
    levels_.pop_back();
    return Add(std::move(list));
  }
  bool StartObject() { return Open(false); }
  bool Key(const char* data, rapidjson::SizeType size, bool) {
    std::string_view key(data, size);
    Level& level = levels_.back();
    level.in_tag = false;
    if (HasSurrogate(key)) return false;
    if (form_ == Form::kTagged && key.starts_with('$')) {
      if (key == kTimeTag || key == kMoneyTag) {
        if (!level.tag.empty() && level.tag != key) return false;
        level.tag = key == kTimeTag ? kTimeTag : kMoneyTag;
        level.in_tag = true;
        return true;
      }
      if (!key.starts_with("$$")) return false;
      key.remove_prefix(1);
    }
    level.key.assign(key);
    return true;
  }
  bool EndObject(rapidjson::SizeType) {
    Level level = std::move(levels_.back());
    levels_.pop_back();
    if (level.tag.empty()) return Add(Value(std::move(level.map)));
    if (!level.map.empty()) return false;  // a tag stands alone
    if (level.tag == kTimeTag) {
      const int64_t* micros = level.tagged.if_int();
      return micros != nullptr && Add(Value(Timestamp{*micros}));
    }
    const ValueList* parts = level.tagged.if_list();
    if (parts == nullptr || parts->size() != 3) return false;
    const std::string* currency = (*parts)[0].if_text();
    const int64_t* units = (*parts)[1].if_int();
    const int64_t* nanos = (*parts)[2].if_int();
    if (currency == nullptr || units == nullptr || nanos == nullptr ||
        *nanos <= -domain::kNanosPerUnit || *nanos >= domain::kNanosPerUnit) {
      return false;
    }
    return Add(Value(Money{*currency, *units, static_cast<int32_t>(*nanos)}));
  }

  Value& result() { return result_; }

 private:
  struct Level {
    bool is_list = false;
    ValueList list;
    ValueMap map;
    std::string key;       // of the member that is read
    std::string_view tag;  // empty, kTimeTag or kMoneyTag
    bool in_tag = false;   // the member that is read is the tag
    Value tagged;
  };

  // What stands inside of a tag is no level of the value.
  bool HasRoom() const {
    if (levels_.size() <= kMaxDepth) return true;
    const Level& last = levels_.back();
    return last.in_tag || (last.is_list && levels_[levels_.size() - 2].in_tag);
  }
  bool Open(bool is_list) {
    if (!HasRoom()) return false;
    levels_.emplace_back().is_list = is_list;
    return true;
  }
  bool Add(Value value) {
    if (!HasRoom()) return false;
    if (levels_.empty()) {
      result_ = std::move(value);
      return true;
    }
    Level& level = levels_.back();
    if (level.is_list) {
      level.list.push_back(std::move(value));
    } else if (level.in_tag) {
      level.tagged = std::move(value);
    } else {
      level.map.insert_or_assign(std::move(level.key), std::move(value));
    }
    return true;
  }

  const Form form_;
  std::vector<Level> levels_;
  Value result_;
};

// A text with a length, as rapidjson reads: its own streams end at the first NUL or cannot look
// ahead.
class Input {
 public:
  using Ch = char;
  explicit Input(std::string_view text)
      : begin_(text.data()), at_(begin_), end_(begin_ + text.size()) {}
  Ch Peek() const { return at_ == end_ ? '\0' : *at_; }
  Ch Take() { return at_ == end_ ? '\0' : *at_++; }
  size_t Tell() const { return static_cast<size_t>(at_ - begin_); }
  bool at_end() const { return at_ == end_; }
  // Only for reading in place.
  Ch* PutBegin() { return nullptr; }
  void Put(Ch) {}
  void Flush() {}
  size_t PutEnd(Ch*) { return 0; }

 private:
  const char* begin_;
  const char* at_;
  const char* end_;
};

// Finds the ends of values without a look at what is in them.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool at_end() {
    Blanks();
    return at_ == text_.size();
  }
  bool Eat(char c) {
    Blanks();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  // Passes over one value, which is never empty.
  bool Pass(std::string_view& value) {
    Blanks();
    const size_t begin = at_;
    int open = 0;
    do {
      if (at_ == text_.size()) return false;
      const char c = text_[at_];
      if (c == '"') {
        if (!PassText()) return false;
      } else if (c == '[' || c == '{') {
        ++open;
        ++at_;
      } else if (c == ']' || c == '}') {
        if (--open < 0) return false;
        ++at_;
      } else if (open > 0) {
        ++at_;
      } else {
        at_ = std::min(text_.find_first_of(",]} \t\r\n", at_), text_.size());
        if (at_ == begin) return false;
      }
    } while (open > 0);
    value = text_.substr(begin, at_ - begin);
    return true;
  }

 private:
  void Blanks() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }
  // From one quote to after the next that is not escaped.
  bool PassText() {
    for (size_t end = text_.find('"', at_ + 1); end != std::string_view::npos;
         end = text_.find('"', end + 1)) {
      size_t slashes = 0;
      while (text_[end - 1 - slashes] == '\\') ++slashes;  // ends at the first quote
      if (slashes % 2 == 1) continue;
      at_ = end + 1;
      return true;
    }
    return false;
  }

  std::string_view text_;
  size_t at_ = 0;
};

absl::StatusOr<Value> Read(std::string_view text, Form form) {
  thread_local rapidjson::Reader reader;  // keeps its buffer
  Builder builder(form);
  Input input(text);
  if (reader.Parse<rapidjson::kParseValidateEncodingFlag>(input, builder).IsError() ||
      !input.at_end()) {
    return absl::InternalError("stored JSON is malformed");
  }
  return std::move(builder.result());
}

}  // namespace

void AppendJson(const Value& value, std::string& out) { Write(value, Form::kTagged, out); }

void AppendJsonText(std::string_view text, std::string& out) { WriteText(text, out); }

std::string ToJson(const Value& value) {
  std::string out;
  Write(value, Form::kTagged, out);
  return out;
}

absl::StatusOr<Value> FromJson(std::string_view text) { return Read(text, Form::kTagged); }

absl::StatusOr<std::vector<PickedJson>> PickFromJson(std::string_view json,
                                                     absl::Span<const std::string> texts) {
  const absl::Status malformed = absl::InternalError("stored JSON is malformed");
  std::vector<PickedJson> picked;
  Scanner scanner(json);
  if (!scanner.Eat('[')) return malformed;
  for (bool more = !scanner.Eat(']'); more;) {
    std::string_view text, first, second;
    if (!scanner.Eat('[') || !scanner.Pass(text) || text[0] != '"' || !scanner.Eat(',') ||
        !scanner.Pass(first) || !scanner.Eat(',') || !scanner.Pass(second) || !scanner.Eat(']')) {
      return malformed;
    }
    const std::string_view bare = text.substr(1, text.size() - 2);
    if (std::find(texts.begin(), texts.end(), bare) != texts.end()) {
      absl::StatusOr<Value> from = FromJson(first);
      absl::StatusOr<Value> to = FromJson(second);
      if (!from.ok() || !to.ok()) return malformed;
      picked.push_back({std::string(bare), *std::move(from), *std::move(to)});
    }
    more = scanner.Eat(',');
    if (!more && !scanner.Eat(']')) return malformed;
  }
  if (!scanner.at_end()) return malformed;
  return picked;
}

std::string ToPlainJson(const Value& value) {
  std::string out;
  Write(value, Form::kPlain, out);
  return out;
}

absl::StatusOr<Value> FromPlainJson(std::string_view text) { return Read(text, Form::kPlain); }

}  // namespace relais::storage

#include "server/domain/filter_lexer.h"

#include <cstdio>

#include "server/domain/concat.h"
#include "server/domain/filter.h"
#include "server/domain/filter_text.h"

namespace relais::domain {
namespace {

// The code point at `at` and its length in bytes; length 0 when the bytes are not UTF-8 (overlong
// forms, surrogates and values above U+10FFFF included).
uint32_t Decode(std::string_view text, size_t at, size_t& length) {
  auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(text[i])); };
  uint32_t first = byte(at);
  length = 1;
  if (first < 0x80) return first;
  uint32_t code = 0;
  uint32_t least = 0;
  if (first >= 0xc2 && first < 0xe0) {
    length = 2, code = first & 0x1f, least = 0x80;
  } else if (first >= 0xe0 && first < 0xf0) {
    length = 3, code = first & 0x0f, least = 0x800;
  } else if (first >= 0xf0 && first < 0xf5) {
    length = 4, code = first & 0x07, least = 0x10000;
  } else {
    length = 0;
    return 0;
  }
  if (at + length > text.size()) {
    length = 0;
    return 0;
  }
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) {
      length = 0;
      return 0;
    }
    code = (code << 6) | (byte(at + i) & 0x3f);
  }
  if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) length = 0;
  return code;
}

void Encode(uint32_t code, std::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

bool IsControl(uint32_t code) { return code < 0x20 || (code >= 0x7f && code < 0xa0); }

bool IsBidirectional(uint32_t code) {
  return code == 0x61c || code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069);
}

std::string CodeName(uint32_t code) {
  char buffer[16];
  std::snprintf(buffer, sizeof(buffer), "U+%04X", static_cast<unsigned>(code));
  return buffer;
}

class Lexer {
 public:
  Lexer(std::string_view text, std::vector<Token>& tokens, FilterError& error)
      : text_(text), tokens_(tokens), error_(error) {}

  bool Run() {
    for (;;) {
      SkipBlanks();
      Token token;
      token.line = line_;
      token.column = column_;
      if (at_ == text_.size()) {
        tokens_.push_back(std::move(token));
        return true;
      }
      if (!Read(token)) return false;
      tokens_.push_back(std::move(token));
    }
  }

 private:
  bool Fail(int line, int column, std::string message) {
    error_ = FilterError{line, column, std::move(message)};
    return false;
  }

  bool Peek(uint32_t& code, size_t& length) {
    code = Decode(text_, at_, length);
    if (length == 0) return Fail(line_, column_, "found bytes that are not UTF-8");
    return true;
  }

  void Advance(size_t bytes) {
    at_ += bytes;
    ++column_;
  }

  void SkipBlanks() {
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (c == '\n') {
        ++at_;
        ++line_;
        column_ = 1;
      } else if (c == ' ' || c == '\t' || c == '\r') {
        Advance(1);
      } else {
        break;
      }
    }
  }

  bool Read(Token& token) {
    char c = text_[at_];
    if (IsWordStart(c)) {
      token.kind = TokenKind::kWord;
      while (at_ < text_.size() && IsWordByte(text_[at_])) {
        token.text += text_[at_];
        Advance(1);
      }
      return true;
    }
    if (IsAsciiDigit(c)) return ReadNumber(token);
    if (c == '"' || c == '\'') return ReadText(token);
    token.kind = TokenKind::kSymbol;
    token.text = c;
    if ((c == '!' || c == '<' || c == '>') && at_ + 1 < text_.size() && text_[at_ + 1] == '=') {
      token.text += '=';
      Advance(1);
      Advance(1);
      return true;
    }
    if (std::string_view("().,*+-=<>:").find(c) != std::string_view::npos) {
      Advance(1);
      return true;
    }
    uint32_t code = 0;
    size_t length = 0;
    if (!Peek(code, length)) return false;
    if (c == '!') {
      return Fail(line_, column_,
                  "found '!', expected '!=' (a condition is turned round with NOT)");
    }
    if (c == '&' || c == '|') {
      return Fail(line_, column_, Concat("found '", token.text, "', expected AND or OR as a word"));
    }
    return Fail(line_, column_,
                Concat("found the character ", CodeName(code),
                       ", expected a path, a value or an operator; text is written in quotes"));
  }

  bool ReadNumber(Token& token) {
    std::string digits;
    std::string decimals;
    auto read = [&](std::string& out) {
      while (at_ < text_.size() && IsAsciiDigit(text_[at_])) {
        out += text_[at_];
        Advance(1);
      }
    };
    read(digits);
    bool point = at_ + 1 < text_.size() && text_[at_] == '.' && IsAsciiDigit(text_[at_ + 1]);
    if (point) {
      Advance(1);
      read(decimals);
    }
    std::string unit;
    while (at_ < text_.size() && IsWordByte(text_[at_])) {
      unit += text_[at_];
      Advance(1);
    }
    if (unit.empty()) {
      token.kind = point ? TokenKind::kDecimal : TokenKind::kNumber;
      token.text = point ? Concat(digits, ".", decimals) : digits;
      return true;
    }
    int64_t scale = unit == "d"   ? kMicrosPerDay
                    : unit == "h" ? 3600 * kMicrosPerSecond
                    : unit == "m" ? 60 * kMicrosPerSecond
                    : unit == "s" ? kMicrosPerSecond
                                  : 0;
    if (scale == 0) {
      return Fail(token.line, token.column,
                  "found a number with letters after it, expected a number or a duration such as "
                  "30d, 12h, 15m or 1.5s");
    }
    if (point && (unit != "s" || decimals.size() > 6)) {
      return Fail(token.line, token.column,
                  "found decimals in a duration, expected them only on seconds and at most six");
    }
    token.kind = TokenKind::kDuration;
    int64_t micros = 0;
    for (char c : digits) {
      micros = micros * 10 + (c - '0') * scale;
      if (micros > kMaxFilterSpan) break;
    }
    int64_t fraction = kMicrosPerSecond / 10;
    for (char c : decimals) {
      micros += (c - '0') * fraction;
      fraction /= 10;
    }
    if (micros > kMaxFilterSpan) {
      return Fail(token.line, token.column,
                  Concat("found a duration of more than ", FormatFilterDuration(kMaxFilterSpan),
                         ", expected a shorter one"));
    }
    token.micros = micros;
    return true;
  }

  // Four hexadecimal digits after \u.
  bool ReadHex(uint32_t& code, int line, int column) {
    code = 0;
    for (int i = 0; i < 4; ++i) {
      char c = at_ < text_.size() ? text_[at_] : '\0';
      uint32_t digit = 0;
      if (IsAsciiDigit(c)) {
        digit = static_cast<uint32_t>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        digit = static_cast<uint32_t>(c - 'a' + 10);
      } else if (c >= 'A' && c <= 'F') {
        digit = static_cast<uint32_t>(c - 'A' + 10);
      } else {
        return Fail(line, column, "found an unfinished \\u, expected four hexadecimal digits");
      }
      code = code * 16 + digit;
      Advance(1);
    }
    return true;
  }

  bool ReadEscape(std::string& out) {
    int line = line_;
    int column = column_;
    Advance(1);  // the backslash
    char c = at_ < text_.size() ? text_[at_] : '\0';
    switch (c) {
      case '"':
      case '\'':
      case '\\':
        out += c;
        Advance(1);
        return true;
      case 'n':
        out += '\n';
        Advance(1);
        return true;
      case 't':
        out += '\t';
        Advance(1);
        return true;
      case 'u':
        break;
      default:
        return Fail(line, column,
                    "found an unknown escape, expected one of \\\" \\' \\\\ \\n \\t \\uXXXX");
    }
    Advance(1);
    uint32_t code = 0;
    if (!ReadHex(code, line, column)) return false;
    if (code >= 0xd800 && code < 0xdc00 && text_.substr(at_, 2) == "\\u") {
      Advance(1);
      Advance(1);
      uint32_t low = 0;
      if (!ReadHex(low, line, column)) return false;
      if (low >= 0xdc00 && low < 0xe000) code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code == 0 || (code >= 0xd800 && code < 0xe000)) {
      return Fail(line, column, "found NUL or half a surrogate pair, expected a character");
    }
    Encode(code, out);
    return true;
  }

  bool ReadText(Token& token) {
    char quote = text_[at_];
    token.kind = TokenKind::kText;
    Advance(1);
    while (at_ < text_.size()) {
      char c = text_[at_];
      if (c == quote) {
        Advance(1);
        return true;
      }
      if (c == '\\') {
        if (!ReadEscape(token.text)) return false;
        continue;
      }
      uint32_t code = 0;
      size_t length = 0;
      if (!Peek(code, length)) return false;
      if (IsControl(code) || IsBidirectional(code)) {
        return Fail(line_, column_,
                    Concat("found the control character ", CodeName(code),
                           " in a text, expected an escape such as \\n or \\uXXXX"));
      }
      token.text.append(text_.substr(at_, length));
      Advance(length);
    }
    return Fail(token.line, token.column, "found a text without its closing quote");
  }

  std::string_view text_;
  std::vector<Token>& tokens_;
  FilterError& error_;
  size_t at_ = 0;
  int line_ = 1;
  int column_ = 1;
};

}  // namespace

std::string Token::Describe() const {
  // A word can be as long as the filter; a message shows its beginning.
  constexpr size_t kShown = 64;
  switch (kind) {
    case TokenKind::kEnd:
      return "the end";
    case TokenKind::kWord:
      return text.size() <= kShown ? Concat("'", text, "'")
                                   : Concat("'", text.substr(0, kShown), "...'");
    case TokenKind::kText:
      return "a text in quotes";
    case TokenKind::kNumber:
      return "a number";
    case TokenKind::kDecimal:
      return "a number with decimals";
    case TokenKind::kDuration:
      return "a duration";
    case TokenKind::kSymbol:
      return Concat("'", text, "'");
  }
  return "";
}

bool LexFilter(std::string_view text, std::vector<Token>& tokens, FilterError& error) {
  return Lexer(text, tokens, error).Run();
}

}  // namespace relais::domain

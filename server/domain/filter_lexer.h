// The words of a filter text. Internal to the filter language.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace relais::domain {

struct FilterError;

enum class TokenKind : uint8_t {
  kEnd,
  kWord,      // text: the word
  kText,      // text: the value, escapes resolved
  kNumber,    // text: the digits
  kDecimal,   // text: as written
  kDuration,  // micros
  kSymbol,    // text: one of ( ) . , * + - = != < <= > >= :
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  int64_t micros = 0;
  int line = 1;
  int column = 1;

  bool Is(std::string_view symbol) const { return kind == TokenKind::kSymbol && text == symbol; }
  bool IsWord(std::string_view word) const { return kind == TokenKind::kWord && text == word; }

  // For messages, after "found": names symbols and words, never what stands in a literal.
  std::string Describe() const;
};

// Splits a text of at most kMaxFilterBytes (the caller checks) into tokens, the last of them kEnd.
// False with `error` set: not UTF-8; a control or bidirectional character; a bad escape; a text
// that does not end; a malformed number or duration; a character the language does not have.
bool LexFilter(std::string_view text, std::vector<Token>& tokens, FilterError& error);

}  // namespace relais::domain

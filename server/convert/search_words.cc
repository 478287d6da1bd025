#include "server/convert/search_words.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "server/convert/text.h"

namespace relais::convert {
namespace {

// Below it, digits are a house number or a year.
constexpr size_t kMinPhoneDigits = 4;

std::string DigitsOfPhone(std::string_view text) {
  constexpr std::string_view kPunctuation = "+ ()-./";
  std::string digits;
  for (char c : text) {
    if (absl::ascii_isdigit(static_cast<unsigned char>(c))) {
      digits += c;
    } else if (kPunctuation.find(c) == std::string_view::npos) {
      return {};
    }
  }
  return digits.size() >= kMinPhoneDigits ? digits : std::string();
}

}  // namespace

std::vector<std::string> SearchWords(std::string_view text) {
  std::string folded = FoldForSearch(text);
  if (std::string digits = DigitsOfPhone(folded); !digits.empty()) return {std::move(digits)};
  std::vector<std::string> words;
  for (size_t from = 0; from < folded.size();) {
    size_t space = std::min(folded.find(' ', from), folded.size());
    std::string word = folded.substr(from, space - from);
    if (!word.empty() && std::find(words.begin(), words.end(), word) == words.end()) {
      words.push_back(std::move(word));
    }
    from = space + 1;
  }
  return words;
}

}  // namespace relais::convert

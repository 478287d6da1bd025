// The words of a search, cut alike when a lead is indexed and when it is looked for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace relais::convert {

// The words of a text, folded (text.h), each once, in their order. Digits with the punctuation of
// telephone numbers around them ("+33 6 12-34") are one word of digits when there are four or more
// and nothing else.
std::vector<std::string> SearchWords(std::string_view text);

}  // namespace relais::convert

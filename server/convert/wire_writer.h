// Writes the fields of a message as they are on the wire, without the message: an answer that holds
// a page of leads is made of some two thousand texts, and a message would copy each of them once
// and free it again.
//
// Internal to convert. Fields are given in the order of their numbers, as protobuf writes them.
// Like there, a number 0 and an empty text are left out. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace relais::convert {

class WireWriter {
 public:
  // Appends to `out`, which outlives the writer.
  explicit WireWriter(std::string& out) : out_(out) {}

  void Text(int field, std::string_view text) {
    if (!text.empty()) GivenText(field, text);
  }
  // Also when it is empty: an entry of a list, a key or value of a map.
  void GivenText(int field, std::string_view text) {
    Tag(field, kLengthDelimited);
    Varint(text.size());
    out_.append(text);
  }
  // Integers of both sizes and enums.
  void Number(int field, int64_t number) {
    if (number != 0) GivenNumber(field, number);
  }
  // Also when it is 0: a field with presence.
  void GivenNumber(int field, int64_t number) {
    Tag(field, kVarint);
    Varint(static_cast<uint64_t>(number));
  }
  // `body()` writes the fields of the message through this writer.
  template <class Body>
  void Message(int field, const Body& body) {
    Tag(field, kLengthDelimited);
    const size_t at = out_.size();
    out_ += '\0';  // most messages are shorter than 128 bytes
    body();
    EndMessage(at);
  }

 private:
  static constexpr int kVarint = 0, kLengthDelimited = 2;

  void Tag(int field, int wire_type) { Varint(static_cast<uint64_t>(field << 3 | wire_type)); }
  void Varint(uint64_t number) {
    while (number >= 0x80) {
      out_ += static_cast<char>(number | 0x80);
      number >>= 7;
    }
    out_ += static_cast<char>(number);
  }
  // Puts the length where its place was kept, moving the message when that is too narrow.
  void EndMessage(size_t at) {
    size_t length = out_.size() - at - 1;
    size_t more = 0;
    for (size_t rest = length >> 7; rest > 0; rest >>= 7) ++more;
    if (more > 0) out_.insert(at, more, '\0');
    for (; length >= 0x80; length >>= 7) out_[at++] = static_cast<char>(length | 0x80);
    out_[at] = static_cast<char>(length);
  }

  std::string& out_;
};

}  // namespace relais::convert

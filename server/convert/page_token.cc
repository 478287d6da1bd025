#include "server/convert/page_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <bit>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "server/convert/digest.h"
#include "server/convert/limits.h"
#include "server/domain/concat.h"
#include "server/domain/faults.h"

namespace relais::convert {
namespace {

constexpr size_t kMarkBytes = 16;  // of the HMAC; also the initial counter block of AES

// The first byte of a sealed cursor: its kind of value. Numbers are part of tokens in the hands of
// callers, so they only ever grow.
enum class CursorKind : char { kAbsent = 0, kBool, kInt, kText, kTime, kMoney };

void PutInt(std::string& out, int64_t number) {
  auto bits = static_cast<uint64_t>(number);
  for (int shift = 56; shift >= 0; shift -= 8) {
    out += static_cast<char>(static_cast<unsigned char>(bits >> shift));
  }
}

void PutText(std::string& out, std::string_view text) {
  PutInt(out, static_cast<int64_t>(text.size()));
  out += text;
}

std::optional<int64_t> TakeInt(std::string_view& in) {
  if (in.size() < 8) return std::nullopt;
  uint64_t bits = 0;
  for (int i = 0; i < 8; ++i) bits = bits << 8 | static_cast<unsigned char>(in[i]);
  in.remove_prefix(8);
  return static_cast<int64_t>(bits);
}

std::optional<std::string> TakeText(std::string_view& in) {
  std::optional<int64_t> size = TakeInt(in);
  if (!size || *size < 0 || static_cast<uint64_t>(*size) > in.size()) return std::nullopt;
  std::string text(in.substr(0, static_cast<size_t>(*size)));
  in.remove_prefix(static_cast<size_t>(*size));
  return text;
}

// Lists and maps are no cursors: lists are not ordered by them.
std::string Pack(const storage::Cursor& cursor) {
  std::string out;
  auto kind = [&out](CursorKind k) { out += static_cast<char>(k); };
  if (const bool* flag = cursor.value.if_bool()) {
    kind(CursorKind::kBool);
    PutInt(out, *flag ? 1 : 0);
  } else if (const int64_t* number = cursor.value.if_int()) {
    kind(CursorKind::kInt);
    PutInt(out, *number);
  } else if (const std::string* text = cursor.value.if_text()) {
    kind(CursorKind::kText);
    PutText(out, *text);
  } else if (const domain::Timestamp* time = cursor.value.if_time()) {
    kind(CursorKind::kTime);
    PutInt(out, time->micros);
  } else if (const domain::Money* money = cursor.value.if_money()) {
    kind(CursorKind::kMoney);
    PutText(out, money->currency_code);
    PutInt(out, money->units);
    PutInt(out, money->nanos);
  } else {
    kind(CursorKind::kAbsent);
  }
  PutText(out, cursor.id);
  return out;
}

std::optional<storage::Cursor> Unpack(std::string_view in) {
  if (in.empty()) return std::nullopt;
  auto kind = static_cast<CursorKind>(in[0]);
  in.remove_prefix(1);
  storage::Cursor cursor;
  switch (kind) {
    case CursorKind::kAbsent:
      break;
    case CursorKind::kBool:
    case CursorKind::kInt:
    case CursorKind::kTime: {
      std::optional<int64_t> number = TakeInt(in);
      if (!number) return std::nullopt;
      if (kind == CursorKind::kBool) cursor.value = domain::Value(*number != 0);
      if (kind == CursorKind::kInt) cursor.value = domain::Value(*number);
      if (kind == CursorKind::kTime) cursor.value = domain::Value(domain::Timestamp{*number});
      break;
    }
    case CursorKind::kText: {
      std::optional<std::string> text = TakeText(in);
      if (!text) return std::nullopt;
      cursor.value = domain::Value(*std::move(text));
      break;
    }
    case CursorKind::kMoney: {
      std::optional<std::string> currency = TakeText(in);
      std::optional<int64_t> units = TakeInt(in);
      std::optional<int64_t> nanos = TakeInt(in);
      if (!currency || !units || !nanos) return std::nullopt;
      cursor.value =
          domain::Value(domain::Money{*std::move(currency), *units, static_cast<int32_t>(*nanos)});
      break;
    }
    default:
      return std::nullopt;
  }
  std::optional<std::string> id = TakeText(in);
  if (!id || !in.empty()) return std::nullopt;
  cursor.id = *std::move(id);
  return cursor;
}

// Looked up once: by name is slow. Never freed, so usable during exit.
const EVP_CIPHER* Aes() {
  static const EVP_CIPHER* const kAes = EVP_CIPHER_fetch(nullptr, "AES-256-CTR", nullptr);
  if (kAes == nullptr) std::abort();  // an OpenSSL without AES can do nothing for us
  return kAes;
}

// AES-256 in counter mode: its own inverse.
std::string Seal(const std::string& key, std::string_view mark, std::string_view data) {
  std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> cipher(EVP_CIPHER_CTX_new(),
                                                                         &EVP_CIPHER_CTX_free);
  std::string out(data.size(), '\0');
  int size = 0;
  EVP_EncryptInit_ex(cipher.get(), Aes(), nullptr,
                     reinterpret_cast<const unsigned char*>(key.data()),
                     reinterpret_cast<const unsigned char*>(mark.data()));
  EVP_EncryptUpdate(cipher.get(), reinterpret_cast<unsigned char*>(out.data()), &size,
                    reinterpret_cast<const unsigned char*>(data.data()),
                    static_cast<int>(data.size()));
  return out;
}

std::string Mark(const HmacKey& key, std::string_view scope_digest, std::string_view payload) {
  std::string scope;
  PutText(scope, scope_digest);
  return key.Of({scope, payload}).substr(0, kMarkBytes);
}

// The bytes of URL-safe base64 in its one spelling: without padding, white space or stray bits.
std::optional<std::string> FromBase64(std::string_view text) {
  std::string bytes;
  if (!absl::WebSafeBase64Unescape(ToAbsl(text), &bytes)) return std::nullopt;
  if (absl::WebSafeBase64Escape(bytes) != ToAbsl(text)) return std::nullopt;
  return bytes;
}

}  // namespace

PageTokens::PageTokens(std::string_view key)
    : seal_key_(HmacSha256(key, "relais page token seal 1")),
      mark_key_(HmacSha256(key, "relais page token mark 1")) {}

std::string PageTokens::ScopeDigest(const PageScope& scope) const {
  std::string data = "scope";
  for (std::string_view part : {scope.tenant, scope.method, scope.parent,
                                std::string_view(scope.filter), std::string_view(scope.order)}) {
    PutText(data, part);
  }
  return mark_key_.Of({data});
}

std::string PageTokens::Make(std::string_view scope_digest, const storage::Cursor& cursor) const {
  // The mark is both the proof and the initial counter, as in RFC 5297: equal cursors of a scope
  // give equal tokens, others share no key stream.
  std::string payload = Pack(cursor);
  std::string mark = Mark(mark_key_, scope_digest, payload);
  return absl::WebSafeBase64Escape(Concat(mark, Seal(seal_key_, mark, payload)));
}

absl::StatusOr<storage::Cursor> PageTokens::Read(std::string_view token,
                                                 std::string_view scope_digest) const {
  if (token.size() > kMaxPageTokenBytes) return domain::InvalidPageToken();
  std::optional<std::string> bytes = FromBase64(token);
  if (!bytes || bytes->size() <= kMarkBytes) return domain::InvalidPageToken();
  std::string_view mark = std::string_view(*bytes).substr(0, kMarkBytes);
  std::string payload = Seal(seal_key_, mark, std::string_view(*bytes).substr(kMarkBytes));
  std::string expected = Mark(mark_key_, scope_digest, payload);
  if (CRYPTO_memcmp(expected.data(), mark.data(), kMarkBytes) != 0) {
    return domain::InvalidPageToken();
  }
  std::optional<storage::Cursor> cursor = Unpack(payload);
  if (!cursor) return domain::InvalidPageToken();
  return *std::move(cursor);
}

std::string MakeResumeToken(const domain::TenantId& tenant, int64_t number,
                            std::string_view digest) {
  return absl::WebSafeBase64Escape(Concat("1:", number, ":", digest, ":", tenant.value));
}

absl::StatusOr<ResumePoint> ReadResumeToken(std::string_view token,
                                            const domain::TenantId& tenant) {
  constexpr std::string_view kRule = "is not a resume token of this server";
  absl::Status malformed = domain::InvalidField("resume_token", kRule);
  if (token.size() > kMaxResumeTokenBytes) return malformed;
  std::optional<std::string> bytes = FromBase64(token);
  if (!bytes || !bytes->starts_with("1:")) return malformed;
  std::string_view rest = std::string_view(*bytes).substr(2);
  ResumePoint point;
  auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), point.number);
  if (error != std::errc() || point.number < 0) return malformed;
  rest.remove_prefix(static_cast<size_t>(end - rest.data()));
  if (!rest.starts_with(':')) return malformed;
  rest.remove_prefix(1);
  size_t colon = rest.find(':');
  if (colon == std::string_view::npos) return malformed;
  point.digest = std::string(rest.substr(0, colon));
  if (rest.substr(colon + 1) != tenant.value) return domain::HistoryChanged();
  return point;
}

}  // namespace relais::convert

#include "clients/cli/identity.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"

namespace relais::cli {
namespace {

std::string Canonical(unsigned char* bytes, int version) {
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0F) | (version << 4));
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3F) | 0x80);
  std::string out;
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    constexpr char kHex[] = "0123456789abcdef";
    out += kHex[bytes[i] >> 4];
    out += kHex[bytes[i] & 0xF];
  }
  return out;
}

}  // namespace

std::string RandomUuid() {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) std::abort();
  return Canonical(bytes, 4);
}

absl::StatusOr<std::string> ContentUuid(const std::vector<std::string>& paths) {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest(EVP_MD_CTX_new(),
                                                                 &EVP_MD_CTX_free);
  if (digest == nullptr || EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) != 1) {
    return absl::InternalError("no SHA-256");
  }
  for (const std::string& path : paths) {
    std::unique_ptr<FILE, decltype(&std::fclose)> file(std::fopen(path.c_str(), "rb"),
                                                       &std::fclose);
    if (file == nullptr) return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
    // Each file goes in with its length, so that content cannot move from one into the next unseen.
    std::vector<char> buffer(64 * 1024);
    uint64_t length = 0;
    while (size_t size = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
      EVP_DigestUpdate(digest.get(), buffer.data(), size);
      length += size;
    }
    if (std::ferror(file.get()) != 0) {
      return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
    }
    EVP_DigestUpdate(digest.get(), &length, sizeof length);
  }
  unsigned char bytes[EVP_MAX_MD_SIZE];
  EVP_DigestFinal_ex(digest.get(), bytes, nullptr);
  return Canonical(bytes, 8);
}

}  // namespace relais::cli

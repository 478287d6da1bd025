#include "server/runtime/key_file.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "server/domain/concat.h"
#include "server/domain/status_macros.h"

namespace relais::runtime {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

absl::Status Cannot(std::string_view what, const std::string& path) {
  int error = errno;
  return absl::UnavailableError(Concat("cannot ", what, " key file ", path, ": ", strerror(error)));
}

std::string FolderOf(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::StatusOr<std::string> Load(const std::string& path) {
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (file.get() < 0 || fstat(file.get(), &info) != 0) return Cannot("read", path);
  if ((info.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(
        Concat("key file ", path, " can be read by others; chmod 600 it"));
  }
  if (info.st_uid != geteuid()) {
    return absl::FailedPreconditionError(Concat("key file ", path, " belongs to another user"));
  }
  char buffer[256];
  ssize_t got = read(file.get(), buffer, sizeof buffer);
  if (got < 0) return Cannot("read", path);
  std::string digits(absl::StripAsciiWhitespace(absl::string_view(buffer, size_t(got))));
  bool hex = digits.size() == 2 * kKeyBytes;
  for (char c : digits) hex = hex && absl::ascii_isxdigit(static_cast<unsigned char>(c));
  if (!hex) {
    return absl::FailedPreconditionError(
        Concat("key file ", path, " does not hold ", 2 * kKeyBytes, " hexadecimal digits"));
  }
  return absl::HexStringToBytes(digits);
}

// The finished file is given its name by link(2), which fails when the name exists: whoever comes
// second reads the first one's key.
absl::Status Make(const std::string& path) {
  unsigned char key[kKeyBytes + 8];
  if (RAND_bytes(key, sizeof key) != 1) return absl::UnavailableError("no random bytes to be had");
  std::string text =
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(key), kKeyBytes));
  std::string temporary = Concat(
      path, ".",
      absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(key + kKeyBytes), 8)));
  text += '\n';
  {
    Descriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (file.get() < 0) return Cannot("make", path);
    if (write(file.get(), text.data(), text.size()) != ssize_t(text.size()) ||
        fsync(file.get()) != 0) {
      absl::Status status = Cannot("write", path);
      unlink(temporary.c_str());
      return status;
    }
  }
  absl::Status status;
  if (link(temporary.c_str(), path.c_str()) != 0 && errno != EEXIST) status = Cannot("make", path);
  unlink(temporary.c_str());
  RETURN_IF_ERROR(status);
  Descriptor folder(open(FolderOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || fsync(folder.get()) != 0) return Cannot("sync the folder of", path);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> LoadOrMakeKey(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0) {
    if (errno != ENOENT) return Cannot("read", path);
    RETURN_IF_ERROR(Make(path));
  }
  return Load(path);
}

}  // namespace relais::runtime

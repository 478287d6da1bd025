#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "clients/cli/commands.h"
#include "relais/v1/event_service.grpc.pb.h"

namespace relais::cli {
namespace {

constexpr auto kFirstPause = std::chrono::milliseconds(100);
constexpr auto kLongestPause = std::chrono::milliseconds(5000);
constexpr int64_t kTailBytes = 4 * 1024 * 1024;  // more than one event's line

std::string EventText(const v1::Event& event) {
  std::string out = absl::StrCat(
      event.number(), "  ", google::protobuf::util::TimeUtil::ToString(event.record_time()), "  ",
      v1::EventType_Name(event.type()).substr(11), "  ", event.subject());
  if (!event.trigger().empty()) absl::StrAppend(&out, "  by ", event.trigger());
  for (const v1::FieldChange& change : event.changes()) {
    std::string value;
    if (change.has_new_value()) {
      (void)google::protobuf::util::MessageToJsonString(change.new_value(), &value);
    } else {
      value = "(none)";
    }
    absl::StrAppend(&out, "\n    ", change.path(), " = ", value);
  }
  return out + "\n";
}

// Reads the resume token of the last whole line of a file of JSON lines, and cuts off what follows
// it: the rest of a line whose writer was killed.
absl::StatusOr<std::string> TokenOfLastLine(const std::string& path) {
  int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return absl::NotFoundError(absl::StrCat(path, ": ", std::strerror(errno)));
  std::unique_ptr<int, void (*)(int*)> closing(&file, [](int* f) { close(*f); });
  int64_t size = lseek(file, 0, SEEK_END);
  int64_t from = std::max<int64_t>(0, size - kTailBytes);
  std::string tail(static_cast<size_t>(size - from), '\0');
  if (pread(file, tail.data(), tail.size(), from) != static_cast<ssize_t>(tail.size())) {
    return absl::InternalError(absl::StrCat(path, ": cannot be read"));
  }
  size_t end = tail.rfind('\n');
  if (end == std::string::npos && from > 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a file of JSON lines"));
  }
  size_t keep = end == std::string::npos ? 0 : end + 1;
  if (keep != tail.size() && ftruncate(file, from + static_cast<int64_t>(keep)) != 0) {
    return absl::InternalError(absl::StrCat(path, ": cannot be cut"));
  }
  if (keep == 0) return std::string();
  size_t begin = end == 0 ? std::string::npos : tail.rfind('\n', end - 1);
  begin = begin == std::string::npos ? 0 : begin + 1;
  nlohmann::json line = nlohmann::json::parse(tail.substr(begin, end - begin), nullptr, false);
  if (!line.is_object() || !line.contains("resume_token") || !line["resume_token"].is_string()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": its last line is no event"));
  }
  return line["resume_token"].get<std::string>();
}

}  // namespace

absl::Status ReplaceFile(const std::string& path, const std::string& text) {
  std::string fresh = path + ".new";
  int file = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return absl::NotFoundError(absl::StrCat(fresh, ": ", std::strerror(errno)));
  bool ok = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
            fsync(file) == 0;
  ok = close(file) == 0 && ok;
  if (!ok || std::rename(fresh.c_str(), path.c_str()) != 0) {
    return absl::InternalError(absl::StrCat(path, ": cannot be written"));
  }
  return absl::OkStatus();
}

int RunWatch(const Connection& connection, const WatchOptions& options) {
  CatchInterrupts();
  std::string token = options.token;
  FILE* out = stdout;
  std::unique_ptr<FILE, int (*)(FILE*)> closing(nullptr, &std::fclose);
  if (!options.token_file.empty()) {
    std::ifstream in(options.token_file);
    std::string kept;
    if (std::getline(in, kept) && !kept.empty()) token = kept;
  }
  if (!options.append.empty()) {
    absl::StatusOr<std::string> last = TokenOfLastLine(options.append);
    if (!last.ok()) return Report(last.status());
    if (!last->empty()) token = *std::move(last);
    closing.reset(std::fopen(options.append.c_str(), "ab"));
    out = closing.get();
    if (out == nullptr) {
      return Report(absl::NotFoundError(absl::StrCat(options.append, ": cannot be written")));
    }
  }
  google::protobuf::util::JsonPrintOptions json;
  json.preserve_proto_field_names = true;

  std::unique_ptr<v1::EventService::Stub> stub = v1::EventService::NewStub(connection.channel());
  // An event number that the user gave stays the start until a token is known.
  int64_t after = options.after.value_or(-1);
  int64_t last_number = 0;
  auto pause = kFirstPause;
  while (true) {
    v1::WatchRequest request;
    request.set_filter(options.filter);
    request.set_until_now(options.until_now);
    if (token.empty()) {
      request.set_after_number(after);
    } else {
      request.set_resume_token(token);
    }
    std::unique_ptr<grpc::ClientContext> context = connection.Stream();
    std::unique_ptr<grpc::ClientReader<v1::WatchResponse>> stream =
        stub->Watch(context.get(), request);
    // An interrupt ends a read that waits for the next event.
    std::atomic<bool> ended{false};
    std::thread guard([&] {
      while (!ended) {
        if (Interrupted()) {
          context->TryCancel();
          return;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
    });
    v1::WatchResponse response;
    absl::Status local = absl::OkStatus();
    while (local.ok() && stream->Read(&response)) {
      pause = kFirstPause;
      if (response.has_event()) {
        const v1::Event& event = response.event();
        // Belt and braces: a server that repeated or turned back would be noticed here.
        if (event.number() <= last_number) {
          local = absl::InternalError(
              absl::StrCat("event ", event.number(), " came after event ", last_number));
          break;
        }
        last_number = event.number();
        std::string text;
        if (options.json || out != stdout) {
          (void)google::protobuf::util::MessageToJsonString(event, &text, json);
          text += '\n';
        } else {
          text = EventText(event);
        }
        // One write a line, so that a kill tears at most the last one.
        if (std::fwrite(text.data(), 1, text.size(), out) != text.size() || std::fflush(out) != 0) {
          local = absl::InternalError("the output cannot be written");
          break;
        }
      }
      if (!response.resume_token().empty()) token = response.resume_token();
      if (!options.token_file.empty() && !token.empty()) {
        local = ReplaceFile(options.token_file, token + "\n");
      }
    }
    if (!local.ok()) context->TryCancel();
    grpc::Status status = stream->Finish();
    ended = true;
    guard.join();
    if (!local.ok()) return Report(local);
    if (Interrupted()) return kExitInterrupted;
    if (status.ok() && options.until_now) return kExitOk;
    bool again = status.ok() || status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                 status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED;
    if (!again) return Report(status, "Watch");
    std::fprintf(stderr, "relais: the stream ended (%s), connecting again\n",
                 status.ok() ? "the server stopped" : status.error_message().c_str());
    for (auto slept = std::chrono::milliseconds(0); slept < pause && !Interrupted();
         slept += std::chrono::milliseconds(50)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    if (Interrupted()) return kExitInterrupted;
    pause = std::min(2 * pause, kLongestPause);
  }
}

}  // namespace relais::cli

#include "server/runtime/logging.h"

#include <spdlog/async.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "server/domain/concat.h"

namespace relais::runtime {
namespace {

constexpr size_t kWaitingLines = 8192;

spdlog::level::level_enum LevelOf(std::string_view code) {
  return code == "Internal" ? spdlog::level::err : spdlog::level::info;
}

}  // namespace

absl::Status StartLogging(const std::string& level) {
  spdlog::level::level_enum at = spdlog::level::from_str(level);
  if (at == spdlog::level::off &&
      level != "off") {  // from_str answers off for what it does not know
    return absl::InvalidArgumentError(
        Concat("--log_level: '", level, "' is none of trace, debug, info, warn, error, off"));
  }
  spdlog::init_thread_pool(kWaitingLines, 1);
  auto logger = std::make_shared<spdlog::async_logger>(
      "relais", std::make_shared<spdlog::sinks::stderr_sink_mt>(), spdlog::thread_pool(),
      spdlog::async_overflow_policy::overrun_oldest);
  logger->set_level(at);
  logger->flush_on(spdlog::level::info);
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%fZ %L %v", spdlog::pattern_time_type::utc);
  spdlog::set_default_logger(std::move(logger));
  return absl::OkStatus();
}

void StopLogging() { spdlog::shutdown(); }

bool LogsCall(std::string_view code) {
  const spdlog::logger* logger = spdlog::default_logger_raw();
  return logger != nullptr && logger->should_log(LevelOf(code));
}

void LogCall(const CallLine& line) {
  if (!LogsCall(line.code)) return;
  spdlog::logger* logger = spdlog::default_logger_raw();
  logger->log(LevelOf(line.code), "call {}/{} {} {}us id={} tenant={} principal={}{}{}{}{}",
              line.service, line.method, line.code, line.taken.count(), line.call_id, line.tenant,
              line.principal, line.reason.empty() ? "" : " reason=", line.reason,
              line.trace_id.empty() ? "" : " trace=", line.trace_id);
}

void LogInfo(std::string_view message) {
  if (spdlog::logger* logger = spdlog::default_logger_raw()) logger->info("{}", message);
}
void LogWarning(std::string_view message) {
  if (spdlog::logger* logger = spdlog::default_logger_raw()) logger->warn("{}", message);
}
void LogError(std::string_view message) {
  if (spdlog::logger* logger = spdlog::default_logger_raw()) logger->error("{}", message);
}

}  // namespace relais::runtime

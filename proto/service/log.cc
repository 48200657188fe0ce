#include "proto/service/log.h"

#include <unistd.h>

#include <atomic>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tern {
namespace {

std::atomic<LogLevel> minimum_level{LogLevel::kInfo};
std::string& ProgramJson() {
  static std::string* const program = new std::string("\"\"");
  return *program;
}

std::string Quoted(absl::string_view text) {
  return nlohmann::json(std::string(text))
      .dump(-1, ' ', /*ensure_ascii=*/false, nlohmann::json::error_handler_t::replace);
}

absl::string_view NameOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

}  // namespace

bool AbslParseFlag(absl::string_view text, LogLevel* level, std::string* error) {
  for (const LogLevel candidate :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    if (text != NameOf(candidate)) continue;
    *level = candidate;
    return true;
  }
  *error = "it must be debug, info, warning or error";
  return false;
}

std::string AbslUnparseFlag(LogLevel level) { return std::string(NameOf(level)); }

LogField::LogField(absl::string_view key, absl::string_view value)
    : key(key), json(Quoted(value)) {}
LogField::LogField(absl::string_view key, const char* value)
    : LogField(key, absl::string_view(value)) {}
LogField::LogField(absl::string_view key, int64_t value) : key(key), json(absl::StrCat(value)) {}
LogField::LogField(absl::string_view key, int value) : LogField(key, int64_t{value}) {}
LogField::LogField(absl::string_view key, double value)
    : key(key), json(std::isfinite(value) ? absl::StrCat(value) : "null") {}

void SetLogLevel(LogLevel level) { minimum_level = level; }

void SetLogProgram(absl::string_view program) { ProgramJson() = Quoted(program); }

void Log(LogLevel level, absl::string_view message, std::initializer_list<LogField> fields) {
  if (level < minimum_level.load()) return;
  const std::string time =
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
  std::string line =
      absl::StrCat("{\"time\":\"", time, "\",\"level\":\"", NameOf(level),
                   "\",\"program\":", ProgramJson(), ",\"message\":", Quoted(message));
  for (const LogField& field : fields) {
    absl::StrAppend(&line, ",", Quoted(field.key), ":", field.json);
  }
  absl::StrAppend(&line, "}\n");
  // One write, so that lines of threads and of processes sharing stderr stay whole.
  for (size_t written = 0; written < line.size();) {
    const ssize_t n = write(STDERR_FILENO, line.data() + written, line.size() - written);
    if (n <= 0) return;
    written += static_cast<size_t>(n);
  }
}

}  // namespace tern

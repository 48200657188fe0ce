#ifndef TERN_PROTO_SERVICE_LOG_H_
#define TERN_PROTO_SERVICE_LOG_H_

#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/strings/string_view.h"

namespace tern {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Makes LogLevel a type of ABSL_FLAGs: debug, info, warning, error.
bool AbslParseFlag(absl::string_view text, LogLevel* level, std::string* error);
std::string AbslUnparseFlag(LogLevel level);

// A named value of a log line. Secrets are never passed.
struct LogField {
  LogField(absl::string_view key, absl::string_view value);
  LogField(absl::string_view key, const char* value);
  LogField(absl::string_view key, int64_t value);
  LogField(absl::string_view key, int value);
  LogField(absl::string_view key, double value);

  std::string key;
  std::string json;  // the value, as JSON
};

// Lines below `level` are dropped. Initially kInfo.
void SetLogLevel(LogLevel level);

// Writes one line to stderr: {"time":"2026-01-31T12:00:00.123Z","level":"info","program":...,
// "message":..., then the fields}. Lines never interleave. Thread-safe.
void Log(LogLevel level, absl::string_view message, std::initializer_list<LogField> fields = {});

// What "program" says, e.g. "tern-server". Set once at start.
void SetLogProgram(absl::string_view program);

}  // namespace tern

#endif  // TERN_PROTO_SERVICE_LOG_H_

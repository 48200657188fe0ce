#include "proto/service/grpc_log.h"

#include <grpc/support/log.h>

#include "proto/service/log.h"

namespace tern {
namespace {

void Write(gpr_log_func_args* line) {
  const LogLevel level = line->severity == GPR_LOG_SEVERITY_ERROR  ? LogLevel::kWarning
                         : line->severity == GPR_LOG_SEVERITY_INFO ? LogLevel::kInfo
                                                                   : LogLevel::kDebug;
  Log(level, "grpc", {{"detail", line->message}});
}

}  // namespace

void RouteGrpcLog() { gpr_set_log_function(&Write); }

}  // namespace tern

#include "server/api/exception_barrier.h"

#include <exception>
#include <new>

#include "absl/strings/str_cat.h"
#include "proto/service/error_details.h"
#include "proto/service/log.h"

namespace tern {

absl::Status CatchExceptions(absl::FunctionRef<absl::Status()> handler) {
  try {
    return handler();
  } catch (const std::bad_alloc&) {
    Log(LogLevel::kError, "a call ran out of memory");
    return WithReason(absl::ResourceExhaustedError("the server is out of memory: call again later"),
                      "OUT_OF_MEMORY");
  } catch (const std::exception& e) {
    Log(LogLevel::kError, "a call ended with an exception", {{"what", e.what()}});
    return WithReason(absl::InternalError(absl::StrCat("unexpected: ", e.what())), "INTERNAL");
  }
}

}  // namespace tern

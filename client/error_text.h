#ifndef TERN_CLIENT_ERROR_TEXT_H_
#define TERN_CLIENT_ERROR_TEXT_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/exit_code.h"

namespace tern {

// A field of a request that the server found at fault.
struct FieldFault {
  std::string field;  // "quantization_job.spec.shards"
  std::string description;
};

// google.rpc.BadRequest of a status that came from the server; empty when there is none.
std::vector<FieldFault> FieldFaults(const absl::Status& status);

// A status of this program's own that FieldFaults tells of the same.
absl::Status WithFieldFaults(const absl::Status& status, const std::vector<FieldFault>& faults);

// google.rpc.ErrorInfo.metadata of such a status.
std::map<std::string, std::string> ErrorMetadata(const absl::Status& status);

// "tern: <message>", then a line for each field at fault that the message does not name. A field
// that a flag of `tern submit` sets is called by the flag, and values of a method's options as
// `--set` takes them. Ends with a line feed.
std::string ErrorText(const absl::Status& status);

// The same on one line as JSON: {"error": {"code", "message", "reason", "fields": [{"field",
// "description"}]}, "exit_code"}. Ends with a line feed.
std::string ErrorJson(const absl::Status& status, ExitCode exit_code);

}  // namespace tern

#endif  // TERN_CLIENT_ERROR_TEXT_H_

#ifndef TERN_PROTO_SERVICE_ERROR_DETAILS_H_
#define TERN_PROTO_SERVICE_ERROR_DETAILS_H_

#include <cstddef>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/rpc/status.pb.h"

// Details that travel with an absl::Status as payloads, in the published google.rpc messages, so
// that code below the API can set them without knowing gRPC. Thread-safe.

namespace tern {

// Longest message, and description of a field, that ToProto and AtField let through; longer ones
// are cut. gRPC carries both as metadata, escaped, and answers RESOURCE_EXHAUSTED for more than
// 8 KiB of it, whatever the error was.
inline constexpr size_t kMaxMessageBytes = 1024;

// Adds google.rpc.ErrorInfo {reason, domain "tern", metadata}. `reason` is UPPER_SNAKE_CASE and
// stable. A reason already there stays.
absl::Status WithReason(absl::Status status, absl::string_view reason,
                        const std::map<std::string, std::string>& metadata = {});

// `status` with google.rpc.BadRequest naming `field` ("quantization_job.spec.model"); its
// description is the status's message (bounded), and the message becomes "field: message".
absl::Status AtField(absl::Status status, absl::string_view field);

// INVALID_ARGUMENT at a field.
absl::Status InvalidField(absl::string_view field, absl::string_view description,
                          absl::string_view reason = "INVALID_FIELD");

// The reason of the status's ErrorInfo; empty when it has none.
std::string ReasonOf(const absl::Status& status);

// As jobs keep errors and the wire carries them: always valid UTF-8. ErrorInfo is added when the
// status has none, with the code's name as its reason.
google::rpc::Status ToProto(const absl::Status& status);
absl::Status FromProto(const google::rpc::Status& proto);

}  // namespace tern

#endif  // TERN_PROTO_SERVICE_ERROR_DETAILS_H_

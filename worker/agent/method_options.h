#ifndef TERN_WORKER_AGENT_METHOD_OPTIONS_H_
#define TERN_WORKER_AGENT_METHOD_OPTIONS_H_

#include "absl/status/statusor.h"
#include "checkpoint/packed_format.h"
#include "tern/v1/quantization_job.pb.h"
#include "worker/quant/pt2llm_options.h"

namespace tern {

// What a job's spec asks of the method; what is unset has its default. INVALID_ARGUMENT names the
// option out of range, UNIMPLEMENTED a method this build does not know.
absl::StatusOr<Pt2LlmOptions> MethodOptions(const tern::v1::QuantizationSpec& spec);

// How a checkpoint of these options is stored.
PackedFormat FormatOf(const Pt2LlmOptions& options);

}  // namespace tern

#endif  // TERN_WORKER_AGENT_METHOD_OPTIONS_H_

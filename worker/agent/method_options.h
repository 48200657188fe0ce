#ifndef TERN_WORKER_AGENT_METHOD_OPTIONS_H_
#define TERN_WORKER_AGENT_METHOD_OPTIONS_H_

#include "absl/status/statusor.h"
#include "checkpoint/packed_format.h"
#include "tern/v1/quantization_job.pb.h"
#include "worker/quant/quant_recipe.h"

namespace tern {

// What a job's spec asks of the method; what is unset has its default. INVALID_ARGUMENT names the
// option out of range, UNIMPLEMENTED a method this build does not know.
absl::StatusOr<QuantRecipe> MethodOptions(const tern::v1::QuantizationSpec& spec);

// How blocks of the job are stored; the widths of activations are not the blocks'. Errors as above.
absl::StatusOr<PackedFormat> FormatOf(const tern::v1::QuantizationSpec& spec);

}  // namespace tern

#endif  // TERN_WORKER_AGENT_METHOD_OPTIONS_H_

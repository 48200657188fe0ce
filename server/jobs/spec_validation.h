#ifndef TERN_SERVER_JOBS_SPEC_VALIDATION_H_
#define TERN_SERVER_JOBS_SPEC_VALIDATION_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/model_config.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {

// Fields are named by their path in CreateQuantizationJobRequest, e.g.
// "quantization_job.spec.pt2llm.group_size".

// Checks what can be checked without the model: ranges, presence, no NaN. Pure.
absl::Status ValidateSpec(const v1::QuantizationSpec& spec);

// `spec`, which ValidateSpec accepted, with every default filled in but the counts that only the
// inputs know (samples and lengths 0 where they are taken from a safetensors file, evaluation
// windows 0); checks what depends on the model: shards, sequence and window lengths. Pure.
absl::StatusOr<v1::QuantizationSpec> ResolveSpec(const v1::QuantizationSpec& spec,
                                                 const ModelConfig& config);

// At most 32 labels, keys 1 to 128 bytes of [A-Za-z0-9_./-], values at most 128 bytes of UTF-8.
absl::Status ValidateLabels(const v1::QuantizationJob& job);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_SPEC_VALIDATION_H_

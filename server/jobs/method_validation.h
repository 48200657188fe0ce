#ifndef TERN_SERVER_JOBS_METHOD_VALIDATION_H_
#define TERN_SERVER_JOBS_METHOD_VALIDATION_H_

#include "absl/status/status.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {

// Whether the spec has a method, whose options are in range and fit each other. INVALID_ARGUMENT
// names the field at fault, and values of enums by their whole names, which clients may show in
// words of their own. Pure.
absl::Status ValidateMethod(const v1::QuantizationSpec& spec);

// Fills in the defaults of a method that ValidateMethod accepts; it accepts the result too. An
// option that others make meaningless stays unset. Pure.
void ResolveMethod(v1::QuantizationSpec& spec);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_METHOD_VALIDATION_H_

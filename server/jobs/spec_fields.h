#ifndef TERN_SERVER_JOBS_SPEC_FIELDS_H_
#define TERN_SERVER_JOBS_SPEC_FIELDS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "proto/service/error_details.h"

namespace tern {

// A field of the spec by its path in CreateQuantizationJobRequest.
inline std::string SpecField(absl::string_view name) {
  return absl::StrCat("quantization_job.spec.", name);
}

// 0 stands for the default.
inline absl::Status CheckRange(absl::string_view name, int64_t value, int64_t low, int64_t high) {
  if (value == 0 || (value >= low && value <= high)) return absl::OkStatus();
  return InvalidField(SpecField(name), absl::StrCat("is ", value, "; must be ", low, " to ", high,
                                                    ", or 0 for the default"));
}

}  // namespace tern

#endif  // TERN_SERVER_JOBS_SPEC_FIELDS_H_

#ifndef TERN_PROTO_SERVICE_JOB_INPUTS_H_
#define TERN_PROTO_SERVICE_JOB_INPUTS_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace tern {

// Paths of a job's inputs, as workers read them with ReadBlob.
inline constexpr char kCalibrationInput[] = "inputs/calibration.safetensors";
inline constexpr char kEvaluationInput[] = "inputs/evaluation.safetensors";

// What rotate/b makes and quantize/b reads: "rotations/00003.safetensors". Not part of the
// checkpoint, whose block file has the factors too.
inline std::string RotationsFile(int64_t block) {
  return absl::StrCat("rotations/", absl::Dec(block, absl::kZeroPad5), ".safetensors");
}

}  // namespace tern

#endif  // TERN_PROTO_SERVICE_JOB_INPUTS_H_

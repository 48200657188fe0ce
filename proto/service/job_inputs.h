#ifndef TERN_PROTO_SERVICE_JOB_INPUTS_H_
#define TERN_PROTO_SERVICE_JOB_INPUTS_H_

namespace tern {

// Paths of a job's inputs, as workers read them with ReadBlob.
inline constexpr char kCalibrationInput[] = "inputs/calibration.safetensors";
inline constexpr char kEvaluationInput[] = "inputs/evaluation.safetensors";

}  // namespace tern

#endif  // TERN_PROTO_SERVICE_JOB_INPUTS_H_

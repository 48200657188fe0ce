#ifndef TERN_SERVER_JOBS_SUBMITTED_INPUTS_H_
#define TERN_SERVER_JOBS_SUBMITTED_INPUTS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/text/token_windows.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {

// What a spec names, opened and read.
struct SubmittedInputs {
  // Complete: canonical paths, every default and count filled in.
  v1::QuantizationSpec spec;
  std::unique_ptr<ModelFolder> model;
  TokenWindows calibration;
  std::optional<TokenWindows> evaluation;
};

// OK as long as somebody waits for the answer; else what the call is to end with.
using StillWanted = std::function<absl::Status()>;

// Opens the model and makes the windows of a spec that ValidateSpec accepted. `input_roots` are as
// in JobsOptions. Errors are at the field that names what is at fault, with the reasons of
// Submission::Create, or what `still_wanted` says, which is asked before each document that is
// tokenized.
absl::StatusOr<SubmittedInputs> ReadInputs(const v1::QuantizationSpec& spec,
                                           const std::vector<std::string>& input_roots,
                                           const StillWanted& still_wanted);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_SUBMITTED_INPUTS_H_

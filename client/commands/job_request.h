#ifndef TERN_CLIENT_COMMANDS_JOB_REQUEST_H_
#define TERN_CLIENT_COMMANDS_JOB_REQUEST_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/command_line.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {

// The options that say what a job reads and how it is cut, whatever its method: --shards,
// --calibration and its like, --seed, --eval and its like, --text-field.
std::vector<Option> JobInputOptions(bool evaluated);

// --label KEY=VALUE.
Option LabelOption();

// INVALID_ARGUMENT when one of these options needs another.
absl::Status CheckJobInputs(const Arguments& arguments);

// Sets all of the spec but its method. The model is the first positional.
void SetJobInputs(const Arguments& arguments, v1::QuantizationSpec* spec);

absl::Status SetLabels(const Arguments& arguments, v1::QuantizationJob* job);

// 32 hexadecimal digits.
std::string RandomRequestId();

}  // namespace tern

#endif  // TERN_CLIENT_COMMANDS_JOB_REQUEST_H_

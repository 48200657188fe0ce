#ifndef TERN_WORKER_AGENT_LOCAL_EVALUATION_H_
#define TERN_WORKER_AGENT_LOCAL_EVALUATION_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "worker/backend/backend.h"

namespace tern {

// Measures a checkpoint on a text, on this machine, without a server.
struct LocalEvaluation {
  std::string checkpoint;  // folder of a packed checkpoint or of a Hugging Face model
  std::string text;        // UTF-8, JSONL (field "text") or safetensors with input_ids
  int64_t window = 0;      // tokens; 0: 2048 or the model's longest context
  int64_t windows = 0;     // from the start of the text; 0: all that fit
  std::string against;     // folder of the full-precision model; empty: none
};

// One JSON object: "perplexity" and "tokens"; "activation_bits", the mean over the blocks, for a
// checkpoint with low-bit activations, which it is measured with; and with `against` also
// "full_precision" (its perplexity) and "kl_divergence" (mean over tokens of KL(full precision ‖
// checkpoint), nats).
// `progress` gets the fraction done.
//
// A packed checkpoint is verified as a whole before it is measured: DATA_LOSS, as
// PackedCheckpoint's, when it is damaged. INVALID_ARGUMENT and NOT_FOUND name what is wrong with
// the folders or the text.
absl::StatusOr<std::string> EvaluateLocally(Backend& backend, const LocalEvaluation& evaluation,
                                            const std::function<void(double)>& progress);

}  // namespace tern

#endif  // TERN_WORKER_AGENT_LOCAL_EVALUATION_H_

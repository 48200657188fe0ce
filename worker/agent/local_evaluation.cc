#include "worker/agent/local_evaluation.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/packed_checkpoint.h"
#include "checkpoint/packed_format.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/text/evaluation.h"
#include "checkpoint/text/text_source.h"
#include "checkpoint/tokenizer/tokenizer.h"
#include "worker/model/evaluation.h"
#include "worker/model/weight_source.h"

namespace tern {
namespace {

// A folder's weights, and what they are read from.
struct OpenedModel {
  std::unique_ptr<ModelFolder> folder;
  std::unique_ptr<PackedCheckpoint> packed;
  std::unique_ptr<WeightSource> weights;
};

absl::StatusOr<OpenedModel> OpenModel(const std::string& path) {
  OpenedModel model;
  std::error_code ignored;
  if (std::filesystem::exists(absl::StrCat(path, "/", kManifestFile), ignored)) {
    TERN_ASSIGN_OR_RETURN(model.packed, PackedCheckpoint::Open(path));
    // A damaged one has a perplexity too.
    TERN_RETURN_IF_ERROR(model.packed->Verify());
    TERN_ASSIGN_OR_RETURN(model.weights, PackedWeights(*model.packed));
  } else {
    TERN_ASSIGN_OR_RETURN(model.folder, ModelFolder::Open(path));
    model.weights = FullPrecisionWeights(*model.folder);
  }
  return model;
}

// Two models are compared by their blocks: all else is read once, for both.
absl::Status CheckSameOuterTensors(const WeightSource& full, const WeightSource& quantized) {
  for (const ExpectedTensor& expected : OuterTensors(full.config())) {
    TERN_ASSIGN_OR_RETURN(const TensorView a, full.Outer(expected.name));
    TERN_ASSIGN_OR_RETURN(const TensorView b, quantized.Outer(expected.name));
    const bool same = a.dtype == b.dtype && a.shape == b.shape &&
                      std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end());
    if (!same) {
      return absl::InvalidArgumentError(absl::StrCat(
          expected.name, ": differs from --against's: it is not the model this was made from"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<TokenWindows> ReadWindows(const LocalEvaluation& evaluation,
                                         const ModelConfig& config) {
  if (evaluation.window > config.max_positions) {
    return absl::InvalidArgumentError(absl::StrCat("--window: is ", evaluation.window,
                                                   "; the model's longest context is ",
                                                   config.max_positions));
  }
  EvaluationSpec spec;
  spec.files = {evaluation.text};
  spec.length =
      evaluation.window != 0 ? evaluation.window : std::min<int64_t>(2048, config.max_positions);
  spec.max_windows = evaluation.windows;
  spec.vocab_size = config.vocab_size;
  if (config.eos_token_id.has_value()) {
    spec.separator = static_cast<int32_t>(*config.eos_token_id);
  }
  std::unique_ptr<Tokenizer> tokenizer;
  if (!HoldsTokenIds(evaluation.text)) {
    TERN_ASSIGN_OR_RETURN(tokenizer, OpenTokenizer(evaluation.checkpoint));
  }
  return EvaluationWindows(spec, tokenizer.get());
}

}  // namespace

absl::StatusOr<std::string> EvaluateLocally(Backend& backend, const LocalEvaluation& evaluation,
                                            const std::function<void(double)>& progress) {
  TERN_ASSIGN_OR_RETURN(const OpenedModel checkpoint, OpenModel(evaluation.checkpoint));
  OpenedModel full;
  if (!evaluation.against.empty()) {
    TERN_ASSIGN_OR_RETURN(full, OpenModel(evaluation.against));
    TERN_RETURN_IF_ERROR(CheckSameOuterTensors(*full.weights, *checkpoint.weights));
  }
  TERN_ASSIGN_OR_RETURN(const TokenWindows windows,
                        ReadWindows(evaluation, checkpoint.weights->config()));

  EvaluationOptions options;
  options.progress = [&](int64_t done, int64_t total) {
    progress(static_cast<double>(done) / static_cast<double>(total));
  };
  TERN_ASSIGN_OR_RETURN(const EvaluationSums sums,
                        Evaluate(backend, {full.weights.get(), checkpoint.weights.get()},
                                 {windows.ids, windows.length}, options));
  const double tokens = static_cast<double>(sums.tokens);
  nlohmann::ordered_json json;
  json["perplexity"] = std::exp(sums.nll_quantized / tokens);
  json["tokens"] = sums.tokens;
  if (checkpoint.packed != nullptr && !checkpoint.packed->format().activations.empty()) {
    json["activation_bits"] = Summarize(checkpoint.packed->format().activations).average_bits;
  }
  if (full.weights != nullptr) {
    json["full_precision"] = std::exp(sums.nll_full / tokens);
    json["kl_divergence"] = sums.kl / tokens;
  }
  return json.dump();
}

}  // namespace tern

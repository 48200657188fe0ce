#include "worker/model/evaluation.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "checkpoint/status_macros.h"
#include "worker/model/outer_weights.h"
#include "worker/model/transformer_block.h"

namespace tern {
namespace {

// One forward pass: whose weights, and the hidden states it has come to.
struct Stream {
  const WeightSource* weights;
  double EvaluationSums::*nll;
  Tensor h;
};

class Evaluation {
 public:
  // `outer` is the one of the models that what lies outside the blocks is read from.
  Evaluation(Backend& backend, const EvaluatedModels& models, const WeightSource& outer,
             const EvaluatedWindows& windows, const EvaluationOptions& options)
      : backend_(backend), models_(models), outer_(outer), windows_(windows), options_(options) {}

  absl::StatusOr<EvaluationSums> Run() {
    TERN_RETURN_IF_ERROR(CheckWindows(windows_));
    const int64_t pass =
        WindowsPerPass(windows_, config().hidden_size, Streams(), options_.hidden_state_bytes);
    total_ = windows_.count() * (config().num_blocks + 1);
    for (int64_t first = 0; first < windows_.count(); first += pass) {
      TERN_RETURN_IF_ERROR(RunPass(first, std::min(pass, windows_.count() - first)));
    }
    return sums_;
  }

 private:
  const ModelConfig& config() const { return outer_.config(); }
  int64_t Streams() const {
    return (models_.full != nullptr ? 1 : 0) + (models_.quantized != nullptr ? 1 : 0);
  }

  absl::Status RunPass(int64_t first_window, int64_t windows) {
    const std::span<const int32_t> ids = windows_.Ids(first_window, windows);
    std::vector<Stream> streams;
    for (const auto& [source, nll] : {std::pair{models_.full, &EvaluationSums::nll_full},
                                      {models_.quantized, &EvaluationSums::nll_quantized}}) {
      if (source == nullptr) continue;
      TERN_ASSIGN_OR_RETURN(Tensor h, EmbedTokens(backend_, outer_, ids));
      streams.push_back({source, nll, std::move(h)});
    }
    for (int64_t block = 0; block < config().num_blocks; ++block) {
      TERN_RETURN_IF_ERROR(RunBlock(block, streams));
    }
    return RunHead(ids, streams);
  }

  absl::Status RunBlock(int64_t block, const std::vector<Stream>& streams) {
    TERN_ASSIGN_OR_RETURN(TransformerBlock transformer,
                          TransformerBlock::Create(backend_, config(), block, windows_.length));
    for (size_t i = 0; i < streams.size(); ++i) {
      TERN_ASSIGN_OR_RETURN(const BlockWeights weights, streams[i].weights->Block(backend_, block));
      const Tensor& h = streams[i].h;
      const int64_t batch = transformer.BatchWindows() * windows_.length;
      for (int64_t row = 0; row < h.rows(); row += batch) {
        const int64_t rows = std::min(batch, h.rows() - row);
        TERN_RETURN_IF_ERROR(CheckCancelled());
        TERN_RETURN_IF_ERROR(transformer.Forward(weights, h.Rows(row, rows)));
        if (i + 1 == streams.size()) Advance(rows / windows_.length);
      }
    }
    return absl::OkStatus();
  }

  absl::Status RunHead(std::span<const int32_t> ids, const std::vector<Stream>& streams) {
    if (!losses_.has_value()) {
      TERN_ASSIGN_OR_RETURN(losses_, WindowLosses::Load(backend_, outer_, windows_.length));
    }
    std::vector<Tensor> states(streams.size());
    std::vector<double> nll(streams.size());
    const auto tokens = static_cast<int64_t>(ids.size());
    for (int64_t window = 0; window < tokens; window += windows_.length) {
      TERN_RETURN_IF_ERROR(CheckCancelled());
      for (size_t i = 0; i < streams.size(); ++i) {
        states[i] = streams[i].h.Rows(window, windows_.length);
      }
      double kl = 0;
      TERN_RETURN_IF_ERROR(losses_->Sum(states, ids.subspan(window, windows_.length), nll, kl));
      // Added whole, so that ranges of windows add up alike.
      sums_.tokens += windows_.length - 1;
      for (size_t i = 0; i < streams.size(); ++i) sums_.*streams[i].nll += nll[i];
      sums_.kl += kl;
      Advance(1);
    }
    return absl::OkStatus();
  }

  absl::Status CheckCancelled() const {
    if (options_.cancelled && options_.cancelled()) {
      return absl::CancelledError("evaluation was cancelled");
    }
    return absl::OkStatus();
  }

  void Advance(int64_t steps) {
    done_ += steps;
    if (options_.progress) options_.progress(done_, total_);
  }

  Backend& backend_;
  const EvaluatedModels models_;
  const WeightSource& outer_;
  const EvaluatedWindows windows_;
  const EvaluationOptions& options_;
  std::optional<WindowLosses> losses_;
  int64_t done_ = 0, total_ = 0;
  EvaluationSums sums_;
};

}  // namespace

absl::StatusOr<EvaluationSums> Evaluate(Backend& backend, const EvaluatedModels& models,
                                        const EvaluatedWindows& windows,
                                        const EvaluationOptions& options) {
  const WeightSource* outer = models.full != nullptr ? models.full : models.quantized;
  if (outer == nullptr) return absl::InvalidArgumentError("evaluation: no model is given");
  return Evaluation(backend, models, *outer, windows, options).Run();
}

}  // namespace tern

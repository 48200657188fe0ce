#include "worker/model/evaluation.h"

#include <algorithm>
#include <cassert>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "worker/model/outer_weights.h"
#include "worker/model/transformer_block.h"

namespace tern {
namespace {

constexpr int64_t kLogitBytes = int64_t{128} << 20;  // of one stream

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
    if (windows_.length < 2 || windows_.ids.size() % windows_.length != 0) {
      return absl::InvalidArgumentError(absl::StrCat("evaluation: ", windows_.ids.size(),
                                                     " tokens are not whole windows of ",
                                                     windows_.length, " (at least 2)"));
    }
    const int64_t window_bytes =
        windows_.length * config().hidden_size * SizeOf(ElementType::kF32) * Streams();
    assert(window_bytes > 0);
    const int64_t pass = std::max<int64_t>(1, options_.hidden_state_bytes / window_bytes);
    total_ = WindowCount() * (config().num_blocks + 1);
    for (int64_t first = 0; first < WindowCount(); first += pass) {
      TERN_RETURN_IF_ERROR(RunPass(first, std::min(pass, WindowCount() - first)));
    }
    return sums_;
  }

 private:
  const ModelConfig& config() const { return outer_.config(); }
  int64_t WindowCount() const {
    return static_cast<int64_t>(windows_.ids.size()) / windows_.length;
  }
  int64_t Streams() const {
    return (models_.full != nullptr ? 1 : 0) + (models_.quantized != nullptr ? 1 : 0);
  }

  absl::Status RunPass(int64_t first_window, int64_t windows) {
    const std::span<const int32_t> ids =
        windows_.ids.subspan(first_window * windows_.length, windows * windows_.length);
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
    if (!head_.has_value()) {
      TERN_ASSIGN_OR_RETURN(head_, LanguageHead::Load(backend_, outer_));
      const int64_t row_bytes = config().vocab_size * SizeOf(ElementType::kF32);
      logit_rows_ = std::clamp<int64_t>(kLogitBytes / row_bytes, 1, windows_.length - 1);
      for (int64_t i = 0; i < Streams(); ++i) {
        TERN_ASSIGN_OR_RETURN(
            Tensor logits, backend_.Allocate(ElementType::kF32, logit_rows_, config().vocab_size));
        logits_.push_back(std::move(logits));
      }
    }
    const auto tokens = static_cast<int64_t>(ids.size());
    for (int64_t window = 0; window < tokens; window += windows_.length) {
      TERN_RETURN_IF_ERROR(CheckCancelled());
      EvaluationSums of_window;  // added whole, so that ranges of windows add up alike
      const int64_t last = window + windows_.length - 1;
      for (int64_t row = window; row < last; row += logit_rows_) {
        const int64_t rows = std::min(logit_rows_, last - row);
        TERN_RETURN_IF_ERROR(AddLosses(streams, row, ids.subspan(row + 1, rows), of_window));
      }
      sums_.tokens += windows_.length - 1;
      sums_.nll_full += of_window.nll_full;
      sums_.nll_quantized += of_window.nll_quantized;
      sums_.kl += of_window.kl;
      Advance(1);
    }
    return absl::OkStatus();
  }

  // The losses of the hidden states from `row` on, whose next tokens are `targets`.
  absl::Status AddLosses(const std::vector<Stream>& streams, int64_t row,
                         std::span<const int32_t> targets, EvaluationSums& sums) {
    const auto rows = static_cast<int64_t>(targets.size());
    std::vector<double> losses(rows);
    for (size_t i = 0; i < streams.size(); ++i) {
      const Tensor logits = logits_[i].Rows(0, rows);
      TERN_RETURN_IF_ERROR(head_->Logits(streams[i].h.Rows(row, rows), logits));
      TERN_RETURN_IF_ERROR(backend_.transformer().TokenLosses(logits, targets, losses));
      for (const double loss : losses) sums.*streams[i].nll += loss;
    }
    if (streams.size() == 2) {
      TERN_RETURN_IF_ERROR(backend_.transformer().KlDivergences(logits_[0].Rows(0, rows),
                                                                logits_[1].Rows(0, rows), losses));
      for (const double divergence : losses) sums.kl += divergence;
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
  std::optional<LanguageHead> head_;
  std::vector<Tensor> logits_;  // [logit_rows_, vocab] of each stream
  int64_t logit_rows_ = 0;
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

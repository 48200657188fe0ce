#include "worker/model/window_losses.h"

#include <algorithm>
#include <cassert>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

constexpr int64_t kLogitBytes = int64_t{128} << 20;  // of one stream

}  // namespace

absl::Status CheckWindows(const EvaluatedWindows& windows) {
  if (windows.length >= 2 && windows.ids.size() % windows.length == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      windows.ids.size(), " tokens are not whole windows of ", windows.length, " (at least 2)"));
}

int64_t WindowsPerPass(const EvaluatedWindows& windows, int64_t hidden_size, int64_t streams,
                       int64_t bytes) {
  const int64_t window_bytes = windows.length * hidden_size * SizeOf(ElementType::kF32) * streams;
  assert(window_bytes > 0);
  return std::max<int64_t>(1, bytes / window_bytes);
}

absl::StatusOr<WindowLosses> WindowLosses::Load(Backend& backend, const WeightSource& source,
                                                int64_t window_length) {
  TERN_ASSIGN_OR_RETURN(LanguageHead head, LanguageHead::Load(backend, source));
  WindowLosses losses(backend, std::move(head));
  const int64_t row_bytes = losses.head_.vocab_size() * SizeOf(ElementType::kF32);
  losses.logit_rows_ = std::clamp<int64_t>(kLogitBytes / row_bytes, 1, window_length - 1);
  return losses;
}

absl::Status WindowLosses::Sum(std::span<const Tensor> streams, std::span<const int32_t> ids,
                               std::span<double> nll, double& kl) {
  assert(streams.size() == nll.size());
  while (logits_.size() < streams.size()) {
    TERN_ASSIGN_OR_RETURN(Tensor logits,
                          backend_->Allocate(ElementType::kF32, logit_rows_, head_.vocab_size()));
    logits_.push_back(std::move(logits));
  }
  std::fill(nll.begin(), nll.end(), 0.0);
  kl = 0;
  const auto last = static_cast<int64_t>(ids.size()) - 1;
  for (int64_t row = 0; row < last; row += logit_rows_) {
    const int64_t rows = std::min(logit_rows_, last - row);
    TERN_RETURN_IF_ERROR(AddRows(streams, row, ids.subspan(row + 1, rows), nll, kl));
  }
  return absl::OkStatus();
}

// The losses of the hidden states from `row` on, whose next tokens are `targets`.
absl::Status WindowLosses::AddRows(std::span<const Tensor> streams, int64_t row,
                                   std::span<const int32_t> targets, std::span<double> nll,
                                   double& kl) {
  const auto rows = static_cast<int64_t>(targets.size());
  std::vector<double> losses(rows);
  for (size_t i = 0; i < streams.size(); ++i) {
    const Tensor logits = logits_[i].Rows(0, rows);
    TERN_RETURN_IF_ERROR(head_.Logits(streams[i].Rows(row, rows), logits));
    TERN_RETURN_IF_ERROR(backend_->transformer().TokenLosses(logits, targets, losses));
    for (const double loss : losses) nll[i] += loss;
  }
  if (streams.size() == 2) {
    TERN_RETURN_IF_ERROR(backend_->transformer().KlDivergences(logits_[0].Rows(0, rows),
                                                               logits_[1].Rows(0, rows), losses));
    for (const double divergence : losses) kl += divergence;
  }
  return absl::OkStatus();
}

}  // namespace tern

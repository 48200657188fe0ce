#ifndef TERN_WORKER_MODEL_WINDOW_LOSSES_H_
#define TERN_WORKER_MODEL_WINDOW_LOSSES_H_

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/backend/backend.h"
#include "worker/model/outer_weights.h"
#include "worker/model/weight_source.h"

namespace tern {

// Whole windows of `length` tokens, one after the other. Tern's protocol: no token is put before a
// window; positions 0 … length - 2 predict the token after them.
struct EvaluatedWindows {
  std::span<const int32_t> ids;  // a multiple of length, which is at least 2
  int64_t length;

  int64_t count() const { return static_cast<int64_t>(ids.size()) / length; }
  std::span<const int32_t> Ids(int64_t first, int64_t windows) const {
    return ids.subspan(first * length, windows * length);
  }
};

// INVALID_ARGUMENT for windows of another shape.
absl::Status CheckWindows(const EvaluatedWindows& windows);

// How many windows at a time keep `streams` hidden states of each within `bytes`; at least one.
int64_t WindowsPerPass(const EvaluatedWindows& windows, int64_t hidden_size, int64_t streams,
                       int64_t bytes);

// From the hidden states behind the last block to the losses of a window's predicted tokens, in
// nats: final norm, output projection, log-likelihoods. Sums of windows that are added up in order
// do not depend on the passes they were computed in.
//
// Thread-compatible. Memory: the head, and 128 MiB of logits at most for each stream compared.
class WindowLosses {
 public:
  // The backend must outlive the losses.
  static absl::StatusOr<WindowLosses> Load(Backend& backend, const WeightSource& source,
                                           int64_t window_length);

  // nll[i] = Σ over the window's predicted tokens of what streams[i], h[length, hidden], assigns to
  // them; `ids` are the window's. With two streams kl = Σ KL(streams[0] ‖ streams[1]).
  absl::Status Sum(std::span<const Tensor> streams, std::span<const int32_t> ids,
                   std::span<double> nll, double& kl);

 private:
  WindowLosses(Backend& backend, LanguageHead head) : backend_(&backend), head_(std::move(head)) {}

  absl::Status AddRows(std::span<const Tensor> streams, int64_t row,
                       std::span<const int32_t> targets, std::span<double> nll, double& kl);

  Backend* backend_;
  LanguageHead head_;
  int64_t logit_rows_ = 0;
  std::vector<Tensor> logits_;  // [logit_rows_, vocab], as many as there were streams
};

}  // namespace tern

#endif  // TERN_WORKER_MODEL_WINDOW_LOSSES_H_

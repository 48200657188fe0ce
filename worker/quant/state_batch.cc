#include "worker/quant/state_batch.h"

#include <cassert>

#include "checkpoint/status_macros.h"

namespace tern {

absl::StatusOr<Tensor> StateBatch::Claim(const Tensor& states, int64_t first, int64_t count) {
  assert(count <= most_rows_);
  rows_ = states.Rows(first, count);
  if (!on_host_) return rows_;
  if (buffer_.empty()) {
    TERN_ASSIGN_OR_RETURN(buffer_, backend_->Allocate(states.type(), most_rows_, states.cols()));
  }
  assert(buffer_.cols() == states.cols() && buffer_.type() == states.type());
  staged_ = buffer_.Rows(0, count);
  return staged_;
}

absl::StatusOr<Tensor> StateBatch::Load(const Tensor& states, int64_t first, int64_t count) {
  TERN_ASSIGN_OR_RETURN(Tensor batch, Claim(states, first, count));
  if (on_host_) TERN_RETURN_IF_ERROR(backend_->Copy(rows_, staged_));
  return batch;
}

void StateBatch::Release() {
  rows_ = Tensor();
  staged_ = Tensor();
  buffer_ = Tensor();
}

absl::Status StateBatch::Store() {
  return on_host_ ? backend_->Copy(staged_, rows_) : absl::OkStatus();
}

}  // namespace tern

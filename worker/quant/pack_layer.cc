#include "worker/quant/pack_layer.h"

#include "checkpoint/status_macros.h"
#include "checkpoint/trits.h"

namespace tern {

absl::StatusOr<PackedTernary> PackFit(Backend& backend, const LayerFit& fit, int64_t group_size,
                                      bool permuted) {
  const int64_t n = fit.trits.rows();
  const int64_t m = fit.trits.cols();
  const int64_t groups = fit.alpha.rows();
  PackedTernary packed;
  TERN_ASSIGN_OR_RETURN(packed.trits, backend.Allocate(ElementType::kU8, n, PackedTritBytes(m)));
  TERN_ASSIGN_OR_RETURN(packed.alpha, backend.Allocate(ElementType::kF16, n, groups));
  TERN_ASSIGN_OR_RETURN(packed.mu, backend.Allocate(ElementType::kF16, n, groups));
  if (permuted) packed.perm = fit.order;
  TERN_RETURN_IF_ERROR(backend.ternary().Pack(fit.trits, fit.alpha, fit.mu, group_size, packed));
  return packed;
}

absl::StatusOr<TernaryLayer> DownloadLayer(Backend& backend, const PackedTernary& packed,
                                           int64_t cols, int64_t group_size) {
  TernaryLayer layer;
  layer.rows = packed.trits.rows();
  layer.cols = cols;
  layer.group_size = group_size;
  const auto download = [&](const Tensor& tensor, auto& values) {
    values.resize(tensor.elements());
    return backend.Download(tensor, values.data());
  };
  TERN_RETURN_IF_ERROR(download(packed.trits, layer.trits));
  TERN_RETURN_IF_ERROR(download(packed.alpha, layer.alpha));
  TERN_RETURN_IF_ERROR(download(packed.mu, layer.mu));
  if (!packed.perm.empty()) TERN_RETURN_IF_ERROR(download(packed.perm, layer.perm));
  return layer;
}

}  // namespace tern

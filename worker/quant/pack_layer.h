#ifndef TERN_WORKER_QUANT_PACK_LAYER_H_
#define TERN_WORKER_QUANT_PACK_LAYER_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "checkpoint/ternary_layer.h"
#include "worker/backend/backend.h"
#include "worker/quant/layer_fit.h"

namespace tern {

// The stored form of a fit whose grid is fp16 already (GridStorage::kHalf), so that nothing is
// rounded here. The permutation is stored when `permuted`, else the order must be the identity.
absl::StatusOr<PackedTernary> PackFit(Backend& backend, const LayerFit& fit, int64_t group_size,
                                      bool permuted);

absl::StatusOr<TernaryLayer> DownloadLayer(Backend& backend, const PackedTernary& packed,
                                           int64_t cols, int64_t group_size);

}  // namespace tern

#endif  // TERN_WORKER_QUANT_PACK_LAYER_H_

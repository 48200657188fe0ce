#ifndef TERN_WORKER_BACKEND_CUDA_ATTENTION_H_
#define TERN_WORKER_BACKEND_CUDA_ATTENTION_H_

#include <cuda_runtime_api.h>

#include "absl/status/status.h"
#include "worker/backend/tensor.h"
#include "worker/backend/transformer_ops.h"

namespace tern {

// out[t, heads·head_dim] = softmax(q·kᵀ / sqrt(head_dim) + mask)·v for rows that are whole windows,
// never the whole score matrix in memory. q[t, heads·head_dim], k and v[t, kv_heads·head_dim], all
// float32 or all bfloat16; out may be q. Enqueued on `stream`; the same inputs give the same bits.
//
// UNIMPLEMENTED: head_dim above 256, or with bfloat16 no multiple of 8.
absl::Status CausalAttention(cudaStream_t stream, const Tensor& q, const Tensor& k, const Tensor& v,
                             const AttentionShape& shape, const Tensor& out);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CUDA_ATTENTION_H_

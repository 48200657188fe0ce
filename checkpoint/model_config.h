#ifndef TERN_CHECKPOINT_MODEL_CONFIG_H_
#define TERN_CHECKPOINT_MODEL_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tern {

enum class Architecture { kLlama, kMistral, kQwen2, kQwen3 };

// "LlamaForCausalLM", "MistralForCausalLM", ... as config.json names them.
std::vector<std::string> SupportedArchitectures();

struct RopeConfig {
  enum class Type { kDefault, kLinear, kLlama3 };
  Type type = Type::kDefault;
  double theta = 10000.0;
  double factor = 1.0;                // kLinear, kLlama3
  double low_freq_factor = 1.0;       // kLlama3
  double high_freq_factor = 4.0;      // kLlama3
  int64_t original_max_position = 0;  // kLlama3
};

// What Tern needs of a Hugging Face config.json, old and new spellings alike (rope_theta and
// rope_scaling or rope_parameters; torch_dtype or dtype). All sizes are positive and consistent.
struct ModelConfig {
  Architecture architecture;
  std::string architecture_name;  // as in config.json's "architectures"
  int64_t hidden_size;
  int64_t intermediate_size;
  int64_t num_blocks;
  int64_t num_heads;
  int64_t num_kv_heads;
  int64_t head_dim;
  int64_t vocab_size;
  int64_t max_positions;
  double rms_norm_eps;
  bool tied_embeddings;
  bool attention_bias;  // q, k, v have a bias (Qwen2: always; Llama: config)
  bool output_bias;     // o has a bias (Llama with attention_bias)
  bool mlp_bias;
  bool qk_norm;  // Qwen3: RMSNorm over head_dim of q and k before RoPE
  RopeConfig rope;
  // Per block; 0 = full causal attention, otherwise position i sees i-window+1 … i.
  std::vector<int64_t> sliding_window;
  std::optional<int64_t> bos_token_id;
  std::optional<int64_t> eos_token_id;
};

// Errors are INVALID_ARGUMENT and name the field ("config.json: num_attention_heads: ..."). An
// unknown architecture, activation or RoPE type is refused with the list of those supported.
absl::StatusOr<ModelConfig> ParseModelConfig(absl::string_view json);

}  // namespace tern

#endif  // TERN_CHECKPOINT_MODEL_CONFIG_H_

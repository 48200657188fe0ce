#ifndef TERN_CLIENT_COMPARISON_H_
#define TERN_CLIENT_COMPARISON_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {

// One way to quantize, as `tern compare` takes it.
struct ComparedSpec {
  std::string name;
  std::string method;
  std::vector<std::string> settings;  // as --set takes them
};

// Reads "NAME: method=twla rotation=hadamard"; without "NAME:" the rest is the name too.
// INVALID_ARGUMENT quotes what is wrong.
absl::StatusOr<ComparedSpec> ParseComparedSpec(const std::string& text);

// A spec and the job made of it, which has ended.
struct ComparedJob {
  ComparedSpec spec;
  v1::QuantizationJob job;
};

// A table in Markdown: the full-precision model first, as the first job that succeeded saw it, then
// a row for each job. Seconds are those of all workers together, without waiting.
std::string ComparisonMarkdown(const std::vector<ComparedJob>& jobs);

// {"comparison": id, "rows": [{"name", "job", "state", "method", "settings", "perplexity",
// "kl_divergence", "bits_per_weight", "model_bits_per_weight", "activation_bits", "seconds",
// "digest", "error"}]}; what there is not is left out. The first row is the full-precision model's.
nlohmann::ordered_json ComparisonJson(const std::string& id, const std::vector<ComparedJob>& jobs);

}  // namespace tern

#endif  // TERN_CLIENT_COMPARISON_H_

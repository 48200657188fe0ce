#include "checkpoint/tokenizer/tokenizer.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "checkpoint/atomic_file.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/tokenizer/sentencepiece_tokenizer.h"
#include "checkpoint/tokenizer/tokenizer_json.h"

namespace tern {
namespace {

constexpr int64_t kMaxFileBytes = 128 << 20;

using Parser = absl::StatusOr<std::unique_ptr<Tokenizer>> (*)(absl::string_view);

absl::StatusOr<std::unique_ptr<Tokenizer>> ParseFile(const std::string& path, Parser parse) {
  TERN_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxFileBytes));
  absl::StatusOr<std::unique_ptr<Tokenizer>> tokenizer = parse(bytes);
  if (tokenizer.ok()) return tokenizer;
  return absl::Status(tokenizer.status().code(),
                      absl::StrCat(path, ": ", tokenizer.status().message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> OpenTokenizer(const std::string& model_folder) {
  const std::string json = absl::StrCat(model_folder, "/tokenizer.json");
  const std::string model = absl::StrCat(model_folder, "/tokenizer.model");
  std::error_code ignored;
  if (std::filesystem::exists(json, ignored)) return ParseFile(json, ParseTokenizerJson);
  if (std::filesystem::exists(model, ignored)) return ParseFile(model, ParseSentencePieceModel);
  return absl::NotFoundError(absl::StrCat(
      model_folder, ": no tokenizer: there is neither tokenizer.json nor tokenizer.model"));
}

}  // namespace tern

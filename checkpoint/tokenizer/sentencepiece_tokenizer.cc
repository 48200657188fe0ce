#include "checkpoint/tokenizer/sentencepiece_tokenizer.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/tokenizer/sentencepiece_check.h"
#include "checkpoint/tokenizer/sentencepiece_library.h"
#include "checkpoint/tokenizer/text_limits.h"

namespace tern {
namespace {

// libsentencepiece takes about 110 bytes of memory for each byte of a text.
constexpr size_t kMaxTextBytes = size_t{2} << 20;

std::string_view Std(absl::string_view view) { return {view.data(), view.size()}; }

class SentencePieceTokenizer : public Tokenizer {
 public:
  explicit SentencePieceTokenizer(std::unique_ptr<SentencePieceLibrary> library)
      : library_(std::move(library)) {}

  int64_t vocab_size() const override { return library_->PieceCount(); }

  absl::StatusOr<std::vector<int32_t>> Encode(absl::string_view utf8) const override {
    if (utf8.size() > kMaxTextBytes) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a document of ", utf8.size(), " bytes; with a tokenizer.model one may have ",
          kMaxTextBytes,
          ": give JSONL with shorter documents, or token ids (a safetensors file with input_ids), "
          "or a model with a tokenizer.json"));
    }
    TERN_RETURN_IF_ERROR(CheckText(utf8));
    std::vector<int32_t> ids;
    std::string error;
    if (!library_->Encode(Std(utf8), ids, error)) {
      return absl::InvalidArgumentError(absl::StrCat("libsentencepiece: ", error));
    }
    return ids;
  }

 private:
  std::unique_ptr<SentencePieceLibrary> library_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> ParseSentencePieceModel(absl::string_view model) {
  TERN_RETURN_IF_ERROR(CheckSentencePieceModel(model));
  std::string error;
  if (!SentencePieceLibrary::IsInstalled(error)) {
    return absl::InternalError(absl::StrCat("SentencePiece is not installed completely: ", error));
  }
  std::unique_ptr<SentencePieceLibrary> library = SentencePieceLibrary::Load(Std(model), error);
  if (library == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("libsentencepiece refuses it: ", error));
  }
  return std::make_unique<SentencePieceTokenizer>(std::move(library));
}

}  // namespace tern

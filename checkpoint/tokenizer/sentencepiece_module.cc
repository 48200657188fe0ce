// The one source file of the tern_sentencepiece module, which alone is linked with
// libsentencepiece; see sentencepiece_library.cc for why.
#include <sentencepiece_processor.h>

#include <exception>

#include "checkpoint/tokenizer/sentencepiece_library.h"

namespace tern {
namespace {

class Library : public SentencePieceLibrary {
 public:
  sentencepiece::SentencePieceProcessor& processor() { return processor_; }

  bool Encode(std::string_view text, std::vector<int>& ids, std::string& error) const override {
    try {
      const sentencepiece::util::Status status = processor_.Encode(text, &ids);
      if (!status.ok()) error = status.ToString();
      return status.ok();
    } catch (const std::exception& thrown) {
      error = thrown.what();
      return false;
    }
  }

  int PieceCount() const override { return processor_.GetPieceSize(); }

 private:
  sentencepiece::SentencePieceProcessor processor_;
};

}  // namespace
}  // namespace tern

// The caller owns what is returned; nullptr with the reason in `error` when the model is refused.
extern "C" tern::SentencePieceLibrary* TernLoadSentencePiece(std::string_view model,
                                                             std::string* error) {
  auto library = std::make_unique<tern::Library>();
  try {
    const sentencepiece::util::Status status = library->processor().LoadFromSerializedProto(model);
    if (status.ok()) return library.release();
    *error = status.ToString();
  } catch (const std::exception& thrown) {
    *error = thrown.what();
  }
  return nullptr;
}

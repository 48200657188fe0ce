#include "checkpoint/tokenizer/sentencepiece_library.h"

#include <dlfcn.h>

namespace tern {
namespace {

using LoadFunction = SentencePieceLibrary* (*)(std::string_view model, std::string* error);

// Debian's libsentencepiece exports the old Protobuf it was built with. Linked into a program that
// uses Protobuf, either would call the other's functions and crash, so it lives in a module that is
// bound to its own symbols first and shows none to the program. Sanitizers refuse deep binding;
// programs they run must not use both.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kBinding = RTLD_NOW | RTLD_LOCAL;
#else
constexpr int kBinding = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
#endif

struct Module {
  LoadFunction load = nullptr;
  std::string error;
};

Module OpenModule() {
  Module module;
  void* const handle = dlopen("libtern_sentencepiece.so", kBinding);  // by the program's run path
  if (handle != nullptr) {
    module.load = reinterpret_cast<LoadFunction>(dlsym(handle, "TernLoadSentencePiece"));
  }
  if (module.load == nullptr) module.error = dlerror();
  return module;
}

const Module& TheModule() {
  static const Module* const module = new Module(OpenModule());
  return *module;
}

}  // namespace

bool SentencePieceLibrary::IsInstalled(std::string& error) {
  error = TheModule().error;
  return TheModule().load != nullptr;
}

std::unique_ptr<SentencePieceLibrary> SentencePieceLibrary::Load(std::string_view model,
                                                                 std::string& error) {
  return std::unique_ptr<SentencePieceLibrary>(TheModule().load(model, &error));
}

}  // namespace tern

#include "worker/backend/cuda/cuda_library.h"

#include <dlfcn.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "worker/backend/device.h"

namespace tern {
namespace {

struct Module {
  OpenDevice open = nullptr;
  CountDevices count = nullptr;
  std::string error;
};

Module LoadModule() {
  Module module;
  void* const handle = dlopen(kCudaModule, RTLD_NOW | RTLD_LOCAL);  // by the program's run path
  if (handle != nullptr) {
    module.open = reinterpret_cast<OpenDevice>(dlsym(handle, kOpenCudaBackend));
    module.count = reinterpret_cast<CountDevices>(dlsym(handle, kCountCudaDevices));
  }
  if (module.open == nullptr || module.count == nullptr) {
    const char* const error = dlerror();
    module.error = error == nullptr ? "the module is of another version" : error;
    module.open = nullptr;
  }
  return module;
}

const Module& TheModule() {
  static const Module* const module = new Module(LoadModule());
  return *module;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> OpenCuda(const CudaOptions& options) {
  const Module& module = TheModule();
  if (module.open == nullptr) {
    return absl::FailedPreconditionError(absl::StrCat(
        "device \"cuda:", options.ordinal, "\": CUDA support cannot be loaded: ", module.error,
        "; it needs a build with the CUDA toolkit, and cuBLAS and cuSOLVER here"));
  }
  absl::StatusOr<std::unique_ptr<Backend>> backend;
  module.open(options, &backend);
  return backend;
}

int CountCudaDevices() {
  const Module& module = TheModule();
  return module.open == nullptr ? 0 : module.count();
}

}  // namespace tern

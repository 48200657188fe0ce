#ifndef TERN_TESTS_UNIT_STORE_STORE_FACTORY_H_
#define TERN_TESTS_UNIT_STORE_STORE_FACTORY_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/store/store.h"

namespace tern {

// A driver under test: opens the store of a folder, creating it, or again with what is in it.
struct StoreFactory {
  std::string name;
  std::function<absl::StatusOr<std::unique_ptr<Store>>(const std::string& folder)> open;
};

}  // namespace tern

#endif  // TERN_TESTS_UNIT_STORE_STORE_FACTORY_H_

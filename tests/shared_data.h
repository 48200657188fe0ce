#ifndef TERN_TESTS_SHARED_DATA_H_
#define TERN_TESTS_SHARED_DATA_H_

#include <cstdlib>
#include <filesystem>
#include <string>

namespace tern {

// Path of a file of the shared folder (reference results, bigger models), which only the project's
// own checkouts have beside them: $TERN_SHARED, or ../shared. Tests skip when it does not exist:
//   if (!HasShared("golden")) GTEST_SKIP() << "needs the shared folder: golden";
inline std::string SharedPath(const std::string& relative) {
  const char* root = std::getenv("TERN_SHARED");
  const std::filesystem::path base = root != nullptr
                                         ? std::filesystem::path(root)
                                         : std::filesystem::path(TERN_SOURCE_DIR) / ".." / "shared";
  return (base / relative).lexically_normal().string();
}

inline bool HasShared(const std::string& relative) {
  return std::filesystem::exists(SharedPath(relative));
}

// Path of a file of tests/data, which is always there.
inline std::string DataPath(const std::string& relative) {
  return (std::filesystem::path(TERN_SOURCE_DIR) / "tests" / "data" / relative).string();
}

}  // namespace tern

#endif  // TERN_TESTS_SHARED_DATA_H_

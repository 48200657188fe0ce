#ifndef TERN_TESTS_INTEGRATION_CLIENT_RUN_TERN_H_
#define TERN_TESTS_INTEGRATION_CLIENT_RUN_TERN_H_

#include <sstream>
#include <string>
#include <vector>

#include "client/command.h"

namespace tern {

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

// The command line in this process.
inline Outcome RunTern(const std::vector<std::string>& words) {
  std::ostringstream out;
  std::ostringstream err;
  Console console{out, err};
  const int code = RunCommandLine(words, console);
  return {code, out.str(), err.str()};
}

}  // namespace tern

#endif  // TERN_TESTS_INTEGRATION_CLIENT_RUN_TERN_H_

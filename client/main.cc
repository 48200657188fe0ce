#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "client/command.h"
#include "client/console.h"

namespace {

// Whether whoever read stdout has gone, as after `tern jobs list | head -1`.
bool ReaderHasGone() {
  pollfd output = {STDOUT_FILENO, POLLOUT, 0};
  return poll(&output, 1, 0) > 0 && (output.revents & POLLERR) != 0;
}

// Libraries that throw are out of memory, or have found a bug.
int RunGuarded(const std::vector<std::string>& words, tern::Console& console) {
  try {
    return tern::RunCommandLine(words, console);
  } catch (const std::exception& error) {
    std::cerr << "tern: " << error.what() << "\n";
    return tern::kExitFailed;
  }
}

}  // namespace

int main(int argc, char** argv) {
  // A write to a reader that has gone fails, instead of ending the process.
  std::signal(SIGPIPE, SIG_IGN);
  const std::vector<std::string> words(argv + 1, argv + argc);
  tern::Console console = tern::ProcessConsole();
  const int code = RunGuarded(words, console);
  std::cout.flush();
  if (!std::cout && !ReaderHasGone()) {
    std::cerr << "tern: stdout cannot be written\n";
    return code == tern::kExitOk ? static_cast<int>(tern::kExitFailed) : code;
  }
  return code;
}

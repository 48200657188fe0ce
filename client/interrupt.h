#ifndef TERN_CLIENT_INTERRUPT_H_
#define TERN_CLIENT_INTERRUPT_H_

#include <csignal>

namespace tern {

// While it lives, the first Ctrl-C (SIGINT) or SIGTERM is noted instead of ending the process; the
// second one ends it. One at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  bool received() const;

 private:
  struct sigaction old_int_;
  struct sigaction old_term_;
};

}  // namespace tern

#endif  // TERN_CLIENT_INTERRUPT_H_

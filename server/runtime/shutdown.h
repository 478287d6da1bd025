// SIGTERM and SIGINT as something a thread can wait for.
#pragma once

namespace relais::runtime {

// To be made by main before any thread starts: it blocks both signals, and the threads inherit
// that, so that they are taken here and nowhere else.
class StopSignal {
 public:
  StopSignal();
  // Returns the signal's number once one has arrived.
  int Wait() const;
};

}  // namespace relais::runtime

#pragma once

#include "controller/ctl/client.h"

namespace proteus::ctl {

/// The live view: hosts, VMs, open actions and the last words of the journal, redrawn each `interval_s` until `frames`
/// pictures are drawn (0: until q or Ctrl-C). Gives the terminal back as it was.
/// Errors: the API's, if the first picture cannot be drawn; later ones are shown and retried.
Status top(Client& client, double interval_s, int frames);

}  // namespace proteus::ctl

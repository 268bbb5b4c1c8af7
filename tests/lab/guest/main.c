#include <linux/reboot.h>
#include <sys/reboot.h>

#include "load.h"

enum { kPort = 7777 };

int main(void) {
  static struct settings settings;
  boot(&settings);
  memory_start();  // forks, so before any thread
  if (settings.calibrate) {
    work_calibrate();
    reboot(LINUX_REBOOT_CMD_POWER_OFF);
  }
  thread_start(cpus_bring_online, NULL, 0);
  schedule_start();
  work_start(settings.iterations_per_s);
  disk_start();
  stream_start(settings.sink, settings.sink_port);
  printf("guest %s at %s\n", settings.name, settings.address);
  serve(&settings, kPort);
}

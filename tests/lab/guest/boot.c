// From the kernel's hand-over to a machine with its devices and its address.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "load.h"

static void mount_at(const char* type, const char* path) {
  mkdir(path, 0755);
  if (mount(type, path, type, 0, NULL)) perror(path);
}

static void load_modules(void) {
  struct dirent** names;
  int count = scandir("/modules", &names, NULL, alphasort);  // the image numbers them in order of need
  for (int i = 0; i < count; i++) {
    char path[300];
    snprintf(path, sizeof path, "/modules/%s", names[i]->d_name);
    if (names[i]->d_name[0] == '.') continue;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || syscall(SYS_finit_module, file, "", 0)) perror(path);
    close(file);
  }
}

static void read_command_line(struct settings* settings) {
  static char line[4096];
  int file = open("/proc/cmdline", O_RDONLY);
  ssize_t size = read(file, line, sizeof line - 1);
  close(file);
  if (size <= 0) return;
  char* rest = NULL;
  for (char* word = strtok_r(line, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
    sscanf(word, "lab.name=%63s", settings->name);
    sscanf(word, "lab.address=%31s", settings->address);
    sscanf(word, "lab.sink=%31[^:]:%d", settings->sink, &settings->sink_port);
    sscanf(word, "lab.iterations_per_s=%lf", &settings->iterations_per_s);
    if (!strcmp(word, "lab.calibrate")) settings->calibrate = true;
  }
}

static void interface_up(int any, const char* interface, const char* address) {
  struct ifreq request = {0};
  struct sockaddr_in* internet = (struct sockaddr_in*)&request.ifr_addr;
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
  internet->sin_family = AF_INET;
  if (address && inet_pton(AF_INET, address, &internet->sin_addr) == 1) {
    if (ioctl(any, SIOCSIFADDR, &request)) perror("address");
    inet_pton(AF_INET, "255.255.255.0", &internet->sin_addr);
    if (ioctl(any, SIOCSIFNETMASK, &request)) perror("netmask");
  }
  memset(&request.ifr_ifru, 0, sizeof request.ifr_ifru);
  if (ioctl(any, SIOCGIFFLAGS, &request)) return;
  request.ifr_flags |= IFF_UP | IFF_RUNNING;
  if (ioctl(any, SIOCSIFFLAGS, &request)) perror("up");
}

// The guest accepts more CPUs but gives none back: QEMU 7.2 under TCG corrupts itself when a CPU leaves, and crashes or
// hangs in the next migration. Refused, libvirt's call fails after its timeout of some seconds and nothing is harmed.
static void refuse_cpu_removal(void) {
  int file = open("/sys/firmware/acpi/hotplug/processor/enabled", O_WRONLY | O_CLOEXEC);
  if (file < 0 || write(file, "0", 1) != 1) perror("refuse CPU removal");
  close(file);
}

void boot(struct settings* settings) {
  mount_at("proc", "/proc");
  mount_at("sysfs", "/sys");
  mount_at("devtmpfs", "/dev");
  int console = open("/dev/console", O_RDWR);
  for (int i = 0; i < 3 && console >= 0; i++) dup2(console, i);
  setvbuf(stdout, NULL, _IONBF, 0);
  read_command_line(settings);
  if (settings->calibrate) return;
  refuse_cpu_removal();
  load_modules();
  int any = socket(AF_INET, SOCK_DGRAM, 0);
  interface_up(any, "lo", NULL);
  interface_up(any, "eth0", settings->address);
  close(any);
}

int cpus_online(void) {
  return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

// A hot-plugged CPU arrives offline; on a full system udev would bring it online.
void* cpus_bring_online(void* unused) {
  (void)unused;
  for (;;) {
    DIR* folder = opendir("/sys/devices/system/cpu");
    for (struct dirent* entry; folder && (entry = readdir(folder));) {
      int number;
      char path[128], state = '1';
      if (sscanf(entry->d_name, "cpu%d", &number) != 1) continue;
      snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/online", number);
      int file = open(path, O_RDWR | O_CLOEXEC);
      if (file < 0) continue;
      if (read(file, &state, 1) == 1 && state == '0' && pwrite(file, "1", 1, 0) != 1) perror(path);
      close(file);
    }
    if (folder) closedir(folder);
    sleep_until_ns(now_ns() + 1000 * 1000000LL);
  }
  return NULL;
}

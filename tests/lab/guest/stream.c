// Network: one thread, one TCP connection to the lab's sink, opened again when it breaks.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "load.h"

enum { kChunk = 64 * 1024 };
static const int64_t kTickNs = 20 * 1000000LL;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t demanded, done, reconnects;  // bytes, bytes, times
static struct sockaddr_in sink_address;

static int connect_sink(void) {
  int link = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (link < 0) return -1;
  struct timeval patience = {.tv_sec = 1};
  setsockopt(link, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(link, (struct sockaddr*)&sink_address, sizeof sink_address) == 0) return link;
  close(link);
  return -1;
}

static void* load(void* unused) {
  (void)unused;
  static uint8_t chunk[kChunk];
  for (int i = 0; i < kChunk; i++) chunk[i] = (uint8_t)(i * 197);
  int link = -1;
  double owed_bytes = 0;
  int64_t last = now_ns();
  for (;;) {
    struct demand demand = demand_get();
    demand_sleep(&demand, demand.net_mibs == 0, last + kTickNs);
    double bytes_per_s = demand.net_mibs * 1048576;
    int64_t now = now_ns();
    double fresh = bytes_per_s * (double)(now - last) / 1e9;
    last = now;
    owed_bytes += fresh;
    pthread_mutex_lock(&lock);
    demanded += (uint64_t)fresh;
    pthread_mutex_unlock(&lock);
    // What is more than a second late is not made up for.
    if (owed_bytes > bytes_per_s) owed_bytes = bytes_per_s;
    while (owed_bytes >= 1) {
      if (link < 0) {
        link = connect_sink();
        if (link < 0) break;
        pthread_mutex_lock(&lock);
        reconnects++;
        pthread_mutex_unlock(&lock);
      }
      size_t size = owed_bytes < kChunk ? (size_t)owed_bytes : kChunk;
      ssize_t sent = send(link, chunk, size, MSG_NOSIGNAL);
      if (sent <= 0) {
        close(link);
        link = -1;
        break;
      }
      owed_bytes -= (double)sent;
      pthread_mutex_lock(&lock);
      done += (uint64_t)sent;
      pthread_mutex_unlock(&lock);
    }
  }
  return NULL;
}

void stream_start(const char* sink, int port) {
  sink_address.sin_family = AF_INET;
  sink_address.sin_port = htons((uint16_t)port);
  if (inet_pton(AF_INET, sink, &sink_address.sin_addr) != 1) return;
  thread_start(load, NULL, 0);
}

void stream_reset(void) {
  pthread_mutex_lock(&lock);
  demanded = done = reconnects = 0;
  pthread_mutex_unlock(&lock);
}

void stream_print(FILE* out) {
  pthread_mutex_lock(&lock);
  fprintf(out, "{\"demanded_mib\":%.3f,\"done_mib\":%.3f,\"connections\":%lu}", (double)demanded / 1048576,
          (double)done / 1048576, reconnects);
  pthread_mutex_unlock(&lock);
}

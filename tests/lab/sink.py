"""Where guests send their network load: takes connections and throws away what comes. Arguments: address, port."""
import selectors
import socket
import sys


def main(address, port):
    events = selectors.DefaultSelector()
    listener = socket.create_server((address, int(port)), backlog=64)
    listener.setblocking(False)
    events.register(listener, selectors.EVENT_READ)
    scrap = bytearray(1 << 20)
    while True:
        for key, _ in events.select():
            if key.fileobj is listener:
                link, _ = listener.accept()
                link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                link.setblocking(False)
                events.register(link, selectors.EVENT_READ)
                continue
            try:
                ended = key.fileobj.recv_into(scrap, len(scrap), socket.MSG_TRUNC) == 0  # TRUNC: dropped in the kernel
            except BlockingIOError:
                continue
            except OSError:
                ended = True
            if ended:
                events.unregister(key.fileobj)
                key.fileobj.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

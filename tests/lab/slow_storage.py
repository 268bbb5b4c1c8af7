"""Between a host and the lab's storage: what the host asks for is passed on late, what storage answers at once.

Arguments: milliseconds, address of the storage, first port, number of ports. Listens on the same ports of 127.0.0.1.
"""
import asyncio
import sys

CHUNK = 256 << 10
CHUNKS_HELD = 256  # and as much as the sockets hold; a disk has fewer requests in flight


async def pass_on(reader, writer, delay_s):
    loop = asyncio.get_running_loop()
    held = asyncio.Queue(CHUNKS_HELD)

    async def take():
        while data := await reader.read(CHUNK):
            await held.put((loop.time() + delay_s, data))
        await held.put((loop.time() + delay_s, b""))

    taking = asyncio.create_task(take())
    try:
        while True:
            due, data = await held.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            if not data:
                return
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        return  # the other end is gone; so is this one
    finally:
        taking.cancel()
        writer.close()


async def serve(delay_s, address, first, count):
    def connection_to(port):
        async def connected(reader, writer):
            try:
                storage_reader, storage_writer = await asyncio.open_connection(address, port)
            except OSError:
                writer.close()
                return
            await asyncio.gather(pass_on(reader, storage_writer, delay_s), pass_on(storage_reader, writer, 0))
        return connected

    servers = [await asyncio.start_server(connection_to(port), "127.0.0.1", port) for port in range(first, first + count)]
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]) / 1e3, sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
